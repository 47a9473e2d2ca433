import SerinModel
import SerinPolicies
import SerinVerdicts
import Testing

@testable import SerinRollouts

@Suite struct MigrationTests {
    private let action = ActionPolicy(call: .run(["true"]), check: .run(["true"]), deadline: .minutes(1))

    private func revision(_ kind: MigrationClass, hasDown: Bool = true) throws -> PlannedRevision {
        PlannedRevision(
            id: try #require(RevisionID("0002")), name: "a change", kind: kind, hasDown: hasDown, tables: ["public.orders"],
            upDigest: "ab", downDigest: "cd")
    }

    private func scene(_ kind: MigrationClass, schema: MigrationPolicy.Schema = .keep, hasDown: Bool = true, probes: Bool = false)
        throws -> Scene
    {
        let action = action
        var scene = try Scene {
            var migrations = MigrationPolicy(
                tool: .folder(path: "migrations", table: "schema_migrations"), schema: schema, destructive: .allow)
            migrations.maintenance = MigrationPolicy.Maintenance(on: action, off: action)
            migrations.restore = action
            if probes { migrations.probes = [action] }
            $0.migrations = migrations
            $0.backup = RolloutBackupPolicy(before: .migrations, plan: .file("plan.yaml"))
        }
        let revision = try revision(kind, hasDown: hasDown)
        scene.happens(.started)
        scene.happens(
            .preflightFinished(
                PreflightReport(
                    problems: [], warnings: [], weight: WeightReading(weight: .zero, raw: "0"), database: nil,
                    migrations: MigrationPlan(
                        from: RevisionID("0001"), pending: [revision],
                        activity: [TableActivity(table: "public.orders", inserted: 10, updated: 0, deleted: 0)]))))
        return scene
    }

