internal import SerinDatabase
internal import SerinMigrations
internal import SerinModel
internal import SerinProcesses

/// One step of a run: tried until it is done, or fails for a reason that another try does not change.
struct StepAttempt {
    private let run: MigrationRun
    private let step: RevisionStep
    private let number: Int
    private let count: Int
    private let before: SchemaSnapshot
    private let record: StepRecords.Record
    private let start = ContinuousClock.now
    private var tries = 0
    /// Whether a part of it may be committed although it failed, and data be destroyed by it.
    private var isPartial = false
    private var blocking = BlockingReport()
    /// Where the database is, as far as this run moved it.
    private var place: [RevisionID]
    /// What was found and settled, for people.
    private(set) var notes: [String] = []

    /// Notes that the step begins.
    init(_ run: MigrationRun, _ step: RevisionStep, _ number: Int, of count: Int) throws(Failure) {
        self.run = run
        self.step = step
        self.number = number
        self.count = count
        place = step.before
        let session = try run.call.database.connect()
        before = try SchemaSnapshot(session, without: run.tool.ownTables)
        record = try StepRecords(session, of: run.tool.recordedAs).begin(
            step, run: run.call.key, by: run.principal, tool: run.tool.name, script: run.digest(of: step.revision),
            commit: run.commit, policy: run.rules.policy, before)
    }

    /// Takes the step.
    mutating func take() throws(MigrationRunFailure) -> (MigrationReport.Step, SchemaSnapshot) {
        let side = run.side(of: step)
        // Looked at again, as the steps before it may have taken long.
        if let objection = step.objection(to: side) { throw note(objection) }
        let text = MigrationRun.texts(of: side)
        let isPatient = text.sql.map { SQLStatements($0).blocksNobody } ?? false
        let mayDestroy = step.judged?.kind.mayDestroy ?? false
        while true {
            do throws(Failure) {
                if try isDoneByOthers() { break }
                if !isPartial, mayDestroy, run.tool.mayCommitInPart(step, side) { try notePart() }
            } catch { throw note(error) }
            guard let failure = attempt(isPatient: isPatient) else { break }
            do throws(Failure) { notes += try run.settlement.endOrphans(waiting: false) } catch {
                throw note(
                    Failure(
                        .unknown, "\(failure.failure.message); and it may still be at work: \(error.message)", hint: error.hint),
                    isSettled: false)
            }
            do throws(Failure) {
                if try settle(text.all) { break }
            } catch {
                // A schema that was changed in part is worse than what the try failed of; what is only not settled yet, is not.
                guard error.kind != .conflict else { throw note(error, isSettled: false) }
                notes.append("what the try left is not settled yet, the next run does it: \(error.message)")
                throw note(failure.failure, isSettled: false)
            }
            if let left = partial(failure.failure) { throw note(left, at: .check) }
            // Nobody waited for it any more: that ended it, whatever the server says of it.
            guard !run.call.stop.isRaised, run.call.end.left > .zero else { throw note(ended) }
            // Whatever ended it, nothing of it is left, and where the database is was read.
            var known = failure.failure
            if known.kind == .unknown { known.kind = .transient }
            guard failure.kind == .lock, tries < run.rules.tries, !run.call.stop.isRaised else { throw note(known) }
            let pause = Pause(first: run.rules.pause, tries: tries).length(run.chance())
            guard pause < run.call.end.left else { throw note(known) }
            tell("waiting \(pause) for try \(tries + 1) of \(run.rules.tries)")
            rest(pause, until: run.call.stop)
        }
        do throws(Failure) { return try conclude(side) } catch {
            throw MigrationRunFailure(stage: .check, failure: error, report: nil)
        }
    }

    /// A step that was given up, and taken back.
    private var ended: Failure {
        let left = place == step.before ? "nothing of it is left, and " : ""
        return Failure(
            .transient,
            "\(step.revision) was ended before it was done: \(left)the database is at \(SchemaState(current: place, heads: []).place)",
            hint: "the same command begins there again")
    }

    /// Whether somebody else took the step while this run waited.
    ///
    /// - Throws: `conflict` where the database is anywhere but where this run left it.
    private func isDoneByOthers() throws(Failure) -> Bool {
        // The run has just read it.
        guard tries > 0 || number > 1 else { return false }
        let current = try run.tool.current(run.call)
        guard current != step.after else { return true }
        guard current == place else {
            let places = [current, place].map { SchemaState(current: $0, heads: []).place }
            throw Failure(
                .conflict, "the database is at \(places[0]), not at \(places[1]) any more: \(step.revision) was not begun",
                hint: "someone moved it; look before anything else is done")
        }
        return false
    }

    /// One try; nil when it succeeded.
    private mutating func attempt(isPatient: Bool) -> ToolFailure? {
        tries += 1
        var call = run.call
        if isPatient { call.lockTimeout = run.rules.patientLockTimeout }
        let tell = self.tell
        let watch = BlockingWatch(
            call.database, session: call.session, record: record.id,
            rules: BlockingWatch.Rules(mostQueued: run.rules.mostQueued, patience: run.rules.lockTimeout), stop: call.stop
        ) { tell($0.phase, $0.done, $0.total) }
        tell("running", 0, 0)
        do throws(Failure) { try watch.start() } catch { return ToolFailure(.other, error) }
        var found: ToolFailure?
        do throws(ToolFailure) { try run.tool.run(step, call) } catch { found = error }
        let seen = watch.finish()
        blocking = blocking + seen.report
        guard var failure = found else { return nil }
        if let reason = seen.reason, failure.kind != .lock {
            // It was this watch that cancelled it, so that another try may find less traffic.
            failure = ToolFailure(.lock, Failure(.transient, "\(step.revision) was cancelled: \(reason)", hint: nil))
        }
        return failure
    }

