import SerinCatalogue
import SerinModel
import SerinPolicies

let day = Duration.hours(24)

/// A moment of the calendar in UTC.
func moment(_ date: String, _ hour: Int64 = 0, _ minute: Int64 = 0) -> Instant {
    Instant(dayNumber: CivilDate(date)?.dayNumber ?? 0) + .hours(hour) + .minutes(minute)
}

/// Identifiers in the order of their numbers.
func identifier(_ number: Int) -> BackupID { BackupID(millisecondsSince1970: Int64(number), random: []) }

let digest = String(repeating: "ab", count: 32)

let envelope = EnvelopeFacts(
    profile: .enc1, compression: .zstd, plainBytes: 5000, plainSHA256: String(repeating: "cd", count: 32), storedBytes: 1000,
    storedSHA256: digest, keyIDs: ["0123456789abcdef"])

func facts(server: SourceFacts? = nil, at time: Instant = moment("2026-03-01")) -> BackupFacts {
    BackupFacts(
        startedAt: time, finishedAt: time + .minutes(1), envelope: envelope,
        tool: ToolFacts(name: "pg_dump", version: "15.10", format: "custom"), server: server, schemaRevision: "b6e8",
        rows: RowManifest(tables: [.init(schema: "public", table: "orders", count: 25_304)]))
}

func order(
    _ number: Int, _ time: Instant, kind: BackupKind = .logical, dependsOn: [Int] = [], rollout: RolloutID? = nil,
    retentionClass: String = "standard"
) -> BackupOrder {
    BackupOrder(
        id: identifier(number), project: "shop", target: "checkout-db", kind: kind, createdAt: time, createdBy: .uid(1000),
        purpose: "nightly", tags: ["b", "a"], rollout: rollout, releaseVersion: "1.4.2", retentionClass: retentionClass,
        dependsOn: dependsOn.map(identifier))
}

/// The events of a backup that went well up to a state, at these destinations.
func history(
    of order: BackupOrder, until state: BackupState, destinations: [String] = ["bucket"], server: SourceFacts? = nil
) -> [CatalogueEvent] {
    func event(_ minutes: Int64, _ change: CatalogueEvent.Change) -> CatalogueEvent {
        CatalogueEvent(backup: order.id, at: order.createdAt + .minutes(minutes), by: .serin, change)
    }
    var events = [event(0, .begun(order))]
    if state == .running { return events }
    for destination in destinations {
        guard let key = ObjectKey("logical/\(order.id)") else { continue }
        let copy = BackupCopy(destination: destination, key: key, versionID: "v1", storedAt: order.createdAt + .minutes(2))
        events.append(event(2, .stored(copy, facts(server: server, at: order.createdAt))))
    }
    if state == .uploaded { return events }
    let evidence = CopyEvidence(size: 1000, sha256: digest, versionID: "v1")
    for destination in destinations { events.append(event(3, .confirmed(destination: destination, evidence))) }
    if state == .available { return events }
    let result = VerificationResult(
        at: order.createdAt + .minutes(4), destination: destinations[0], evidence: evidence,
        checks: [BackupCheck("mac", passed: true)])
    return events + [event(4, .verified(result))]
}

/// The record of a backup that went well up to a state.
func record(
    _ order: BackupOrder, _ state: BackupState = .verified, at destinations: [String] = ["bucket"], server: SourceFacts? = nil
) throws -> BackupRecord {
    let catalogue = try CatalogueState(
        replaying: history(of: order, until: state, destinations: destinations, server: server))
    return catalogue.records[0]
}

/// Small numbers that look random and are the same in every run (SplitMix64).
struct Numbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
