internal import FoundationEssentials
internal import Glibc
internal import SerinModel

/// A private folder that is removed with everything in it when it is let go. It is locked for as long, so that those of runs that
/// were killed, whose locks ended with them, are told from those in use.
final class TemporaryFolder: Sendable {
    /// How the names of such folders begin.
    static let prefix = ".serin-work-"

    let path: String
    private let descriptor: Int32

    /// - Parameters:
    ///   - parent: An existing folder.
    ///   - prefix: What its name begins with; twelve characters follow, so that a socket in it has a short name.
    init(in parent: String, prefix: String = TemporaryFolder.prefix) throws(Failure) {
        for _ in 0..<10 {
            let path = "\(parent)/\(prefix)\(try randomName().prefix(12))"
            guard mkdir(path, 0o700) == 0 else { throw Failure(.transient, "cannot make \(path): \(systemWords())") }
            if let descriptor = TemporaryFolder.lock(path) {
                self.path = path
                self.descriptor = descriptor
                return
            }
            // A sweep found it before it was locked.
        }
        throw Failure(.transient, "cannot lock a folder for unfinished work in \(parent)")
    }

    deinit {
        // What cannot be removed now is removed by the next run.
        try? FileManager.default.removeItem(atPath: path)
        close(descriptor)
    }

    /// Removes those that nobody uses any more.
    ///
    /// - Parameter end: Ends what may still run in one, before it is removed.
    static func sweep(_ parent: String, prefix: String = TemporaryFolder.prefix, end: (_ path: String) -> Void = { _ in }) {
        // What cannot be read is tried again by the next run.
        for name in (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? [] where name.hasPrefix(prefix) {
            let path = "\(parent)/\(name)"
            guard let descriptor = lock(path) else { continue }
            end(path)
            // As above.
            try? FileManager.default.removeItem(atPath: path)
            close(descriptor)
        }
    }

    /// The folder's descriptor; nil when it is gone or in use.
    private static func lock(_ path: String) -> Int32? {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        var (locked, named) = (stat(), stat())
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, fstat(descriptor, &locked) == 0, lstat(path, &named) == 0,
            locked.st_ino == named.st_ino
        else {
            close(descriptor)
            return nil
        }
        return descriptor
    }
}
