import Glibc
import SerinBackups
import SerinCatalogue
import SerinCrypto
import SerinModel
import SerinPolicies
import SerinPorts
import SerinTransport
import Testbed
import Testing

/// The whole pipeline into a bucket, in parts, against a real moto that checks signatures.
@Suite(.serialized) struct BucketFaultTests {
    @Test func partsOfAKilledRunAreAbortedAndThoseOfOthersStay() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let moto = try await MotoServer(scratch: scene.scratch)
        defer { moto.stop() }
        try await moto.makeBucket("backups", locks: true)
        let bucket = try ObjectStoreTests.bucket(moto, "backups", ["prefix": "team"])
        var settings = scene.settings
        settings.places = [BackupPlace("bucket", bucket, lock: .init(.compliance, for: .hours(24)))]
        // 11 MB that do not compress: three parts.
        let source = try TextSource(text: Noise.text(15_000_000), inner: scene.source(.plain))
        let good = try await scene.backUp(source, settings).record
        #expect(good.copies.first?.versionID != nil && good.copies.first?.lock?.mode == .compliance)
        #expect((good.size ?? 0) > 10 << 20)

        // A run that was killed between two parts, another target's upload under way, and one of somebody else.
        let order = BackupOrder(
            id: BackupID(millisecondsSince1970: 1, random: [1]), project: "shop", target: "shop", kind: .logical,
            createdAt: BackupScene.now(), createdBy: BackupScene.principal)
        try await scene.catalogue.append([
            CatalogueEvent(backup: order.id, at: BackupScene.now(), by: BackupScene.principal, .begun(order))
        ])
        let key = try scene.settings.layout.key(of: order)
        for path in ["/backups/team/\(key)", "/backups/team/other/half", "/backups/elsewhere/half"] {
            #expect(try await moto.send("POST", path, query: [HTTPHeader("uploads", "")]).status == 200)
        }
        #expect(try await bucket.pending().count == 2)
        let next = try await scene.backUp(source, settings).record
        #expect(next.state == .available)
        #expect(try await bucket.pending().map(\.key?.description) == ["other/half"])
        #expect(try await scene.record(order.id)?.state == .failed)

        // Both are read again, each in its own version.
        let verifier = BackupVerifier(
            settings, identities: [.keyFile(scene.keyFile)], catalogue: scene.catalogue, now: BackupScene.now)
        for record in [good, next] {
            let read = try await verifier.verify(record.id, source: source, by: BackupScene.principal)
            #expect(read.result.passed, "\(read.result.checks)")
        }
        let reading = DestinationReading(
            destination: "bucket",
            list: { () async throws(Failure) in try await bucket.list(prefix: "shop/manual", limit: 100).objects },
            read: { (key, version) async throws(Failure) in try await bucket.read(key, version: version) },
            head: { (key) async throws(Failure) in try await bucket.head(key, version: nil) })
        let seal = ManifestSeal(settings.manifestKey)
        // A listing tells neither versions nor locks, which is no difference: a catalogue that was lost comes back without faults.
        let other = MemoryCatalogue(digest: SHA256.digestOrEmpty)
        let report = try await CatalogueRebuild(other).run(
            reading, of: "shop", authenticate: seal.code, at: BackupScene.now(), by: BackupScene.principal)
        #expect(report.imported.contains(good.id) && report.imported.contains(next.id))
        #expect(report.differences.filter(\.isFault) == [], "\(report.differences)")
        // A marker over the key, as a thief with the right to write would put it, hides nothing.
        let stored = try #require(good.copies.first)
        _ = try await moto.send("DELETE", "/backups/team/\(stored.key)")
        let again = try await verifier.verify(good.id, source: source, by: BackupScene.principal)
        #expect(again.result.checks.first { $0.name == "digest" }?.passed == true, "\(again.result.checks)")
        // A comparison names what is hidden.
        var contents = try await CatalogueSurvey(reading, authenticate: seal.code).contents()
        let state = try await scene.catalogue.state()
        #expect(!CatalogueCheck(state, against: contents).passed)
        try await contents.complete(from: state, of: "shop", head: reading.head)
        let faults = CatalogueCheck(state, of: "shop", against: contents).differences.filter(\.isFault)
        #expect(faults == [.missing(good.id, stored.key)], "\(faults)")
    }

    @Test func aStoreThatIsGoneInTheMiddleOfAnUploadFailsTheRunAndIsTidiedLater() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let moto = try await MotoServer(scratch: scene.scratch)
        defer { moto.stop() }
        try await moto.makeBucket("backups", locks: false)
        let port = try #require(moto.url.split(separator: ":").last.flatMap { Int($0) })
        var settings = scene.settings
        settings.places = [BackupPlace("bucket", try ObjectStoreTests.bucket(moto, "backups"))]
        let source = try TextSource(text: Noise.text(15_000_000), inner: scene.source(.plain))
        let good = try await scene.backUp(source, settings).record
        // Every line that the server has answered much on is cut: the parts arrive, their reading back does not.
        let line = try CutLine(to: port, .resets, after: 1 << 20, times: 1000)
        defer { line.stop() }
        var cut = settings
        cut.places = [
            BackupPlace(
                "bucket",
                try ObjectStoreTests.bucket(moto, "backups", ["endpoint": "http://127.0.0.1:\(line.port)"]))
        ]
        let failure = await scene.failure(source, cut)
        #expect(failure?.stage == .confirm, "\(String(describing: failure))")
        #expect(line.cuts > 0)
        #expect(try await scene.catalogue.state().records.filter { $0.state.isRestorable }.map(\.id) == [good.id])
        let next = try await scene.backUp(source, settings).record
        #expect(next.state == .available)
        let listed = try await settings.places[0].destination.list(prefix: "shop/", limit: 100).objects
        #expect(listed.count == 5, "\(listed.map(\.key))")
    }
}
