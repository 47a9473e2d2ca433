internal import Glibc
internal import SerinLocks
internal import SerinModel

/// A file that says: Serin's own watchdog lowered the weight. Touched on threads of their own, as a disk may stand still.
struct WatchdogMark: Sendable {
    let path: String
    /// How long leaving it may take before the weight is lowered without it.
    var limit = Duration.seconds(1)

    /// Whether it is there.
    var exists: Bool { access(path, F_OK) == 0 }

    /// Leaves it.
    func leave() async throws(Failure) {
        let (answers, answer) = AsyncStream.makeStream(of: Result<Void, Failure>.self)
        onNewThread { [path] in
            let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            if descriptor >= 0 {
                close(descriptor)
                answer.yield(.success(()))
            } else {
                let reason = String(cString: strerror(errno))
                answer.yield(.failure(Failure(.transient, "cannot leave the mark \(path): \(reason)")))
            }
            answer.finish()
        }
        let result = await withTaskGroup(of: Result<Void, Failure>?.self) { group in
            group.addTask { await answers.first { _ in true } }
            group.addTask { [limit] in
                // An early end means that the answer was there first.
                try? await Task.sleep(for: .milliseconds(limit.milliseconds))
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
        guard let result else { throw Failure(.transient, "cannot leave the mark \(path): no answer within \(limit)") }
        try result.get()
    }

    /// Takes it away; one that is not there is what is wanted.
    func clear() { onNewThread { [path] in unlink(path) } }
}
