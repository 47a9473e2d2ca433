internal import Glibc
internal import SerinLocks

/// What a command line names to be read: a file, a pipe, or `-` for standard input.
enum GivenFile {
    /// Why it cannot be read.
    struct Fault: Error {
        /// The system's error number.
        var code: Int32
        /// The system's words.
        var words: String { String(cString: strerror(code)) }
    }

    /// Reads it to its end, or beyond a limit in bytes by one piece at most. Opening and reading are done on a thread of their own:
    /// a pipe's writer may let them wait for ever. When the task is cancelled nobody waits any more, and the thread is left to that.
    static func bytes(of path: String, limit: Int) async throws(Fault) -> [UInt8] {
        let waiting = Locked(Waiting())
        let result: Result<[UInt8], Fault> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isCancelled = waiting.withLock { waiting in
                    waiting.continuation = continuation
                    return waiting.isCancelled
                }
                guard !isCancelled else { return answer(waiting, .failure(Fault(code: ECANCELED))) }
                let code = startThread {
                    answer(waiting, Result { () throws(Fault) in try bytesNow(of: path, limit: limit) })
                }
                if code != 0 { answer(waiting, .failure(Fault(code: code))) }
            }
        } onCancel: {
            waiting.withLock { $0.isCancelled = true }
            answer(waiting, .failure(Fault(code: ECANCELED)))
        }
        return try result.get()
    }

    private struct Waiting: Sendable {
        var continuation: CheckedContinuation<Result<[UInt8], Fault>, Never>?
        var isCancelled = false
    }

    /// Answers once: the reading or the cancellation, whichever is first.
    private static func answer(_ waiting: Locked<Waiting>, _ result: Result<[UInt8], Fault>) {
        let continuation = waiting.withLock { waiting in
            defer { waiting.continuation = nil }
            return waiting.continuation
        }
        continuation?.resume(returning: result)
    }

    private static func bytesNow(of path: String, limit: Int) throws(Fault) -> [UInt8] {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Fault(code: errno) }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        // One piece beyond the limit is enough to refuse it.
        while bytes.count <= limit {
            let count = read(descriptor, &buffer, buffer.count)
            if count == 0 { break }
            if count > 0 { bytes += buffer.prefix(count) } else if errno != EINTR { throw Fault(code: errno) }
        }
        return bytes
    }
}
