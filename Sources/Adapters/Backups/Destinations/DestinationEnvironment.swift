public import SerinModel
public import SerinPolicies
public import SerinTransport

/// What every destination is given beside its own settings.
public struct DestinationEnvironment: Sendable {
    /// Reads the value of a secret when it is needed.
    public typealias SecretReader = @Sendable (SecretReference) async throws(Failure) -> String

    /// Performs HTTP exchanges. Bodies are read from and written to disk on its thread, so it should serve backups alone.
    public var transport: Transport
    /// Reads secrets by reference.
    public var secret: SecretReader
    /// The time that requests are signed with.
    public var now: @Sendable () -> Instant
    /// How failures that pass are met.
    public var retries: RetryPolicy
    /// The folder of the locks by which processes of this machine take turns.
    public var lockFolder: String

    /// Everything a destination may use.
    ///
    /// - Parameter lockFolder: Nil: the system's temporary folder.
    public init(
        transport: Transport, retries: RetryPolicy = RetryPolicy(), lockFolder: String? = nil,
        now: @escaping @Sendable () -> Instant, secret: @escaping SecretReader
    ) {
        self.transport = transport
        self.secret = secret
        self.now = now
        self.retries = retries
        self.lockFolder = lockFolder ?? TemporaryFile.folder
    }
}

/// How often and how soon a request is repeated: after a random part of a time that doubles, or after what the server asks for.
public struct RetryPolicy: Sendable, Hashable {
    /// How often a request is sent at most.
    public var attempts: Int
    /// The longest first wait.
    public var base: Duration
    /// The longest wait.
    public var longest: Duration
    /// The most time that waits of one call may take together.
    public var budget: Duration

    /// A way to repeat requests.
    public init(
        attempts: Int = 5, base: Duration = .milliseconds(500), longest: Duration = .seconds(20), budget: Duration = .minutes(2)
    ) {
        self.attempts = attempts
        self.base = base
        self.longest = longest
        self.budget = budget
    }

    /// Runs the body until it succeeds, its failure would not pass, or the attempts or the budget are used up.
    ///
    /// - Parameter body: Is told how often it was tried before.
    func run<Value: Sendable>(_ body: (Int) async throws(Failure) -> Value) async throws(Failure) -> Value {
        var waited = Duration.zero
        var attempt = 0
        while true {
            do throws(Failure) {
                return try await body(attempt)
            } catch {
                attempt += 1
                guard attempt < attempts, passes(error), !Task.isCancelled else { throw tried(error, attempt) }
                let ceiling = min(longest.milliseconds, base.milliseconds << min(Int64(attempt - 1), 20))
                let pause = Duration.milliseconds(error.retryAfter?.milliseconds ?? Int64.random(in: 0...max(0, ceiling)))
                waited = waited + pause
                guard waited <= budget else { throw tried(error, attempt) }
                do { try await Task.sleep(for: .milliseconds(pause.milliseconds)) } catch { throw tried(error, attempt) }
            }
        }
    }

    /// Runs the body, which repeats its own requests, until it gives something: two runs that probe one place at the same moment
    /// read what the other has written.
    func agreeing<Value: Sendable>(
        _ complaint: String, _ body: () async throws(Failure) -> Value?
    ) async throws(Failure) -> Value {
        for attempt in 0..<max(1, attempts) {
            if let value = try await body() { return value }
            // When it is cancelled the next request says so.
            try? await Task.sleep(for: .milliseconds(Int64.random(in: 0...(base.milliseconds << min(Int64(attempt), 20)))))
        }
        throw Failure(.transient, complaint)
    }

    private func passes(_ failure: Failure) -> Bool {
        switch failure.kind {
        case .throttled, .transient, .unknown: true
        case .invalid, .denied, .conflict: false
        }
    }

    private func tried(_ failure: Failure, _ attempts: Int) -> Failure {
        guard attempts > 1 else { return failure }
        var failure = failure
        failure.message += " (try \(attempts) of \(self.attempts))"
        return failure
    }

    private func tried(_ error: any Error, _ attempts: Int) -> Failure {
        (error as? Failure).map { tried($0, attempts) } ?? Failure(.transient, "given up by the caller")
    }
}
