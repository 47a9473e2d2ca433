import SerinModel
import SerinPolicies
import Testing

@testable import SerinCatalogue

/// Whether one could recover today, and what keeps a drill from being green.
@Suite struct ReadinessTests {
    private static let noon = moment("2026-03-04", 12)

    private func plan() throws -> BackupPlan {
        BackupPlan(
            target: try #require(ServiceName("checkout-db")), project: "shop",
            source: .postgres(PostgresDumpSource(url: .environment("URL"))),
            destinations: [
                DestinationPolicy(
                    name: "bucket", settings: DriverSettings(driver: "folder", settings: ["path": "/b"]), isOffsite: true)
            ], encryption: EncryptionPolicy(key: .passphrase(.file("/k"))),
            targets: BackupPlan.Targets(recoveryPoint: .hours(6)))
    }

    private func drilled(_ number: Int, _ id: String, at time: Instant, todo: [String] = [], passed: Bool = true) throws
        -> BackupRecord
    {
        var record = try record(order(number, time - .hours(2)))
        record.drill = DrillResult(
            id: id, at: time, destination: "bucket", restored: true, checks: [BackupCheck("rows", passed: passed)],
            clock: DrillClock(declaredAt: time - .hours(1)), recoveryPoint: nil, actionItems: todo)
        return record
    }

    private func note(_ topic: String, _ text: String, at time: Instant) -> AuditNote {
        AuditNote(at: time, by: .uid(1000), topic: topic, target: "checkout-db", text: text)
    }

    private func holds(_ records: [BackupRecord], _ notes: [AuditNote]) throws -> [String: Bool] {
        let checks = Readiness(of: try plan(), records, notes: notes, at: Self.noon).checks
        return Dictionary(uniqueKeysWithValues: checks.map { ($0.name, $0.passed) })
    }

    @Test func everyLineHoldsOnlyWithWhatShowsIt() throws {
        let said = Readiness.Statement.allCases.map { note($0.topic, "yes", at: Self.noon - .hours(24 * 30)) }
        let all = try holds([try drilled(1, "a", at: Self.noon - .hours(1))], said)
        #expect(all.count == 6 && all.values.allSatisfy { $0 }, "\(all)")
        let none = try holds([], [])
        #expect(none.filter(\.value).map(\.key) == ["action items"])
        // A backup of yesterday, a drill and words of last year.
        let old = try holds(
            [try drilled(1, "a", at: Self.noon - .hours(24 * 100))],
            said.map { note($0.topic, "yes", at: Self.noon - .hours(24 * 93)) })
        #expect(old.filter(\.value).map(\.key) == ["action items"])
        let failed = try holds([try drilled(1, "a", at: Self.noon - .hours(1), passed: false)], said)
        #expect(failed["tested by a restore"] == false)
    }

    @Test func logThatIsMissingBehindTheNewestBaseIsALineThatDoesNotHold() throws {
        func server(_ from: UInt64, _ to: UInt64) -> SourceFacts {
            SourceFacts(version: "15", timeline: 1, lsnStart: LogPosition(bytes: from), lsnStop: LogPosition(bytes: to))
        }
        let base = try record(order(1, Self.noon - .hours(5), kind: .baseFull), server: server(90, 100))
        let log = try record(order(2, Self.noon - .hours(3), kind: .walRange), server: server(150, 200))
        #expect(try holds([base, log], [])["write-ahead log"] == false)
        #expect(try holds([base], [])["write-ahead log"] == nil)
    }

    @Test func whatADrillLeftToDoIsOpenUntilSomebodySaysThatItIsDone() throws {
        let first = try drilled(1, "first", at: Self.noon - .hours(48))
        let second = try drilled(2, "second", at: Self.noon - .hours(24), todo: ["back up more often"])
        #expect(DrillItems(in: [first], notes: []) == nil)
        let open = try #require(DrillItems(in: [second, first], notes: []))
        #expect(open.drill == "second" && open.items == ["back up more often"])
        #expect(!open.finding.passed && open.finding.detail.contains("back up more often"))
        let other = note(DrillItems.topic, "first: done", at: Self.noon)
        #expect(DrillItems(in: [second, first], notes: [other]) != nil)
        let done = note(DrillItems.topic, "second: now every 6 hours", at: Self.noon)
        #expect(DrillItems(in: [second, first], notes: [other, done]) == nil)
    }

    @Test func thePresentExposureAndEachDestinationsSizeAreMetrics() throws {
        var metrics = BackupMetrics(isCatalogueReadable: true)
        var state = CatalogueState()
        for event in history(of: order(1, Self.noon - .hours(3)), until: .verified) { try state.apply(event) }
        metrics.add(try plan(), state, reads: nil, at: Self.noon)
        let labels = #"{project="shop",database="checkout-db"}"#
        let last = (Self.noon - .hours(3)).millisecondsSince1970 / 1000
        for line in [
            "backup_recoverable_timestamp_seconds\(labels) \(last)", "backup_loss_target_seconds\(labels) 21600",
            #"backup_destination_bytes{project="shop",database="checkout-db",destination="bucket"} 1000"#,
        ] { #expect(metrics.text.contains("\n\(line)\n"), "\(metrics.text)") }
    }

    @Test func aValueEndsAtNoQuoteOrLineOfItsOwn() throws {
        var metrics = BackupMetrics(isCatalogueReadable: true)
        var state = CatalogueState()
        for event in history(of: order(1, Self.noon - .hours(3)), until: .verified) { try state.apply(event) }
        var plan = try plan()
        plan.project = "a\u{600}\"\u{301}\r\nb\\"
        metrics.add(plan, state, reads: nil, at: Self.noon)
        #expect(metrics.text.holds("{project=\"a\u{600}\\\"\u{301}\r\\nb\\\\\",database="), "\(metrics.text)")
    }
}
