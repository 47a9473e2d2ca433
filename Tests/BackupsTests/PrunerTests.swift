import Glibc
import SerinBackups
import SerinCatalogue
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinTransport
import Testbed
import Testing

/// The order in which a pruner deletes, and what it leaves alone.
@Suite struct PrunerTests {
    private static let start = Instant(dayNumber: CivilDate(year: 2026, month: 3, day: 1).dayNumber)
    private static let day = Duration.hours(24)

    /// Backups of six days in a folder; only the newest is wanted, and all were announced long ago.
    private struct Scene {
        let scratch: Scratch
        let catalogue = MemoryCatalogue(digest: SHA256.digestOrEmpty)
        let place: Witness
        let ids: [BackupID]

        init(_ count: Int = 6, warned: Bool = true) async throws {
            scratch = try Scratch("serin-prune")
            let inner = try BackupDestinations.make(
                DriverSettings(driver: "folder", settings: ["path": scratch.file("store")]),
                environment: DestinationEnvironment(transport: try Transport(), now: { start }) { _ throws(Failure) in
                    throw Failure(.invalid, "no secret is asked for")
                })
            place = Witness(inner: inner)
            ids = (1...count).map { BackupID(millisecondsSince1970: Int64($0), random: []) }
            for (number, id) in ids.enumerated() { try await add(id, start + day * Int64(number), warned: warned) }
        }

        private func add(_ id: BackupID, _ time: Instant, warned: Bool) async throws {
            let file = try scratch.write("upload", "backup \(id)")
            let digest = Hexadecimal.text(of: SHA256.digestOrEmpty(Array("backup \(id)".utf8)))
            let key = try #require(ObjectKey("shop/\(id).backup"))
            let manifest = try #require(Manifest.key(beside: key))
            let size = Int64("backup \(id)".utf8.count)
            for key in [key, manifest] {
                _ = try await place.put(Upload(file: file, key: key, size: size, sha256: digest, isEncrypted: true))
            }
            let order = BackupOrder(id: id, project: "shop", target: "shop", kind: .logical, createdAt: time, createdBy: .serin)
            let facts = BackupFacts(
                startedAt: time, finishedAt: time,
                envelope: EnvelopeFacts(
                    profile: .none, compression: .none, plainBytes: Int(size), plainSHA256: digest, storedBytes: Int(size),
                    storedSHA256: digest), tool: ToolFacts(name: "pg_dump", version: "15", format: "custom"))
            let evidence = CopyEvidence(size: size, sha256: digest)
            var changes: [CatalogueEvent.Change] = [
                .begun(order), .stored(BackupCopy(destination: "local", key: key, storedAt: time), facts),
                .confirmed(destination: "local", evidence),
                .verified(
                    VerificationResult(
                        at: time + .minutes(3), destination: "local", evidence: evidence,
                        checks: [BackupCheck("mac", passed: true)])),
            ]
            if warned { changes.append(.warned(expiresAt: time + day * 8)) }
            try await catalogue.append(
                changes.enumerated().map {
                    CatalogueEvent(backup: id, at: time + .minutes(Int64($0.offset)), by: .serin, $0.element)
                })
        }

        func prune(agreed: Bool = true) async throws -> BackupPruner.Report {
            let now = start + day * 30
            let retention = Retention(
                standard: RetentionPlan(standard: RetentionPolicy(keepAll: day, floor: 1)))
            return try await BackupPruner(
                [BackupPlace("local", place)], catalogue: catalogue,
                holder: LeaseHolder(place: "here", pid: getpid(), startTicks: 0, purpose: "test"), now: { now }
            ).run("shop", retention, lastRun: now - .hours(1), agreed: agreed, by: .serin).report
        }

        func objects() async throws -> [String] {
            try await place.list(prefix: "", limit: 100).objects.map { "\($0.key)" }
        }

        func state(_ number: Int) async throws -> BackupState? { try await catalogue.state()[ids[number]]?.state }
    }

