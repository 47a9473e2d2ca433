internal import Glibc
internal import SerinModel

/// Finds a program before anything is started, so that what is missing can be named.
struct ProgramPath {
    let program: Program

    init(_ program: Program) { self.program = program }

    /// The path to execute; fails as `invalid` with what is wrong.
    func resolve() throws(Failure) -> String {
        try refuseUnspeakable()
        if let directory = program.directory, !isDirectory(directory) {
            throw Failure(.invalid, "cannot start \(program.path) in \(directory): no such folder")
        }
        if program.path.utf8.contains(0x2F) {
            let isRelative = !program.path.hasPrefix("/")
            let place = isRelative ? program.directory.map { $0 + "/" + program.path } ?? program.path : program.path
            try check(place)
            return program.path
        }
        // `posix_spawnp` would look in the caller's PATH, which is not the one the program is given.
        guard let list = program.environment["PATH"] ?? getenv("PATH").map({ String(cString: $0) }) else {
            throw Failure(.invalid, "cannot start \(program.path): there is no PATH to look it up in")
        }
        for folder in list.split(separator: ":") where folder.hasPrefix("/") {
            let candidate = "\(folder)/\(program.path)"
            if access(candidate, X_OK) == 0, !isDirectory(candidate) { return candidate }
        }
        throw Failure(
            .invalid, "cannot start \(program.path): no such program in \(list)", hint: "install it, or give its full path")
    }

    private func refuseUnspeakable() throws(Failure) {
        guard !program.path.isEmpty else { throw Failure(.invalid, "cannot start a program: its name is empty") }
        let texts = [program.path] + program.arguments + program.environment.flatMap { [$0.key, $0.value] }
        guard !texts.contains(where: { $0.utf8.contains(0) }) else {
            throw Failure(.invalid, "cannot start \(program.path): an argument or variable holds a NUL byte")
        }
        guard !program.environment.keys.contains(where: { $0.isEmpty || $0.utf8.contains(0x3D) }) else {
            throw Failure(.invalid, "cannot start \(program.path): the name of a variable is empty or holds \"=\"")
        }
    }

    private func check(_ path: String) throws(Failure) {
        guard access(path, F_OK) == 0 else {
            throw Failure(.invalid, "cannot start \(program.path): \(String(cString: strerror(errno)))")
        }
        guard !isDirectory(path) else { throw Failure(.invalid, "cannot start \(program.path): it is a folder") }
        guard access(path, X_OK) == 0 else {
            throw Failure(.invalid, "cannot start \(program.path): it is not executable", hint: "chmod +x \(program.path)")
        }
    }

    private func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