    /// Takes back what a failed try left in the schema.
    ///
    /// - Returns: Whether the step was done after all.
    private mutating func settle(_ text: String) throws(Failure) -> Bool {
        let call = try run.call.ending()
        let here = Result { () throws(Failure) in try run.tool.current(call) }
        var isOnTheWay = false
        if case .success(let current) = here {
            if current == step.after { return true }
            // One call of a tool that does not list its revisions may have done some of them.
            isOnTheWay = current != step.before
            // Only a tool that does not list its revisions goes on from there.
            if !run.listsRevisions { place = current }
        }
        notes += try run.settlement.undo(
            step, before: before, text: isOnTheWay ? "" : text, isWhole: !isOnTheWay, without: run.tool.ownTables)
        guard !isOnTheWay else { return false }
        if !isPartial, try hasChangedRows() { try notePart() }
        // What the tool marks as half done may be.
        if !isPartial { try run.tool.forget(step, call) }
        return false
    }

    private mutating func notePart() throws(Failure) {
        try StepRecords(run.call.database.connect(), of: run.tool.recordedAs).note(record, isPartial: true)
        isPartial = true
    }

    /// Whether the step was seen to commit that rows were changed. Only a tool's own transactions note that before its end.
    private func hasChangedRows() throws(Failure) -> Bool {
        guard run.tool.countsChangedRows else { return false }
        let counted = try StepRecords(run.call.database.connect(), of: run.tool.recordedAs).rows(of: record.id) ?? []
        return counted.contains { $0.updated > 0 || $0.deleted > 0 }
    }

    /// What is said of a failure after which nobody knows what is committed; nil where nothing is.
    private func partial(_ failure: Failure) -> Failure? {
        guard isPartial else { return nil }
        return Failure(
            failure.kind == .unknown ? .transient : failure.kind,
            "\(failure.message); it is not one transaction: a part of it may be committed, and rows may be gone",
            hint: "the backup from before it has them; it is not run again until --accept-schema says that all is as it should be"
        )
    }

    private mutating func conclude(_ side: MigrationSide) throws(Failure) -> (MigrationReport.Step, SchemaSnapshot) {
        let session = try run.call.database.connect()
        let after = try SchemaSnapshot(session, without: run.tool.ownTables)
        if let wanted = step.wanted, let objection = step.objection(toLeaving: after, for: wanted) {
            try StepRecords(session, of: run.tool.recordedAs).fail(record, objection, tries: tries, blocking)
            throw objection
        }
        let known = Set(before.indexes.map(\.name))
        if let bad = after.indexes.first(where: { !$0.isValid && !known.contains($0.name) }) {
            let failure = Failure(
                .invalid, "\(step.revision) ended well, but the index \(bad.name) that it made is invalid",
                hint: "IF NOT EXISTS hides one that an earlier try left: DROP INDEX CONCURRENTLY \(bad.name), then build it again"
            )
            try StepRecords(session, of: run.tool.recordedAs).fail(record, failure, tries: tries, blocking)
            throw failure
        }
        let records = StepRecords(session, of: run.tool.recordedAs)
        let counted = try records.rows(of: record.id)
        if counted == nil, run.tool.countsChangedRows {
            notes.append(
                "nobody counted the rows that \(step.revision) changed: \(run.tool.name) does not work through SQLAlchemy")
        }
        if !run.rules.acceptsSchema,
            let objection = try UnannouncedRows.objection(
                step, side, counted: counted ?? [], session, without: run.tool.ownTables)
        {
            try records.fail(record, objection, tries: tries, blocking)
            throw objection
        }
        notes += RestoredRows.shortfalls(step, counted: counted ?? [])
        try records.finish(record, after, tries: tries, blocking)
        let taken = MigrationReport.Step(
            revision: step.revision, from: step.from, to: step.to, tries: tries, time: start.elapsed, blocking: blocking)
        return (taken, after)
    }

    /// Notes why the step failed. When even that is not possible, the next run finds the step unfinished.
    private mutating func note(
        _ failure: Failure, at stage: MigrationRunFailure.Stage = .revision, isSettled: Bool = true
    ) -> MigrationRunFailure {
        do throws(Failure) {
            try StepRecords(run.call.database.connect(), of: run.tool.recordedAs).fail(
                record, failure, tries: tries, blocking, isSettled: isSettled)
        } catch { notes.append("the failure could not be noted: \(error.message)") }
        return MigrationRunFailure(stage: stage, failure: failure, report: nil)
    }

    private func tell(_ phase: String) { tell(phase, 0, 0) }

    private var tell: @Sendable (String, Int64, Int64) -> Void {
        let (progress, revision, number, count) = (run.progress, step.revision, number, count)
        return { phase, done, total in
            progress(
                MigrationProgress(revision: revision, number: number, count: count, phase: phase, done: done, total: total))
        }
    }
}

/// The pause before another try: twice as long each time, 30 s at most, and half of it chance.
struct Pause {
    let first: Duration
    /// How many tries there were.
    let tries: Int

    /// - Parameter chance: From 0 up to 1.
    func length(_ chance: Double) -> Duration {
        let whole = min(30_000, first.milliseconds << min(10, max(0, tries - 1)))
        return .milliseconds(whole / 2 + Int64(Double(whole / 2) * chance))
    }
}