    @Test func aCopyIsDeletedFirstAndItsManifestLastAndItsRecordStays() async throws {
        let scene = try await Scene()
        defer { scene.scratch.remove() }
        let report = try await scene.prune()
        #expect(report.deleted.map(\.backup) == Array(scene.ids.dropLast()) && report.failures.isEmpty)
        let first = scene.ids[0]
        #expect(
            scene.place.deleted.withLock { Array($0.prefix(2)) } == [
                "shop/\(first).backup", "shop/\(first).backup.manifest.json",
            ])
        let record = try #require(try await scene.catalogue.state()[first])
        #expect(record.state == .deleted && record.tombstone?.by == .serin)
        #expect(try await scene.objects().count == 2)
        #expect(try await scene.state(5) == .verified)
    }

    @Test func whatIsStillThereIsNoTombstone() async throws {
        let scene = try await Scene()
        defer { scene.scratch.remove() }
        scene.place.isDeaf.withLock { $0 = true }
        let report = try await scene.prune()
        #expect(report.deleted.isEmpty && report.failures.count == 5)
        #expect(try await scene.state(0) == .deleting)
        // The next run goes on where this one stopped.
        scene.place.isDeaf.withLock { $0 = false }
        #expect(try await scene.prune().deleted.count == 5)
        #expect(try await scene.state(0) == .deleted)
    }

    @Test func aCopyWhoseDeletionIsRefusedIsWhatItWasAndIsTriedAgain() async throws {
        let scene = try await Scene()
        defer { scene.scratch.remove() }
        scene.place.refusal.withLock { $0 = Failure(.denied, "a lock of the bucket's owner") }
        let report = try await scene.prune()
        #expect(report.deleted.isEmpty && report.failures.count == 5)
        #expect(report.failures[0].failure.message == "a lock of the bucket's owner; it stays as it was")
        let record = try #require(try await scene.catalogue.state()[scene.ids[0]])
        #expect(record.state == .verified && record.usableCopies.count == 1 && record.tombstone == nil)
        scene.place.refusal.withLock { $0 = nil }
        #expect(try await scene.prune().deleted.count == 5)
        #expect(try await scene.state(0) == .deleted)
    }

    @Test func aCopyThatIsGoneIsNotGivenBackWhenItsManifestIsRefused() async throws {
        let scene = try await Scene()
        defer { scene.scratch.remove() }
        scene.place.keepsManifests.withLock { $0 = true }
        #expect(try await scene.prune().failures.count == 5)
        #expect(try await scene.state(0) == .deleting)
    }

    @Test func aBackupThatIsHeldMeanwhileIsNotDeleted() async throws {
        let scene = try await Scene()
        defer { scene.scratch.remove() }
        // While the first one is deleted somebody begins to restore from the third.
        let (catalogue, third) = (scene.catalogue, scene.ids[2])
        scene.place.beforeDelete.withLock {
            $0 = {
                let hold = Hold(.use("shop_restore"), reason: "it is being restored")
                // It fails when it is held already.
                _ = try? await catalogue.append([
                    CatalogueEvent(backup: third, at: PrunerTests.start + PrunerTests.day * 29, by: .serin, .held(hold))
                ])
            }
        }
        let report = try await scene.prune()
        #expect(report.failures.map(\.entry.backup) == [third])
        #expect(report.failures.first?.failure.kind == .conflict)
        #expect(try await scene.state(2) == .verified)
        #expect(report.deleted.count == 4)
    }

    @Test func anInterruptedRunBeginsNoFurtherDeletion() async throws {
        let scene = try await Scene()
        defer { scene.scratch.remove() }
        let run = Locked<Task<BackupPruner.Report, any Error>?>(nil)
        scene.place.beforeDelete.withLock {
            $0 = {
                while run.withLock({ $0 }) == nil { await Task.yield() }
                run.withLock { $0 }?.cancel()
            }
        }
        let task = Task { try await scene.prune() }
        run.withLock { $0 = task }
        let report = try await task.value
        #expect(report.deleted.count + report.failures.count == 1)
        // The newest is no longer announced, which is not begun either.
        #expect(report.unbegun.map(\.backup) == Array(scene.ids[1...]))
        #expect(report.words.hasSuffix("interrupted before 5 more"), "\(report.words)")
        for number in 1..<5 { #expect(try await scene.state(number) == .verified) }
        // The next run does them.
        scene.place.beforeDelete.withLock { $0 = nil }
        _ = try await scene.prune()
        #expect(try await scene.objects().count == 2)
    }

    @Test func nothingGoesUnannouncedOrInNumbersThatNobodyAgreedTo() async throws {
        let scene = try await Scene(warned: false)
        defer { scene.scratch.remove() }
        let report = try await scene.prune()
        #expect(report.deleted.isEmpty && report.warned.count == 5)
        #expect(scene.place.deleted.withLock { $0 }.isEmpty)
        let announced = try await Scene()
        defer { announced.scratch.remove() }
        let braked = try await announced.prune(agreed: false)
        #expect(braked.deleted.isEmpty && braked.warned.isEmpty && braked.failures.isEmpty)
        #expect(try await announced.objects().count == 12)
    }

    @Test func whatTheCatalogueDoesNotKnowIsLeftAlone() async throws {
        let scene = try await Scene()
        defer { scene.scratch.remove() }
        let file = try scene.scratch.write("stranger", "not ours")
        let digest = Hexadecimal.text(of: SHA256.digestOrEmpty(Array("not ours".utf8)))
        _ = try await scene.place.put(
            Upload(
                file: file, key: try #require(ObjectKey("shop/stranger.backup")), size: 8, sha256: digest, isEncrypted: true))
        _ = try await scene.prune()
        #expect(try await scene.objects().contains("shop/stranger.backup"))
    }
}

/// A destination that says what was deleted, and may not do it.
private struct Witness: BackupDestination {
    let inner: any BackupDestination
    let deleted = Locked<[String]>([])
    let isDeaf = Locked(false)
    let refusal = Locked<Failure?>(nil)
    let keepsManifests = Locked(false)
    let beforeDelete = Locked<(@Sendable () async -> Void)?>(nil)

    var name: String { inner.name }
    var traits: DestinationTraits { inner.traits }
    func probe() async throws(Failure) -> DestinationFacts { try await inner.probe() }
    func put(_ upload: Upload) async throws(Failure) -> StoredObject { try await inner.put(upload) }
    func head(_ key: ObjectKey, version: String?) async throws(Failure) -> StoredObject? {
        try await inner.head(key, version: version)
    }
    func get(_ key: ObjectKey, version: String?, to path: String?, limit: Int64) async throws(Failure) -> FetchedObject {
        try await inner.get(key, version: version, to: path, limit: limit)
    }
    func list(prefix: String, limit: Int) async throws(Failure) -> Listing { try await inner.list(prefix: prefix, limit: limit) }
    func delete(_ key: ObjectKey, version: String?) async throws(Failure) {
        if let action = beforeDelete.withLock({ $0 }) { await action() }
        deleted.withLock { $0.append("\(key)") }
        if let refusal = refusal.withLock({ $0 }) { throw refusal }
        if keepsManifests.withLock({ $0 }), "\(key)".hasSuffix(".json") { throw Failure(.denied, "\(key) is locked") }
        if isDeaf.withLock({ $0 }) { throw Failure(.transient, "\(key) is still there after it was deleted") }
        try await inner.delete(key, version: version)
    }
    func pending() async throws(Failure) -> [PendingUpload] { try await inner.pending() }
    func abort(_ upload: PendingUpload) async throws(Failure) { try await inner.abort(upload) }
    func replace(_ key: ObjectKey, with bytes: [UInt8]) async throws(Failure) -> StoredObject {
        try await inner.replace(key, with: bytes)
    }
}
