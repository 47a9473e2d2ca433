import SerinCrypto
import SerinModel
import SerinPolicies
import SerinRecords
import SerinRollouts
import SerinVerdicts
import Testing

/// A generator whose whole sequence follows from its seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

func instant(_ seconds: Int64) -> Instant { Instant(millisecondsSince1970: 1_795_000_000_000 + seconds * 1000) }

let chain = Chain(digest: SHA256.digestOrEmpty)

var sampleObservation: Observation {
    let row = SeriesRow(
        labels: [Label("version", "1.9.0"), Label("instance", "10.0.0.1:9090")], value: 12_345.5,
        buckets: [Bucket(edge: 0.1, count: 3), Bucket(edge: .infinity, count: 4)], sampledAt: instant(0), resets: 0)
    let telemetry = TelemetryReading(
        evaluatedAt: instant(1),
        series: [
            SeriesReading(rows: [row], warnings: ["partial"]),
            SeriesReading(rows: [], failure: Failure(.transient, "503", hint: "wait", retryAfter: .seconds(3))),
        ],
        instances: [InstanceReading(instance: "10.0.0.1:9090", up: 1, startedAt: nil)],
        alerts: [AlertReading(source: "prometheus", labels: [Label("severity", "page \"now\"\u{1}\u{1F426}")])], failures: [])
    let database = DatabaseReading(values: [
        DatabaseValue(.replicationLag, nil, detail: "no replica"), DatabaseValue(.deadlocks, 2),
    ])
    let traffic = TrafficReading(
        reading: WeightReading(weight: Weight(percent: 25), raw: "app 2500", version: "7"),
        counts: TrafficCounts(canary: 1, control: 3))
    return Observation(at: instant(0), telemetry: telemetry, database: database, traffic: traffic)
}

let sampleReference = CheckpointReference(
    backup: BackupID(millisecondsSince1970: 1_795_000_000_000, random: [1, 2, 3]), state: .verified, at: instant(0))

