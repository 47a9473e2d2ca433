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
    var made = NewObjects()
    /// The way forward, when this is the way back.
    var forward: Forward
    /// The copies of rows that were made in this direction, by their tables.
    var copies: [RelationName: SavedRows] = [:]
    /// The rows that were put in by this direction, each with the columns that the text gives.
    var inserted: [RelationName: [[String: String]]] = [:]
    /// The columns that earlier pending revisions added.
    let pendingColumns: Set<NewObjects.Key>
    /// What was there before and is dropped, replaced or renamed, and what is made or called so.
    var taken: Set<NewObjects.Key> = []
    var given: Set<NewObjects.Key> = []
    /// What the way back drops and the way forward did not make.
    var dropped: Set<NewObjects.Key> = []
    /// What the way back is proven to write back of what the way forward saved, by the saved table.
    var restored: [RelationName: RowsRestored] = [:]
    /// The columns that the present statement surely writes back.
    var proven: Set<String> = []
    /// The tables that the way back has changed, so that what they hold is not what was saved.
    var spoiled: Set<RelationName> = []
    /// The tables that the way back has cut off from whoever writes.
    var apart: Set<RelationName> = []
    /// Whether times get and lose their zones in UTC now, and before a setting that ends with the transaction; nil when nobody knows.
    var isUTC: Bool?
    var zoneBefore: Bool??
    /// Whether something of the text was undone by the text, so that what it says of the schema may not be so.
    private(set) var isTakenBack = false
    /// Whether the present statement changes one thing of its table.
    private(set) var isOneChange = false
    /// The statements that set sequences, by their places among all.
    private var numberings: [(index: Int, action: StatementAction)] = []
    /// The columns that this direction's updates give values to.
    var filled: Set<NewObjects.Key> = []
    /// The columns of which it was said that their sequences do not know all numbers.
    var unnumbered: Set<NewObjects.Key> = []
    /// The foreign keys that were dropped, by the tables that they were of.
    var droppedKeys: [RelationName: [KnownSchema.ForeignKey]] = [:]
    /// The statements behind the present one.
    private(set) var upcoming: ArraySlice<SQLStatement> = []
    /// What the way back leaves otherwise than it was before the way forward, and by which statement.
    var differing: [KnownSchema.Fact: LintPlace] = [:]
    /// The values of enums that the transaction adds.
    var freshValues: [String] = []
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
        schema: KnownSchema, forward: Forward = Forward(), pendingColumns: Set<NewObjects.Key> = []
    ) {
        self.settings = settings
        self.direction = direction
        self.text = text
        self.schema = schema
        self.forward = forward
        self.pendingColumns = pendingColumns
        isUTC = settings.isUTC
        indexes = list.indexes
        transaction = TransactionState(text.wrapping, statements: list.statements.count { !$0.actions.isEmpty })
        report = StatementReport(place: LintPlace(file: text.file, line: text.line, column: 1), text: "")
        annotations = AnnotationBook()
    }

    /// Judges every statement.
    mutating func judge(_ list: StatementList) {
        readFileAnnotations(list)
        for (index, statement) in list.statements.enumerated() {
            numberings += statement.actions.filter(\.isNumbering).map { (index, $0) }
        }
        for (index, statement) in list.statements.enumerated() {
            upcoming = list.statements[(index + 1)...]
            report = StatementReport(place: place(line: statement.line, column: statement.column), text: statement.text)
            let first = findings.count
            let before = transaction
            for action in statement.actions { judge(action) }
            flagFreshValues(in: statement.text, before)
            if before.isOpen, transaction.isOpen {
                flagWorkUnderLock(before, isBig: findings[first...].contains { $0.rule == .bigChange })
            }
            transaction.hold(report, isAskedFor: statement.isLock)
            // Nobody writes to what has no parts of its own and is locked whole.
            for lock in report.locks where !text.isGenerated && lock.mode.blocksReads && schema[lock.relation]?.isAlone == true {
                transaction.stop(made.placed(lock.relation).full)
            }
            apply(statement.comments, to: first)
            statements.append(report)
        }
        finishTransactions()
        finishAnnotations()
    }

    private mutating func judge(_ action: StatementAction) {
        switch action {
        case .createTable(let table): createTable(table)
        case .createTableAs(let query): createTable(query)
        case .alterTable(let table, let changes):
            isOneChange = changes.count == 1
            for change in changes { alter(table, change) }
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
        case .createTrigger(let trigger): createTrigger(trigger)
        case .createRule(let name, let table, let isReplaced, let isInstead): createRule(name, table, isReplaced, isInstead)
        case .policy(let name, let table, let isChanged): policy(name, table, isChanged)
        case .createView(let view, let sources, let isReplaced, let takesAll, let columns, let text, _):
            createView(view, sources, isReplaced, takesAll)
            schema.define(view: view, sources, columns, takesAll: takesAll)
            know(.text(of: view), text)
        case .addEnumValue(let type, let value): addEnumValue(type, value)
        case .renameEnumValue(let type, let old, let new): renameEnumValue(type, old, new)
        case .constrainDomain(let domain, let isNotValid): constrainDomain(domain, isNotValid)
        case .comment(let relation): if let relation { lock(relation, .shareUpdateExclusive) }
        case .lock(let tables, let mode, let heirless): lockTables(tables, mode, withoutHeirs: heirless)
        case .insert(let table, let sources, let rows): insert(table, sources, rows)
        case .givesValues(let table, let columns): giveNumbers(table, columns)
        case .bringsBack(let rows): bringBack(rows)
        case .update(let change):
            update(change)
            proven = []
        case .delete(let change): delete(change)
        case .merge(let change): merge(change)
        case .select(let tables, let locksRows): for table in tables { lock(table, locksRows ? .rowShare : .accessShare) }
        case .opaque(let what): unknown(what)
        case .calls(let functions): calls(functions)
        case .casts(let types): casts(types)
        case .attributes(let attributes): readAttributes(attributes)
        case .makesCode(let name): schema.functions[name] = false
        case .createFunction(let function): createFunction(function)
        case .set(let parameter, let value, let isLocal): set(parameter, value, isLocal)
        case .discardTemporary: made.clearTemporary()
        case .begin, .commit, .rollback, .savepoint, .metaCommand: control(action)
        case .security(let what): flag(.security, what)
        case .unsettles(let what, let kind, let names): unsettles(what, kind, names)
        case .settles(let what, let names): settles(what, names)
        case .alterSequence(let sequence, let what, let restarts): alterSequence(sequence, what, restarts: restarts)
        case .catchesUp(let sequence):
            lock(sequence, .rowExclusive)
            // Forward it leaves nothing that could be taken back.
            if direction == .down { phase(.expand) }
            alters("numbers", of: sequence, isOwn: true)
        case .create(let kind, let name, let isCertain): make(kind, name, isCertain: isCertain)
        case .createType(let type, let isConstrained):
            schema.types[type.full] = isConstrained
            // What its condition calls is called by whoever casts to it.
            if isConstrained, report.mystery != nil { schema.strangeTypes.insert(type.full) }
            make(.type, type)
        case .needs(let version, let what): needs(version, what)
        case .harmless: break
        case .unknown(let what): unknown("\(what) is not among the statements that serin knows")
        case .unparsable(let words): unknown("the parser of Postgres 15 refuses it: \(words)")
        }
    }

    // MARK: What a statement does

    /// What sets sequences further on.
    var laterNumberings: [StatementAction] { numberings.filter { $0.index >= upcoming.startIndex }.map(\.action) }

    /// It locks an index, which is none of the tables in use.
    mutating func lock(index: RelationName, _ mode: TableLock) {
        report.indexes.insert(index.full)
        lock(index, mode)
    }

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

    /// Data is lost by it; its own when nothing of it was there before the way forward.
    mutating func loses(_ what: String, isOwn: Bool = false) {
        report.losses.append(what)
        if !isOwn { report.lossesOfOthers.append(what) }
    }

    /// A rule found something.
    mutating func flag(
        _ rule: LintRule, _ message: String, why: String? = nil, safe: String? = nil, instead revisions: [SafeRevision] = []
    ) {
        flag(rule, rule.severity, message, why: why, safe: safe, instead: revisions)
    }

    /// A rule found something that weighs more or less than usual; nil is as usual. Words of the safe form stand behind its SQL.
    mutating func flag(
        _ rule: LintRule, _ severity: LintSeverity?, _ message: String, why: String? = nil, safe: String? = nil,
        instead revisions: [SafeRevision] = []
    ) {
        findings.append(
            LintFinding(
                rule, severity: severity ?? rule.severity, at: report.place, message, reason: why, safeForm: safe,
                safeRevisions: revisions))
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

    // MARK: Safe forms

    /// The statement's text in one line, when all of it is known and it begins so; nil else.
    func wholeText(of verb: String) -> String? {
        let words = report.text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        guard !text.isGenerated, words.uppercased().hasPrefix(verb.uppercased()), !words.hasSuffix("…"),
            !["--", "/*", "$"].contains(where: { words.contains($0) }),
            report.text == words || !["'", "\""].contains(where: { words.contains($0) })
        else { return nil }
        return words.hasSuffix(";") ? String(words.dropLast()) : words
    }

    /// What stands behind some words in such a text, with them; nil when nobody knows.
    func textFrom(_ words: String, of verb: String) -> String? {
        wholeText(of: verb).flatMap { text in text.placeOutsideQuotes(of: words).map { String(text[$0...]) } }
    }

    /// Statements in one transaction: in that which is open, or in one of their own.
    func inTransaction(_ statements: [String]) -> [String] {
        transaction.isOpen ? statements : ["BEGIN"] + statements + ["COMMIT"]
    }

    // MARK: What is new

    func isNew(_ relation: RelationName) -> Bool { made.contains(objectKey(.table, relation)) }

    /// Notes that something was made: as new when it cannot have been there before.
    mutating func make(_ kind: ObjectKind, _ name: RelationName, isCertain: Bool = true) {
        let key = objectKey(kind, name)
        given.insert(comparable(key))
        if isCertain { made.insert(key) }
        phase(.expand)
    }

    /// Whether something was made in this direction, or is taken back that the way forward made.
    func isOwn(_ key: NewObjects.Key) -> Bool {
        let key = made.placed(key)
        return made.holds(key) || forward.made.holds(key)
    }

    /// Whether all rows of a table come from this direction, or from the way forward that is taken back.
    func hasOwnRows(_ table: RelationName) -> Bool {
        made.ownsRows(of: table) || forward.made.holdsRows(of: made.placed(table))
    }

    /// A relation is gone, for both directions.
    mutating func forget(_ relation: RelationName) {
        let place = made.placed(relation)
        made.forget(place)
        forward.made.forget(place)
    }

    /// The name by which both directions know a thing: a function by its name alone.
    func comparable(_ key: NewObjects.Key) -> NewObjects.Key {
        NewObjects.Key(kind: key.kind, relation: key.relation.full, name: key.kind == .function ? "" : key.name)
    }

    /// What was there before is there no more: the way back is to bring it back.
    mutating func takes(_ key: NewObjects.Key) {
        // A constraint may come back under the name that the server gives it.
        if !isOwn(key), key.kind != .constraint { taken.insert(comparable(key)) }
    }

    /// A part of a relation is otherwise than before: the way back is one that does something to it again.
    mutating func alters(_ part: String, of relation: RelationName, isOwn: Bool = false) {
        let key = NewObjects.Key(kind: .other, relation: relation.full, name: part)
        given.insert(key)
        if !isOwn { taken.insert(key) }
    }

    /// What was done is undone: nothing that it made is certain.
    mutating func takeBack() {
        isTakenBack = true
        made.clear()
        copies = [:]
        inserted = [:]
        restored = [:]
    }

    /// Something is now as a text says; the way back is to leave it as it was before the way forward, where that is known.
    mutating func know(_ fact: KnownSchema.Fact, _ text: String?) {
        schema.facts[fact] = text
        guard direction == .down, let before = forward.schema.facts[fact], let text else { return }
        differing[fact] = text == before ? nil : report.place
    }

    /// The place of a line and column of the SQL in the file that people edit.
    func place(line: Int, column: Int) -> LintPlace {
        text.isGenerated
            ? LintPlace(file: text.file, line: line, column: column, generated: true)
            : LintPlace(file: text.file, line: text.line + line - 1, column: column)
    }
}

