internal import SerinModel

/// Goes through the statements of one direction of a revision and says what each one does.
///
/// Locks: PostgreSQL documentation, 13.3.1 and the pages of each command; held against a real server by the tests.
struct Judge {
    let settings: LintSettings
    let direction: MigrationDirection
    let text: MigrationText
    /// What is known of the schema; kept up as statements are judged.
    var schema: KnownSchema
    /// What was made in this direction: nobody uses it yet.
    var made: Set<String> = []
    /// What the way forward made: going back may take it away.
    let undoable: Set<String>
    /// The tables whose rows were copied in this direction before they are changed.
    var saved: Set<RelationName> = []
    /// The leading columns of the indexes that the text makes anywhere: a foreign key may stand before its index.
    let indexes: [RelationName: [[String?]]]
    var transaction: TransactionState
    var annotations: AnnotationBook
    /// The statement that is being judged.
    var report: StatementReport
    var statements: [StatementReport] = []
    var findings: [LintFinding] = []

    init(
        _ settings: LintSettings, _ direction: MigrationDirection, _ text: MigrationText, _ list: StatementList,
        schema: KnownSchema, undoable: Set<String>
    ) {
        self.settings = settings
        self.direction = direction
        self.text = text
        self.schema = schema
        self.undoable = undoable
        indexes = list.indexes
        transaction = TransactionState(text.wrapping, statements: list.statements.count { !$0.actions.isEmpty })
        report = StatementReport(place: LintPlace(file: text.file, line: text.line, column: 1), text: "")
        annotations = AnnotationBook()
    }

    /// Judges every statement.
    mutating func judge(_ list: StatementList) {
        readFileAnnotations(list)
        for statement in list.statements {
            report = StatementReport(place: place(line: statement.line, column: statement.column), text: statement.text)
            let first = findings.count
            let before = transaction
            for action in statement.actions { judge(action) }
            if before.isOpen, transaction.isOpen { flagWorkUnderLock(before) }
            transaction.hold(report)
            apply(statement.comments, to: first)
            statements.append(report)
        }
        finishTransactions()
        finishAnnotations()
    }

    private mutating func judge(_ action: StatementAction) {
        switch action {
        case .createTable(let table): createTable(table)
        case .createTableAs(let name, let sources): createTable(name, from: sources)
        case .alterTable(let table, let changes): for change in changes { alter(table, change) }
        case .createIndex(let index): createIndex(index)
        case .drop(let order): drop(order)
        case .dropWhole(let what): dropWhole(what)
        case .truncate(let tables, let cascades): truncate(tables, cascades)
        case .rename(let kind, let relation, let old, let new): rename(kind, relation, old, new)
        case .move(let kind, let relation, let schema): move(kind, relation, to: schema)
        case .reindex(let kind, let relation, let isConcurrent): reindex(kind, relation, isConcurrent)
        case .cluster(let table): rewriteWhole(table, "CLUSTER")
        case .vacuum(let tables, let isFull): vacuum(tables, isFull)
        case .analyze(let tables): for table in tables { lock(table, .shareUpdateExclusive) }
        case .refresh(let view, let isConcurrent): refresh(view, isConcurrent)
        case .createTrigger(let name, let table, let isReplaced): createTrigger(name, table, isReplaced)
        case .createRule(let name, let table, let isReplaced): createRule(name, table, isReplaced)
        case .policy(let name, let table, let isChanged): policy(name, table, isChanged)
        case .createView(let view, let sources, let isReplaced, let takesAll): createView(view, sources, isReplaced, takesAll)
        case .addEnumValue(let type): addEnumValue(type)
        case .renameEnumValue(let type, let old, let new): renameEnumValue(type, old, new)
        case .constrainDomain(let domain, let isNotValid): constrainDomain(domain, isNotValid)
        case .comment(let relation): if let relation { lock(relation, .shareUpdateExclusive) }
        case .lock(let tables, let mode): lockTables(tables, mode)
        case .insert(let table, let sources): insert(table, sources)
        case .update(let change): update(change)
        case .delete(let change): delete(change)
        case .merge(let change): merge(change)
        case .select(let tables, let locksRows): for table in tables { lock(table, locksRows ? .rowShare : .accessShare) }
        case .opaque(let what): unknown(what)
        case .createFunction(let function): createFunction(function)
        case .set(let parameter, let value, _): set(parameter, value)
        case .begin, .commit, .rollback, .savepoint, .metaCommand: control(action)
        case .security(let what): flag(.security, what)
        case .alterSequence(let sequence): lock(sequence, .shareRowExclusive)
        case .create(let kind, let name): make(kind, name)
        case .needs(let version, let what): needs(version, what)
        case .harmless: break
        case .unknown(let what): unknown("\(what) is not among the statements that serin knows")
        case .unparsable(let words): unknown("the parser of Postgres 15 refuses it: \(words)")
        }
    }

