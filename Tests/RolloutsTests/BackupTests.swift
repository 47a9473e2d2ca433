import SerinModel
import SerinPolicies
import Testing

@testable import SerinRollouts

struct BackupTests {
    private func scene(change: (inout Policy) -> Void = { _ in }) throws -> Scene {
        try Scene {
            $0.backup = RolloutBackupPolicy(before: .always, plan: .file("plan.yaml"), deadline: .minutes(30))
            change(&$0)
        }
    }

    private func reference(_ state: BackupState = .verified) throws -> CheckpointReference {
        CheckpointReference(
            backup: try #require(BackupID("01934b5e-6d00-7abc-8def-0123456789ab")), state: state,
            at: Instant(millisecondsSince1970: 1_700_000_000_000))
    }

    private func report(_ outcome: BackupOutcome, _ scene: inout Scene) throws -> [Effect] {
        scene.happens(.backupReported(try #require(scene.rollout.machine.openBackup), outcome))
    }

    private let failure = Failure(.unknown, "no answer")

    @Test func s13NothingIsReadOrDeployedBeforeTheBackupIsVerified() throws {
        var scene = try scene()
        scene.toHistory()
        #expect(scene.status.state == "backing up")
        #expect(!scene.effects.contains(.readHistory))
        scene.poll()
        scene.poll()
        #expect(actions(scene.effects).isEmpty)
        let asked = try report(.made(try reference()), &scene)
        #expect(asked.contains(.readHistory))
        #expect(scene.status.restorePoint == (try reference()))
        #expect(scene.log.contains { $0.contains("the restore point is backup 01934b5e-") })
    }

    @Test func s13ABackupThatFailedOrIsUnverifiedOrUnknownRefusesAndNothingWasChanged() throws {
        let outcomes: [BackupOutcome] = [
            .made(try reference(.available)), .made(try reference(.uploaded)), .made(try reference(.quarantined)),
            .failed(failure), .unknown(failure),
        ]
        for outcome in outcomes {
            var scene = try scene()
            scene.toHistory()
            let asked = try report(outcome, &scene)
            #expect(scene.status.ending == .refused && scene.status.restorePoint == nil, "\(outcome)")
            #expect(asked.contains(.releaseBackup))
            #expect(actions(scene.effects).isEmpty)
            #expect(weights(scene.effects).allSatisfy { $0 == .zero })
            #expect(scene.status.next == "nothing was changed")
        }
    }

    @Test func aBackupThatDoesNotEndInTimeRefuses() throws {
        var scene = try scene()
        scene.toHistory()
        scene.passes(.minutes(31))
        #expect(scene.status.state == "backing up")
        scene.passes(.minutes(2))
        #expect(scene.status.ending == .refused)
        #expect(scene.status.cause == "the backup did not end in time")
    }

    @Test func aHaltEndsTheBackupAndWaitsForItsOutcome() throws {
        for outcome in [BackupOutcome.made(try reference()), .failed(failure), .unknown(failure)] {
            var scene = try scene { ($0.deploy, $0.promote, $0.rollback) = (nil, nil, nil) }
            scene.toHistory()
            let intent = try #require(scene.rollout.machine.openBackup)
            let asked = scene.command(.halt)
            #expect(weights(asked) == [.zero])
            #expect(asked.contains(.endBackup(intent)))
            scene.confirm()
            #expect(!scene.status.isFinal)
            _ = try report(outcome, &scene)
            scene.confirm()
            #expect(scene.status.ending == .halted, "\(outcome)")
            #expect(scene.effects.contains(.releaseBackup))
        }
    }

    @Test func codeIsTakenBackOnlyOnceTheBackupUnderWayHasEnded() throws {
        // The pipeline has brought the canary up, so there is something to take back.
        var scene = try scene { $0.deploy = nil }
        scene.toHistory()
        scene.command(.halt)
        scene.confirm()
        #expect(actions(scene.effects).isEmpty)
        _ = try report(.failed(failure), &scene)
        scene.confirm()
        #expect(actions(scene.effects) == [.rollback])
    }

    @Test func aBackupThatDoesNotSayHowItEndedIsNotWaitedForLongerThanAMinute() throws {
        var scene = try scene { ($0.deploy, $0.promote, $0.rollback) = (nil, nil, nil) }
        scene.toHistory()
        scene.command(.halt)
        scene.confirm()
        scene.passes(.minutes(1))
        scene.confirm()
        #expect(scene.status.ending == .halted)
    }

    @Test func aHoldBeginsAfterTheBackup() throws {
        var scene = try scene { $0.deploy = nil }
        scene.toHistory()
        scene.command(.hold)
        #expect(scene.status.state == "backing up")
        _ = try report(.made(try reference()), &scene)
        scene.happens(
            .historyRead(HistoryReading(start: scene.now, step: .seconds(60), series: [], scrapeInterval: nil, warnings: [])))
        #expect(scene.status.state == "held")
    }

    @Test func peopleAgreeBeforeABackupIsMade() throws {
        var scene = try Scene(overrides: [Override(key: "bake", value: "5m", reason: "test")]) {
            $0.backup = RolloutBackupPolicy(before: .always, plan: .file("plan.yaml"))
        }
        scene.toHistory()
        #expect(scene.rollout.machine.openBackup == nil)
        scene.command(.approve)
        #expect(scene.rollout.machine.openBackup != nil)
    }

    @Test func beforeMigrationsMeansNoneYet() throws {
        var scene = try Scene { $0.backup = RolloutBackupPolicy(before: .migrations, plan: .file("plan.yaml")) }
        scene.toHistory()
        #expect(scene.effects.contains(.readHistory))
        #expect(scene.rollout.machine.openBackup == nil)
    }

    @Test func afterARestartTheCatalogueDecides() throws {
        func takeover(_ outcome: BackupOutcome?) -> RolloutEvent {
            .takenOver(
                Takeover(traffic: Scene.traffic(.weight(.zero)), watchdogLowered: false, actions: [], backup: outcome))
        }
        var scene = try scene()
        scene.toHistory()
        let intent = try #require(scene.rollout.machine.openBackup)
        var unknown = scene
        #expect(unknown.happens(takeover(.unknown(failure))).contains(.takeBackup(intent)))
        #expect(unknown.status.state == "backing up")
        // Whoever takes over has begun it itself meanwhile.
        var begun = scene
        #expect(!begun.happens(takeover(nil)).contains(.takeBackup(intent)))
        #expect(begun.rollout.machine.openBackup == intent)
        var made = scene
        #expect(made.happens(takeover(.made(try reference()))).contains(.readHistory))
        #expect(made.status.restorePoint == (try reference()))
        for outcome in [BackupOutcome.failed(failure), .made(try reference(.available))] {
            var refused = scene
            refused.happens(takeover(outcome))
            #expect(refused.status.ending == .refused)
        }
        var halted = scene
        halted.command(.halt)
        halted.happens(takeover(.unknown(failure)))
        halted.settle()
        #expect(halted.status.ending == .halted)
    }
}