    private func backedUp(_ scene: inout Scene) throws {
        let reference = CheckpointReference(
            backup: try #require(BackupID("01934b5e-6d00-7abc-8def-0123456789ab")), state: .verified, at: scene.now)
        scene.happens(.backupReported(try #require(scene.rollout.machine.openBackup), .made(reference)))
    }

    private func at(_ revision: String) -> SchemaState {
        SchemaState(current: [revision].compactMap(RevisionID.init), heads: ["0002"].compactMap(RevisionID.init))
    }

    private func migrated(_ outcome: MigrationOutcome, _ scene: inout Scene) throws {
        scene.happens(.migrationReported(try #require(scene.rollout.machine.openAction).intent, outcome))
    }

    private func inspected(_ found: SchemaInspection, _ scene: inout Scene) throws {
        scene.happens(.schemaInspected(try #require(scene.rollout.machine.openInspection), found))
    }

    private func migrations(_ scene: Scene) -> [MigrationStep] {
        scene.effects.compactMap { if case .migrate(_, let step) = $0 { step } else { nil } }
    }

    @Test func s13NothingIsMigratedWithoutABackupAndNothingDeployedBeforeTheMigration() throws {
        var scene = try scene(.additive)
        scene.confirm()
        #expect(scene.status.state == "backing up" && migrations(scene).isEmpty)
        try backedUp(&scene)
        #expect(scene.status.state == "migrating")
        let target = try #require(RevisionID("0002"))
        #expect(migrations(scene) == [.up(from: RevisionID("0001"), to: target, judged: [try revision(.additive)])])
        #expect(actions(scene.effects).isEmpty && !scene.effects.contains(.readHistory))
        try migrated(.done(at("0002"), note: ""), &scene)
        #expect(scene.effects.contains(.readHistory))
        #expect(scene.log.contains("migration done: the schema is at 0002"))
    }

    @Test func theWaysBackAreToldBeforeAnythingStarts() throws {
        let log = try scene(.additive).log
        #expect(log.contains("to be migrated before the canary: 0002 (a change): additive, expand"))
        #expect(log.contains("on a rollback: keep the schema: the applied revisions only add"))
        #expect(log.contains { $0.hasPrefix("on a rollback: or take the schema back: ") })
    }

    @Test func s13WithoutAWayBackTheRolloutIsRefused() throws {
        #expect(try scene(.reversible, hasDown: false).status.ending == .refused)
        #expect(try scene(.additive, schema: .downgrade, hasDown: false).status.ending == .refused)
        #expect(try scene(.additive, hasDown: false).status.ending == nil)
    }

    @Test func theSchemaComesAfterTheCodeAndTheCauseStaysTheFirst() throws {
        var scene = try scene(.reversible)
        scene.confirm()
        try backedUp(&scene)
        try migrated(.done(at("0002"), note: ""), &scene)
        scene.happens(
            .historyRead(HistoryReading(start: scene.now, step: .minutes(1), series: [], scrapeInterval: nil, warnings: [])))
        scene.act()
        scene.poll()
        scene.confirm()
        scene.poll(.fail)
        #expect(scene.rollout.machine.retreat != nil)
        scene.confirm()
        #expect(
            actions(scene.effects).last == .rollback
                && !scene.effects.contains { if case .inspectSchema = $0 { true } else { false } })
        scene.act()
        try inspected(.found(SchemaReport(state: at("0002"))), &scene)
        #expect(migrations(scene).last == .down(to: RevisionID("0001"), judged: [try revision(.reversible)]))
        #expect(scene.status.next.hasPrefix("the schema is taken back to 0001"))
        try migrated(.done(at("0001"), note: ""), &scene)
        scene.confirm()
        #expect(scene.status.ending == .failed)
        #expect(scene.status.cause.contains("errors"))
    }

    @Test func aHaltDuringTheMigrationAsksItToEndAndWaits() throws {
        var scene = try scene(.additive)
        scene.confirm()
        try backedUp(&scene)
        let intent = try #require(scene.rollout.machine.openAction).intent
        let asked = scene.command(.halt)
        #expect(weights(asked).first == .zero && asked.contains(.endMigration(intent)))
        scene.confirm()
        #expect(scene.rollout.machine.openInspection == nil)
        try migrated(.failed(Failure(.transient, "it was ended"), at("0001")), &scene)
        scene.confirm()
        try inspected(.found(SchemaReport(state: at("0001"))), &scene)
        scene.confirm()
        #expect(scene.status.ending == .halted)
        #expect(scene.log.contains("nothing was applied: the schema is at 0001, where it was"))
    }

    @Test func aMigrationThatDoesNotEndIsWaitedForTwoMinutesThenRead() throws {
        var scene = try scene(.additive)
        scene.confirm()
        try backedUp(&scene)
        scene.command(.halt)
        scene.confirm()
        scene.passes(.minutes(2))
        scene.confirm()
        #expect(scene.rollout.machine.openInspection != nil)
    }

    /// To the moment at which people are asked about a restore.
    private func toRestore() throws -> Scene {
        var scene = try scene(.destructive)
        scene.confirm()
        scene.command(.approve, by: Scene.ann)
        scene.command(.approve, by: Scene.bob)
        scene.act()
        try backedUp(&scene)
        try migrated(.failed(Failure(.invalid, "exit status 1"), at("0002")), &scene)
        scene.confirm()
        let report = SchemaReport(
            state: at("0002"), activity: [TableActivity(table: "public.orders", inserted: 25, updated: 3, deleted: 1)])
        // Writes were fenced before the migration and still are.
        try inspected(.found(report), &scene)
        return scene
    }

    private func plan(_ scene: Scene) throws -> String {
        try #require(scene.status.approvalPlan)
    }

    @Test func s6ARestoreIsAgreedToByItsPlanAndByDifferentPeople() throws {
        var scene = try toRestore()
        #expect(scene.status.awaitedApproval?.contains("2 different people, anyone but uid:1") == true)
        #expect(
            scene.log.contains {
                $0.contains("15 rows inserted, 3 updated and 1 deleted since, what the migration wrote among them")
            })
        #expect(scene.calls.contains { $0.contains("serin approve checkout") && $0.contains(" --plan ") })
        let plan = try plan(scene)
        scene.happens(.commanded(Command(.approve, by: Scene.ann, reason: "")))
        scene.happens(.commanded(Command(.approve, by: Scene.ann, reason: "", plan: "ffffffffffff")))
        scene.happens(.commanded(Command(.approve, by: Scene.author, reason: "", plan: plan)))
        #expect(scene.rollout.machine.approvers == [])
        scene.happens(.commanded(Command(.approve, by: Scene.ann, reason: "", plan: plan)))
        scene.happens(.commanded(Command(.approve, by: Scene.ann, reason: "", plan: plan)))
        #expect(scene.rollout.machine.approvers == [Scene.ann])
        #expect(!scene.effects.contains { if case .restore = $0 { true } else { false } })
        let asked = scene.happens(.commanded(Command(.approve, by: Scene.bob, reason: "", plan: plan)))
        #expect(
            asked.contains {
                if case .restore(_, _, let order) = $0 {
                    order == RestoreOrder(way: .salvage, target: RevisionID("0001"), tables: ["public.orders"])
                } else {
                    false
                }
            })
        scene.act()
        try inspected(.found(SchemaReport(state: at("0001"))), &scene)
        scene.act()
        scene.confirm()
        #expect(scene.status.ending == .failed)
    }

    @Test func s6AnApprovalThatExpiresRestoresNothingAndAnotherLookAsksForAnother() throws {
        var scene = try toRestore()
        scene.happens(.commanded(Command(.approve, by: Scene.ann, reason: "", plan: try plan(scene))))
        scene.passes(.hours(24))
        #expect(scene.status.state == "rollback incomplete" && scene.rollout.machine.fence == .closed)
        scene.command(.rollback)
        try inspected(.found(SchemaReport(state: at("0002"))), &scene)
        #expect(scene.rollout.machine.approvers == [])
        #expect(scene.status.awaitedApproval != nil)
        #expect(!scene.effects.contains { if case .restore = $0 { true } else { false } })
    }

    @Test func aPersonWhoSaysThatTheSchemaIsAsItShouldBeLetsWritesIn() throws {
        var scene = try toRestore()
        scene.passes(.hours(24))
        scene.command(.resume)
        #expect(actions(scene.effects).last == .unfence)
        scene.act()
        scene.confirm()
        #expect(scene.status.ending == .failed)
    }

    @Test func aPersonMayKeepTheSchemaWhileARestoreWaitsForApproval() throws {
        var scene = try toRestore()
        #expect(scene.status.fence == .closed && scene.status.isCodeBack)
        #expect(scene.status.next.hasPrefix("WRITES ARE FENCED; approve restores once 2 different people agree; resume keeps"))
        #expect(
            scene.rollout.refusal(of: Command(.rollback, by: Scene.ann, reason: ""), at: scene.now)?.hint?.contains("resume")
                == true)
        scene.command(.halt)
        #expect(
            scene.log.contains("halt while everything is taken back already → WRITES ARE FENCED; people decide about the data"))
        scene.happens(.commanded(Command(.approve, by: Scene.ann, reason: "", plan: try plan(scene))))
        scene.command(.resume, by: Scene.bob)
        #expect(scene.rollout.machine.approvers == [] && scene.status.awaitedApproval == nil)
        #expect(scene.status.wayBack.first == "keep the schema: \(Scene.bob) chose it")
        #expect(actions(scene.effects).last == .unfence)
        scene.act()
        #expect(scene.status.fence == .open)
        scene.confirm()
        #expect(scene.status.ending == .failed)
        #expect(!scene.effects.contains { if case .restore = $0 { true } else { false } })
    }

    @Test func aRestoreThatDidNothingIsAskedForAgainAndSaysSo() throws {
        var scene = try toRestore()
        for person in [Scene.ann, Scene.bob] {
            #expect(!scene.status.isRestoring)
            scene.happens(.commanded(Command(.approve, by: person, reason: "", plan: try plan(scene))))
        }
        #expect(scene.status.isRestoring)
        scene.act()
        try inspected(.found(SchemaReport(state: at("0002"))), &scene)
        let words = "the restore said that it is done, but the schema is at 0002, not at 0001: it is asked for again"
        #expect(scene.log.contains(words) && scene.calls.contains { $0.hasSuffix(words) })
        #expect(!scene.status.isRestoring)
        #expect(scene.status.awaitedApproval != nil)
    }

    /// A rollout whose revision may destroy data, applied and counted, with writes to be let in.
    private func applied() throws -> Scene {
        var scene = try scene(.destructive)
        scene.confirm()
        scene.command(.approve, by: Scene.ann)
        scene.command(.approve, by: Scene.bob)
        scene.act()
        try backedUp(&scene)
        let own = [TableActivity(table: "public.orders", inserted: 0, updated: 40, deleted: 0)]
        try migrated(.done(at("0002"), note: "", own: own, counted: own), &scene)
        return scene
    }

    private var refusal: ActionOutcome { .failed(Failure(.transient, "it does not answer"), output: "") }

    @Test func l2WritesAreLetInByLaterTriesWhereTheFirstFail() throws {
        var scene = try applied()
        for pause in [Duration.seconds(1), .seconds(10), .minutes(1)] {
            scene.act(refusal)
            #expect(scene.rollout.machine.openAction == nil && scene.rollout.machine.retreat == nil)
            scene.passes(pause)
            #expect(scene.rollout.machine.openAction?.kind == .unfence)
        }
        scene.act()
        #expect(scene.rollout.machine.fence == .open && scene.effects.contains(.readHistory))
    }

    @Test func l2OnTheWayBackWritesAreTriedToBeLetInUntilTheyAreAndAPersonIsCalled() throws {
        var scene = try toRestore()
        scene.command(.resume)
        let tries = actions(scene.effects).count { $0 == .unfence }
        for _ in 0..<20 {
            scene.act(refusal)
            #expect(scene.status.fence != .open && scene.status.next.contains("WRITES MAY BE FENCED"))
            scene.passes(.minutes(1))
        }
        #expect(actions(scene.effects).count { $0 == .unfence } == tries + 20)
        #expect(scene.calls.count { $0.contains("they cannot be let in") } == 1)
        scene.act()
        scene.confirm()
        #expect(scene.status.ending == .failed && scene.rollout.machine.fence == .open)
    }

    @Test func aRestoreThatWroteNoRowOfWhatWasChangedCallsAPerson() throws {
        var scene = try applied()
        scene.command(.halt)
        scene.act()
        scene.confirm()
        if scene.rollout.machine.openInspection == nil { scene.confirm() }
        let before = [TableActivity(table: "public.orders", inserted: 12, updated: 43, deleted: 0)]
        try inspected(.found(SchemaReport(state: at("0002"), activity: before)), &scene)
        scene.act()
        try inspected(.found(SchemaReport(state: at("0002"), activity: before)), &scene)
        for person in [Scene.ann, Scene.bob] {
            scene.happens(.commanded(Command(.approve, by: person, reason: "", plan: try plan(scene))))
        }
        scene.act()
        var written = scene
        try inspected(.found(SchemaReport(state: at("0001"), activity: before)), &scene)
        #expect(scene.status.state == "rollback incomplete" && scene.rollout.machine.fence == .closed)
        #expect(scene.log.contains { $0.contains("wrote no row of public.orders") })
        let after = [TableActivity(table: "public.orders", inserted: 12, updated: 83, deleted: 0)]
        try inspected(.found(SchemaReport(state: at("0001"), activity: after)), &written)
        #expect(actions(written.effects).last == .unfence)
        #expect(written.log.contains { $0.contains("its rows were not compared") })
    }

    /// To the first look at the schema after an applied revision that may destroy data.
    private func appliedAndHalted() throws -> Scene {
        var scene = try applied()
        scene.act()
        scene.command(.halt)
        scene.confirm()
        if scene.rollout.machine.openInspection == nil { scene.confirm() }
        return scene
    }

    private func moved(applied: [String]? = ["0002"]) -> SchemaReport {
        SchemaReport(
            state: at("0001"), steps: NotedSteps(applied: applied?.compactMap(RevisionID.init), difference: []))
    }

    @Test func s6SomebodyWhoMovesTheSchemaBackBringsNoRowBack() throws {
        for found in [moved(), moved(applied: nil)] {
            var scene = try appliedAndHalted()
            try inspected(.found(found), &scene)
            #expect(actions(scene.effects).last == .fence)
            scene.act()
            try inspected(.found(found), &scene)
            #expect(scene.status.awaitedApproval != nil && scene.rollout.machine.fence == .closed)
            #expect(scene.status.wayBack.first?.contains("0002 may have destroyed data") == true)
        }
    }

    @Test func s6ARestoreThatFailedIsAskedForAgainAlsoWhereItTookTheSchemaBack() throws {
        for isDone in [false, true] {
            var scene = try appliedAndHalted()
            let rows = [TableActivity(table: "public.orders", inserted: 12, updated: 43, deleted: 0)]
            var found = SchemaReport(state: at("0002"), activity: rows, steps: NotedSteps(applied: [], difference: []))
            try inspected(.found(found), &scene)
            scene.act()
            try inspected(.found(found), &scene)
            for person in [Scene.ann, Scene.bob] {
                scene.happens(.commanded(Command(.approve, by: person, reason: "", plan: try plan(scene))))
            }
            // Done, and not to be believed: no row was written.
            scene.act(isDone ? .done(output: "") : .failed(Failure(.invalid, "exit status 1"), output: ""))
            let ids = ["0002"].compactMap(RevisionID.init)
            found.state = at("0001")
            found.steps = NotedSteps(applied: ids, takenBack: ids, difference: [])
            if isDone { try inspected(.found(found), &scene) }
            #expect(scene.status.state == "rollback incomplete" && scene.rollout.machine.fence == .closed)
            scene.command(.rollback)
            try inspected(.found(found), &scene)
            #expect(scene.status.awaitedApproval != nil && scene.rollout.machine.fence == .closed)
            for person in [Scene.ann, Scene.bob] {
                scene.happens(.commanded(Command(.approve, by: person, reason: "", plan: try plan(scene))))
            }
            scene.act()
            found.activity = [TableActivity(table: "public.orders", inserted: 52, updated: 43, deleted: 0)]
            try inspected(.found(found), &scene)
            #expect(actions(scene.effects).last == .unfence)
            scene.act()
            scene.confirm()
            #expect(scene.status.ending == .halted)
        }
    }

    @Test func s6WhatFailedAndMayBeCommittedInPartIsAskedAbout() throws {
        var scene = try scene(.destructive)
        scene.confirm()
        scene.command(.approve, by: Scene.ann)
        scene.command(.approve, by: Scene.bob)
        scene.act()
        try backedUp(&scene)
        try migrated(.failed(Failure(.invalid, "division by zero"), at("0001")), &scene)
        scene.confirm()
        let partial = NotedSteps(applied: [], partial: ["0002"].compactMap(RevisionID.init), difference: [])
        try inspected(.found(SchemaReport(state: at("0001"), steps: partial)), &scene)
        #expect(scene.status.awaitedApproval != nil && scene.rollout.machine.fence == .closed)
        scene.command(.resume)
        scene.act()
        scene.confirm()
        #expect(scene.status.ending == .failed && scene.rollout.machine.fence == .open)
    }

    @Test func probesThatSaidNoOnTheWayBackAreAskedAgainBeforeItIsOver() throws {
        var scene = try scene(.reversible, probes: true)
        scene.confirm()
        try backedUp(&scene)
        try migrated(.failed(Failure(.transient, "probe 1 failed"), at("0002")), &scene)
        scene.confirm()
        try inspected(.found(SchemaReport(state: at("0002"))), &scene)
        try migrated(.failed(Failure(.transient, "probe 1 failed"), at("0001")), &scene)
        #expect(scene.status.state == "rollback incomplete")
        scene.command(.rollback)
        try inspected(.found(SchemaReport(state: at("0001"))), &scene)
        #expect(scene.rollout.machine.openAction?.kind == .downgrade)
        try migrated(.done(at("0001"), note: ""), &scene)
        scene.confirm()
        #expect(scene.status.ending == .failed)
    }

    @Test(arguments: [false, true]) func whatTheMigrationWroteItselfIsNoLoss(isCounted: Bool) throws {
        var scene = try scene(.destructive)
        scene.confirm()
        scene.command(.approve, by: Scene.ann)
        scene.command(.approve, by: Scene.bob)
        scene.act()
        try backedUp(&scene)
        let own = TableActivity(table: "public.orders", inserted: 0, updated: 1000, deleted: 7)
        // Counted under the fence, after the backup: what was written before both is no loss either.
        let counted = [TableActivity(table: "public.orders", inserted: 20, updated: 1001, deleted: 7)]
        try migrated(.done(at("0002"), note: "", own: [own], counted: isCounted ? counted : nil), &scene)
        scene.act()
        scene.command(.halt)
        scene.confirm()
        let found = SchemaReport(
            state: at("0002"), activity: [TableActivity(table: "public.orders", inserted: 25, updated: 1003, deleted: 8)])
        try inspected(.found(found), &scene)
        scene.act()
        try inspected(.found(found), &scene)
        let words =
            isCounted
            ? "(5 rows inserted, 2 updated and 1 deleted since the migration ended)"
            : "(15 rows inserted, 3 updated and 1 deleted since)"
        #expect(scene.log.contains { $0.contains(words) }, "\(scene.log)")
    }

    /// What is written between a backup and the fence would be destroyed by the migration, and no backup would have it.
    @Test func s6WritesAreFencedBeforeTheBackupAndLetInWhenItFails() throws {
        var scene = try scene(.destructive)
        scene.confirm()
        scene.command(.approve, by: Scene.ann)
        scene.command(.approve, by: Scene.bob)
        #expect(actions(scene.effects).last == .fence && scene.rollout.machine.openBackup == nil)
        scene.act()
        #expect(scene.status.state == "backing up" && scene.rollout.machine.fence == .closed)
        let backup = try #require(scene.rollout.machine.openBackup)
        scene.happens(.backupReported(backup, .failed(Failure(.invalid, "no room"))))
        #expect(actions(scene.effects).last == .unfence && scene.status.ending == nil)
        scene.act()
        #expect(scene.status.ending == .refused && scene.rollout.machine.fence == .open)
        #expect(scene.status.cause == "the backup failed: no room")
        #expect(migrations(scene).isEmpty)
    }

    @Test func aRevisionBehindOneThatWaitsForThePromotionRefusesTheRollout() throws {
        var scene = try Scene { $0.migrations = MigrationPolicy(tool: .folder(path: "migrations", table: "schema_migrations")) }
        let revisions = try [("0002", MigrationPhase.expand), ("0003", .contract), ("0004", .expand)].map { name, phase in
            PlannedRevision(id: try #require(RevisionID(name)), kind: .additive, phase: phase)
        }
        scene.happens(.started)
        scene.happens(
            .preflightFinished(
                PreflightReport(
                    problems: [], warnings: [], weight: WeightReading(weight: .zero, raw: "0"), database: nil,
                    migrations: MigrationPlan(from: RevisionID("0001"), pending: revisions))))
        #expect(scene.status.ending == .refused)
        #expect(scene.status.cause.contains("0004: additive, expand, and it stands behind 0003, which waits for the promotion"))
        #expect(scene.status.cause.contains("let 0004 come before 0003, or apply 0003 before the rollout: serin migrate up"))
    }

    @Test func aFailedDeployWithoutARollbackActionEndsTheRollout() throws {
        var scene = try Scene { ($0.promote, $0.rollback) = (nil, nil) }
        scene.toHistory()
        scene.happens(
            .historyRead(HistoryReading(start: scene.now, step: .minutes(1), series: [], scrapeInterval: nil, warnings: [])))
        scene.act(.failed(Failure(.invalid, "exit status 1"), output: ""))
        scene.confirm()
        #expect(scene.status.ending == .failed)
    }
}
