/// A revision whose SQL was read into statements.
public struct ReadRevision: Sendable, Hashable {
    /// The revision as its tool has it.
    public var script: MigrationScript
    /// The statements of the way forward; nil when its text cannot be had.
    public var up: StatementList?
    /// The statements of the way back; nil when there is none.
    public var down: StatementList?
    /// Whether it is applied already: it only tells what the schema is.
    public var isApplied: Bool

    /// A revision.
    public init(script: MigrationScript, up: StatementList?, down: StatementList?, isApplied: Bool = false) {
        self.script = script
        self.up = up
        self.down = down
        self.isApplied = isApplied
    }
}

/// Judges revisions by their text alone.
public struct Lint: Sendable {
    /// What is known of the server and the tables.
    public var settings: LintSettings

    /// A lint for a server.
    public init(_ settings: LintSettings = LintSettings()) { self.settings = settings }

    /// Judges revisions in the order in which they are applied.
    ///
    /// - Parameters:
    ///   - revisions: From the first one on; what is applied already only tells what the schema is.
    ///   - heads: The last revisions as the tool names them; empty when it has no such notion.
    public func report(_ revisions: [ReadRevision], heads: [String] = []) -> LintReport {
        var schema = KnownSchema()
        var reports: [RevisionReport] = []
        var pendingColumns: Set<NewObjects.Key> = []
        for revision in revisions {
            let judged = judge(revision, &schema, &pendingColumns)
            if !revision.isApplied { reports.append(judged) }
        }
        return LintReport(revisions: reports, findings: clashes(revisions, heads))
    }

    /// Several heads, and revisions of the same name.
    private func clashes(_ revisions: [ReadRevision], _ heads: [String]) -> [LintFinding] {
        var findings: [LintFinding] = []
        if heads.count > 1, let last = revisions.last {
            findings.append(
                LintFinding(
                    .heads, at: LintPlace(file: last.script.file, line: 1, column: 1),
                    "there are \(heads.count) heads: \(heads.joined(separator: ", "))", safeForm: "alembic merge heads"))
        }
        var files: [String: String] = [:]
        for revision in revisions {
            let script = revision.script
            if let first = files[script.revision] {
                findings.append(
                    LintFinding(
                        .heads, at: LintPlace(file: script.file, line: 1, column: 1),
                        "two revisions are called \(script.revision): \(first) and \(script.file)",
                        safeForm: "rename one of the two files"))
            }
            files[script.revision] = script.file
        }
        return findings
    }

    private func judge(
        _ revision: ReadRevision, _ schema: inout KnownSchema, _ pendingColumns: inout Set<NewObjects.Key>
    ) -> RevisionReport {
        let script = revision.script
        let (text, list) = forward(revision)
        let before = schema
        var up = Judge(settings, .up, text, list, schema: schema, pendingColumns: pendingColumns)
        up.judge(list)
        schema = up.schema
        if !revision.isApplied {
            pendingColumns.formUnion(up.made.keys.filter { $0.kind == .column }.map(up.comparable))
        }
        var down: DirectionReport?
        var left: LeftBehind?
        if case .text(let text) = script.down, let back = revision.down {
            let forward = Forward(made: up.made, schema: before, inserted: up.inserted, copies: up.copies)
            var judge = Judge(settings, .down, text, back, schema: schema, forward: forward)
            judge.judge(back)
            down = judge.outcome
            if !revision.isApplied { left = LeftBehind(list, back) }
        }
        return RevisionSummary(
            script: script, wantsWayBack: settings.wantsWayBack, up: up.outcome, down: down, left: left
        ).report
    }

    /// The statements of the way forward. What cannot be read is one statement of which nobody knows what it does.
    private func forward(_ revision: ReadRevision) -> (MigrationText, StatementList) {
        let words: String
        var text = MigrationText(file: revision.script.file, sql: [], wrapping: .transaction, isGenerated: true)
        switch revision.script.up {
        case .text(let script):
            if let list = revision.up { return (script, list) }
            text = script
            words = "its text was not read"
        case .unavailable(_, let said, let source):
            text.source = source
            words = "its SQL cannot be had without a database: \(said)"
        case .missing: words = "there is no way forward"
        }
        return (text, StatementList(statements: [SQLStatement(line: 1, column: 1, text: "", actions: [.opaque(words)])]))
    }
}

extension Judge {
    /// What was found; the findings in the order of the text.
    fileprivate var outcome: DirectionReport {
        let sorted = findings.enumerated().sorted { left, right in
            let (a, b) = (left.element.place, right.element.place)
            return (a.line, a.column, left.offset) < (b.line, b.column, right.offset)
        }
        var allowed: [LintRule: String] = [:]
        for entry in annotations.allowances { allowed[entry.rule] = entry.reason }
        return DirectionReport(
            statements: statements, findings: sorted.map(\.element), allowed: allowed, idle: annotations.idle, taken: taken,
            given: given,
            dropped: dropped,
            saves: copies.filter(\.value.isUsed).map { place, saved in
                SavedNeed(
                    table: saved.copy.source.full, place: place.full, columns: saved.columns, isForRows: saved.isForRows,
                    isForMerge: saved.isForMerge)
            }.sorted { "\($0.place)" < "\($1.place)" },
            differing: Dictionary(differing.map { ("\($0.key.what) of \($0.key.relation)", $0.value) }) { first, _ in first },
            restored: restored)
    }
}

extension MigrationScript {
    /// The file that people edit; empty when nobody knows.
    public var file: String {
        for side in [up, down] {
            switch side {
            case .text(let text): return text.file
            case .unavailable(let file, _, _): return file
            case .missing: continue
            }
        }
        return ""
    }
}
