internal import Glibc

/// The signals that ask this process to end, as a stream.
public enum Interruptions {
    /// Blocks SIGINT, SIGTERM and SIGHUP for this thread and those it starts later, ignores SIGPIPE, and waits for them on a thread
    /// of its own. To be called first thing in the program, before any other thread exists.
    public nonisolated static func catchSignals() -> AsyncStream<Int32> {
        signal(SIGPIPE, SIG_IGN)
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&set, number) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        let (stream, inlet) = AsyncStream.makeStream(of: Int32.self, bufferingPolicy: .bufferingOldest(8))
        final class Box: Sendable {
            let inlet: AsyncStream<Int32>.Continuation
            init(_ inlet: AsyncStream<Int32>.Continuation) { self.inlet = inlet }
        }
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box(inlet))
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let inlet = Unmanaged<Box>.fromOpaque(context).takeRetainedValue().inlet
                var set = sigset_t()
                sigemptyset(&set)
                for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&set, number) }
                while true {
                    var number: Int32 = 0
                    if sigwait(&set, &number) == 0 { inlet.yield(number) }
                }
            }, box.toOpaque())
        if code == 0 {
            pthread_detach(thread)
        } else {
            // Without a thread the signals get their usual effect back.
            box.release()
            pthread_sigmask(SIG_UNBLOCK, &set, nil)
        }
        return stream
    }
}
