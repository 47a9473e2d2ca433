import FoundationEssentials
import Glibc
import SerinCrypto
import SerinModel
import SerinPorts
import SerinProcesses
import SerinRecords
import SerinSQLite
import Testing

/// The journal-writer built beside this test program.
func journalWriter() throws -> String {
    let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let folder = try #require(program.lastIndex(of: "/").map { program[..<$0] })
    return "\(folder)/journal-writer"
}

/// Runs a program found in the usual folders.
func run(_ path: String, _ arguments: [String], deadline: Duration = .seconds(60)) async throws -> Completion {
    try await Program(
        path, arguments, environment: ["PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"],
        deadline: deadline
    ).run()
}

/// Lets the sqlite3 shell change a closed journal.
func tamper(_ folder: Folder, _ statements: String) async throws {
    let completion = try await run("sqlite3", ["-bail", folder.state.journal, statements])
    try #require(completion.termination == .exited(0), "sqlite3: \(completion.text)")
}

/// What the journal-writer said: numbers after a word.
func numbers(after word: String, in text: String) -> [Int64] {
    text.split(separator: "\n").compactMap { line in
        let parts = line.split(separator: " ")
        return parts.first.map(String.init) == word ? parts.dropFirst().first.flatMap { Int64($0) } : nil
    }
}

/// The whole chain of a journal that nobody holds.
func verify(_ path: String, against checkpoint: Checkpoint? = nil) async throws -> (faults: [ChainFault], head: Checkpoint) {
    let store = try await SQLiteStore.read(path)
    do {
        let result = try await store.verifyChain(against: checkpoint, digest: SHA256.digestOrEmpty)
        await store.close()
        return result
    } catch {
        await store.close()
        throw error
    }
}

func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

func size(of path: String) -> Int {
    var status = stat()
    return lstat(path, &status) == 0 ? Int(status.st_size) : 0
}

func mode(of path: String) -> UInt32? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o777 : nil
}

func write(_ text: String, to path: String) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
}

/// A file as text. Never a journal that this process has open: closing it here would give up SQLite's lock.
func read(_ path: String) throws -> String {
    String(decoding: try #require(FileManager.default.contents(atPath: path)), as: UTF8.self)
}
