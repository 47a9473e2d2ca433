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
    /// Constraints that were added in it without a look at the rows.
    var unvalidated: Set<String> = []

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

    mutating func begin() { kind = .ofText }

    /// What is left when it ends; after the tool itself ended its own, nothing.
    mutating func end(isOfTool: Bool = false) {
        kind = kind == .ofText && !isOfTool ? Self.outer(wrapping, statements) : .none
        held = []
        blocked = []
        unvalidated = []
    }

    /// Notes which locks a statement leaves behind.
    mutating func hold(_ report: StatementReport) {
        guard isOpen else {
            unvalidated = []
            return
        }
        for lock in report.locks {
            if lock.mode.blocksReads { held.append(lock.relation) }
            if lock.mode.blocksWrites { blocked.append(lock.relation) }
        }
    }
}

extension Judge {
    mutating func control(_ action: StatementAction) {
        // What the tool wrote itself is in order.
        if text.isGenerated, action == .begin { return transaction.begin() }
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
        case .metaCommand(let command):
            report.mystery = report.mystery ?? "\(command) is a command of psql"
            flag(
                .transactions, "\(command) is a command of psql, which no server understands",
                why: "the migration fails there, or does something else than in psql", safe: "plain SQL")
        default: break
        }
    }

    /// Flags what takes its time, or locks another table, while readers of a table already wait.
    mutating func flagWorkUnderLock(_ before: TransactionState) {
        let others = report.locks.filter { lock in
            lock.mode.blocksWrites && !before.blocked.contains { $0.full == lock.relation.full }
        }
        if let held = before.held.first, !report.scans.isEmpty || !report.rewrites.isEmpty || report.phase == .migrate {
            flag(.holdsLock, "this runs while the transaction holds ACCESS EXCLUSIVE on \(held)")
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

    mutating func set(_ parameter: String, _ value: String?) {
        switch parameter.lowercased() {
        case "lock_timeout", "statement_timeout":
            let digits = value.map { $0.prefix { $0.isNumber || $0 == " " }.filter(\.isNumber) }
            // Zero, whatever its unit, is without a limit.
            guard value == nil || digits.map({ !$0.isEmpty && $0.allSatisfy { $0 == "0" } }) == true else { return }
            flag(.noTimeout, value == nil ? "\(parameter) is reset to the server's default" : "\(parameter) is switched off")
        case "all" where value == nil: flag(.noTimeout, "RESET ALL takes back lock_timeout and statement_timeout")
        case "session_replication_role":
            phase(.migrate)
            flag(
                .holdsLock, .error, "session_replication_role switches off triggers and foreign keys",
                why: "rows that break them stay unseen", safe: "leave it alone")
        default: break
        }
    }
}
