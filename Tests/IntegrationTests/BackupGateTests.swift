import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

extension Integration {
    /// Rollouts that stand on a backup of a real Postgres, by the program's own parts.
    @Suite(.serialized) struct BackupGates {
        private func play(
            _ stage: GateStage, _ policy: PolicyText, environment: [String: String]? = nil, _ body: (Scene) async throws -> Void
        ) async throws {
            try await Scene.play(
                Stage.services[0], policy, environment: environment ?? stage.environment, state: stage.scratch, body)
        }

        /// Expects one good backup, tagged and kept for the rollout until its end and released after it.
        private func expectRestorePoint(_ stage: GateStage, _ scene: Scene, target: String) async throws {
            // What the deploy action saw.
            let seen = try JSONValue(
                parsing: try #require(FileManager.default.contents(atPath: stage.deployed)).prefix { $0 != 0x0A })
            let backup = try #require(seen["backups"]?.items?.first)
            #expect(seen["backups"]?.items?.count == 1)
            #expect(backup["state"]?.text == "verified")
            #expect(backup["order"]?["target"]?.text == target)
            #expect(backup["order"]?["label"]?.text == "pre-deployment-2.0")
            #expect(backup["order"]?["releaseVersion"]?.text == Stage.good)
            let rollout = try #require(backup["order"]?["rollout"]?.text)
            #expect(rollout.hasPrefix("checkout-"))
            #expect(backup["holds"]?.items?.count == 1)
            #expect(backup["holds"]?.items?.first?["until"] == nil, "it is held without end while the rollout runs")
            let after = try await stage.records(scene)
            #expect(after.count == 1)
            #expect(after.first?["holds"]?.items?.first?["until"]?.integer != nil, "the hold ends some time after the rollout")
            let why = try await scene.serin("why", scene.service)
            #expect(why.text.contains("restore   backup "), "\(why.text)")
            let shown = try await scene.serin("backup", "show", "latest")
            #expect(shown.text.contains("rollout \(rollout)") && shown.text.contains("until 20"), "\(shown.text)")
        }

        @Test func aVerifiedBackupByAPlanStandsBeforeTheDeployAndIsKeptUntilTheEnd() async throws {
            try await GateStage.play { stage in
                let plan = try stage.plan()
                try await play(stage, try stage.policy("backup: {before: always, plan: \(plan)}")) { scene in
                    let run = try await scene.serin(scene.release(Stage.good))
                    #expect(run.termination == .exited(0), "\(run.text)")
                    try await expectRestorePoint(stage, scene, target: "shop")
                    let again = try await scene.serin("plan", scene.policy, "--version", Stage.good, "--previous", Stage.old)
                    #expect(again.text.contains("the last one, of 20"), "\(again.text)")
                    try await JournalProof(of: scene).check(scene)
                }
            }
        }

        @Test func theShortFormMeansADumpOfThePolicysOwnPostgres() async throws {
            try await GateStage.play { stage in
                let limits = "postgres: {url_env: DATABASE_URL, blocked_sessions: {max: 50, for: 30s}}"
                try await play(stage, try stage.policy(stage.shortForm, more: limits)) { scene in
                    let check = try await scene.check(0)
                    #expect(check.termination == .exited(0), "\(check.text)")
                    for probe in ["backup source", "backup key", "backup destination"] {
                        #expect(check.text.contains(probe), "\(check.text)")
                    }
                    #expect(access("\(stage.state)/backups", F_OK) != 0, "a check makes no catalogue")
                    let plan = try await scene.serin("plan", scene.policy, "--version", Stage.good, "--previous", Stage.old)
                    #expect(plan.text.contains("a dump of postgres to file://\(stage.store)"), "\(plan.text)")
                    #expect(plan.text.contains("none was made here yet"), "\(plan.text)")
                    let run = try await scene.serin(scene.release(Stage.good))
                    #expect(run.termination == .exited(0), "\(run.text)")
                    try await expectRestorePoint(stage, scene, target: scene.service)
                    // The policy's file is enough to get it back.
                    let verified = try await scene.serin("backup", "verify", scene.policy)
                    #expect(verified.termination == .exited(0), "\(verified.text)")
                    let restored = try await scene.serin("backup", "restore", scene.policy, "latest")
                    #expect(restored.termination == .exited(0), "\(restored.text)")
                    let databases = try await stage.server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop%'")
                    #expect(databases == "2")
                }
            }
        }

        @Test(arguments: ["key", "room", "server", "folder", "rights"])
        func aBackupThatCannotBeMadeRefusesTheRolloutAndNothingIsDeployed(_ cause: String) async throws {
            try await GateStage.play { stage in
                var plan = try stage.plan()
                var environment = stage.environment
                switch cause {
                case "key": unlink(stage.key)
                case "room": plan = try stage.plan(destination: ", quota: 1KiB")
                case "server": stage.server.stop()
                case "folder": try stage.scratch.write("store", "this is a file")
                default:
                    try await stage.server.sql("CREATE ROLE stranger LOGIN")
                    environment["DATABASE_URL"] = stage.server.url(user: "stranger", database: "shop")
                }
                try await play(stage, try stage.policy("backup: {before: always, plan: \(plan)}"), environment: environment) {
                    scene in
                    let check = try await scene.check(7)
                    #expect(check.termination == .exited(7), "\(check.text)")
                    let run = try await scene.serin(scene.release(Stage.good))
                    #expect(run.termination == .exited(7), "\(run.text)")
                    #expect(run.text.contains("backup: "), "\(run.text)")
                    #expect(!stage.isDeployed)
                    #expect(await scene.weight() == 0)
                }
            }
        }

        @Test func aServerThatDiesDuringTheDumpRefusesTheRollout() async throws {
            try await GateStage.play(holdsDump: true) { stage in
                let plan = try stage.plan()
                try await play(stage, try stage.policy("backup: {before: always, plan: \(plan)}")) { scene in
                    let run = try scene.start(scene.release(Stage.good))
                    try await stage.awaitHeldDump()
                    stage.server.stop()
                    stage.line?.stop()
                    #expect(try await scene.end(of: run) == 7, "\(scene.output())")
                    #expect(scene.output().contains("the backup failed"), "\(scene.output())")
                    #expect(!stage.isDeployed)
                    #expect(try await stage.records(scene).map { $0["state"]?.text } == ["failed"])
                }
            }
        }

        @Test func aHaltDuringALongDumpEndsItAtOnce() async throws {
            try await GateStage.play(holdsDump: true) { stage in
                let plan = try stage.plan()
                try await play(stage, try stage.policy("backup: {before: always, plan: \(plan)}")) { scene in
                    let run = try scene.start(scene.release(Stage.good))
                    try await stage.awaitHeldDump()
                    let began = ContinuousClock.now
                    let halt = try await scene.serin("halt", scene.service, "--reason", "not now")
                    #expect(halt.termination == .exited(0), "\(halt.text)")
                    #expect(try await scene.end(of: run) == 4, "\(scene.output())")
                    #expect(began.duration(to: .now) < .seconds(20), "\(scene.output())")
                    #expect(await scene.weight() == 0)
                    #expect(!stage.isDeployed)
                    try await waitUntil("the end of the dump's session") { stage.server.processes("COPY").isEmpty }
                    #expect(try await stage.records(scene).map { $0["state"]?.text } == ["failed"])
                    try await JournalProof(of: scene).check(scene)
                }
            }
        }

        @Test func aControllerThatIsKilledDuringTheDumpMakesOneGoodBackupInTheEnd() async throws {
            try await GateStage.play(holdsDump: true) { stage in
                let plan = try stage.plan()
                try await play(stage, try stage.policy("backup: {before: always, plan: \(plan)}")) { scene in
                    let first = try scene.start(scene.release(Stage.good), log: "first.log")
                    try await stage.awaitHeldDump()
                    first.signal(SIGKILL)
                    #expect(try await scene.end(of: first) == 128 + SIGKILL)
                    let next = try scene.start(scene.continuation)
                    #expect(try await scene.end(of: next) == 0, "\(scene.output())")
                    let states = try await stage.records(scene).compactMap { $0["state"]?.text }.sorted()
                    #expect(states == ["failed", "verified"], "one that was cut off, and one that was made")
                    #expect(stage.isDeployed)
                    try await JournalProof(of: scene).check(scene)
                }
            }
        }
    }
}
