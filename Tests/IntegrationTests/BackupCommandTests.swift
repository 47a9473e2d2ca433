import Glibc
import SerinAPI
import SerinLocks
import SerinModel
import Testing

@testable import SerinCommandLine

/// The verbs of backups with everything real: files into a folder, encrypted, and back.
@Suite struct BackupCommandTests {
    private func folder() throws -> String {
        var template = Array("/tmp/serin-backup-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func write(_ text: String, to path: String) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        _ = Glibc.write(descriptor, text, text.utf8.count)
        close(descriptor)
    }

    private func run(_ state: String, _ arguments: String...) async -> (code: ExitCode, output: String, messages: String) {
        let output = Locked("")
        let messages = Locked("")
        let console = Console(
            writeData: { text in output.withLock { $0 += text } }, writeMessage: { text in messages.withLock { $0 += text } })
        let (signals, _) = AsyncStream.makeStream(of: Int32.self)
        let environment = ["SERIN_STATE": state, "PATH": "/usr/bin:/bin"]
        let program = CommandLineProgram(
            assembly: .production(environment: environment, output: Output()), console: console, environment: environment,
            interruptions: signals,
            endNow: { _ in })
        let code = await program.run(["backup"] + arguments)
        return (code, output.withLock { $0 }, messages.withLock { $0 })
    }

    private func objects(in folder: String) -> [String] {
        var found: [String] = []
        guard let listing = opendir(folder) else { return [] }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name.hasPrefix(".") { continue }
            let path = "\(folder)/\(name)"
            if path.hasSuffix(".backup") { found.append(path) } else { found += objects(in: path) }
        }
        return found
    }

    @Test func aBackupIsMadeListedVerifiedImportedAndFoundDamaged() async throws {
        let folder = try folder()
        mkdir("\(folder)/data", 0o700)
        write("orders\n", to: "\(folder)/data/orders.csv")
        write(String(repeating: "k", count: 44), to: "\(folder)/key")
        let plan = "\(folder)/plan.yaml"
        write(
            """
            version: 1
            target: shop-files
            source: {files: {paths: ["\(folder)/data"]}}
            destinations: {local: {folder: {path: "\(folder)/store"}}}
            encryption: {key_file: "\(folder)/key"}
            retention: {keep_all: 14d}
            schedules: [{every: 24h}]
            """, to: plan)
        let state = "\(folder)/state"
        #expect(await run(state, "check", plan).code == .ok)
        let made = await run(state, "create", plan, "--scheduled")
        #expect(made.code == .ok, "\(made.messages)")
        let again = await run(state, "create", plan, "--scheduled")
        #expect(again.code == .ok)
        #expect(again.messages.contains("nothing is due"))
        #expect(await run(state, "list").output.contains("available"))
        let verified = await run(state, "verify", plan)
        #expect(verified.code == .ok, "\(verified.messages)")
        #expect(await run(state, "list").output.contains("verified"))
        let check = await run(state, "catalogue", "check", plan)
        #expect(check.code == .ok && check.output == "", "\(check.output)\(check.messages)")
        #expect(await run(state, "prune", plan).code == .ok)

        // A machine that has only the plan and the key.
        let other = "\(folder)/other"
        #expect(await run(other, "import", plan).code == .ok)
        #expect(await run(other, "verify", plan, "--due").code == .ok)
        #expect(await run(other, "list").output.contains("verified"))

        let object = try #require(objects(in: "\(folder)/store").first)
        let descriptor = open(object, O_RDWR)
        pwrite(descriptor, "XXXX", 4, 40)
        close(descriptor)
        #expect(await run(state, "verify", plan).code == .verificationFailed)
        #expect(await run(state, "list").output.contains("quarantined"))
        let after = await run(state, "show", "latest")
        #expect(after.code == .usage, "nothing that is bad is ever the latest")
    }
}
