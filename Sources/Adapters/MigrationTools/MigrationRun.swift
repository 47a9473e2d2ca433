internal import FoundationEssentials
internal import SerinDatabase
internal import SerinMigrations
internal import SerinModel
internal import SerinProcesses

/// Moves a schema step by step. Everything blocks the calling thread; used under the database's lease and advisory lock.
struct MigrationRun {
    /// The rules of a run.
    struct Rules: Sendable {
        var lockTimeout: Duration
        var statementTimeout: Duration
        /// How often a step is tried that could not get its lock.
        var tries: Int
        /// How many sessions may wait for a statement before it is cancelled.
        var mostQueued = 20
        /// The first pause before another try; each next one is twice as long, and half of each is chance.
        var pause = Duration.milliseconds(500)
        /// How long a statement that builds an index without blocking anyone may wait for old transactions.
        var patientLockTimeout = Duration.minutes(10)
        /// How long the sessions of an earlier run may go on.
        var orphanPatience = Duration.seconds(30)
        /// Whether a schema that is not what the last step left is taken as it is.
        var acceptsSchema = false
        /// Whether revisions whose files were changed after they were applied are taken as they are.
        var acceptsEdited = false
        /// Whether a way back need not bring rows back, because they come from a backup.
        var leavesRows = false
        /// The policy by which it is done, as it is noted with every step; nil without one.
        var policy: String?
    }

    let tool: any MigrationTool
    let rules: Rules
    let principal: Principal
    let call: ToolCall
    let chance: @Sendable () -> Double
    let progress: @Sendable (MigrationProgress) -> Void
    private(set) var report: MigrationReport
    private let graph: RevisionGraph
    let settlement: Settlement
    /// The commit that the release's files are of; nil when nobody can tell.
    let commit: String?
    private var current: [RevisionID]

    /// Settles what earlier runs left, and reads where the database is.
    init(
        _ tool: any MigrationTool, _ rules: Rules, by principal: Principal, _ call: ToolCall,
        chance: @escaping @Sendable () -> Double, progress: @escaping @Sendable (MigrationProgress) -> Void
    ) throws(MigrationRunFailure) {
        self.tool = tool
        self.rules = rules
        self.principal = principal
        self.call = call
        self.chance = chance
        self.progress = progress
        settlement = Settlement(database: call.database, patience: min(rules.orphanPatience, call.end.left))
        do throws(Failure) {
            if let objection = try MigrationInspector.objection(toWritingTo: call.database.connect(), call.database) {
                throw objection
            }
            var notes = try settlement.endOrphans()
            graph = try tool.graph(call)
            notes += try MigrationRun.resume(tool, graph, settlement, rules, call)
            current = try tool.current(call)
            let state = SchemaState(current: current, heads: graph.heads)
            let tree = SourceTree.look(at: graph.files, call)
            commit = tree?.commit
            if let warning = tree?.warning { notes.append(warning) }
            report = MigrationReport(before: state, after: state, notes: notes)
        } catch { throw MigrationRunFailure(stage: .preflight, failure: error, report: nil) }
    }

    /// Brings a step to an end that an earlier run began and did not finish: it is noted as done when it was, and what it left is
    /// taken back when it was not.
    private static func resume(
        _ tool: any MigrationTool, _ graph: RevisionGraph, _ settlement: Settlement, _ rules: Rules, _ call: ToolCall
    ) throws(Failure) -> [String] {
        let session = try call.database.connect()
        let records = StepRecords(session, of: tool.recordedAs)
        guard try records.exist(), let latest = try records.latest(), latest.state != .done else { return [] }
        let here = Result { () throws(Failure) in try tool.current(call) }
        if case .success(let current) = here {
            if current == latest.step.after {
                let present = try SchemaSnapshot(session, without: tool.ownTables)
                // A way back that leaves another schema is not done, whoever asks again.
                if !rules.acceptsSchema, let wanted = try records.schema(atTheEndOf: latest.step) {
                    if let objection = latest.step.objection(toLeaving: present, for: wanted) { throw objection }
                }
                // Nor is one that changed what it was not judged to change.
                if !rules.acceptsSchema,
                    let objection = try UnannouncedRows.objection(
                        latest.step, side(of: latest.step, tool, graph, call), counted: records.rows(of: latest.id) ?? [],
                        session,
                        without: tool.ownTables)
                {
                    throw objection
                }
                try records.finish(latest, present, tries: 1, BlockingReport())
                return latest.state == .running
                    ? ["\(latest.step.revision) was done already by a run that did not live to note it"] : []
            }
            // Someone moved on by other means: there is nothing of ours to take back.
            guard current == latest.step.before else { return [] }
        }
        // What failed was settled then: whatever is there now is somebody else's.
        guard latest.state == .running else { return [] }
        let notes = try settlement.undo(
            latest.step, before: latest.before, text: texts(of: side(of: latest.step, tool, graph, call)).all,
            without: tool.ownTables)
        if !latest.isPartial { try tool.forget(latest.step, call) }
        return notes
    }

