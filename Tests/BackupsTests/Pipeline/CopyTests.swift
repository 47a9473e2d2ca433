import FoundationEssentials
import Glibc
import SerinBackups
import SerinCatalogue
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import Testbed
import Testing

/// What happens to stored copies.
@Suite(.serialized) struct CopyTests {
    private func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }

    private func write(_ path: String, _ bytes: [UInt8]) throws {
        chmod(path, 0o600)
        try Data(bytes).write(to: URL(filePath: path))
    }

    @Test func damagedCopiesReachNoToolAndAreNeverVerified() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = TextSource(text: String(repeating: "rows and rows\n", count: 5000), inner: try scene.source(.plain))
        for profile in [EnvelopeProfile.enc1, .gcm1] {
            var settings = scene.settings
            settings.envelope.profile = profile
            let first = try await scene.backUp(source, settings).record
            let second = try await scene.backUp(source, settings).record
            let path = "\(scene.store)/\(try #require(first.copies.first).key)"
            let other = "\(scene.store)/\(try #require(second.copies.first).key)"
            let good = try bytes(path)
            let foreign = try bytes(other)
            #expect(good != foreign)
            var flipped = good
            for place in [1, 40, good.count / 2, good.count - 3] { flipped[place] ^= 0x10 }
            var damages: [(String, [UInt8]?)] = [("flipped", flipped), ("cut", Array(good.dropLast(5))), ("swapped", foreign)]
            damages += [("longer", good + [0]), ("empty", []), ("gone", nil)]
            let before = source.seen.withLock { $0 }
            for (name, damage) in damages {
                if let damage { try write(path, damage) } else { unlink(path) }
                let outcome = try await scene.verifier.verify(
                    first.id, source: source, destination: "local", by: BackupScene.principal)
                #expect(!outcome.result.passed, "\(profile) \(name): \(outcome.result.checks)")
                #expect(try await scene.record(first.id)?.state == .quarantined)
                await #expect(throws: Failure.self) { _ = try await scene.restore(first.id, source) }
                try write(path, good)
            }
            #expect(source.seen.withLock { $0 } == before)
            let mended = try await scene.verifier.verify(
                first.id, source: source, destination: "local", by: BackupScene.principal)
            #expect(mended.result.passed, "\(mended.result.checks)")
            #expect(source.seen.withLock { $0 } > before)
        }
    }

    @Test func aDamagedCopyIsNotRestored() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let path = "\(scene.store)/\(try #require(record.copies.first).key)"
        var damaged = try bytes(path)
        for place in 0..<4 { damaged[damaged.count / 2 + place] ^= 0xFF }
        try write(path, damaged)
        let failure = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source) }
        #expect(failure?.message.contains("digest") == true)
        #expect(try await scene.server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE '%restore%'") == "0")
        #expect(scene.leftovers.isEmpty)
    }

    @Test func anotherKeyOfTheSameNameOpensNothing() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let wrong = try KeyFile(path: try scene.scratch.write("wrong", "9876543210 another passphrase\n", mode: 0o600))
        let restore = BackupRestore(
            scene.settings, scene.restoreSettings(), identities: [.keyFile(wrong)], catalogue: scene.catalogue,
            holder: BackupScene.holder, now: BackupScene.now)
        let failure = await #expect(throws: Failure.self) {
            _ = try await restore.restore(record.id, source: source, permit: scene.permit(record.id))
        }
        #expect(failure?.message.contains("keys at hand") == true)
    }

    @Test func aDestinationThatLiesNeverKeepsABackup() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = TextSource(text: String(repeating: "rows and rows\n", count: 5000), inner: try scene.source(.plain))
        let good = try await scene.backUp(source).record
        var settings = scene.settings
        for lie in Liar.Lie.allCases {
            settings.places = [BackupPlace("local", Liar(inner: try scene.folder(scene.store), lie: lie))]
            let failure = await scene.failure(source, settings)
            #expect(failure?.stage == (lie == .dropsManifest ? .manifest : .confirm), "\(String(describing: failure))")
            let state = try await scene.catalogue.state()
            #expect(state.records.filter { $0.state.isRestorable }.map(\.id) == [good.id])
            #expect(state.records.last?.state == .failed)
            #expect(scene.leftovers.isEmpty)
        }
        // One that is not required is told, and spoils nothing.
        let liar = Liar(inner: try scene.folder(scene.scratch.file("liar")), lie: .drops)
        settings.places = [BackupPlace("local", try scene.folder(scene.store)), BackupPlace("liar", liar, isRequired: false)]
        let result = try await scene.backUp(source, settings)
        #expect(result.missing.map(\.destination) == ["liar"])
        #expect(result.record.copies.map(\.destination) == ["local"])
    }

    @Test func aCopyAwayIsAskedFor() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        var settings = scene.settings
        settings.needsOffsite = true
        #expect(await scene.failure(try scene.source(), settings)?.stage == .confirm)
        settings.places.append(BackupPlace("far", try scene.folder(scene.scratch.file("far")), isOffsite: true))
        let record = try await scene.backUp(try scene.source(), settings).record
        #expect(record.copies.map(\.state) == [.confirmed, .confirmed])
    }

    @Test func copiesThatAreMissingOrDamagedAreMadeFromAGoodOne() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = try scene.source()
        var settings = scene.settings
        settings.places.append(
            BackupPlace("far", Liar(inner: try scene.folder(scene.scratch.file("far")), lie: .drops), isRequired: false))
        let result = try await scene.backUp(source, settings)
        #expect(result.missing.map(\.destination) == ["far"])
        settings.places[1] = BackupPlace("far", try scene.folder(scene.scratch.file("far")))
        let pipeline = scene.pipeline(settings)
        let filled = try await pipeline.replicate(result.record.id, by: BackupScene.principal)
        #expect(filled.missing.isEmpty)
        #expect(filled.record.copies.map(\.state) == [.confirmed, .confirmed])
        truncate("\(scene.store)/\(try #require(result.record.copies.first).key)", 10)
        let verified = try await scene.verifier.verify(result.record.id, source: source, by: BackupScene.principal)
        #expect(!verified.result.passed)
        #expect(try await scene.record(result.record.id)?.state == .available)
        let mended = try await pipeline.replicate(result.record.id, by: BackupScene.principal)
        #expect(mended.missing.isEmpty, "\(mended.missing)")
        #expect(mended.record.usableCopies.map(\.destination).sorted() == ["far", "local"])
    }

    @Test func whatAKilledRunLeftIsRemovedByTheNext() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = try scene.source()
        let good = try await scene.backUp(source).record
        // A run that was killed after its object was stored, and left everything it can leave.
        let order = BackupOrder(
            id: BackupID(millisecondsSince1970: 1, random: [1]), project: "shop", target: "shop", kind: .logical,
            createdAt: BackupScene.now(), createdBy: BackupScene.principal)
        try await scene.catalogue.append([
            CatalogueEvent(backup: order.id, at: BackupScene.now(), by: BackupScene.principal, .begun(order))
        ])
        let key = try scene.settings.layout.key(of: order)
        let orphan = "\(scene.store)/\(key)"
        let folder = String(orphan[..<(orphan.lastIndex(of: "/") ?? orphan.startIndex)])
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try write(orphan, [1, 2, 3])
        try write("\(scene.settings.workFolder)/shop/.\(order.id).spool.0000.partial", [1])
        _ = try await scene.backUp(source)
        #expect(try await scene.record(order.id)?.state == .failed)
        #expect(access(orphan, F_OK) != 0)
        #expect(scene.leftovers.isEmpty)
        #expect(try await scene.record(good.id)?.state == .available)
    }

    private func check(_ scene: BackupScene) async throws -> (check: CatalogueCheck, contents: DestinationContents) {
        let folder = try scene.folder(scene.store)
        let reading = DestinationReading(
            destination: "local",
            list: { () async throws(Failure) in
                try await folder.list(prefix: "shop/manual", limit: 100).objects
            },
            read: { (key, version) async throws(Failure) in try await folder.read(key, version: version) },
            head: { (key) async throws(Failure) in try await folder.head(key, version: nil) })
        let contents = try await CatalogueSurvey(reading, authenticate: ManifestSeal(scene.settings.manifestKey).code).contents()
        return (CatalogueCheck(try await scene.catalogue.state(), against: contents), contents)
    }

    @Test func whatAnUnknownUploadLeftIsNamedAndRemovedOnceItIsADayOld() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = try scene.source()
        _ = try await scene.backUp(source)
        let place = try #require(scene.settings.places.first)
        let now = BackupScene.now()
        for (path, hours) in [
            ("shop/manual/.serin-put-old", Int64(25)), ("shop/manual/.serin-put-new", 1), (".serin-put-other", 25),
        ] {
            let file = "\(scene.store)/\(path)"
            #expect(FileManager.default.createFile(atPath: file, contents: nil))
            let seconds = (now - .hours(hours)).millisecondsSince1970 / 1000
            var times = [timespec(tv_sec: Int(seconds), tv_nsec: 0), timespec(tv_sec: Int(seconds), tv_nsec: 0)]
            #expect(utimensat(AT_FDCWD, file, &times, 0) == 0)
        }
        let strays = StrayUploads(
            of: "shop", in: try await scene.catalogue.state(), layout: scene.settings.layout, at: now)
        #expect(try await strays.found(at: place).map(\.reference) == ["shop/manual/.serin-put-old"])
        var contents = try await check(scene).contents
        contents.unfinished = [UnfinishedUpload(name: "shop/manual/.serin-put-old", started: nil)]
        let found = CatalogueCheck(try await scene.catalogue.state(), of: "shop", against: contents)
        #expect(found.differences == [.unfinished(contents.unfinished[0])] && found.passed)

        _ = try await scene.backUp(source)
        #expect(
            scene.files(scene.store).filter { $0.contains(".serin-put-") } == [".serin-put-other", "shop/manual/.serin-put-new"])
    }

    @Test func manifestsFormAChainThatACheckAccepts() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        for _ in 0..<3 { _ = try await scene.backUp(try scene.source()) }
        let found = try await check(scene)
        #expect(found.contents.manifests.map(\.manifest.sequence).sorted() == [1, 2, 3])
        #expect(found.check.differences == [])
    }

    @Test func aCopyMadeAnewForADamagedManifestMakesTheDestinationWholeAndBothGoTogether() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = try scene.source()
        var settings = scene.settings
        settings.places.append(BackupPlace("far", try scene.folder(scene.scratch.file("far"))))
        let record = try await scene.backUp(source, settings).record
        let newer = try await scene.backUp(source, settings).record
        let former = try #require(record.copy(at: "local"))
        let manifest = "\(scene.store)/\(try #require(Manifest.key(beside: former.key)))"
        try write(
            manifest, try bytes(manifest).map { $0 == UInt8(ascii: "'") || $0 == UInt8(ascii: "s") ? UInt8(ascii: "x") : $0 })
        let verified = try await scene.verifier.verify(
            record.id, source: source, destination: "local", by: BackupScene.principal)
        #expect(!verified.result.passed)
        #expect(try await !check(scene).check.passed)
        let mended = try await scene.pipeline(settings).replicate(record.id, by: BackupScene.principal)
        #expect(mended.missing.isEmpty, "\(mended.missing)")
        let found = try await check(scene)
        #expect(found.check.passed, "\(found.check.differences)")
        #expect(former.keys.allSatisfy { found.check.differences.contains(.leftover(record.id, $0)) })
        // Retention takes what is left of the old one with the new one.
        _ = try await scene.verifier.verify(newer.id, source: source, by: BackupScene.principal)
        let retention = Retention(standard: RetentionPlan(standard: RetentionPolicy(keepAll: .minutes(1), floor: 1)))
        for days: Int64 in [40, 80] {
            _ = try await BackupPruner(
                settings.places, catalogue: scene.catalogue, holder: BackupScene.holder,
                now: { BackupScene.now() + .hours(24 * days) }
            ).run("shop", retention, lastRun: nil, agreed: true, by: BackupScene.principal)
        }
        #expect(try await scene.record(record.id)?.state == .deleted)
        let after = try await check(scene)
        #expect(after.check.passed && after.check.differences.allSatisfy { !$0.isFault }, "\(after.check.differences)")
        #expect(after.contents.objects.allSatisfy { !former.keys.contains($0.key) })
    }
}

