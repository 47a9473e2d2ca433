internal import CSQLite
internal import SerinModel
internal import SerinPorts

/// The messages' database, as one thread sees it.
///
/// Unchecked: it owns a connection without SQLite's own locking; the store calls every method on its one thread.
final class MessageFile: @unchecked Sendable {
    private static let applicationID: Int64 = 0x5352_4D53
    private static let schemaVersion: Int64 = 1

    let path: String
    private var connection: Connection?

    init(path: String) { self.path = path }

    func open() throws(Failure) {
        try attempt("open") {
            let connection = try Connection(path: path, flags: SQLITE_OPEN_READWRITE)
            try connection.execute("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA locking_mode=EXCLUSIVE")
            let owner = try connection.owner(ifOwn: MessageFile.applicationID)
            switch owner {
            case .nobody, .own(MessageFile.schemaVersion): break
            case .own, .other:
                throw Failure(
                    .invalid, "cannot open the messages \(path): it is another application's database, or of another version",
                    hint: "move it away; only messages that were not sent yet are lost with it")
            }
            _ = try connection.useWriteAheadLog()
            try connection.execute("PRAGMA synchronous=FULL")
            if case .nobody = owner { try connection.transaction { try connection.execute(MessageFile.schema) } }
            self.connection = connection
        }
    }

    private static let schema = """
        CREATE TABLE received(
            hook    TEXT    NOT NULL,
            message TEXT    NOT NULL,
            claimed INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            answer  BLOB,
            PRIMARY KEY(hook, message)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX received_by_expiry ON received(expires);
        CREATE TABLE sent(
            sequence    INTEGER PRIMARY KEY,
            id          TEXT    NOT NULL,
            destination TEXT    NOT NULL,
            is_call     INTEGER NOT NULL,
            payload     BLOB    NOT NULL,
            created     INTEGER NOT NULL,
            state       TEXT    NOT NULL,
            attempts    INTEGER NOT NULL,
            next        INTEGER NOT NULL,
            failure     TEXT,
            UNIQUE(id, destination)
        ) STRICT;
        CREATE INDEX sent_waiting ON sent(destination, is_call DESC, sequence) WHERE state = 'waiting';
        CREATE INDEX sent_over ON sent(next) WHERE state <> 'waiting';
        PRAGMA application_id=\(applicationID);
        PRAGMA user_version=\(schemaVersion);
        """

    func close() { connection = nil }

    // MARK: Received

    func claim(_ key: ReplayKey, isSafeToRepeat: Bool, at now: Instant) throws(Failure) -> InboxEntry.Claim {
        try writing { connection in
            let past = try connection.prepare("DELETE FROM received WHERE expires <= ?1")
            try past.bind(1, now.millisecondsSince1970)
            _ = try past.step()
            let row = try connection.prepare("SELECT claimed, expires, answer FROM received WHERE hook = ?1 AND message = ?2")
            try bind(key, row)
            let existing =
                try row.step()
                ? InboxEntry(
                    claimedAt: Instant(millisecondsSince1970: row.integer(0)),
                    expiresAt: Instant(millisecondsSince1970: row.integer(1)), answer: row.isNull(2) ? nil : row.bytes(2)) : nil
            let (claim, entry) = InboxEntry.claim(existing, key, isSafeToRepeat: isSafeToRepeat, at: now)
            guard let entry else { return claim }
            let insert = try connection.prepare(
                "INSERT OR REPLACE INTO received(hook, message, claimed, expires) VALUES(?1, ?2, ?3, ?4)")
            try bind(key, insert)
            try insert.bind(3, entry.claimedAt.millisecondsSince1970)
            try insert.bind(4, entry.expiresAt.millisecondsSince1970)
            _ = try insert.step()
            return claim
        }
    }

    func settle(_ key: ReplayKey, answer: [UInt8]) throws(Failure) {
        try writing { connection in
            let update = try connection.prepare("UPDATE received SET answer = ?3 WHERE hook = ?1 AND message = ?2")
            try bind(key, update)
            try update.bind(3, blob: answer)
            _ = try update.step()
        }
    }

    func release(_ key: ReplayKey) throws(Failure) {
        try writing { connection in
            let delete = try connection.prepare("DELETE FROM received WHERE hook = ?1 AND message = ?2 AND answer IS NULL")
            try bind(key, delete)
            _ = try delete.step()
        }
    }

    private func bind(_ key: ReplayKey, _ statement: Statement) throws {
        try statement.bind(1, text: Array(key.hook.utf8))
        try statement.bind(2, text: Array(key.message.utf8))
    }

    // MARK: Sent

    func add(_ entries: [OutboxEntry]) throws(Failure) {
        try writing { connection in
            let insert = try connection.prepare(
                """
                INSERT INTO sent(id, destination, is_call, payload, created, state, attempts, next)
                VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING
                """)
            for entry in entries {
                insert.reset()
                try insert.bind(1, text: Array(entry.id.utf8))
                try insert.bind(2, text: Array(entry.destination.utf8))
                try insert.bind(3, entry.isCall ? 1 : 0)
                try insert.bind(4, blob: entry.payload)
                try insert.bind(5, entry.createdAt.millisecondsSince1970)
                try insert.bind(6, text: Array(entry.state.rawValue.utf8))
                try insert.bind(7, Int64(entry.attempts))
                try insert.bind(8, entry.nextAt.millisecondsSince1970)
                _ = try insert.step()
            }
        }
    }

