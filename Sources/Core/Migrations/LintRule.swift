/// How much a finding weighs.
public enum LintSeverity: String, Sendable, Hashable, CaseIterable, Comparable {
    /// Worth knowing; holds nothing up.
    case warning = "WARN"
    /// The gate fails, unless a comment gives a reason.
    case error = "ERROR"
    /// As an error; and a rollout needs approvals and a verified backup, whatever a comment says.
    case block = "BLOCK"

    private var rank: Int {
        switch self {
        case .warning: 0
        case .error: 1
        case .block: 2
        }
    }

    /// The lighter first.
    public static func < (left: LintSeverity, right: LintSeverity) -> Bool { left.rank < right.rank }
}

/// The rules for migrations. Their names stand in files of projects: none is ever given another meaning.
public enum LintRule: String, Sendable, Hashable, CaseIterable {
    case destroys = "D01"
    case narrows = "D02"
    case overwrites = "D03"
    case unknown = "D04"
    case replaces = "D05"
    case indexBlocks = "L01"
    case rewrites = "L02"
    case notNullScans = "L03"
    case constraintScans = "L04"
    case uniqueBuilds = "L05"
    case noTimeout = "L06"
    case holdsLock = "L07"
    case bigChange = "L08"
    case partitionOrLock = "L09"
    case foreignKeyWithoutIndex = "L10"
    case breaksPrevious = "C01"
    case shadowed = "C02"
    case noWayBack = "R01"
    case heads = "R02"
    case hiddenInvalidIndex = "R03"
    case transactions = "R04"
    case security = "S01"
    case annotation = "A01"
    case measured = "T01"

    /// The severity when nothing makes it heavier or lighter.
    public var severity: LintSeverity {
        switch self {
        case .destroys, .narrows, .overwrites: .block
        case .unknown, .replaces, .indexBlocks, .rewrites, .notNullScans, .constraintScans, .uniqueBuilds, .noTimeout, .bigChange,
            .breaksPrevious, .noWayBack, .heads, .transactions, .security, .partitionOrLock, .annotation, .measured:
            .error
        case .holdsLock, .foreignKeyWithoutIndex, .shadowed, .hiddenInvalidIndex: .warning
        }
    }

    /// What it finds, for the table of all rules.
    public var title: String {
        switch self {
        case .destroys:
            "data is destroyed: DROP TABLE, COLUMN, SCHEMA, DATABASE, TYPE or MATERIALIZED VIEW, TRUNCATE, DELETE without WHERE, SET UNLOGGED, DROP … CASCADE"
        case .narrows:
            "values may be cut, rounded or change meaning: a narrower type, a conversion by an expression, a renamed enum value"
        case .overwrites:
            "existing values are overwritten, or rows deleted, by the previous version through a new foreign key too, and the old ones saved nowhere, or by a copy that others could write beside"
        case .unknown:
            "nobody can say what it does without running it: DO, dynamic SQL, calls of functions anywhere in a statement, operators, casts and parts of rows that may be such, triggers that run such, what the parser refuses, SQL that cannot be generated offline"
        case .replaces: "a view, function, trigger, rule, sequence, policy or constraint is dropped or replaced"
        case .indexBlocks:
            "an index is built, dropped or rebuilt without CONCURRENTLY on a table in use, by a change of collation too, or with it inside a transaction"
        case .rewrites:
            "every row is written anew while nobody can read: volatile default, serial, identity or stored column, a column of a domain with a condition, most changes of type, SET (UN)LOGGED, CLUSTER, VACUUM FULL"
        case .notNullScans: "SET NOT NULL reads the whole table while nobody can read or write"
        case .constraintScans: "ADD CHECK or ADD FOREIGN KEY without NOT VALID, or VALIDATE in the same transaction"
        case .uniqueBuilds: "ADD UNIQUE, PRIMARY KEY or EXCLUDE builds its index while nobody can read or write"
        case .noTimeout:
            "lock_timeout or statement_timeout is switched off or made longer than the policy allows, or application_name is changed"
        case .holdsLock:
            "more is done in the transaction that holds ACCESS EXCLUSIVE, something long in one that holds writers up, or several tables in use are locked"
        case .bigChange: "UPDATE or DELETE of many rows at once"
        case .partitionOrLock:
            "DETACH PARTITION, a partition beside a default one, REFRESH MATERIALIZED VIEW without CONCURRENTLY, a partition created in place, LOCK TABLE"
        case .foreignKeyWithoutIndex: "a foreign key whose columns no index starts with"
        case .breaksPrevious:
            "the version that runs now may break: something renamed, moved or gone, NOT NULL without a default, a default dropped, rows with numbers that a sequence gives again"
        case .shadowed: "a column that a view of SELECT * does not show, or of type json, which has no equality"
        case .noWayBack:
            "the way back is missing, empty or cannot be generated, leaves what the way forward makes, leaves a default, view, function or bounds otherwise than they were, or does nothing about what the previous version may notice"
        case .heads: "several heads, or two revisions of the same name"
        case .hiddenInvalidIndex: "IF NOT EXISTS with CONCURRENTLY takes an invalid index for a good one"
        case .transactions:
            "a transaction left open, nested or ended by the migration itself, work that ROLLBACK TO undoes, or a command that only psql understands"
        case .security: "permissions, roles, extensions, programs, untrusted languages, SECURITY DEFINER without a search path"
        case .annotation: "a comment for serin that is malformed, gives no reason, names no rule, or allows what does not occur"
        case .measured: "`--trace`: on a copy it failed, took a stronger lock than its text says, or wrote every row anew"
        }
    }

