public import SerinMigrations
public import SerinModel
public import SerinPorts
public import SerinRollouts

/// Says what the pending revisions of a look do to data and to the previous version, one by one and in their order. What is applied
/// already tells what they meet.
public typealias RevisionClassifier = @Sendable (MigrationInspection) async -> [ClassifiedRevision]

/// What is said of one revision.
public struct ClassifiedRevision: Sendable, Hashable {
    /// What a plan holds of it.
    public var planned: PlannedRevision
    /// What people should know of its statements.
    public var findings: [String]
    /// The tables whose rows it changes, and either brings back or is believed to lose nothing of.
    public var restored: RestoredTables

    /// What is said of a revision.
    public init(planned: PlannedRevision, findings: [String] = [], restored: RestoredTables = RestoredTables()) {
        self.planned = planned
        self.findings = findings
        self.restored = restored
    }
}

/// The migrations of a rollout: the same runs, asked for by the controller.
public struct ReleaseMigrations: Migrations {
    private let migrations: DatabaseMigrations
    private let principal: Principal
    private let classify: RevisionClassifier

    /// - Parameters:
    ///   - principal: On whose behalf, for the notes in the database.
    ///   - classify: Judges the pending revisions by their SQL.
    public init(_ migrations: DatabaseMigrations, by principal: Principal, classify: @escaping RevisionClassifier) {
        self.migrations = migrations
        self.principal = principal
        self.classify = classify
    }

    /// Reads where the database is and which heads the release has.
    public func state(deadline: Duration) async throws(Failure) -> SchemaState { try await migrations.state(deadline: deadline) }

    /// Lists what is pending, each revision judged by its SQL.
    public func plan(deadline: Duration) async throws(Failure) -> MigrationPlan {
        let found = try await migrations.inspect(deadline: deadline)
        if let problem = found.problems.first(where: { $0.kind == .invalid || $0.kind == .conflict }) { throw problem }
        return plan(found, await classify(found))
    }

    /// Lists what is taken back to get to a revision, nil being before the first: in the order in which it was applied, each judged
    /// by what its way back does.
    public func wayBack(to target: RevisionID?, deadline: Duration) async throws(Failure) -> MigrationPlan {
        let found = try await migrations.inspectBack(to: target, deadline: deadline)
        var plan = plan(found, await classify(found))
        for index in plan.pending.indices {
            let there = plan.pending[index]
            plan.pending[index].reason = "taken back: \(there.reason)"
            (plan.pending[index].upDigest, plan.pending[index].downDigest) = (there.downDigest, there.upDigest)
        }
        plan.pending.reverse()
        return plan
    }

    /// What a look found, judged: what would be applied.
    public func plan(of found: MigrationInspection) async -> MigrationPlan { plan(found, await classify(found)) }

    private func plan(_ found: MigrationInspection, _ classified: [ClassifiedRevision]) -> MigrationPlan {
        var isReachingFurther = false
        let pending = zip(found.pending, classified).map { revision, classified in
            var planned = classified.planned
            planned.tables.removeAll { table in
                migrations.tool.ownTables.contains(table.split(separator: ".").last.map(String.init) ?? table)
            }
            isReachingFurther = isReachingFurther || revision.script.up.reachesFurther
            let isConfined = !planned.tables.contains { table in
                let name = RelationName(parsing: table)
                return found.passing.contains { $0.relation.mayBe(name) }
            }
            if !planned.kind.mayDestroy, let what = found.passingOn(classified.restored) {
                planned.kind = .destructive
                planned.reason =
                    "changes rows, and \(what) may pass that on or change more of them, which is saved nowhere: drop it in a release before"
                    + " and make it again in one behind, or let people agree and a backup be made"
            }
            // Nobody can then say which tables lose something.
            let isUnknown = planned.kind == .unclassified || isReachingFurther || !isConfined
            if planned.kind.mayDestroy, isUnknown { planned.tables = [] }
            if let why = found.unreachable[revision.id] {
                planned.hasDown = false
                planned.reason += (planned.reason.isEmpty ? "" : "; ") + why
            }
            planned.upDigest = revision.script.up.digest
            planned.downDigest = revision.script.down.digest
            return planned
        }
        return MigrationPlan(
            from: found.state.current.count == 1 ? found.state.current.first : nil, pending: pending, activity: found.activity,
            database: found.database)
    }

