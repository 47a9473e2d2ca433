internal import Glibc

/// Counts wake-ups: what one thread says, another that waits for it hears, in whichever order.
public final class Semaphore: @unchecked Sendable {
    // Unchecked: a POSIX semaphore is made to be used from several threads; the pointer never changes.
    private let semaphore: UnsafeMutablePointer<sem_t> = .allocate(capacity: 1)

    /// One without wake-ups.
    public init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    /// Wakes one wait, now or to come.
    public func signal() { sem_post(semaphore) }

    /// Waits for a wake-up. It blocks the thread: never called from the cooperative pool.
    public func wait() {
        while sem_wait(semaphore) != 0, errno == EINTR {}
    }
}