    /// Whether the tool lists its revisions, so that each is a step of its own.
    var listsRevisions: Bool { graph.isComplete }

    /// The one revision at which the release is complete; nil when there are none.
    func head() throws(MigrationRunFailure) -> RevisionID? {
        do throws(Failure) { return try graph.oneHead() } catch { throw failed(.preflight, error) }
    }

    /// Moves the schema forward to a revision.
    ///
    /// - Parameters:
    ///   - origin: Where the database was when this was asked for; nil asks nothing. It may be on the way from there.
    ///   - judged: What may be run; nil asks nothing.
    mutating func up(
        from origin: RevisionID??, to target: RevisionID, judged: [PlannedRevision]?
    ) throws(MigrationRunFailure) {
        let steps: [RevisionStep]
        do throws(Failure) {
            try graph.check(current)
            let pending = try graph.pending(from: current, to: target)
            if let origin, graph.isComplete {
                let whole = try graph.pending(from: origin.map { [$0] } ?? [], to: target).map(\.id)
                guard current == (origin.map { [$0] } ?? []) || !current.isEmpty && current.allSatisfy(whole.contains) else {
                    throw Failure(
                        .conflict, "the database is at \(report.before.place), not at \(origin?.description ?? "base")",
                        hint: "someone moved it; look before anything else is done")
                }
            }
            steps = try graph.steps(pending, from: current).judged(judged, at: current)
        } catch { throw failed(.preflight, error) }
        try take(steps, to: target)
    }

    /// Moves the schema back to a revision; nil is before the first.
    mutating func down(to target: RevisionID?, judged: [PlannedRevision]?) throws(MigrationRunFailure) {
        var steps: [RevisionStep]
        do throws(Failure) {
            try graph.check(current)
            if graph.isComplete {
                let back = try graph.applied(above: target, from: current)
                steps = back.map { RevisionStep(direction: .down, revision: $0.id, from: $0.id, to: $0.parents.first) }
            } else if current == (target.map { [$0] } ?? []) {
                steps = []
            } else if let here = current.first {
                steps = [RevisionStep(direction: .down, revision: here, from: here, to: target)]
            } else {
                throw Failure(.conflict, "revision \(target?.description ?? "base") is not behind base, where the database is")
            }
            steps = try standing(steps.judged(judged, at: current))
        } catch { throw failed(.preflight, error) }
        try take(steps, to: target)
    }

    /// The steps of a way back; the last one with the schema that it has to leave.
    ///
    /// - Throws: `conflict` where one drops what stood there before the first revision that is taken back.
    private func standing(_ steps: [RevisionStep]) throws(Failure) -> [RevisionStep] {
        guard let last = steps.last, !rules.acceptsSchema else { return steps }
        let session = try call.database.connect()
        let records = StepRecords(session, of: tool.recordedAs)
        var steps = steps
        if !rules.leavesRows {
            for index in steps.indices { steps[index].changed = try records.rows(changedBy: steps[index].revision) }
        }
        guard let wanted = try records.schema(atTheEndOf: last) else { return steps }
        let present = try SchemaSnapshot(session, without: tool.ownTables)
        for step in steps {
            guard let sql = MigrationRun.texts(of: side(of: step)).sql else { continue }
            if let name = DroppedObjects(sql).first(standingIn: wanted, and: present) {
                throw Failure(
                    .conflict,
                    "the way back from \(step.revision) drops \(name), which was there before it was applied: nothing was changed",
                    hint: "correct the way back; or take it as it is with serin migrate down --accept-schema")
            }
        }
        steps[steps.count - 1].wanted = wanted
        return steps
    }

