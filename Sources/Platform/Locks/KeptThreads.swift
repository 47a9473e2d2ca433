/// Threads for short blocking work that are kept for the next: starting one takes longer than a question to a local socket.
///
/// Work never waits for other work: when no kept thread is free, a new one is started. Threads end once they are free and there
/// are enough others, or nobody holds this any more.
public final class KeptThreads: Sendable {
    /// Says whether its thread stays for more.
    private typealias Job = @Sendable () -> Bool

    /// One free thread, and what it is to do next.
    private final class Seat: Sendable {
        private let job = Locked<Job?>(nil)
        private let wake = Semaphore()

        /// Hands work over; nil lets the thread go.
        func give(_ next: Job?) {
            job.withLock { $0 = next }
            wake.signal()
        }

        func next() -> Job? {
            wake.wait()
            return job.withLock { job in
                defer { job = nil }
                return job
            }
        }
    }

    private struct Free: Sendable {
        var seats: [Seat] = []
        var isOver = false
    }

    /// Shared with the threads, which must not keep `KeptThreads` itself alive.
    private final class Room: Sendable {
        let limit: Int
        let free = Locked(Free())

        init(limit: Int) { self.limit = limit }

        /// Whether a thread stays for more work.
        func keeps(_ seat: Seat) -> Bool {
            free.withLock { free in
                guard !free.isOver, free.seats.count < limit else { return false }
                free.seats.append(seat)
                return true
            }
        }
    }

    private let room: Room

    /// No threads yet.
    ///
    /// - Parameter limit: How many free threads are kept.
    public init(limit: Int) { room = Room(limit: limit) }

    deinit {
        let seats = room.free.withLock { free in
            free.isOver = true
            defer { free.seats = [] }
            return free.seats
        }
        for seat in seats { seat.give(nil) }
    }

    /// Runs the body on a thread and hands its answer to `finish`, on the same thread, which counts as free by then: whoever
    /// goes on at once with the next question finds it. `finish` must wait for nothing.
    ///
    /// Returns 0, or the errno of `pthread_create`; then neither runs.
    public func run<Answer>(_ body: @escaping @Sendable () -> Answer, finish: @escaping @Sendable (Answer) -> Void) -> Int32 {
        let kept = room.free.withLock { $0.seats.popLast() }
        let seat = kept ?? Seat()
        let job: Job = { [room] in
            let answer = body()
            let stays = room.keeps(seat)
            finish(answer)
            return stays
        }
        if kept != nil {
            seat.give(job)
            return 0
        }
        return startThread {
            var next: Job? = job
            while let job = next { next = job() ? seat.next() : nil }
        }
    }
}