var sampleRecords: [Record] {
    var assessment = SignalAssessment(name: "errors")
    assessment.interval = Interval(low: 1.56, high: .infinity)
    assessment.ratio = 2.06
    assessment.absence = .tooFewRequests
    let failure = Failure(.unknown, "no answer")
    let history = HistoryReading(
        start: instant(-3600), step: .seconds(60),
        series: [[HistoryRow(labels: [Label("instance", "a")], values: [1, nil, 2.5], buckets: [[Bucket(edge: 1, count: 2)]])]],
        scrapeInterval: nil, warnings: [])
    let takeover = Takeover(
        traffic: TrafficReading(reading: nil, failure: failure), watchdogLowered: true,
        actions: [.init(intent: IntentID(4), outcome: .unknown(failure))])
    let place = SchemaState(current: ["0001"].compactMap(RevisionID.init), heads: ["0002"].compactMap(RevisionID.init))
    let activity = TableActivity(table: "public.orders", inserted: 1, updated: 2, deleted: 3)
    let pending = RevisionID("0002").map {
        PlannedRevision(
            id: $0, name: "a column", kind: .additive, tables: ["public.orders"], reason: "it only adds",
            upDigest: "ab", downDigest: "cd")
    }
    let migrations = MigrationPlan(
        from: RevisionID("0001"), pending: pending.map { [$0] } ?? [], activity: [activity],
        database: DatabaseIdentity(system: "7401", name: "checkout"))
    let events: [RolloutEvent] = [
        .started, .ticked, .historyRead(history), .observed(sampleObservation), .takenOver(takeover), .doubted("a promise"),
        .preflightFinished(PreflightReport(problems: ["p"], warnings: [], weight: nil, database: nil)),
        .commanded(Command(.haltForSecurity, by: .uid(1000), reason: "because\nof it")),
        .weightReported(IntentID(1), .confirmed(WeightReading(weight: .zero, raw: "0"))),
        .weightReported(IntentID(2), .failed(failure, readBack: nil)), .weightReported(IntentID(3), .unsettled(failure)),
        .weightReported(IntentID(2), .overtaken(failure, readBack: WeightReading(weight: .zero, raw: "0"))),
        .backupReported(IntentID(6), .made(sampleReference)), .backupReported(IntentID(6), .failed(failure)),
        .backupReported(IntentID(6), .unknown(failure)), .backupReleased(nil), .backupReleased(failure),
        .takenOver(
            Takeover(
                traffic: TrafficReading(reading: nil, failure: failure), watchdogLowered: false, actions: [],
                backup: .made(sampleReference))),
        .preflightFinished(
            PreflightReport(
                problems: [], warnings: [], weight: nil, database: nil, migrations: migrations, backupKind: .baseFull)),
        .commanded(Command(.approve, by: .uid(1000), reason: "", plan: "0123456789ab")),
        .migrationReported(IntentID(7), .done(place, note: "2 tries")),
        .migrationReported(IntentID(7), .done(place, note: "", own: [activity])),
        .migrationReported(IntentID(7), .done(place, note: "", own: [activity], counted: [activity])),
        .migrationReported(IntentID(7), .failed(failure, place)), .migrationReported(IntentID(7), .unknown(failure)),
        .schemaInspected(IntentID(8), .found(SchemaReport(state: place, activity: [activity], notes: ["n"]))),
        .schemaInspected(
            IntentID(8),
            .found(
                SchemaReport(state: place, steps: NotedSteps(applied: place.current, partial: place.heads, difference: ["+ x"])))),
        .schemaInspected(IntentID(8), .unknown(failure)),
        .takenOver(
            Takeover(
                traffic: TrafficReading(reading: nil, failure: failure), watchdogLowered: false, actions: [],
                migration: .done(place, note: ""))),
        .actionReported(IntentID(4), .done(output: "ok")), .actionReported(IntentID(5), .failed(failure, output: "")),
    ]
    let effects: [Effect] = [
        .preflight, .readHistory, .setWeight(IntentID(1), .all), .runAction(IntentID(2), .deploy),
        .lowerWeight(IntentID(3), .all), .takeBackup(IntentID(6)), .endBackup(IntentID(6)), .releaseBackup,
        .migrate(IntentID(7), .down(to: nil, judged: [])),
        .migrate(IntentID(7), .down(to: RevisionID("0001"), judged: pending.map { [$0] } ?? [])), .endMigration(IntentID(7)),
        .inspectSchema(IntentID(8)),
        .restore(
            IntentID(9), sampleReference,
            RestoreOrder(way: .salvage, target: RevisionID("0001"), tables: ["public.orders"])), .runAction(IntentID(9), .fence),
        .record(Decision(topic: "verdict", text: "step 25% FAIL", signals: [assessment])),
        .notify(Notice(isCall: true, text: "help")),
    ]
    let forward =
        RevisionID("0002").map {
            [
                Effect.migrate(
                    IntentID(7),
                    .up(from: nil, to: $0, judged: pending.map { [$0] } ?? []))
            ]
        } ?? []
    return [.opened(epoch: 3, engine: "4"), .clockJumped(milliseconds: -3_600_000)] + events.map(Record.event)
        + (effects + forward).map(Record.effect)
}

/// The charter of a small rollout.
func sampleCharter(_ rollout: RolloutID) throws -> Charter {
    let steps = [5, 25].compactMap { Weight(percent: $0) }.map { StepPolicy(weight: $0) }
    let policy = Policy(
        service: try #require(ServiceName("checkout")), environment: .production,
        traffic: TrafficPolicy(
            driver: DriverSettings(driver: "envoy", settings: ["admin": "http://127.0.0.1:9901"]), steps: steps),
        prometheus: PrometheusPolicy(
            endpoint: HTTPEndpoint(url: "http://127.0.0.1:9090", authentication: .bearer(.environment("TOKEN"))),
            instanceLabel: "instance", canary: [Label("version", "2")], control: [Label("version", "1")], staleAfter: nil,
            timeout: .seconds(5)),
        signals: [
            SignalPolicy(
                name: "errors", source: .ratio(counter: "http_requests_total", bad: [LabelMatcher("code", .matches, "5..")]))
        ],
        alerts: nil, postgres: PostgresPolicy(primary: .file("/etc/serin/url"), replicas: [], limits: []), deploy: nil,
        promote: nil, rollback: nil, onFailure: .rollback, onInconclusive: .hold, onTelemetryLoss: .hold, onDrift: .hold,
        timing: TimingPolicy())
    return Charter(
        id: rollout, policy: policy, policyHash: String(repeating: "0", count: 64), version: "2", previous: "1",
        author: .uid(1000), overrides: [Override(key: "bake", value: "40s", reason: "a rehearsal")])
}
