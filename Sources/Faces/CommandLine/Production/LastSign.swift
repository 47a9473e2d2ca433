internal import Glibc
internal import SerinLocks
internal import SerinModel

/// A file that was last touched when a controller in charge last showed life. It outlasts controllers and watchdogs, so that a chain
/// of them that end at once has one patience among them.
final class LastSign: Sendable {
    private let path: String
    /// Whether a touch is under way; a disk that stands still must not collect threads.
    private let isBusy = Locked(false)

    init(path: String) { self.path = path }

    /// When that was, by the computer's clock; nil when there was none.
    var moment: Instant? {
        var found = stat()
        guard stat(path, &found) == 0 else { return nil }
        return Instant(millisecondsSince1970: Int64(found.st_mtim.tv_sec) * 1000 + Int64(found.st_mtim.tv_nsec) / 1_000_000)
    }

    /// It is now. Without the file, the next watchdog begins with the whole patience.
    func touch() {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        futimens(descriptor, nil)
        close(descriptor)
    }

    /// It is now; does not wait for the disk.
    func touchSoon() {
        let isFree = isBusy.withLock { isBusy in
            defer { isBusy = true }
            return !isBusy
        }
        guard isFree else { return }
        onNewThread { [self] in
            touch()
            isBusy.withLock { $0 = false }
        }
    }

    /// The rollout is over. A file that is not there is what is wanted.
    func remove() { unlink(path) }
}
