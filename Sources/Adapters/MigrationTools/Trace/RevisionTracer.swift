internal import SerinDatabase
internal import SerinMigrations
internal import SerinModel
internal import SerinProcesses

/// Runs revisions in a scratch database, forward, back and forward again, and says what the server did. Blocks the calling thread.
struct RevisionTracer {
    let tool: any MigrationTool
    let graph: RevisionGraph
    let call: ToolCall
    let scratch: ScratchDatabase
    /// A program that tries the previous version of the application on the new schema; nil when there is none.
    let previous: String?

    /// What is measured of one revision, which is the next one.
    ///
    /// - Parameters:
    ///   - place: Where the database is; nil is before the first revision.
    ///   - names: The revisions that one call of the tool applies.
    /// - Returns: What was measured; and why the copy is no longer where a later revision could be run, if it is not.
    func trace(_ revision: RevisionGraph.Revision, from place: RevisionID?, names: [String]) throws(Failure)
        -> (measured: RevisionMeasurement, stopped: String?)
    {
        let up = RevisionStep(direction: .up, revision: revision.id, from: place, to: revision.id)
        let before = try look()
        let forward = tool.side(.up, of: revision, call)
        let first = try run(up, forward, from: before)
        var measured = RevisionMeasurement(revisions: names, up: first.run, empty: first.empty)
        guard first.run.failure == nil else { return (measured, "\(revision.id) fails on the copy") }
        if let previous { measured.previous = try ask(previous) }
        // A merge of branches has no one place to go back to.
        let backward = tool.side(.down, of: revision, call)
        guard revision.parents.count <= 1, isThere(backward) else { return (measured, nil) }
        let down = RevisionStep(direction: .down, revision: revision.id, from: revision.id, to: place)
        let back = try run(down, backward, from: first.after)
        measured.down = back.run
        guard back.run.failure == nil else {
            let isThere = try tool.current(call) == [revision.id]
            let isWhole = isThere && back.after.schema == first.after.schema
            return (measured, isWhole ? nil : "the way back from \(revision.id) failed half done: \(back.run.failure ?? "")")
        }
        measured.remains = back.after.schema.difference(from: before.schema)
        let again = try run(up, forward, from: back.after)
        measured.again = again.run
        return (measured, again.run.failure.map { "\(revision.id) cannot be applied again after its way back: \($0)" })
    }

    /// Applies a revision that nobody asked about.
    func apply(_ revision: RevisionGraph.Revision, from place: RevisionID?) throws(Failure) {
        let step = RevisionStep(direction: .up, revision: revision.id, from: place, to: revision.id)
        do throws(ToolFailure) { try tool.run(step, call) } catch { throw error.failure }
    }

    private func isThere(_ side: MigrationSide) -> Bool {
        switch side {
        case .missing: false
        case .text(let text): !SQLStatements(text.sql).words.isEmpty
        case .unavailable: true
        }
    }

    private func look() throws(Failure) -> CatalogLook {
        try CatalogLook(try call.database.connect(), without: tool.ownTables)
    }

    private struct Outcome {
        var run: RevisionMeasurement.Run
        var after: CatalogLook
        var empty: [RelationName]
    }

    private func run(_ step: RevisionStep, _ side: MigrationSide, from before: CatalogLook) throws(Failure) -> Outcome {
        let gate = LockGate(call.database, ownTables: tool.ownTables)
        try gate.start()
        let start = ContinuousClock.now
        var run = RevisionMeasurement.Run()
        do throws(ToolFailure) { try tool.run(step, call) } catch { run.failure = error.failure.message }
        run.time = start.elapsed
        let seen = try gate.finish()
        guard !call.stop.isRaised else { throw Failure(.transient, "the trace was given up") }
        try scratch.awaitSilence()
        let after = try look()
        if run.failure == nil, try tool.current(call) != step.after {
            run.failure = "the tool said that it is done, and the copy is not at \(step.to?.description ?? "base")"
        }
        run.rewrites = after.rewrites(since: before)
        run.losses = after.losses(since: before)
        run.activity = after.written(since: before)
        run.changes = after.schema.difference(from: before.schema, limit: 200)
        var decided: Set<Int64> = []
        for (number, modes) in seen.locks {
            guard let relation = before.relations[number] else { continue }
            run.locks += modes.map { RelationLock(relation.name, $0) }
            let isTouched = !modes.isDisjoint(with: [.accessShare, .rowShare, .rowExclusive])
            if relation.isEmpty, isTouched || run.rewrites.contains(relation.name) { decided.insert(number) }
        }
        run.locks.sort { ("\($0.relation)", $0.mode) < ("\($1.relation)", $1.mode) }
        // What no transaction can hold has no last statement that notes the version together with it.
        run.isWhole = before.relations.isEmpty || (isAlone(side) ? seen.wasAtTables : seen.wasAtVersions)
        return Outcome(
            run: run, after: after, empty: decided.compactMap { before.relations[$0]?.name }.sorted { "\($0)" < "\($1)" })
    }

    private func isAlone(_ side: MigrationSide) -> Bool {
        guard case .text(let text) = side else { return false }
        let statements = SQLStatements(text.sql)
        return statements.standsAlone || statements.blocksNobody
    }

    /// Tries the previous version; empty when it works, else why not.
    private func ask(_ program: String) throws(Failure) -> String {
        do throws(ToolFailure) {
            _ = try ToolProgram(words: [program]).run(call)
            return ""
        } catch {
            guard error.failure.kind == .invalid else { throw error.failure }
            return error.failure.message
        }
    }
}
