internal import Glibc
internal import SerinLocks

/// The signals that ask this process to end, as a stream.
///
/// A handler writes each signal's number into a pipe, and a thread of its own reads them there. Blocking the signals and waiting for
/// them would not do: the thread that runs `main` lets every signal through once the program is asynchronous.
public enum Interruptions {
    private static let caught = [SIGINT, SIGTERM, SIGHUP]

    /// Catches SIGINT, SIGTERM and SIGHUP from now on, and ignores SIGPIPE. A SIGHUP that is ignored already, as `nohup` has it, stays
    /// ignored until `catchHangups`. Where that is not possible they keep their usual effect.
    public nonisolated static func catchSignals() -> AsyncStream<Int32> {
        signal(SIGPIPE, SIG_IGN)
        let (stream, inlet) = AsyncStream.makeStream(of: Int32.self, bufferingPolicy: .bufferingOldest(8))
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return stream }
        for index in ends.indices {
            // Never one of the standard streams: what is printed there would be read as signals.
            let end = fcntl(ends[index], F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
            guard end >= 0 else { return stream }
            close(ends[index])
            ends[index] = end
        }
        // A writer that waited would hang inside a handler.
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        signalPipe = ends[1]
        guard startReading(ends[0], into: inlet) else { return stream }
        for number in caught where number != SIGHUP || !isIgnored(number) { handle(number) }
        return stream
    }

    /// Catches a SIGHUP also where it was ignored: it reads something again, and ends nothing.
    nonisolated static func catchHangups() {
        if signalPipe >= 0 { handle(SIGHUP) }
    }

    private nonisolated static func handle(_ number: Int32) {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { number in
            let saved = errno
            var byte = UInt8(truncatingIfNeeded: number)
            // A full pipe means that many signals are waiting already.
            _ = write(signalPipe, &byte, 1)
            errno = saved
        }
        action.sa_flags = SA_RESTART
        sigaction(number, &action, nil)
    }

    /// What a signal that asks to end is called.
    static func name(of signal: Int32) -> String {
        switch signal {
        case SIGINT: "SIGINT"
        case SIGTERM: "SIGTERM"
        case SIGHUP: "SIGHUP"
        default: "signal \(signal)"
        }
    }

    private nonisolated static func isIgnored(_ number: Int32) -> Bool {
        var present = sigaction()
        guard sigaction(number, nil, &present) == 0 else { return false }
        // The C library's SIG_IGN is the address 1.
        return unsafeBitCast(present.__sigaction_handler.sa_handler, to: Int.self) == 1
    }

    private nonisolated static func startReading(_ descriptor: Int32, into inlet: AsyncStream<Int32>.Continuation) -> Bool {
        startThread {
            var byte: UInt8 = 0
            while true {
                let count = read(descriptor, &byte, 1)
                if count == 1, caught.contains(Int32(byte)) { inlet.yield(Int32(byte)) }
                if count == 0 || count < 0 && errno != EINTR { return }
            }
        } == 0
    }
}

/// The pipe into which the handler writes. Unsafe only in name: it is set once, before the handler is installed, and then only read;
/// a handler has no context, so it cannot be told in another way.
nonisolated(unsafe) private var signalPipe: Int32 = -1
