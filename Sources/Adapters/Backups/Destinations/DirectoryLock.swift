internal import Glibc
internal import SerinModel

/// The right to change something that no target owns alone: a lock on a file, which the kernel takes back however the process ends.
struct DirectoryLock: Sendable {
    /// So long is waited for the others: each holds it for a few requests.
    private static let patience = Duration.minutes(5)
    private static let pause = Duration.milliseconds(20)

    private let descriptor: Int32

    /// Takes it, after those who hold it.
    ///
    /// - Parameter what: What is to be changed, for the failure `transient` when the others take too long.
    static func taken(in folder: String, name: String, for what: String) async throws(Failure) -> DirectoryLock {
        let path = "\(folder)/\(name).lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Failure(.denied, "cannot open the lock \(path): \(systemWords())") }
        var waited = Duration.zero
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            guard code == EWOULDBLOCK || code == EINTR else {
                let words = systemWords()
                close(descriptor)
                throw Failure(.transient, "cannot take the lock \(path): \(words)")
            }
            guard waited < patience else {
                close(descriptor)
                throw Failure(.transient, "\(what) is being changed by others for \(patience)")
            }
            do { try await Task.sleep(for: .milliseconds(pause.milliseconds)) } catch {
                close(descriptor)
                throw Failure(.transient, "given up by the caller")
            }
            waited = waited + pause
        }
        return DirectoryLock(descriptor: descriptor)
    }

    /// Gives it back.
    func release() {
        // Closing alone would not do while a child between fork and exec still has a copy of the descriptor.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
