internal import Glibc
internal import SerinLocks

/// The process' standard output and error.
///
/// As long as nobody is in charge of a rollout, whoever writes waits for the reader. A controller never waits: from `neverWait` on
/// one thread writes what is queued, and what nobody reads in time is dropped, oldest first; calls on people last.
final class Output: Sendable {
    /// Why a text could not be written.
    struct Fault: Error {
        /// The system's error number.
        var code: Int32
    }

    private struct Piece: Sendable {
        var text: String
        var descriptor: Int32
        var isKept: Bool
    }

    private struct State: Sendable {
        var mayWait = true
        var queue: [Piece] = []
        /// The bytes of all that is queued.
        var size = 0
        var dropped = 0
        var isWriting = false
        var isJSON = false
        var dataFault: Fault?
    }

    /// The most that waits for a reader, in bytes.
    static let limit = 1 << 20

    private let state = Locked(State())
    private let put: @Sendable (String, Int32) throws(Fault) -> Void

    /// An output that puts each text where `put` does, which may block.
    init(put: @escaping @Sendable (_ text: String, _ descriptor: Int32) throws(Fault) -> Void = Output.write) { self.put = put }

    /// Why data could not be written, in the system's words; nil when all of it was, or nobody reads it any more.
    var dataFailure: String? { state.withLock { $0.dataFault.map { String(cString: strerror($0.code)) } } }

    /// Lets nobody wait any more.
    func neverWait() { state.withLock { $0.mayWait = false } }

    /// Writes what goes to standard error as JSON from now on, one document a line.
    func logAsJSON() { state.withLock { $0.isJSON = true } }

    /// Writes a text. One that `isKept` is dropped only when there is nothing else to drop.
    func write(_ text: String, to descriptor: Int32 = STDERR_FILENO, isKept: Bool = false) {
        let isJSON = descriptor == STDERR_FILENO && state.withLock { $0.isJSON }
        let text = isJSON ? LogLine.documents(of: text, isKept: isKept) : text
        let mustStart = state.withLock { state -> Bool? in
            guard !state.mayWait else { return nil }
            state.queue.append(Piece(text: text, descriptor: descriptor, isKept: isKept))
            state.size += text.utf8.count
            while state.size > Self.limit, !state.queue.isEmpty {
                let oldest = state.queue.firstIndex { !$0.isKept } ?? 0
                state.size -= state.queue.remove(at: oldest).text.utf8.count
                state.dropped += 1
            }
            defer { state.isWriting = true }
            return !state.isWriting
        }
        guard let mustStart else { return tryToPut(text, descriptor) }
        // Without a thread it is written by the next one.
        if mustStart, startThread({ [self] in drain() }) != 0 { state.withLock { $0.isWriting = false } }
    }

    /// Returns once everything is written, or when the time is over.
    func flush(within limit: Swift.Duration) async {
        let end = ContinuousClock().now + limit
        while state.withLock({ $0.isWriting }), ContinuousClock().now < end {
            // A cancelled pause only looks again sooner.
            try? await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Waits on this thread, a fifth of a second at most, until everything is written: for a process that ends now, whatever its
    /// other threads do.
    func flushAtTheEnd() {
        let end = ContinuousClock().now + .milliseconds(200)
        while state.withLock({ $0.isWriting }), ContinuousClock().now < end { usleep(5_000) }
    }

    private func drain() {
        while let next = next() { tryToPut(next.text, next.descriptor) }
    }

    /// Writes what can be written: a rollout must not end for the rest.
    private func tryToPut(_ text: String, _ descriptor: Int32) {
        do throws(Fault) { try put(text, descriptor) } catch {
            // That nobody reads on is the reader's choice.
            guard descriptor == STDOUT_FILENO, error.code != EPIPE else { return }
            state.withLock { $0.dataFault = $0.dataFault ?? error }
        }
    }

    private func next() -> Piece? {
        state.withLock { state in
            if state.dropped > 0 {
                defer { state.dropped = 0 }
                let text = "serin: \(state.dropped) messages were left out, because nobody read them\n"
                return Piece(text: text, descriptor: STDERR_FILENO, isKept: false)
            }
            guard !state.queue.isEmpty else {
                state.isWriting = false
                return nil
            }
            let piece = state.queue.removeFirst()
            state.size -= piece.text.utf8.count
            return piece
        }
    }

    /// Writes all of a text, however long that takes.
    @Sendable private static func write(_ text: String, to descriptor: Int32) throws(Fault) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno == EAGAIN {
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&waiting, 1, 1000)
            } else if errno != EINTR {
                throw Fault(code: errno)
            }
        }
    }
}
