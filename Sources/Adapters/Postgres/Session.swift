internal import Glibc
internal import SerinDatabase
internal import SerinModel
internal import SerinPolicies

/// Resolves a reference to the text it stands for.
typealias SecretLookup = @Sendable (SecretReference) throws(Failure) -> String

/// The one connection kept open to a server, opened again with growing pauses when it is lost. Used by one thread.
final class Session {
    private let reference: SecretReference
    private let lookup: SecretLookup
    private let role: String
    private var connection: Connection?
    private var attempts = 0
    private var nextAttempt = ContinuousClock.now
    private var lastError: DatabaseError?

    /// A session with a server; `role` is `primary` or `replica`.
    init(_ reference: SecretReference, role: String, lookup: @escaping SecretLookup) {
        self.reference = reference
        self.role = role
        self.lookup = lookup
    }

    /// Runs the body on the open connection. A connection that turns out to be dead is replaced once: the server may only have
    /// closed an idle one.
    func perform<Result>(limit: TimeLimit, _ body: (Connection) throws(DatabaseError) -> Result) throws(DatabaseError) -> Result {
        let wasOpen = connection != nil
        do throws(DatabaseError) {
            return try body(try open(limit))
        } catch {
            guard error.isConnectionLost else { throw error }
            connection = nil
            guard wasOpen, ContinuousClock.now < limit else { throw error }
        }
        do throws(DatabaseError) {
            return try body(try open(limit))
        } catch {
            if error.isConnectionLost { connection = nil }
            throw error
        }
    }

    private func open(_ limit: TimeLimit) throws(DatabaseError) -> Connection {
        if let connection { return connection }
        if let lastError, ContinuousClock.now < nextAttempt { throw lastError }
        do throws(DatabaseError) {
            let opened = try connect(limit)
            connection = opened
            attempts = 0
            lastError = nil
            return opened
        } catch {
            // 0.5 s, 1 s, 2 s … 15 s, each shortened by up to half so that many controllers do not come at once.
            let pause = min(15_000, 500 << min(attempts, 5))
            attempts += 1
            nextAttempt = ContinuousClock.now + .milliseconds(Int.random(in: pause / 2...pause))
            lastError = error
            throw error
        }
    }

    private func connect(_ limit: TimeLimit) throws(DatabaseError) -> Connection {
        let text: String
        do throws(Failure) { text = try lookup(reference) } catch {
            throw DatabaseError(failure: error, state: nil, isConnectionLost: true)
        }
        guard let shown = ConnectionText.name(text) else {
            throw DatabaseError(
                failure: Failure(
                    .invalid, "cannot read the connection string of the \(role) in \(reference.place)",
                    hint: "expected postgresql://user@host:5432/database or host=… port=… dbname=… user=…"),
                state: nil, isConnectionLost: true)
        }
        return try Connection(text, name: "postgres \(role) \(shown)", purpose: .health, limit: limit)
    }
}

extension SessionPurpose {
    /// Reads the server's own state, quickly or not at all. The search path keeps others' functions out.
    static let health = SessionPurpose(
        applicationName: "serin-health",
        setUp: """
            SET statement_timeout = '2s'; SET lock_timeout = '500ms'; SET idle_in_transaction_session_timeout = '10s';
            SET default_transaction_read_only = on; SET search_path = pg_catalog; SET datestyle = 'ISO'
            """,
        deniedHint: "GRANT pg_monitor to the role in the connection string")
}

extension SecretReference {
    /// Where the secret is kept, which is no secret.
    var place: String {
        switch self {
        case .environment(let name): "environment variable \(name)"
        case .file(let path): "file \(path)"
        case .credential(let name): "credential \(name)"
        }
    }
}
