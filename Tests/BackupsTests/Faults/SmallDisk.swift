import Glibc
import SerinModel
import SerinProcesses
import Testbed

/// A file system of its own with so little room that it can be filled. Only root may make one.
struct SmallDisk {
    static var isPossible: Bool { geteuid() == 0 }

    let path: String

    init(_ scratch: Scratch, _ name: String, megabytes: Int) async throws {
        path = scratch.file(name)
        mkdir(path, 0o700)
        try await SmallDisk.run("mount", ["-t", "tmpfs", "-o", "size=\(megabytes)m,mode=0700", "serin-test", path])
    }

    /// Takes all the room that is left.
    func fill() {
        let file = open("\(path)/ballast", O_WRONLY | O_CREAT, 0o600)
        let zeros = [UInt8](repeating: 0, count: 4096)
        while write(file, zeros, zeros.count) > 0 {}
        close(file)
    }

    /// Gives it back.
    func empty() { unlink("\(path)/ballast") }

    /// Lets go of the disk, also of one that is in use.
    func remove() { umount2(path, Int32(MNT_DETACH)) }

    private static func run(_ tool: String, _ arguments: [String]) async throws {
        let done = try await Program(
            tool, arguments, environment: ["PATH": "/usr/bin:/bin:/usr/sbin:/sbin"], deadline: .seconds(10)
        ).run()
        guard done.termination == .exited(0) else { throw Failure(.invalid, "\(tool): \(done.text)") }
    }
}