/// A destination that accepts and does otherwise.
struct Liar: BackupDestination {
    enum Lie: String, CaseIterable, Sendable {
        case drops
        case cuts
        case changes
        case dropsManifest
    }

    let inner: any BackupDestination
    let lie: Lie

    var name: String { inner.name }
    var traits: DestinationTraits { inner.traits }
    func probe() async throws(Failure) -> DestinationFacts { try await inner.probe() }

    func put(_ upload: Upload) async throws(Failure) -> StoredObject {
        let stored = try await inner.put(upload)
        let path = String(inner.name.dropFirst("file://".count)) + "/\(upload.key)"
        let isManifest = "\(upload.key)".hasSuffix(".manifest.json")
        switch lie {
        case .drops: unlink(path)
        case .dropsManifest: if isManifest { unlink(path) }
        case .cuts: truncate(path, off_t(upload.size - 1))
        case .changes:
            let file = open(path, O_RDWR)
            defer { close(file) }
            var byte: UInt8 = 0
            pread(file, &byte, 1, 100)
            byte ^= 1
            pwrite(file, &byte, 1, 100)
        }
        return stored
    }

    func head(_ key: ObjectKey, version: String?) async throws(Failure) -> StoredObject? {
        try await inner.head(key, version: version)
    }
    func get(_ key: ObjectKey, version: String?, to path: String?, limit: Int64) async throws(Failure) -> FetchedObject {
        try await inner.get(key, version: version, to: path, limit: limit)
    }
    func list(prefix: String, limit: Int) async throws(Failure) -> Listing { try await inner.list(prefix: prefix, limit: limit) }
    func delete(_ key: ObjectKey, version: String?) async throws(Failure) { try await inner.delete(key, version: version) }
    func pending() async throws(Failure) -> [PendingUpload] { try await inner.pending() }
    func abort(_ upload: PendingUpload) async throws(Failure) { try await inner.abort(upload) }
    func replace(_ key: ObjectKey, with bytes: [UInt8]) async throws(Failure) -> StoredObject {
        try await inner.replace(key, with: bytes)
    }
}
