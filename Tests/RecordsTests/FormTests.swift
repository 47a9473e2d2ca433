import FoundationEssentials
import SerinModel
import SerinPolicies
import SerinRecords
import SerinRollouts
import Testing

/// The form in which records are written is pinned: who changes it must move `engineVersion`, so that an older journal is known as
/// one, and not taken for a damaged one.
@Suite struct FormTests {
    /// Golden/form.jsonl holds the engine version, then a record of every kind. After the version moved, or when a record was added
    /// here, `SERIN_WRITE_GOLDEN=1 swift test --filter FormTests` writes it anew; it refuses when a record's form changed and the
    /// version did not.
    @Test func everyRecordIsWrittenInTheFormOfThisEngineVersion() throws {
        let path = "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/Golden/form.jsonl"
        let written = try records.map { try CanonicalEncoder.encode($0).canonicalText }
        let golden = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
        let version = golden.first ?? ""
        let isSameVersion = version == "engine \(engineVersion)"
        let lost = golden.dropFirst().filter { !written.contains($0) }
        if isSameVersion, !lost.isEmpty {
            Issue.record(
                "the form of records changed: move engineVersion (docs/journal.md says when); no longer written: \(lost)")
            return
        }
        if ProcessInfo.processInfo.environment["SERIN_WRITE_GOLDEN"] != nil {
            try (["engine \(engineVersion)"] + written).map { $0 + "\n" }.joined()
                .write(toFile: path, atomically: true, encoding: .utf8)
            return
        }
        #expect(isSameVersion, "the records are those of \(version): write them anew")
        #expect(written == Array(golden.dropFirst()))
    }

    @Test func everyKindOfRecordIsPinned() throws {
        let kinds = Set(try records.map(kind))
        #expect(kinds.count == 3 + 14 + 14)
    }

    private var records: [Record] {
        get throws { try sampleRecords + [.created(fullCharter)] }
    }

    /// A name for each kind. A new case does not compile until it stands here; raise the count above and add a sample with it.
    private func kind(_ record: Record) -> String {
        switch record {
        case .opened: "opened"
        case .created: "created"
        case .clockJumped: "clockJumped"
        case .event(let event):
            switch event {
            case .started: "started"
            case .ticked: "ticked"
            case .preflightFinished: "preflightFinished"
            case .historyRead: "historyRead"
            case .observed: "observed"
            case .commanded: "commanded"
            case .weightReported: "weightReported"
            case .actionReported: "actionReported"
            case .backupReported: "backupReported"
            case .backupReleased: "backupReleased"
            case .migrationReported: "migrationReported"
            case .schemaInspected: "schemaInspected"
            case .takenOver: "takenOver"
            case .doubted: "doubted"
            }
        case .effect(let effect):
            switch effect {
            case .preflight: "preflight"
            case .readHistory: "readHistory"
            case .setWeight: "setWeight"
            case .lowerWeight: "lowerWeight"
            case .takeBackup: "takeBackup"
            case .endBackup: "endBackup"
            case .releaseBackup: "releaseBackup"
            case .runAction: "runAction"
            case .migrate: "migrate"
            case .endMigration: "endMigration"
            case .inspectSchema: "inspectSchema"
            case .restore: "restore"
            case .record: "record"
            case .notify: "notify"
            }
        }
    }

    /// A charter whose policy leaves nothing out.
    private var fullCharter: Charter {
        get throws {
            var charter = try sampleCharter(try #require(RolloutID("checkout-1")))
            let matcher = LabelMatcher("service", .equal, "checkout")
            let endpoint = HTTPEndpoint(
                url: "https://prometheus:9090", authentication: .basic(username: "serin", password: .credential("prometheus")),
                certificateAuthorityFile: "/etc/ca.pem")
            charter.policy.signals = [
                SignalPolicy(name: "errors", source: .ratio(counter: "requests_total", bad: [matcher])),
                SignalPolicy(name: "logins", source: .per(counter: "auth_failures_total", exposure: "requests_total")),
                SignalPolicy(name: "restarts", source: .rate(counter: "restarts_total")),
                SignalPolicy(name: "latency", source: .latency(histogram: "seconds", quantile: 0.95)),
                SignalPolicy(name: "memory", source: .gauge(metric: "resident_bytes")),
                SignalPolicy(name: "queue", source: .expression("max(queue_length)")),
            ]
            charter.policy.signals[0].hardLimit = 0.05
            charter.policy.signals[0].exclude = [matcher]
            charter.policy.alerts = AlertsPolicy(match: [matcher], alertmanager: endpoint)
            charter.policy.postgres = PostgresPolicy(
                primary: .environment("DATABASE_URL"), replicas: [.file("/etc/replica")],
                limits: [DatabaseLimit(signal: .blockedSessions, max: 5, maxRatio: 2.5, lasting: .seconds(30))])
            charter.policy.prometheus.endpoint = endpoint
            charter.policy.prometheus.staleAfter = .minutes(1)
            charter.policy.timing.stepFor = .minutes(10)
            charter.policy.timing.maxBake = .hours(2)
            let action = ActionPolicy(
                call: .run(["deploy", "{{version}}"]), check: .http(method: "GET", endpoint: endpoint, body: "{}"),
                deadline: .minutes(5), environment: ["KUBECONFIG"])
            charter.policy.backup = RolloutBackupPolicy(
                before: .always, plan: .short(destinations: ["file:///var/backups"], key: .file("/etc/key")))
            charter.policy.migrations = MigrationPolicy(
                tool: .commands(
                    MigrationPolicy.Commands(
                        current: ["current"], heads: ["heads"], up: ["up", "{{revision}}"], down: ["down", "{{revision}}"],
                        sql: ["sql"], environment: ["DATABASE_URL"])), database: .file("/etc/url"), schema: .downgrade,
                destructive: .allow, maintenance: MigrationPolicy.Maintenance(on: action, off: action), probes: [action],
                restore: action)
            charter.policy.deploy = action
            charter.policy.promote = action
            charter.policy.rollback = action
            return charter
        }
    }
}
