import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

/// The real daemon with a plan of short times on a real Postgres: everything that a plan schedules, and the catalogue's mirror.
@Suite struct BackupDaemonTests {
    private func serin(_ stage: GateStage, _ arguments: String..., environment: [String: String]) async throws -> Completion {
        try await Program(
            Scene.program(), ["--state", stage.state] + arguments, environment: environment, deadline: .seconds(60)
        ).run()
    }

    @Test(.timeLimit(.minutes(5)))
    func theDaemonMakesVerifiesMirrorsRehearsesAndTellsOfBackups() async throws {
        try await GateStage.play { stage in
            try await stage.server.sql("CREATE DATABASE control OWNER keeper")
            let told = stage.scratch.file("told")
            let plan = try stage.plan(
                """
                retention: {keep_all: 14d}
                schedules: [{every: 24h, label: nightly}]
                verify: {every: 1h}
                drills: [{every: 1m}]
                targets: {rpo: 2m, rto: 10m}
                mirror: {url_env: CONTROL_URL}
                heartbeat: {url_env: DATABASE_URL, every: 1s}
                notify: {on: [begin, success, failure, drill], run: [/bin/sh, -c, "cat >> \(told)"]}
                """)
            let environment = [
                "PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SERIN_STATE": stage.state, "NO_COLOR": "1",
                "SWIFT_BACKTRACE": "enable=no", "DATABASE_URL": stage.url,
                "CONTROL_URL": stage.server.url(user: "keeper", database: "control"),
            ]
            // So that the first backup already holds one.
            let daemon = try ServerProcess(
                try Scene.program(), ["daemon", "--backup", plan], environment: environment, log: stage.scratch.file("daemon.log")
            )
            defer { daemon.stop() }
            func said() -> String { daemon.logTail(8000) }
            try await waitUntil("a verified backup; the daemon said: \(said())", within: .seconds(180)) {
                let rows = try? await stage.server.sql("SELECT status FROM control_plane.backups", database: "control")
                return rows == "verified"
            }
            let beat = "SELECT count(*) FROM serin.heartbeat WHERE target = 'shop' AND at > now() - interval '30s'"
            #expect(try await stage.server.sql(beat, database: "shop") == "1")
            try await waitUntil("a drill; the daemon said: \(said())", within: .seconds(200)) {
                let rows = try? await stage.server.sql(
                    "SELECT drilled_at IS NOT NULL FROM control_plane.backups", database: "control")
                return rows == "t"
            }
            try await waitUntil("what was told", within: .seconds(20)) {
                let text = FileManager.default.contents(atPath: told).map { String(decoding: $0, as: UTF8.self) } ?? ""
                return ["backup.begun", "backup.made", "drill."].allSatisfy(text.contains)
            }
            let listed = try await serin(stage, "backup", "list", "--all", "-o", "json", environment: environment)
            let records = try JSONValue(parsing: listed.output.prefix { $0 != 0x0A })["backups"]?.items ?? []
            #expect(records.count == 1, "made once, and not again: \(listed.text)")
            #expect(records.first?["order"]?["label"]?.text == "nightly")
            #expect(records.first?["drill"]?["recoveryPoint"]?.integer != nil, "the loss was measured by the heartbeat")
            daemon.signal(SIGTERM)
            try await waitUntil("the end of the daemon", within: .seconds(30)) { !daemon.isRunning }
            #expect(daemon.exitStatus == 0, "\(said())")
            // Another one finds nothing to do: the catalogue is the memory.
            let next = try ServerProcess(
                try Scene.program(), ["daemon", "--backup", plan], environment: environment, log: stage.scratch.file("next.log"))
            defer { next.stop() }
            try await waitUntil("the next daemon's heartbeat", within: .seconds(20)) {
                try await stage.server.sql("SELECT at > now() - interval '2s' FROM serin.heartbeat", database: "shop") == "t"
            }
            #expect(!next.logTail(8000).contains("is due"), "\(next.logTail(8000))")
        }
    }

    @Test func aBackupThatFailsInItsPreflightIsRecordedAndTold() async throws {
        try await GateStage.play { stage in
            let told = stage.scratch.file("told")
            let plan = try stage.plan("notify: {run: [/bin/sh, -c, \"cat >> \(told)\"]}")
            let environment = ["PATH": "/usr/bin:/bin", "DATABASE_URL": stage.url, "SWIFT_BACKTRACE": "enable=no"]
            unlink(stage.key)
            let made = try await serin(stage, "backup", "create", plan, environment: environment)
            #expect(made.termination == .exited(7), "\(made.text)")
            let metrics = try await serin(stage, "backup", "metrics", plan, environment: environment)
            #expect(
                metrics.text.contains(
                    "backup_failure_total{project=\"shop\",database=\"shop\",kind=\"logical\",destination=\"local\"} 1"))
            let text = try #require(FileManager.default.contents(atPath: told).map { String(decoding: $0, as: UTF8.self) })
            #expect(text.contains("\"kind\":\"backup.failed\"") && text.contains("\"severity\":\"critical\""), "\(text)")
        }
    }
}
