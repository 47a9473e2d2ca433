import SerinModel
import SerinPolicies
import Testing

@testable import SerinRollouts

@Suite struct RollbackQuestionTests {
    private func revision(
        _ name: String, _ kind: MigrationClass, hasDown: Bool = true, tables: [String] = []
    ) throws -> PlannedRevision {
        PlannedRevision(id: try #require(RevisionID(name)), kind: kind, hasDown: hasDown, tables: tables)
    }

    private func question(
        _ applied: [PlannedRevision]?, schema: MigrationPolicy.Schema = .keep, change: (inout RollbackQuestion) -> Void = { _ in }
    ) -> RollbackQuestion {
        var question = RollbackQuestion(
            applied: applied, target: RevisionID("0001"), schema: schema, hasBackup: true, canFence: true, canRestore: true,
            approvals: 2)
        change(&question)
        return question
    }

    @Test func whatWasNeverAppliedNeedsNoWayBack() {
        let plan = question([]).plan
        #expect(plan.way == .nothing && plan.people == 0)
        #expect(plan.sentence == "nothing was applied: the schema is at 0001, where it was")
    }

    @Test func aSchemaAtAPlaceThatNobodyKnowsCallsAPerson() {
        #expect(question(nil).plan.way == .unknown)
    }

    /// What is noted and journaled of a rollout whose database is at a place.
    private func learned(
        _ pending: [PlannedRevision], at place: String, own: [TableActivity]? = nil, journaled: [PlannedRevision] = [],
        _ steps: NotedSteps
    ) throws -> RollbackPlan {
        let plan = MigrationPlan(from: RevisionID("0001"), pending: pending)
        var question = question(plan.applied(at: SchemaState(current: [try #require(RevisionID(place))], heads: [])))
        question.own = own
        question.learn(steps, journaled: journaled, of: plan)
        return question.plan
    }

    @Test func s6WhatMayHaveDestroyedDataIsAskedAboutWhereverTheSchemaIs() throws {
        let gone = try revision("0002", .destructive, tables: ["public.orders"])
        let moved = NotedSteps(applied: [gone.id], difference: [])
        #expect(try learned([gone], at: "0001", moved).way == .salvage)
        #expect(try learned([gone], at: "0001", moved).reason.contains("the schema is back at 0001, which brings no row back"))
        // Serin's own way back, as a restore begins with, brings no row back either.
        #expect(
            try learned([gone], at: "0001", NotedSteps(applied: [gone.id], takenBack: [gone.id], difference: [])).way == .salvage)
        // Notes may be gone; the journal is not.
        #expect(try learned([gone], at: "0001", journaled: [gone], NotedSteps()).way == .salvage)
        #expect(try learned([gone], at: "0001", NotedSteps()).way == .nothing)
        let begun = try learned([gone], at: "0001", NotedSteps(applied: [], partial: [gone.id], difference: []))
        #expect(begun.way == .salvage && begun.reason.contains("0002 was not done, and a part of it may be committed"))
        // One that was begun and is one transaction was not applied.
        #expect(try learned([gone], at: "0001", NotedSteps(applied: [], difference: [])).way == .nothing)
        let added = try revision("0002", .additive)
        let later = try revision("0003", .unclassified)
        let both = try learned([added, later], at: "0002", NotedSteps(applied: [added.id], partial: [later.id], difference: []))
        #expect(both.way == .swap && both.people == 2)
    }

    @Test func whatOthersTookBackIsNothingOnlyWhereTheSchemaIsWhatItWas() throws {
        let added = try revision("0002", .additive)
        func plan(_ revision: PlannedRevision, _ difference: [String]?, own: [TableActivity]? = []) throws -> RollbackPlan {
            try learned([revision], at: "0001", own: own, NotedSteps(applied: [revision.id], difference: difference))
        }
        let back = try plan(added, [])
        #expect(back.way == .keep)
        #expect(back.reason == "someone else moved the schema from 0002 to 0001, and it is what it was there")
        let column = try plan(added, ["+ column public.orders.note text"])
        #expect(column.way == .unknown && column.reason.contains("it is not what it was there: + column public.orders.note text"))
        #expect(try plan(added, nil).way == .unknown)
        let changing = try revision("0002", .reversible)
        #expect(try plan(changing, []).way == .keep)
        let rows = [TableActivity(table: "public.orders", inserted: 0, updated: 3, deleted: 0)]
        #expect(try plan(changing, [], own: rows).way == .unknown)
        #expect(try plan(changing, [], own: nil).way == .unknown)
        // What Serin took back itself is back.
        let own = NotedSteps(applied: [changing.id], takenBack: [changing.id], difference: nil)
        #expect(try learned([changing], at: "0001", own).way == .nothing)
    }

    @Test func whatOnlyAddsIsKeptUnlessThePolicyTakesItBack() throws {
        let added = [try revision("0002", .additive)]
        #expect(question(added).plan.way == .keep)
        #expect(question(added, schema: .downgrade).plan.way == .downgrade)
        let fixed = [try revision("0002", .additive, hasDown: false)]
        #expect(question(fixed, schema: .downgrade).plan.way == .keep)
    }

    @Test func aReversibleOneIsTakenBackWhateverThePolicySaysOfAdditions() throws {
        for schema in MigrationPolicy.Schema.allCases {
            let applied = [try revision("0002", .additive), try revision("0003", .reversible)]
            #expect(question(applied, schema: schema).plan.way == .downgrade)
            let fixed = [try revision("0002", .additive, hasDown: false), try revision("0003", .reversible)]
            #expect(question(fixed, schema: schema).plan.way == .unknown)
        }
    }

    @Test func aLossConfinedToKnownTablesIsSalvagedByOnePersonAtLeast() throws {
        let applied = [try revision("0002", .destructive, tables: ["public.orders"])]
        let plan = question(applied) { $0.approvals = 1 }.plan
        #expect(plan.way == .salvage && plan.people == 1)
        #expect(plan.lines.contains { $0.contains("public.orders") && $0.contains("newer rows stay") })
        #expect(question(applied) { $0.approvals = 3 }.plan.people == 3)
    }

    @Test func aLossIsConfinedOnlyWhereItCanBeReadAndNothingCountedDisprovesIt() throws {
        let unread = [try revision("0002", .unclassified, tables: ["public.orders"])]
        #expect(question(unread) { $0.approvals = 1 }.plan.way == .swap)
        #expect(question(unread) { $0.approvals = 1 }.plan.people == 2)
        let applied = [try revision("0002", .destructive, tables: ["orders"])]
        func way(_ own: TableActivity...) -> RollbackPlan.Way { question(applied) { $0.own = own }.plan.way }
        #expect(way(TableActivity(table: "public.orders", inserted: 0, updated: 5, deleted: 5)) == .salvage)
        #expect(way(TableActivity(table: "public.copies", inserted: 5, updated: 0, deleted: 0)) == .salvage)
        #expect(way(TableActivity(table: "public.customers", inserted: 0, updated: 0, deleted: 1)) == .swap)
        #expect(way(TableActivity(table: "public.preorders", inserted: 0, updated: 1, deleted: 0)) == .swap)
    }

    @Test func anUnconfinedLossIsRestoredByTwoPeopleAtLeast() throws {
        for applied in [[try revision("0002", .destructive)], [try revision("0002", .unclassified)]] {
            let swap = question(applied) { $0.approvals = 1 }.plan
            #expect(swap.way == .swap && swap.people == 2)
            let point = question(applied) {
                $0.approvals = 1
                $0.isPointInTimePossible = true
            }.plan
            #expect(point.way == .pointInTime && point.people == 2)
        }
        let oneOfTwo = [
            try revision("0002", .destructive, tables: ["public.orders"]), try revision("0003", .destructive),
        ]
        #expect(question(oneOfTwo).plan.way == .swap)
        let noWayDown = [try revision("0002", .destructive, hasDown: false, tables: ["public.orders"])]
        #expect(question(noWayDown).plan.way == .swap)
    }

    @Test func aWayThatThePolicyWantsIsTakenWhereThereIsOne() throws {
        let confined = [try revision("0002", .destructive, tables: ["public.orders"])]
        func way(_ wanted: MigrationPolicy.RestoreWay, isPoint: Bool) -> RollbackPlan.Way {
            question(confined) {
                $0.isPointInTimePossible = isPoint
                $0.wanted = wanted
            }.plan.way
        }
        #expect(way(.pointInTime, isPoint: true) == .pointInTime && way(.swap, isPoint: true) == .swap)
        #expect(way(.pointInTime, isPoint: false) == .salvage && way(.salvage, isPoint: true) == .salvage)
        // Only from a backup that a server can recover.
        for (kind, isPoint) in [(BackupKind.baseFull, true), (.baseIncremental, true), (.logical, false)] {
            let reference = CheckpointReference(
                backup: try #require(BackupID("01934b5e-6d00-7abc-8def-0123456789ab")), state: .verified,
                at: Instant(millisecondsSince1970: 0), kind: kind)
            let found = RollbackQuestion(
                found: SchemaReport(state: SchemaState(current: [], heads: [])), migrations: nil, own: nil, counted: nil,
                policy: try Scene {
                    $0.migrations = MigrationPolicy(tool: .folder(path: "m", table: "t"), destructive: .allow, restoreWay: .swap)
                }.rollout.charter.policy, restorePoint: reference)
            #expect(found.isPointInTimePossible == isPoint && found.wanted == .swap)
        }
    }

    /// What is shown before anything starts is what there is at the failure, but for what was counted.
    @Test func theWaysThatAreShownAheadAreThoseOfTheFailure() throws {
        let pending = [try revision("0002", .destructive, tables: ["public.orders"])]
        let action = ActionPolicy(call: .run(["do"]), check: .run(["look"]), deadline: .minutes(1))
        let plan = MigrationPlan(from: RevisionID("0001"), pending: pending)
        for kind in BackupKind.allCases {
            for way in [nil] + MigrationPolicy.RestoreWay.allCases.map({ $0 }) {
                var rules = MigrationPolicy(tool: .folder(path: "m", table: "t"), destructive: .allow, restoreWay: way)
                (rules.maintenance, rules.restore) = (MigrationPolicy.Maintenance(on: action, off: action), action)
                let policy = try Scene {
                    $0.migrations = rules
                    $0.backup = RolloutBackupPolicy(before: .migrations, plan: .file("plan.yaml"))
                }.rollout.charter.policy
                let ahead = RollbackQuestion(ahead: plan, policy: policy, backup: kind).plan
                let reference = CheckpointReference(
                    backup: try #require(BackupID("01934b5e-6d00-7abc-8def-0123456789ab")), state: .verified,
                    at: Instant(millisecondsSince1970: 0), kind: kind)
                let state = SchemaState(current: [pending[0].id], heads: [pending[0].id])
                let found = RollbackQuestion(
                    found: SchemaReport(state: state), migrations: plan, own: nil, counted: nil, policy: policy,
                    restorePoint: reference
                ).plan
                #expect(ahead.way == found.way && ahead.people == found.people && ahead.reason == found.reason)
                #expect(ahead.choices.map(\.way) == found.choices.map(\.way))
                #expect(ahead.choices.contains { $0.way == .pointInTime } == kind.isPhysicalBase)
                let isRefused = way == .pointInTime && !kind.isPhysicalBase
                let words =
                    "the policy would rather restore the moment before the migration, and the backup is not known to be a physical one"
                #expect(ahead.reason.contains(words) == isRefused, "\(ahead.reason)")
            }
        }
        #expect(
            !RollbackQuestion(ahead: plan, policy: try Scene().rollout.charter.policy, backup: .baseFull).isPointInTimePossible)
    }

    @Test func whatAPointInTimeLosesIsSaidOfTheWholeCluster() throws {
        let counted = [TableActivity(table: "public.orders", inserted: 7, updated: 0, deleted: 0)]
        for (written, words) in [(counted, "at most 7 rows inserted"), (nil, "(nobody can say how many rows)")] {
            let plan = question([try revision("0002", .destructive)]) {
                ($0.isPointInTimePossible, $0.written) = (true, written)
            }.plan
            #expect(
                plan.lines.contains {
                    $0.hasPrefix("→ restore the moment") && $0.contains(words)
                        && $0.contains("every other database of the cluster")
                })
        }
    }

    @Test func theLossIsToldInRows() throws {
        let plan = question([try revision("0002", .destructive, tables: ["public.orders"])]) {
            $0.written = [
                TableActivity(table: "public.orders", inserted: 1000, updated: 3000, deleted: 0),
                TableActivity(table: "public.users", inserted: 5, updated: 0, deleted: 1),
            ]
            $0.backupMoment = "2026-11-21T13:40:12Z"
        }.plan
        #expect(
            plan.lines.contains { $0.hasPrefix("→") && $0.contains("1,000 rows inserted, 3,000 updated and 0 deleted since") })
        #expect(plan.lines.contains { $0.hasPrefix("or swap") && $0.contains("1,005 rows inserted") })
        let silent = question([try revision("0002", .destructive)]).plan
        #expect(silent.lines.contains { $0.contains("nobody can say how many rows") })
    }

    @Test func aTableThatWasNotCountedIsNeverSaidToBeUntouched() throws {
        let counted = [TableActivity(table: "public.orders", inserted: 7, updated: 0, deleted: 0)]
        let named = question([try revision("0002", .destructive, tables: ["orders"])]) { $0.written = counted }.plan
        #expect(named.lines.contains { $0.contains("7 rows inserted") })
        let other = question([try revision("0002", .destructive, tables: ["users"])]) { $0.written = counted }.plan
        #expect(other.lines.contains { $0.hasPrefix("→") && $0.contains("nobody can say how many rows") })
    }

    /// Every combination of everything that the tree looks at.
    @Test func s6NothingIsEverRestoredWithoutABackupFencedWritesAWayAndPeople() throws {
        var asked = 0
        let flags = [false, true]
        var revisions: [[PlannedRevision]?] = [nil, []]
        for kind in MigrationClass.allCases {
            for hasDown in flags {
                for tables in [[], ["t"]] {
                    let one = try revision("0002", kind, hasDown: hasDown, tables: tables)
                    revisions.append([one])
                    for other in MigrationClass.allCases { revisions.append([one, try revision("0003", other)]) }
                }
            }
        }
        for applied in revisions {
            for schema in MigrationPolicy.Schema.allCases {
                for (hasBackup, canFence, canRestore, isPoint) in combinations(flags) {
                    for approvals in 1...3 {
                        let plan = question(applied, schema: schema) {
                            ($0.hasBackup, $0.canFence, $0.canRestore) = (hasBackup, canFence, canRestore)
                            ($0.isPointInTimePossible, $0.approvals) = (isPoint, approvals)
                        }.plan
                        asked += 1
                        let mayDestroy = applied?.contains { $0.kind.mayDestroy } ?? false
                        if plan.way.restores {
                            try #require(hasBackup && canFence && canRestore && mayDestroy && plan.people >= approvals)
                            try #require(plan.people >= 1)
                        } else {
                            try #require(plan.people == 0)
                        }
                        // What may have destroyed data is never quietly kept or taken back.
                        if mayDestroy { try #require(plan.way.restores || plan.way == .unknown) }
                        if plan.way == .downgrade { try #require(applied?.allSatisfy(\.hasDown) == true) }
                        if plan.way == .pointInTime { try #require(isPoint) }
                    }
                }
            }
        }
        #expect(asked > 7_000)
    }

    private func combinations(_ flags: [Bool]) -> [(Bool, Bool, Bool, Bool)] {
        flags.flatMap { a in flags.flatMap { b in flags.flatMap { c in flags.map { (a, b, c, $0) } } } }
    }

    @Test func aPlansNameIsItsSHA256() {
        #expect(PlanDigest.sha256([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(PlanDigest.sha256(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        let long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
        #expect(PlanDigest.sha256(Array(long.utf8)) == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    }
}
