internal import SerinModel

/// What is known of the transaction that a statement runs in.
struct TransactionState {
    private enum Kind {
        case none
        case ofTool
        case ofOneQuery
        case ofText
    }

    private let wrapping: MigrationText.Wrapping
    private let statements: Int
    private var kind: Kind
    /// The tables that it holds ACCESS EXCLUSIVE on.
    private(set) var held: [RelationName] = []
    /// The tables whose writers wait for it.
    private(set) var blocked: [RelationName] = []
    /// The locks among them that were taken by the way, and not asked for by `LOCK TABLE`.
    private(set) var stopping: [RelationLock] = []
    /// The tables, with all that belongs to them, into which nobody else writes until it ends.
    private(set) var still: Set<RelationName> = []
    /// Which transaction it is.
    private(set) var number = 0
    /// Constraints that were added in it without a look at the rows.
    var unvalidated: Set<NewObjects.Key> = []

    init(_ wrapping: MigrationText.Wrapping, statements: Int) {
        self.wrapping = wrapping
        self.statements = statements
        kind = TransactionState.outer(wrapping, statements)
    }

    private static func outer(_ wrapping: MigrationText.Wrapping, _ statements: Int) -> Kind {
        switch wrapping {
        case .transaction: .ofTool
        // The server runs a query of several statements as one transaction.
        case .oneQuery: statements > 1 ? .ofOneQuery : .none
        case .separate: .none
        }
    }

    /// Whether there is one.
    var isOpen: Bool { kind != .none }
    /// Whether the text began it itself.
    var isOfText: Bool { kind == .ofText }
    /// Whether the tool began it.
    var isOfTool: Bool { kind == .ofTool }

    /// How to get out of it.
    var advice: String {
        switch kind {
        case .ofTool: "let it run outside: autocommit_block() in Alembic, 'transaction:false' behind '-- migrate:up' in dbmate"
        case .ofOneQuery: "a file with this statement alone: several statements in one file are one transaction"
        case .ofText, .none: "end the transaction before it"
        }
    }

    mutating func begin() {
        kind = .ofText
        number += 1
    }

    /// What is left when it ends; after the tool itself ended its own, nothing.
    mutating func end(isOfTool: Bool = false) {
        kind = kind == .ofText && !isOfTool ? Self.outer(wrapping, statements) : .none
        held = []
        blocked = []
        stopping = []
        still = []
        unvalidated = []
        number += 1
    }

    /// Locks behind a savepoint are gone, or names mean other tables.
    mutating func forgetLocks() { still = [] }

    /// Nobody else writes into a table until it ends.
    mutating func stop(_ table: RelationName) { if isOpen { still.insert(table) } }

    /// Notes which locks a statement leaves behind.
    mutating func hold(_ report: StatementReport, isAskedFor: Bool) {
        guard isOpen else {
            unvalidated = []
            return
        }
        for lock in report.locks where !report.indexes.contains(lock.relation.full) {
            if lock.mode.blocksWrites, !isAskedFor { stopping.append(lock) }
            if lock.mode.blocksReads { held.append(lock.relation) }
            if lock.mode.blocksWrites { blocked.append(lock.relation) }
        }
    }
}

extension SQLStatement {
    /// Whether it asks for a lock by its name.
    var isLock: Bool {
        actions.contains {
            if case .lock = $0 { return true }
            return false
        }
    }
}

extension Judge {
    mutating func control(_ action: StatementAction) {
        // What the tool wrote itself is in order.
        if text.isGenerated, action == .begin { return transaction.begin() }
        if action == .commit || action == .rollback { made.endLocalNaming() }
        if action == .rollback || action == .savepoint(isTakenBack: true) {
            takeBack()
            transaction.forgetLocks()
            // What was set is perhaps not set any more.
            if isUTC != settings.isUTC { isUTC = nil }
        }
        if action == .commit || action == .rollback, let zone = zoneBefore {
            isUTC = zone
            zoneBefore = nil
        }
        if text.isGenerated, action == .commit || action == .rollback { return transaction.end(isOfTool: true) }
        switch action {
        case .begin:
            if transaction.isOfText || transaction.isOfTool {
                flag(
                    .transactions, "BEGIN inside a transaction\(transaction.isOfTool ? " that the tool began" : "")",
                    why: "the server only warns, and the next COMMIT ends all of it")
            }
            if !transaction.isOfTool { transaction.begin() }
        case .commit, .rollback:
            let verb = action == .commit ? "COMMIT" : "ROLLBACK"
            if !transaction.isOfText {
                flag(
                    .transactions,
                    transaction.isOfTool ? "\(verb) ends the transaction that the tool began" : "\(verb) without BEGIN",
                    why: transaction.isOfTool
                        ? "what follows runs outside, and the tool records a revision that may be half done" : "it ends nothing")
            }
            transaction.end()
        case .savepoint:
            if !transaction.isOpen { flag(.transactions, "a savepoint outside a transaction", why: "the statement fails there") }
            if action == .savepoint(isTakenBack: true) {
                flag(
                    .transactions, .warning, "ROLLBACK TO takes back what stands behind the savepoint",
                    why: "what it undoes is judged as if it stayed, and what the way back needs may be gone with it",
                    safe: "leave out both, and what stands between them")
            }
        case .metaCommand(let command):
            report.mystery = report.mystery ?? "\(command) is a command of psql"
            flag(
                .transactions, "\(command) is a command of psql, which no server understands",
                why: "the migration fails there, or does something else than in psql", safe: "plain SQL")
        default: break
        }
    }