    /// Looks at everything that a migration will need. What is in its way is a problem; what a run settles by itself is a warning.
    public func preflight(_ request: MigrationRequest, deadline: Duration) async -> MigrationPreflight {
        do throws(Failure) {
            let found = try await migrations.inspect(deadline: deadline)
            var problems = found.problems
            if found.state.current.count > 1 {
                problems.append(
                    Failure(
                        .conflict, "the database is at \(found.state.current.count) revisions: \(found.state.place)",
                        hint: "serin migrate up brings it to the one head, from where a release can come back"))
            }
            if let drift = found.drift, !drift.isEmpty, found.unfinished == nil {
                problems.append(
                    Failure(
                        .conflict, "the schema is not what the last migration left: \(drift.joined(separator: "; "))",
                        hint: "make a revision of the change, or take it as it is with serin migrate up --accept-schema"))
            }
            var warnings = found.warnings
            warnings += found.invalidIndexes.map { "the index \($0) is invalid: it costs writes and helps nobody" }
            if let unfinished = found.unfinished {
                warnings.append("an earlier run did not finish \(unfinished): what it left is settled first")
            }
            let classified = await classify(found)
            warnings += classified.flatMap(\.findings)
            let isUnknown = problems.contains { $0.kind == .invalid }
            return MigrationPreflight(
                plan: isUnknown ? nil : plan(found, classified), problems: problems, warnings: warnings)
        } catch { return MigrationPreflight(plan: nil, problems: [error]) }
    }

    /// Applies what lies between two revisions.
    public func up(
        _ request: MigrationRequest, from origin: RevisionID?, to target: RevisionID, judged: [PlannedRevision],
        deadline: Duration
    ) async -> MigrationOutcome {
        do throws(MigrationRunFailure) {
            let report = try await migrations.up(
                key: request.key, from: .some(origin), to: target, judged: judged, by: principal, deadline: deadline)
            return .done(report.after, note: report.words, own: report.written, counted: report.counted)
        } catch { return outcome(error) }
    }

    /// Takes back everything above a revision.
    public func down(
        _ request: MigrationRequest, to target: RevisionID?, judged: [PlannedRevision], deadline: Duration
    ) async -> MigrationOutcome {
        do throws(MigrationRunFailure) {
            let report = try await migrations.down(
                key: request.key, to: target, judged: judged, by: principal, deadline: deadline)
            return .done(report.after, note: report.words)
        } catch { return outcome(error) }
    }

    /// Ends and cleans up what an earlier run left, and reads where the database is.
    public func settle(_ request: MigrationRequest, deadline: Duration) async throws(Failure) -> SchemaReport {
        do throws(MigrationRunFailure) {
            let report = try await migrations.settle(key: request.key, by: principal, deadline: deadline)
            // Only where data may be restored anybody asks how much of it.
            let open = migrations.mayRestore ? await migrations.awaitCounts() : []
            // Counts are for the decision on the way back; without them the loss is unknown, which is said there.
            let activity = try? await migrations.inspect(withScripts: false, deadline: deadline).activity
            return SchemaReport(state: report.after, activity: activity, notes: report.notes + open, steps: report.noted)
        } catch {
            throw Failure(.unknown, error.failure.message, hint: error.failure.hint)
        }
    }

    /// What is not known to have ended is never called a failure.
    private func outcome(_ failure: MigrationRunFailure) -> MigrationOutcome {
        guard failure.failure.kind != .unknown else { return .unknown(failure.failure) }
        return .failed(failure.failure, failure.report?.after)
    }
}

extension MigrationInspection {
    /// By what more changes than what a revision brings back; nil when there is nothing.
    fileprivate func passingOn(_ tables: RestoredTables) -> String? {
        passing.first { change in
            tables.deleted.contains(change.relation.name)
                || tables.updated.contains { change.passesOn(update: $0.key, of: $0.value) }
        }?.what
    }
}

extension MigrationSide {
    /// Whether it may change more tables than it names, by itself or for what comes behind it: CASCADE, triggers, rules, and foreign
    /// keys that pass changes on.
    var reachesFurther: Bool {
        guard case .text(let text) = self else { return true }
        return SQLStatements(text.sql).words.contains { words in
            words.contains("CASCADE") || words.contains("TRIGGER") || words.contains("RULE")
                || zip(words, words.dropFirst()).contains { $0 == "ON" && ($1 == "DELETE" || $1 == "UPDATE") }
        }
    }
}