    func put(_ entry: OutboxEntry) throws(Failure) {
        try writing { connection in
            let update = try connection.prepare(
                "UPDATE sent SET state = ?3, attempts = ?4, next = ?5, failure = ?6 WHERE id = ?1 AND destination = ?2")
            try update.bind(1, text: Array(entry.id.utf8))
            try update.bind(2, text: Array(entry.destination.utf8))
            try update.bind(3, text: Array(entry.state.rawValue.utf8))
            try update.bind(4, Int64(entry.attempts))
            try update.bind(5, entry.nextAt.millisecondsSince1970)
            if let failure = entry.failure { try update.bind(6, text: Array(failure.utf8)) }
            _ = try update.step()
        }
    }

    func waiting(for destination: String, limit: Int) throws(Failure) -> [OutboxEntry] {
        try rows("WHERE state = 'waiting' AND destination = ?2 ORDER BY is_call DESC, sequence", destination, limit)
    }

    func waitingCount(for destination: String) throws(Failure) -> Int {
        try reading { connection in
            let count = try connection.prepare("SELECT count(*) FROM sent WHERE state = 'waiting' AND destination = ?1")
            try count.bind(1, text: Array(destination.utf8))
            return try count.step() ? Int(count.integer(0)) : 0
        }
    }

    func destinations() throws(Failure) -> [String] {
        try reading { connection in
            let statement = try connection.prepare(
                "SELECT DISTINCT destination FROM sent WHERE state = 'waiting' ORDER BY destination LIMIT 1000")
            var names: [String] = []
            while try statement.step() { names.append(String(decoding: statement.bytes(0), as: UTF8.self)) }
            return names
        }
    }

    func dead(limit: Int) throws(Failure) -> [OutboxEntry] {
        try rows("WHERE state = 'dead' AND ?2 = '' ORDER BY sequence DESC", "", limit)
    }

    func deliveredCalls(to destination: String, limit: Int) throws(Failure) -> [OutboxEntry] {
        try rows("WHERE state = 'delivered' AND is_call = 1 AND destination = ?2 ORDER BY sequence DESC", destination, limit)
    }

    func forget(before moment: Instant) throws(Failure) {
        try writing { connection in
            let delete = try connection.prepare("DELETE FROM sent WHERE state <> 'waiting' AND next < ?1")
            try delete.bind(1, moment.millisecondsSince1970)
            _ = try delete.step()
        }
    }

    private func rows(_ condition: String, _ destination: String, _ limit: Int) throws(Failure) -> [OutboxEntry] {
        try reading { connection in
            let statement = try connection.prepare(
                """
                SELECT id, destination, is_call, payload, created, state, attempts, next, failure FROM sent \(condition) LIMIT ?1
                """)
            try statement.bind(1, Int64(limit))
            try statement.bind(2, text: Array(destination.utf8))
            var entries: [OutboxEntry] = []
            while try statement.step() {
                func text(_ column: Int32) -> String { String(decoding: statement.bytes(column), as: UTF8.self) }
                guard let state = OutboxEntry.State(rawValue: text(5)) else {
                    throw Failure(.invalid, "cannot read the messages \(path): the state '\(text(5))' is unknown")
                }
                entries.append(
                    OutboxEntry(
                        id: text(0), destination: text(1), isCall: statement.integer(2) == 1, payload: statement.bytes(3),
                        createdAt: Instant(millisecondsSince1970: statement.integer(4)), state: state,
                        attempts: Int(statement.integer(6)), nextAt: Instant(millisecondsSince1970: statement.integer(7)),
                        failure: statement.isNull(8) ? nil : text(8)))
            }
            return entries
        }
    }

    // MARK: Transactions

    private func reading<Value>(_ body: (Connection) throws -> Value) throws(Failure) -> Value {
        guard let connection else { throw Failure(.invalid, "cannot read the messages \(path): they are closed") }
        return try attempt("read") { try body(connection) }
    }

    private func writing<Value>(_ body: (Connection) throws -> Value) throws(Failure) -> Value {
        guard let connection else { throw Failure(.invalid, "cannot write the messages \(path): they are closed") }
        return try attempt("write") { try connection.transaction { try body(connection) } }
    }

    private func attempt<Value>(_ what: String, _ body: () throws -> Value) throws(Failure) -> Value {
        do { return try body() } catch let error as SQLiteError {
            let kind: FailureClass = error.primary == SQLITE_CORRUPT || error.primary == SQLITE_NOTADB ? .invalid : .transient
            throw Failure(kind, "cannot \(what) the messages \(path): \(error.message)")
        } catch let error as Failure {
            throw error
        } catch {
            throw Failure(.transient, "cannot \(what) the messages \(path): \(error)")
        }
    }
}