    // MARK: What a statement does

    /// It locks a relation. What was made in the same direction is used by nobody yet.
    mutating func lock(_ relation: RelationName, _ mode: TableLock) {
        guard !isNew(relation) else { return }
        if let index = report.locks.firstIndex(where: { $0.relation.full == relation.full }) {
            report.locks[index].mode = max(report.locks[index].mode, mode)
        } else {
            report.locks.append(RelationLock(relation, mode))
        }
    }

    /// Every row of a relation is written anew.
    mutating func rewrites(_ relation: RelationName) {
        if !isNew(relation), !report.rewrites.contains(relation) { report.rewrites.append(relation) }
    }

    /// Every row of a relation is read.
    mutating func scans(_ relation: RelationName) {
        if !isNew(relation), !report.scans.contains(relation) { report.scans.append(relation) }
    }

    /// It belongs to a phase, and perhaps to an earlier one as well.
    mutating func phase(_ phase: MigrationPhase) {
        report.phase = report.phase.map { $0.order < phase.order ? phase : $0 } ?? phase
    }

    /// The previous version of the application may or will not survive it.
    mutating func survival(_ survival: Survival) {
        report.survival = report.survival.and(survival)
    }

    /// Data is lost by it.
    mutating func loses(_ what: String) { report.losses.append(what) }

    /// A rule found something.
    mutating func flag(_ rule: LintRule, _ message: String, why: String? = nil, safe: String? = nil) {
        flag(rule, rule.severity, message, why: why, safe: safe)
    }

    /// A rule found something that weighs more or less than usual; nil is as usual.
    mutating func flag(_ rule: LintRule, _ severity: LintSeverity?, _ message: String, why: String? = nil, safe: String? = nil) {
        findings.append(
            LintFinding(rule, severity: severity ?? rule.severity, at: report.place, message, reason: why, safeForm: safe))
    }

    /// Nobody can say what it does.
    mutating func unknown(_ what: String) {
        report.mystery = report.mystery ?? what
        flag(.unknown, "cannot classify: \(what)")
    }

    /// It needs a newer server than the one asked about.
    mutating func needs(_ version: Int, _ what: String) {
        if settings.version < version {
            flag(
                .unknown, "\(what) needs Postgres \(version), and the server is \(settings.version)",
                why: "the statement fails there", safe: "use the form that version \(settings.version) knows")
        }
    }

    // MARK: What is new

    func isNew(_ relation: RelationName) -> Bool { made.contains(objectKey(.table, relation)) }

    /// Notes that something was made, of which nothing was there before.
    mutating func make(_ kind: ObjectKind, _ name: RelationName) {
        made.insert(objectKey(kind, name))
        phase(.expand)
    }

    /// Whether something was made in this direction, or is taken back that the way forward made.
    func isOwn(_ key: String) -> Bool { made.contains(key) || (direction == .down && undoable.contains(key)) }

    /// The place of a line and column of the SQL in the file that people edit.
    func place(line: Int, column: Int) -> LintPlace {
        text.isGenerated
            ? LintPlace(file: text.file, line: line, column: column, generated: true)
            : LintPlace(file: text.file, line: text.line + line - 1, column: column)
    }
}

/// What something is called among everything that a revision made.
func objectKey(_ kind: ObjectKind, _ relation: RelationName, _ name: String = "") -> String {
    // Tables and views are one kind of name, as in the server.
    let kind: ObjectKind = [.view, .materializedView, .foreignTable, .sequence].contains(kind) ? .table : kind
    return "\(kind.rawValue) \(relation.full) \(name)"
}

extension MigrationPhase {
    /// The order in which phases follow each other.
    var order: Int {
        switch self {
        case .expand: 0
        case .migrate: 1
        case .contract: 2
        }
    }
}
