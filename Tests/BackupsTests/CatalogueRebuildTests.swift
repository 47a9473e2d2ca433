import SerinBackups
import SerinCatalogue
import SerinCrypto
import SerinModel
import SerinPorts
import Testing

/// A catalogue that was lost, and one that does not agree with what a destination holds.
@Suite struct CatalogueRebuildTests {
    private func rebuilt(_ bucket: Bucket) async throws -> (MemoryCatalogue, CatalogueRebuild.Report) {
        let store = MemoryCatalogue(digest: SHA256.digestOrEmpty)
        let report = try await CatalogueRebuild(store).run(
            bucket.reading, authenticate: Sample.authenticate, at: Sample.start + .hours(100), by: .uid(7))
        return (store, report)
    }

    private func check(_ store: MemoryCatalogue, _ bucket: Bucket) async throws -> CatalogueCheck {
        let contents = try await CatalogueSurvey(bucket.reading, authenticate: Sample.authenticate).contents()
        return CatalogueCheck(try await store.state(), against: contents)
    }

    @Test func aLostCatalogueIsKnownAgainFromItsManifests() async throws {
        let bucket = try Bucket(1...3)
        let (store, report) = try await rebuilt(bucket)
        #expect(report.imported == [Sample.id(1), Sample.id(2), Sample.id(3)])
        #expect(report.differences.isEmpty && report.refused.isEmpty)
        // What a manifest says was not read back here.
        #expect(try await store.state().records.map(\.state) == [.uploaded, .uploaded, .uploaded])
        let again = try await CatalogueRebuild(store).run(
            bucket.reading, authenticate: Sample.authenticate, at: Sample.start + .hours(101), by: .uid(7))
        #expect(again.imported.isEmpty, "nothing is imported twice")
    }

    @Test func aForgedOrChangedManifestIsNotImported() async throws {
        var bucket = try Bucket(1...3)
        let key = try #require(Manifest.key(beside: try Sample.copy(2).key))
        let changed = try #require(bucket.bytes[key]).map { $0 == UInt8(ascii: "'") ? UInt8(ascii: "`") : $0 }
        bucket.bytes[key] = changed
        let (_, report) = try await rebuilt(bucket)
        #expect(report.imported == [Sample.id(1), Sample.id(3)])
        #expect(
            report.differences.contains {
                if case .unreadable(let manifest) = $0 { manifest.reason.contains("authentication code") } else { false }
            })
        #expect(report.differences.contains(.gap(target: "checkout", after: 1, before: 3, isExplained: false)))
    }

    @Test func aManifestThatWasMovedToAnotherBackupIsNotImported() async throws {
        var bucket = try Bucket(1...2)
        let keys = try (1...2).map { try #require(Manifest.key(beside: try Sample.copy($0).key)) }
        bucket.bytes[keys[1]] = bucket.bytes[keys[0]]
        let (_, report) = try await rebuilt(bucket)
        #expect(report.imported == [Sample.id(1)])
    }

    @Test func everyWayOfNotAgreeingIsFound() async throws {
        let whole = try Bucket(1...4)
        let (store, _) = try await rebuilt(whole)
        #expect(try await check(store, whole).passed)
        #expect(try await check(store, whole).compared == 4)

        var bucket = whole
        try bucket.remove(2)
        try bucket.remove(3, manifest: false)
        bucket.objects.append(StoredObject(key: try #require(ObjectKey("checkout/stray")), size: 1))
        for index in bucket.objects.indices where bucket.objects[index].key.description == "checkout/1.dump" {
            bucket.objects[index].size = 99
        }
        let found = try await check(store, bucket)
        #expect(!found.passed)
        let keys = try (0...4).map { try Sample.copy($0).key }
        #expect(found.differences.contains(.size(Sample.id(1), keys[1], expected: 100, found: 99)))
        #expect(found.differences.contains(.missing(Sample.id(2), keys[2])))
        #expect(found.differences.contains(.withoutManifest(Sample.id(2), keys[2])))
        #expect(found.differences.contains(.missing(Sample.id(3), keys[3])))
        #expect(found.differences.contains(.gap(target: "checkout", after: 1, before: 3, isExplained: false)))
        #expect(found.differences.contains(.unknownObject(try #require(ObjectKey("checkout/stray")))))
        #expect(found.differences.count == 6, "\(found.differences)")
    }

    @Test func anOlderStateThatWasPutBackIsFound() async throws {
        let whole = try Bucket(1...3)
        let store = MemoryCatalogue(digest: SHA256.digestOrEmpty)
        for number in 1...3 { try await store.append(try Sample.available(number, at: Sample.start + .hours(Int64(number)))) }
        #expect(try await check(store, whole).passed)
        var bucket = whole
        try bucket.remove(3)
        let found = try await check(store, bucket)
        #expect(
            found.differences.contains(.rolledBack(target: "checkout", known: Sample.id(3), found: Sample.id(2))),
            "\(found.differences)")
    }

    @Test func aGapThatDeletionsExplainIsNoFault() async throws {
        var bucket = try Bucket(1...3)
        let store = MemoryCatalogue(digest: SHA256.digestOrEmpty)
        for number in 1...3 { try await store.append(try Sample.available(number, at: Sample.start + .hours(Int64(number)))) }
        let now = Sample.start + .hours(50)
        try await store.append([
            Sample.event(1, at: now, .deleting(destination: "bucket", reason: "expired")),
            Sample.event(1, at: now, .deleted(destination: "bucket")),
        ])
        #expect(
            try await check(store, bucket).differences == [.undead(Sample.id(1), try Sample.copy(1).key)],
            "a deleted one that is there is told, and is no fault")
        try bucket.remove(1)
        let found = try await check(store, bucket)
        #expect(found.differences == [.gap(target: "checkout", after: 0, before: 2, isExplained: true)])
        #expect(found.passed)
    }

    @Test func aLockThatIsNotThereAndAnotherVersionAreFound() async throws {
        let lock = ObjectLock(mode: .compliance, until: Sample.start + .hours(1000))
        var copy = try Sample.copy(1, version: "v1")
        copy.lock = lock
        let state = try CatalogueState(replaying: [
            Sample.event(1, .begun(Sample.order(1))), Sample.event(1, .stored(copy, Sample.facts())),
        ])
        let contents = DestinationContents(
            destination: "bucket", objects: [StoredObject(key: copy.key, size: 100, version: "v2")], manifests: [])
        let found = CatalogueCheck(state, against: contents).differences
        #expect(found.contains(.lock(Sample.id(1), copy.key, expected: lock, found: nil)))
        #expect(found.contains(.version(Sample.id(1), copy.key, expected: "v1", found: "v2")))
    }
}