    /// Why it matters: one sentence.
    public var reason: String {
        switch self {
        case .destroys: "going back brings the structure back, not the data"
        case .narrows: "going back does not bring the old values back"
        case .overwrites: "going back cannot know the old values"
        case .unknown: "locks, rewrites and losses cannot be told from the text"
        case .replaces: "the version that runs now may depend on what was there, and the way back needs its old definition"
        case .indexBlocks: "nobody can write to the table for as long as it takes"
        case .rewrites: "nobody can read or write for as long as it takes, and it needs the table's size again on disk"
        case .notNullScans: "nobody can read or write while every row is looked at"
        case .constraintScans: "writers wait while every row is looked at"
        case .uniqueBuilds: "nobody can read or write while the index is built"
        case .noTimeout: "a statement that waits for a lock makes every later reader wait behind it, without an end"
        case .holdsLock: "the lock is held until the transaction ends, so everybody waits for all of it"
        case .bigChange: "row locks, WAL and dead rows of the whole table in one transaction; replicas fall behind"
        case .partitionOrLock: "it locks out readers, or waits with everybody behind it"
        case .foreignKeyWithoutIndex: "each DELETE or key change of the referenced row then reads the whole table"
        case .breaksPrevious:
            "canary and control use the same database, and a rollback brings the old version onto the new schema"
        case .shadowed: "the column is missing where it is expected, or DISTINCT and GROUP BY fail"
        case .noWayBack: "a rollback could only keep the schema or restore a backup"
        case .heads: "which revision the database would end at is not defined"
        case .hiddenInvalidIndex: "a build that failed leaves an invalid index of that name, and the next run reports success"
        case .transactions: "the tool's own transaction and version record no longer belong together"
        case .security: "a migration runs with the rights of a table's owner or more"
        case .annotation: "an exception that nobody can check is none"
        case .measured: "what the server did counts more than what was expected of it"
        }
    }

    /// The safe form in general. A finding spells it out for its statement.
    public var safeForm: String {
        switch self {
        case .destroys: "take it out of use in one release and drop it in a later one, after a verified backup"
        case .narrows:
            "add a new column, fill it in batches, check it, move the application over, and drop the old one in a later release"
        case .overwrites:
            "write to a new column, or save what is overwritten first: LOCK TABLE … IN SHARE ROW EXCLUSIVE MODE and CREATE TABLE … AS SELECT key, old value, in one transaction with the change"
        case .unknown: "write plain SQL, or say what it does: -- serin: class additive because …"
        case .replaces: "create the new one under another name, and drop the old one in a later release"
        case .indexBlocks: "CREATE INDEX CONCURRENTLY, alone and outside a transaction"
        case .rewrites: "add a column without it, fill it in batches, then switch over"
        case .notNullScans:
            "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID; VALIDATE CONSTRAINT in a transaction of its own; then SET NOT NULL, which reads nothing"
        case .constraintScans: "ADD CONSTRAINT … NOT VALID; then VALIDATE CONSTRAINT in a transaction of its own"
        case .uniqueBuilds:
            "CREATE UNIQUE INDEX CONCURRENTLY, which refuses the same rows; then ADD CONSTRAINT … USING INDEX, if it is to be one"
        case .noTimeout: "leave both to Serin, or SET LOCAL lock_timeout = '2s'"
        case .holdsLock: "one statement a revision for tables in use; data changes in a revision of their own"
        case .bigChange: "serin migrate backfill, or batches of a few thousand rows by key, each committed"
        case .partitionOrLock:
            "DETACH PARTITION … CONCURRENTLY; REFRESH MATERIALIZED VIEW CONCURRENTLY; CREATE TABLE, then ATTACH PARTITION"
        case .foreignKeyWithoutIndex: "CREATE INDEX CONCURRENTLY on the referencing columns first"
        case .breaksPrevious:
            "expand and contract: add the new form, write both, move over, and remove the old form when the old version is gone"
        case .shadowed: "name the columns in the view; use jsonb"
        case .noWayBack:
            "write the way back: for what was added, drop it; for what was changed, the statement that changes it back; where nothing can be taken back and what stays harms nobody: -- serin: allow R01 because <reason>"
        case .heads: "merge the heads, or rename one of the two files"
        case .hiddenInvalidIndex:
            "CREATE INDEX CONCURRENTLY without IF NOT EXISTS: it fails where a failed build left an index, which is dropped by hand"
        case .transactions: "let the tool begin and commit; plain SQL only"
        case .security: "give rights and make extensions outside migrations, reviewed by themselves"
        case .annotation: "-- serin: allow <rule> because <reason>, for what is found at the same place"
        case .measured: "look which statement takes the lock, and use the safe form of its rule"
        }
    }
}