    private mutating func take(_ steps: [RevisionStep], to target: RevisionID?) throws(MigrationRunFailure) {
        try settlePart(isIdle: steps.isEmpty)
        guard !steps.isEmpty else { return try compareAlone(isForward: target == graph.heads.first) }
        let before: [TableActivity]
        do throws(Failure) {
            // All of it before any of it, so that nothing is done in part.
            for step in steps {
                if let objection = tool.objection(to: step) ?? step.objection(to: side(of: step)) { throw objection }
            }
            try settlement.refuseDumps()
            let session = try call.database.connect()
            try StepRecords(session, of: tool.recordedAs).prepare()
            report.schemaBefore = try checkSchema(session).hash
            before = try TableActivity.read(session, without: tool.ownTables)
        } catch { throw failed(.preflight, error) }
        for (number, step) in steps.enumerated() { try take(step, number + 1, of: steps.count) }
        do throws(Failure) {
            current = try tool.current(call)
            report.after = SchemaState(current: current, heads: graph.heads)
            guard report.after.isAt(target) else {
                throw Failure(
                    .invalid,
                    "every step ended well, but the database is at \(report.after.place), not at \(target?.description ?? "base")",
                    hint: "does \(tool.name) work on another database than \(call.database.name)?")
            }
            let counted = try settlement.activity(without: tool.ownTables)
            (report.written, report.counted) = (counted.growth(since: before), counted)
        } catch { throw failed(.check, error) }
    }

    /// Refuses to go on from a step of which a part may be committed, until somebody takes that as it is, or its rows come from a backup.
    mutating func settlePart(isIdle: Bool) throws(MigrationRunFailure) {
        do throws(Failure) {
            let records = StepRecords(try call.database.connect(), of: tool.recordedAs)
            guard try records.exist(), let latest = try records.latest(), latest.isPartial else { return }
            guard rules.acceptsSchema || rules.leavesRows else {
                if isIdle { return }
                throw MigrationInspector.objection(toPart: latest.step.revision)
            }
            try tool.forget(latest.step, call)
            try records.note(latest, isPartial: false)
            report.notes.append("\(latest.step.revision) was not done: what may be committed of it is taken as it is")
        } catch { throw failed(.preflight, error) }
    }

    /// What is noted of the steps that this run's key took, and how the schema differs from what was noted of this place.
    mutating func lookBack() throws(MigrationRunFailure) {
        do throws(Failure) {
            let session = try call.database.connect()
            report.noted = try StepRecords(session, of: tool.recordedAs).steps(
                of: call.key, at: current, SchemaSnapshot(session, without: tool.ownTables))
        } catch { throw failed(.preflight, error) }
    }

    /// Nothing is to be done; the schema is compared all the same, and noted where it is taken as it is.
    private mutating func compareAlone(isForward: Bool) throws(MigrationRunFailure) {
        guard isForward || rules.acceptsSchema else { return }
        do throws(Failure) {
            let session = try call.database.connect()
            guard try StepRecords(session, of: tool.recordedAs).exist() else { return }
            report.schemaBefore = try checkSchema(session).hash
        } catch { throw failed(.preflight, error) }
    }

    /// The digest of a revision's file.
    func digest(of revision: RevisionID) -> String? { graph.revisions.first { $0.id == revision }?.digest }

    /// Refuses a release in which the file of an applied revision is another one: the schema was not made by what it says.
    private mutating func checkScripts(_ records: StepRecords) throws(Failure) {
        let edited = graph.edited(since: try records.scripts())
        guard !edited.isEmpty else { return }
        guard rules.acceptsEdited else { throw RevisionGraph.complaint(edited) }
        for revision in edited {
            if let digest = revision.digest { try records.accept(revision.id, script: digest) }
        }
        report.notes.append(
            "taken as they are, although changed after they were applied: \(edited.map(\.id.description).joined(separator: ", "))"
        )
    }

