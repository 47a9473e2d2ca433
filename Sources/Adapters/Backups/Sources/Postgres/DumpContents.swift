internal import SerinDatabase
internal import SerinModel
internal import SerinProcesses

/// The contents of an archive that comes as a stream: lists them from its beginning, which is kept, and leaves out what the archive
/// says about extensions that are there already. Only their owner may comment on them, and that is a superuser.
final class DumpContents {
    let program: Program
    let stream: ProgramStream
    private(set) var kept: [UInt8] = []
    private let extensions: [String]
    private let folder: TemporaryFolder

    init(_ client: PostgresClient, _ target: RestoreTarget, stop: StopSignal) throws(Failure) {
        extensions = target.extensions
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
        return try DumpContents.write(text, without: extensions, in: folder.path)
    }

    /// Writes a list without what it names of extensions.
    static func write(_ list: String, without extensions: [String], in folder: String) throws(Failure) -> String {
        let marks = extensions.flatMap { name in
            [" EXTENSION - \(name) ", " COMMENT - EXTENSION \(name) ", " COMMENT - EXTENSION \(sqlName(name)) "]
        }
        let lines = list.split(separator: "\n").filter { line in !marks.contains { "\(line) ".contains($0) } }
        let path = folder + "/list"
        try writeFile(path, Array((lines.joined(separator: "\n") + "\n").utf8))
        return path
    }
}
