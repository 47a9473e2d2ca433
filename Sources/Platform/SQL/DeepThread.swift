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

    /// A thread with a stack of its own making: so it is known where it is, and that its lowest page ends the process rather than
    /// others' memory.
    private func start(stack: Int) -> Bool {
        let lowest = mmap(nil, stack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let lowest, lowest != MAP_FAILED else { return false }
        var attributes = pthread_attr_t()
        var thread = pthread_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        let own = Unmanaged.passRetained(Stack(of: self, lowest: lowest, size: stack))
        var code = mprotect(lowest, Stack.page, PROT_NONE)
        if code == 0 { code = pthread_attr_setstack(&attributes, lowest, stack) }
        if code == 0 {
            code = pthread_create(
                &thread, &attributes,
                { context in
                    guard let context else { return nil }
                    let own = Unmanaged<Stack>.fromOpaque(context).takeRetainedValue()
                    own.thread.work(on: own)
                }, own.toOpaque())
        }
        if code != 0 {
            own.release()
            munmap(lowest, stack)
        }
        return code == 0
    }

    private func work(on stack: Stack) -> Never {
        while true {
            wake.wait()
            queue.withLock { $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() }?()
            stack.giveBack()
        }
    }

    /// The memory that a thread stands on.
    private final class Stack: Sendable {
        static let page = 4096
        let thread: DeepThread
        private let lowest: Int
        private let size: Int

        init(of thread: DeepThread, lowest: UnsafeMutableRawPointer, size: Int) {
            self.thread = thread
            self.lowest = Int(bitPattern: lowest)
            self.size = size
        }

        /// Gives back what a deep text took: all but the page that guards its end and the first MiB, where `work` stands.
        func giveBack() {
            let length = (size - (1 << 20)) / Self.page * Self.page - Self.page
            if length > 0 { madvise(UnsafeMutableRawPointer(bitPattern: lowest + Self.page), length, Int32(MADV_DONTNEED)) }
        }
    }
}
