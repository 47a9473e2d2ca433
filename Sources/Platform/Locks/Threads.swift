internal import Glibc

/// Starts a detached thread of its own for blocking work, so that neither the cooperative pool nor Dispatch's is starved.
///
/// Returns 0, or the errno of `pthread_create`; then the body does not run.
nonisolated public func startThread(_ body: @escaping @Sendable () -> Void) -> Int32 {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body))
    let code = pthread_create(
        &thread, nil,
        { context in
            guard let context else { return nil }
            Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body()
            return nil
        }, box.toOpaque())
    if code == 0 { pthread_detach(thread) } else { box.release() }
    return code
}

/// Runs the body on a thread of its own, or on this one if there is none to be had: blocking it is better than never answering.
nonisolated public func onNewThread(_ body: @escaping @Sendable () -> Void) {
    if startThread(body) != 0 { body() }
}

/// Lets every other thread of the computer have the processor before this one, from now on and for good: for long computations on a
/// thread of their own.
nonisolated public func yieldToOthers() {
    // On Linux the priority is a thread's own. Where it may not be lowered, it stays.
    setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
}
