#if SERIN_TSAN
    internal import Glibc
#else
    internal import Synchronization
#endif

#if SERIN_TSAN
    /// A value that only one thread reaches at a time.
    ///
    /// ThreadSanitizer cannot see the futex inside `Synchronization.Mutex` on Linux and reports races that are not there, so
    /// sanitizer builds (`-Xswiftc -DSERIN_TSAN`) lock with pthread, which it does see.
    // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
    public final class Locked<Value>: @unchecked Sendable {
        // Unchecked: the pthread mutex guards every access to `value`.
        private var value: Value
        private let lock: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)

        /// Guards a value.
        public init(_ value: consuming sending Value) {
            self.value = value
            pthread_mutex_init(lock, nil)
        }

        deinit {
            pthread_mutex_destroy(lock)
            lock.deallocate()
        }

        /// Runs the body with the value while no other thread has it. The body must not wait for anything.
        public func withLock<Result, Failure: Error>(
            _ body: (inout sending Value) throws(Failure) -> sending Result
        ) throws(Failure) -> sending Result {
            pthread_mutex_lock(lock)
            defer { pthread_mutex_unlock(lock) }
            return try body(&value)
        }
    }
#else
    /// A value that only one thread reaches at a time.
    ///
    /// ThreadSanitizer cannot see the futex inside `Synchronization.Mutex` on Linux and reports races that are not there, so
    /// sanitizer builds (`-Xswiftc -DSERIN_TSAN`) lock with pthread, which it does see.
    // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
    public final class Locked<Value>: Sendable {
        private let mutex: Mutex<Value>

        /// Guards a value.
        public init(_ value: consuming sending Value) { mutex = Mutex(value) }

        /// Runs the body with the value while no other thread has it. The body must not wait for anything.
        public func withLock<Result, Failure: Error>(
            _ body: (inout sending Value) throws(Failure) -> sending Result
        ) throws(Failure) -> sending Result {
            try mutex.withLock(body)
        }
    }
#endif