    /// Refuses a schema that is not what the last step left, since nobody knows what a migration would make of it.
    private mutating func checkSchema(_ session: Connection) throws(Failure) -> SchemaSnapshot {
        try checkScripts(StepRecords(session, of: tool.recordedAs))
        let present = try SchemaSnapshot(session, without: tool.ownTables)
        let records = StepRecords(session, of: tool.recordedAs)
        // What another tool left is compared by that one.
        guard let latest = try records.latest(byAnyone: true), latest.isOwn else { return present }
        let place = latest.state == .done ? latest.step.after : latest.step.before
        var wanted = latest.state == .done ? latest.after : latest.before
        if current != place {
            wanted = try records.schema(at: current)
            report.notes.append(
                "the revision was moved by other means since the last run, from \(SchemaState(current: place, heads: []).place)"
                    + (wanted == nil ? ": its schema was not compared" : ""))
        }
        if rules.acceptsSchema, graph.isBehind(current, place), let revision = place.first {
            let back = RevisionStep(direction: .down, revision: revision, before: place, after: current)
            let record = try records.begin(
                back, run: call.key, by: principal, tool: tool.name, policy: rules.policy, latest.after ?? latest.before)
            try records.finish(record, present, tries: 0, BlockingReport())
        }
        guard let wanted, !present.isSame(as: wanted) else { return present }
        guard rules.acceptsSchema else {
            throw Failure(
                .conflict,
                "the schema of \(call.database.name) is not what \(SchemaState(current: current, heads: []).place) left:\n"
                    + present.difference(from: wanted).map { "  " + $0 }.joined(separator: "\n"),
                hint: "make a revision of the change, or repeat with --accept-schema to take it as it is")
        }
        if current == place { try records.accept(latest, present) }
        report.notes.append("the schema was taken as it is, although it is not what the last step left")
        return present
    }

    private mutating func take(_ step: RevisionStep, _ number: Int, of count: Int) throws(MigrationRunFailure) {
        var attempt: StepAttempt
        do throws(Failure) {
            attempt = try StepAttempt(self, step, number, of: count)
        } catch { throw failed(.preflight, error) }
        do throws(MigrationRunFailure) {
            let (taken, snapshot) = try attempt.take()
            report.notes += attempt.notes
            report.steps.append(taken)
            report.schemaAfter = snapshot.hash
            current = step.after
            report.after = SchemaState(current: current, heads: graph.heads)
        } catch {
            report.notes += attempt.notes
            throw failed(error.stage, error.failure)
        }
    }

    /// A failure with what was done before it, and where the database is now when that can be read.
    private func failed(_ stage: MigrationRunFailure.Stage, _ failure: Failure) -> MigrationRunFailure {
        var report = report
        do throws(Failure) {
            report.after = SchemaState(current: try tool.current(call.ending()), heads: graph.heads)
        } catch {
            report.notes.append("where the database is now could not be read: \(error.message)")
        }
        return MigrationRunFailure(stage: stage, failure: failure, report: report)
    }

    /// What a step would run, as far as the tool tells.
    private static func side(
        of step: RevisionStep, _ tool: any MigrationTool, _ graph: RevisionGraph, _ call: ToolCall
    ) -> MigrationSide {
        graph.revisions.first { $0.id == step.revision }.map { tool.side(step.direction, of: $0, call) } ?? .missing
    }

    /// What a step would run, as far as the tool tells.
    func side(of step: RevisionStep) -> MigrationSide { MigrationRun.side(of: step, tool, graph, call) }

    /// One direction of a revision as SQL, and everything else that is written about it: the text of its file.
    static func texts(of side: MigrationSide) -> (sql: [UInt8]?, all: String) {
        switch side {
        case .text(let text): return (text.sql, String(decoding: text.sql + (text.source ?? []), as: UTF8.self))
        case .missing: return (nil, "")
        case .unavailable(let file, _, _):
            // What cannot be read names nothing.
            return (nil, FileManager.default.contents(atPath: file).map { String(decoding: $0, as: UTF8.self) } ?? "")
        }
    }
}
