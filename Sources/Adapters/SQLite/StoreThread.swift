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
    ///
    /// - Parameter afterwards: What the thread does once the answer is on its way, and nobody waits for.
    func run<Answer: Sendable>(
        stopped: Answer, _ job: @escaping @Sendable () -> Answer, afterwards: @escaping @Sendable () -> Void = {}
    ) async -> Answer {
        await withCheckedContinuation { continuation in
            let isTaken = post {
                continuation.resume(returning: job())
                afterwards()
            }
            if !isTaken { continuation.resume(returning: stopped) }
        }
    }

    /// Has a job done that nobody waits for; false once the thread was stopped.
    @discardableResult func post(_ job: @escaping @Sendable () -> Void) -> Bool {
        let isStopped = queue.withLock { queue in
            if !queue.isStopped { queue.jobs.append(job) }
            return queue.isStopped
        }
        if !isStopped { wake.signal() }
        return !isStopped
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
