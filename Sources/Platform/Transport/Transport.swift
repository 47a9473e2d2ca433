public import SerinModel

/// Runs HTTP exchanges on one thread that owns a curl multi handle; connections are kept and used again.
///
/// The thread ends after `shutdown()` or when the last reference is gone, once the exchanges under way are over.
public final class Transport: Sendable {
    private let loop: TransferLoop

    /// Starts the loop. Fails only when libcurl cannot be initialised or no thread can be started.
    ///
    /// - Parameter connectionLimit: How many idle connections are kept open.
    public init(connectionLimit: Int = 256) throws(Failure) {
        loop = try TransferLoop(connectionLimit: connectionLimit)
        try loop.start()
    }

    deinit { loop.stop() }

    /// Ends the loop once the exchanges under way are over; later requests fail.
    public func shutdown() { loop.stop() }

    /// Performs one exchange. Failures are classified: `unknown` when the request may have reached the server. When the task is
    /// cancelled the exchange is given up at once and its connection closed.
    public func send(_ request: HTTPRequest) async throws(Failure) -> HTTPResponse {
        let id = loop.makeID()
        let result: Result<HTTPResponse, Failure> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                loop.add(Transfer(id: id, request: request) { continuation.resume(returning: $0) })
            }
        } onCancel: {
            loop.cancel(id)
        }
        loop.forget(id)
        return try result.get()
    }

    /// Performs one exchange that no caller's cancellation ends: what several callers wait for together.
    ///
    /// - Parameter completion: Called once, on the loop's thread: it must return quickly and wait for nothing.
    public func start(_ request: HTTPRequest, completion: @escaping @Sendable (Result<HTTPResponse, Failure>) -> Void) {
        loop.add(Transfer(id: loop.makeID(), request: request, completion: completion))
    }
}
