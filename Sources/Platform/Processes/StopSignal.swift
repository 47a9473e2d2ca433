internal import CSerinProcess
internal import Glibc
internal import SerinLocks
public import SerinModel

/// Tells blocking work on another thread to give up. Once raised it stays raised; any number of programs may watch it.
public final class StopSignal: Sendable {
    /// An event descriptor that becomes readable when the signal is raised, and stays so.
    let descriptor: Int32

    /// Fails as `transient` when the process has no descriptor left.
    public init() throws(Failure) {
        descriptor = serin_event_create()
        guard descriptor >= 0 else { throw Failure(.transient, "cannot make a stop signal: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// Raises it.
    public func raise() { serin_event_signal(descriptor) }

    /// Whether it was raised.
    public var isRaised: Bool {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&polled, 1, 0) > 0
    }
}

/// Runs blocking work on a thread of its own, outside the cooperative pool. Cancelling the task raises the signal that the work is
/// given; the work then has to end by itself, which programs that watch the signal make it do.
public func onOwnThread<Value: Sendable>(
    _ body: @escaping @Sendable (StopSignal) throws(Failure) -> Value
) async throws(Failure) -> Value {
    let stop = try StopSignal()
    let result: Result<Value, Failure> = await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
            onNewThread {
                do throws(Failure) {
                    continuation.resume(returning: .success(try body(stop)))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
    } onCancel: {
        stop.raise()
    }
    return try result.get()
}
