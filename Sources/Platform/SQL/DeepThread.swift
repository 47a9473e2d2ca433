internal import Glibc
internal import SerinLocks

/// The one thread of a process on which everything is parsed, one text after the other.
///
/// The parser recurses on the C stack for every operator of a chain; a cooperative thread's stack would not do. And it takes a key of
/// `pthread_key_create` for every thread that it first runs on and never gives it back: with a thread for each text a process has none
/// left after a thousand, and the next library that asks for one crashes. Only what is used of the stack takes memory.
final class DeepThread: Sendable {
    static let shared = DeepThread()

    private typealias Job = @Sendable () -> Void

    private struct Queue: Sendable {
        var jobs: [Job] = []
        var isRunning = false
    }

    private final class Order: Sendable {
        let thread: DeepThread
        let stack: Int

        init(thread: DeepThread, stack: Int) {
            self.thread = thread
            self.stack = stack
        }
    }

    private let queue = Locked(Queue())
    private let wake = Semaphore()

    private init() {}

    /// Runs a body there; nil when the system has no room for the thread.
    ///
    /// - Parameter stack: How many bytes the thread gets when it is not there yet.
    func run<Value: Sendable>(stack: Int, _ body: @escaping @Sendable () -> Value) async -> Value? {
        await withCheckedContinuation { (continuation: CheckedContinuation<Value?, Never>) in
            let isTaken = queue.withLock { queue in
                if !queue.isRunning { queue.isRunning = start(stack: stack) }
                if queue.isRunning { queue.jobs.append { continuation.resume(returning: body()) } }
                return queue.isRunning
            }
            if isTaken { wake.signal() } else { continuation.resume(returning: nil) }
        }
    }

    private func start(stack: Int) -> Bool {
        var attributes = pthread_attr_t()
        var thread = pthread_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, stack)
        let order = Unmanaged.passRetained(Order(thread: self, stack: stack))
        let code = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                let order = Unmanaged<Order>.fromOpaque(context).takeRetainedValue()
                order.thread.work(stack: order.stack)
            }, order.toOpaque())
        if code != 0 { order.release() }
        return code == 0
    }

    private func work(stack: Int) -> Never {
        var mark = 0
        let top = withUnsafeMutablePointer(to: &mark) { Int(bitPattern: $0) }
        while true {
            wake.wait()
            queue.withLock { $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() }?()
            giveBack(stack, below: top)
        }
    }

    /// Gives the memory back that a deep text took: all of the stack but its first MiB, where this stands, and the last, where it ends.
    private func giveBack(_ stack: Int, below top: Int) {
        let (page, margin) = (4096, 1 << 20)
        let lowest = (top - stack + margin) / page * page
        let length = (top - margin) / page * page - lowest
        if length > 0 { madvise(UnsafeMutableRawPointer(bitPattern: lowest), length, Int32(MADV_DONTNEED)) }
    }
}
