internal import SerinModel
internal import SerinProcesses

/// What git says of the files of a release's migrations, where there is git.
struct SourceTree {
    /// The commit that is checked out.
    let commit: String
    /// The files that are not as they were committed, or not committed at all.
    let uncommitted: [String]

    /// For people; nil when everything is committed.
    var warning: String? {
        guard !uncommitted.isEmpty else { return nil }
        let names = uncommitted.prefix(5).joined(separator: ", ") + (uncommitted.count > 5 ? ", …" : "")
        return "not committed: \(names): nobody else has these migrations"
    }

    /// Asks about the folders of these files; nil where they are in no work tree, or git is not there or does not trust it.
    static func look(at files: [String], _ call: ToolCall) -> SourceTree? {
        let folders = Set(files.map { file in file.lastIndex(of: "/").map { String(file[..<$0]) } ?? "." }).sorted()
        guard let first = folders.first, let commit = git(["rev-parse", "HEAD"], in: first, call) else { return nil }
        var uncommitted: [String] = []
        for folder in folders {
            guard let text = git(["status", "--porcelain", "--untracked-files=all", "--", "."], in: folder, call) else {
                return nil
            }
            uncommitted += text.textLines().map { String($0.dropFirst(3)) }
        }
        return SourceTree(commit: String(commit.prefix { $0 != "\n" }), uncommitted: uncommitted)
    }

    private static func git(_ arguments: [String], in folder: String, _ call: ToolCall) -> String? {
        var bytes: [UInt8] = []
        do throws(Failure) {
            // A monitor that the repository's own settings name would be run as who migrates.
            let program = Program(
                "git", ["-c", "core.fsmonitor=false", "-C", folder] + arguments,
                environment: [
                    "PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "GIT_OPTIONAL_LOCKS": "0",
                    "GIT_TERMINAL_PROMPT": "0",
                    "HOME": call.environment["HOME"] ?? "/",
                ], deadline: .seconds(20), outputLimit: 1 << 16)
            let stream = try ProgramStream(program, .reading, stall: nil, stop: call.stop)
            try stream.readAll { (piece) throws(Failure) in
                guard bytes.count < 1 << 20 else { throw Failure(.invalid, "too long") }
                bytes += piece
            }
        } catch { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