/// What the way back is to know of the way forward.
struct Forward: Sendable {
    /// What it made: going back may take it away.
    var made = NewObjects()
    /// The schema before it.
    var schema = KnownSchema()
    /// The rows that it put in.
    var inserted: [RelationName: [[String: String]]] = [:]
    /// The copies that it made of rows before it changed them, by their tables.
    var copies: [RelationName: SavedRows] = [:]
}

/// A table that holds rows of another one as they were.
struct SavedRows: Sendable {
    var copy: TableCopy
    /// The transaction in which nobody else writes into the table that was copied; nil when there is none.
    var transaction: Int?
    /// The columns whose old values are nowhere else.
    var columns: Set<String> = []
    /// Whether something relies on it.
    var isUsed = false
    /// Whether rows were removed that are nowhere else.
    var isForRows = false
    /// Whether no statement is known that surely undoes the change.
    var isForMerge = false
    /// Whether its condition finds other rows by now.
    var isSpent = false
}

/// What is written back from a table of saved rows: values of columns by the key, and rows that are gone.
struct RowsRestored: Sendable, Hashable {
    var columns: Set<String> = []
    var hasRows = false
}

/// What one table holds that a change of rows relies on, for the way back.
struct SavedNeed: Sendable, Hashable {
    var table: RelationName
    var place: RelationName
    var columns: Set<String>
    var isForRows: Bool
    var isForMerge: Bool

    /// What of it is not written back; nil when all of it is.
    func missing(from restored: RowsRestored?) -> String? {
        if isForMerge { return "what MERGE changed" }
        let columns = columns.subtracting(restored?.columns ?? [])
        if !columns.isEmpty { return "the old values of \(columns.sorted().map(quoted).joined(separator: ", "))" }
        return isForRows && restored?.hasRows != true ? "the deleted rows" : nil
    }
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

extension String {
    /// Where some words, in capitals and with the spaces around them, stand first outside quotes and parentheses; nil when nowhere.
    func placeOutsideQuotes(of words: String) -> String.Index? {
        var quote: Character?
        var depth = 0
        for index in indices {
            let character = self[index]
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "'" || character == "\"" {
                quote = character
            } else if character == "(" {
                depth += 1
            } else if character == ")" {
                depth -= 1
            }
            if quote == nil, depth == 0, self[index...].prefix(words.count).uppercased() == words { return index }
        }
        return nil
    }

    /// Whether a word of SQL, in capitals, is anywhere in it, be it in quotes.
    func holds(_ word: String) -> Bool { uppercased().contains(word) }
}
