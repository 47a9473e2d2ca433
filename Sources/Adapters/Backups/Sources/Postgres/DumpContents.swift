internal import SerinDatabase
internal import SerinModel
internal import SerinProcesses

/// The contents of an archive that comes as a stream: lists them from its beginning, which is kept, and leaves out what makes the
/// extensions and schemas that are there already. Only its owner may comment on an extension, and that is a superuser.
final class DumpContents {
    let program: Program
    let stream: ProgramStream
    private(set) var kept: [UInt8] = []
    private let present: [String]
    private let folder: TemporaryFolder

    init(_ client: PostgresClient, _ target: RestoreTarget, stop: StopSignal) throws(Failure) {
        present = target.present
        folder = try TemporaryFolder(in: target.scratch)
        var program = client.program("pg_restore", ["--list"])
        program.outputLimit = 1 << 24
        self.program = program
        stream = try client.start(program, .writing, stop: stop)
    }

    /// - Returns: Whether the listing has ended: it reads no further than it must.
    func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
        kept += bytes
        do throws(Failure) { try stream.write(bytes) } catch { return true }
        return false
    }

    /// Writes the list.
    ///
    /// - Returns: The path of its file, which is there as long as this is.
    func finish() throws(Failure) -> String {
        // A status is judged below.
        do throws(Failure) { try stream.finish() } catch { guard stream.end?.termination == .exited(0) else { throw error } }
        guard stream.end?.termination == .exited(0), let text = stream.end?.diagnostics else {
            throw Failure(.invalid, "the contents of the dump cannot be listed: \(stream.end?.words ?? "")")
        }
        return try DumpContents.write(text, without: present, in: folder.path)
    }

    /// Writes a list without the entries that begin so: `4; 2615 16385 SCHEMA - app owner` is `SCHEMA - app `.
    static func write(_ list: String, without present: [String], in folder: String) throws(Failure) -> String {
        let lines = list.textLines().filter { line in
            let words = line.split(separator: " ", maxSplits: 3)
            return words.count < 4 || line.hasPrefix(";") || !present.contains { "\(words[3]) ".hasPrefix($0) }
        }
        let path = folder + "/list"
        try writeFile(path, Array((lines.joined(separator: "\n") + "\n").utf8))
        return path
    }
}