    /// Flags what takes its time, or locks another table, while readers of a table already wait.
    ///
    /// - Parameter isBig: Whether it changes many rows.
    mutating func flagWorkUnderLock(_ before: TransactionState, isBig: Bool) {
        let others = report.locks.filter { lock in
            lock.mode.blocksWrites && !report.indexes.contains(lock.relation.full)
                && !before.blocked.contains { $0.full == lock.relation.full }
        }
        let isLong = !report.scans.isEmpty || !report.rewrites.isEmpty || !report.copies.isEmpty || isBig
        if let held = before.held.first, isLong || report.phase == .migrate {
            flag(.holdsLock, "this runs while the transaction holds ACCESS EXCLUSIVE on \(held)")
        } else if isLong, let lock = before.stopping.first {
            flag(
                .holdsLock,
                "this runs while the transaction holds \(lock.mode.name) on \(lock.relation), so that nobody writes to it",
                why: "the lock is held until the transaction ends, so whoever writes to it waits for all of it",
                safe: "a revision of its own for this; one statement a revision for tables in use")
        } else if let other = others.first, let first = before.blocked.first {
            flag(
                .holdsLock, "the transaction locks \(other.relation) as well as \(first): two tables in use at once",
                why: "whoever uses both may deadlock with it, and both wait for the slower one")
        }
    }

    /// A transaction that the text leaves open.
    mutating func finishTransactions() {
        guard transaction.isOfText, !text.isGenerated else { return }
        flag(
            .transactions, "the transaction that the text begins is never committed",
            why: "nothing of it happens, or the tool's record of the revision goes with it",
            safe: "COMMIT at the end, or leave transactions to the tool")
    }

    mutating func set(_ parameter: String, _ value: String?, _ isLocal: Bool) {
        let parameter = parameter.lowercased()
        switch parameter {
        case "lock_timeout", "statement_timeout": setLimit(parameter, value)
        case "application_name":
            flag(
                .noTimeout, "application_name is changed",
                why:
                    "the session is no longer known as the migration's: nobody watches whom it holds up, or ends it with its run",
                safe: "leave it alone")
        case "standard_conforming_strings", "client_encoding":
            if !["on", "utf8", "utf-8", "unicode"].contains(value?.lowercased() ?? "") {
                unknown("\(parameter) decides where the texts that follow end")
            }
        case "timezone": setZone(value, isLocal)
        case "search_path", "role", "session_authorization":
            made.setNaming(parameter, value, isLocal: isLocal)
            transaction.forgetLocks()
            if parameter == "search_path", let value, value.contains("pg_catalog"), !value.hasPrefix("pg_catalog") {
                unknown("with pg_catalog behind other schemas, functions and operators may be other than those of Postgres")
            }
        case "all" where value == nil:
            for name in ["search_path", "role", "session_authorization"] { made.setNaming(name, nil, isLocal: false) }
            transaction.forgetLocks()
            setZone(nil, false)
            flag(.noTimeout, "RESET ALL takes back lock_timeout and statement_timeout")
        case "session_replication_role":
            phase(.migrate)
            flag(
                .holdsLock, .error, "session_replication_role switches off triggers and foreign keys",
                why: "rows that break them stay unseen", safe: "leave it alone")
        default: break
        }
    }

    /// The zone by which times get and lose theirs; nil is that of the session's start.
    private mutating func setZone(_ value: String?, _ isLocal: Bool) {
        if isLocal, zoneBefore == nil { zoneBefore = .some(isUTC) }
        let names: Set<String> = ["utc", "etc/utc", "gmt", "etc/gmt", "uct", "etc/uct", "zulu", "etc/zulu", "universal"]
        isUTC = value.map { names.contains($0.lowercased()) } ?? settings.isUTC
    }

    /// A limit for waiting or working: none at all, or one that is longer than what the policy allows, is found.
    private mutating func setLimit(_ parameter: String, _ value: String?) {
        guard let value else { return flag(.noTimeout, "\(parameter) is reset to the server's default") }
        let most = parameter == "lock_timeout" ? settings.lockTimeout : settings.statementTimeout
        guard let limit = Judge.milliseconds(value) else {
            return flag(.noTimeout, "\(parameter) is set to what is no time: \(value)")
        }
        if limit <= 0 {
            flag(.noTimeout, "\(parameter) is switched off")
        } else if limit > most {
            flag(
                .noTimeout, "\(parameter) of \(value) is longer than the \(most) ms that the migration is allowed",
                safe: "leave it to Serin, or ask for at most \(most) ms")
        }
    }

    /// A time as the server reads it, in milliseconds: a number, with a unit or without (PostgreSQL documentation, 20.1.1).
    static func milliseconds(_ text: String) -> Int64? {
        let words = text.filter { $0 != " " }
        let digits = words.prefix { $0.isASCII && $0.isNumber || $0 == "." || $0 == "-" || $0 == "+" }
        guard let number = Double(digits), number < 1e12 else { return nil }
        let units: [String: Double] = ["us": 0.001, "": 1, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000]
        return units[String(words.dropFirst(digits.count))].map { Int64((number * $0).rounded()) }
    }
}
