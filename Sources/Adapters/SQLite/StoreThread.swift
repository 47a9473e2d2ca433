internal import Glibc
internal import SerinLocks

/// One thread that runs jobs in the order they came, so that waiting for a disk blocks nobody else.
final class StoreThread: Sendable {
    private struct Queue {
        var jobs: [@Sendable () -> Void] = []
        var isStopped = false
    }

    private let queue = Locked(Queue())
    private let wake = Semaphore()

    /// Starts the thread; nil when the system has none to give.
    static func start() -> StoreThread? {
        let thread = StoreThread()
        return startThread { thread.loop() } == 0 ? thread : nil
    }

    /// Runs a job on the thread and returns its answer. The wait does not end early when the task is cancelled.
    func run<Answer: Sendable>(stopped: Answer, _ job: @escaping @Sendable () -> Answer) async -> Answer {
        await withCheckedContinuation { continuation in
            let isStopped = queue.withLock { queue in
                if !queue.isStopped { queue.jobs.append { continuation.resume(returning: job()) } }
                return queue.isStopped
            }
            if isStopped { continuation.resume(returning: stopped) } else { wake.signal() }
        }
    }

    /// Ends the thread once the jobs before this call are done.
    func stop() {
        queue.withLock { $0.isStopped = true }
        wake.signal()
    }

    private func loop() {
        while true {
            wake.wait()
            let (jobs, isStopped) = queue.withLock { queue in
                defer { queue.jobs = [] }
                return (queue.jobs, queue.isStopped)
            }
            for job in jobs { job() }
            if isStopped { return }
        }
    }
}

/// Counts wake-ups.
private final class Semaphore: @unchecked Sendable {
    // Unchecked: a POSIX semaphore is made to be used from several threads; the pointer never changes.
    private let semaphore: UnsafeMutablePointer<sem_t> = .allocate(capacity: 1)

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() { sem_post(semaphore) }

    func wait() {
        while sem_wait(semaphore) != 0, errno == EINTR {}
    }
}
