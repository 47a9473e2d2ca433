import SerinBackups
import SerinCatalogue
import SerinCrypto
import SerinModel
import SerinRecords
import Testing

/// Backups, their manifests and a destination in memory, for tests of the mirror, the check and the rebuild.
enum Sample {
    static let start = Instant(millisecondsSince1970: 1_795_000_000_000)

    static func id(_ number: Int) -> BackupID {
        BackupID(millisecondsSince1970: start.millisecondsSince1970 + Int64(number), random: [])
    }

    static func order(_ number: Int, kind: BackupKind = .logical, at now: Instant = start, project: String = "shop")
        -> BackupOrder
    {
        BackupOrder(
            id: id(number), project: project, target: "checkout", kind: kind, createdAt: now, createdBy: .uid(1000),
            purpose: "before O'Reilly's \\ release")
    }

    static func facts(size: Int = 100) -> BackupFacts {
        BackupFacts(
            startedAt: start, finishedAt: start + .seconds(5),
            envelope: EnvelopeFacts(
                profile: .enc1, compression: .zstd, plainBytes: 3 * size, plainSHA256: String(repeating: "a", count: 64),
                storedBytes: size, storedSHA256: String(repeating: "b", count: 64), keyIDs: ["0011223344556677"]),
            tool: ToolFacts(name: "pg_dump", version: "15.10", format: "custom"))
    }

    static func copy(_ number: Int, version: String? = nil) throws -> BackupCopy {
        BackupCopy(
            destination: "bucket", key: try #require(ObjectKey("checkout/\(number).dump")), versionID: version,
            storedAt: start + .seconds(6))
    }

    /// The events of a backup that is available.
    static func available(
        _ number: Int, kind: BackupKind = .logical, at now: Instant = start, size: Int = 100, project: String = "shop"
    ) throws -> [CatalogueEvent] {
        let evidence = CopyEvidence(size: Int64(size), sha256: String(repeating: "b", count: 64))
        let changes: [CatalogueEvent.Change] = [
            .begun(order(number, kind: kind, at: now, project: project)), .stored(try copy(number), facts(size: size)),
            .confirmed(destination: "bucket", evidence),
        ]
        return changes.map { CatalogueEvent(backup: id(number), at: now + .seconds(10), by: .serin, $0) }
    }

    static func event(_ number: Int, at now: Instant = start + .seconds(20), _ change: CatalogueEvent.Change) -> CatalogueEvent {
        CatalogueEvent(backup: id(number), at: now, by: .serin, change)
    }

    /// A stand-in for the authentication with a key.
    static let authenticate: CatalogueSurvey.Authentication = {
        Hexadecimal.text(of: SHA256.digestOrEmpty(Array("key".utf8) + $0))
    }
}

/// What a destination holds, in memory.
struct Bucket: Sendable {
    var objects: [StoredObject] = []
    var bytes: [ObjectKey: [UInt8]] = [:]

    /// Backups with their manifests, each linked to the one before.
    init(_ numbers: ClosedRange<Int>) throws {
        var previous = Manifest.genesis
        for number in numbers {
            let copy = try Sample.copy(number)
            let now = Sample.start + .hours(Int64(number))
            let manifest = try Manifest(
                order: Sample.order(number, at: now), facts: Sample.facts(), copy: copy, sequence: Int64(number),
                previous: previous
            ).sealed(by: Sample.authenticate)
            let text = try manifest.bytes()
            previous = Hexadecimal.text(of: SHA256.digestOrEmpty(text))
            objects.append(StoredObject(key: copy.key, size: 100))
            let key = try #require(Manifest.key(beside: copy.key))
            objects.append(StoredObject(key: key, size: Int64(text.count)))
            bytes[key] = text
        }
    }

    mutating func remove(_ number: Int, object: Bool = true, manifest: Bool = true) throws {
        let key = try Sample.copy(number).key
        if object { objects.removeAll { $0.key == key } }
        if manifest { objects.removeAll { $0.key == Manifest.key(beside: key) } }
    }

    var reading: DestinationReading {
        DestinationReading(
            destination: "bucket", list: { objects }, read: { key, _ in bytes[key] },
            head: { key in objects.first { $0.key == key } })
    }
}
