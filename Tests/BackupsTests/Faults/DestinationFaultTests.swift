import FoundationEssentials
import Glibc
import SerinBackups
import SerinCatalogue
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import Testbed
import Testing

/// Destinations that lie, stall and die, and disks that are full: nothing is called available that is not, nothing older is lost, and
/// what was begun is gone after the next run.
@Suite(.serialized) struct DestinationFaultTests {
    /// A backup that is good, and a source for more.
    private struct Stand {
        let scene: BackupScene
        let source: TextSource
        let good: BackupRecord

        init() async throws {
            scene = try await BackupScene.start(isEmpty: true)
            source = TextSource(text: String(repeating: "rows and rows\n", count: 50_000), inner: try scene.source(.plain))
            good = try await scene.backUp(source).record
        }

        func settings(_ destination: any BackupDestination) -> PipelineSettings {
            var settings = scene.settings
            settings.places = [BackupPlace("local", destination)]
            return settings
        }

        func folder() throws -> any BackupDestination { try scene.folder(scene.store) }

        /// Only the good one can be restored, its bytes are there, and nothing unfinished is left.
        func expectOnlyTheGoodOne(_ comment: Comment) async throws {
            let state = try await scene.catalogue.state()
            #expect(state.records.filter { $0.state.isRestorable }.map(\.id) == [good.id], comment)
            #expect(!state.records.contains { $0.state == .running }, comment)
            #expect(scene.leftovers.isEmpty, comment)
            #expect(scene.files(scene.store).count == 3, "\(scene.files(scene.store)) \(comment)")
            #expect(try await scene.catalogue.leases().isEmpty, comment)
            let read = try await scene.verifier.verify(good.id, source: source, destination: "local", by: BackupScene.principal)
            #expect(read.result.passed, "\(read.result.checks) \(comment)")
        }
    }

    @Test func aStoreThatAnswersWithOlderBytesOrKnowsWhatItHasNotIsFoundOut() async throws {
        let stand = try await Stand()
        defer { stand.scene.end() }
        let older = try #require(stand.good.copies.first).key
        let manifest = try #require(Manifest.key(beside: older))
        var old = ScriptedDestination(inner: try stand.folder())
        // Whatever is asked for, it gives what was stored first.
        old.onGet = { (key, path, inner) async throws(Failure) in
            let isManifest = key.description.hasSuffix(Manifest.keySuffix)
            return try await inner.get(isManifest ? manifest : older, version: nil, to: path, limit: 1 << 30)
        }
        var boaster = ScriptedDestination(inner: try stand.folder())
        // It drops everything and says yes to every question about it.
        let sizes = Locked<[ObjectKey: Int64]>([:])
        boaster.onPut = { (upload, _) async throws(Failure) in
            sizes.withLock { $0[upload.key] = upload.size }
            return StoredObject(key: upload.key, size: upload.size)
        }
        boaster.onHead = { (key, _) async throws(Failure) in
            sizes.withLock { $0[key] }.map { StoredObject(key: key, size: $0) }
        }
        for (destination, name) in [(old, "older bytes"), (boaster, "boasts")] {
            let failure = await stand.scene.failure(stand.source, stand.settings(destination))
            #expect(failure?.stage == .confirm, "\(name): \(String(describing: failure))")
            // Its removal was answered like everything else: the next run at an honest store finds what is left.
            #expect(try await stand.scene.catalogue.state().records.last?.state == .failed)
        }
        let honest = try await stand.scene.backUp(stand.source)
        #expect(honest.record.state == .available)
        #expect(stand.scene.files(stand.scene.store).count == 5, "\(stand.scene.files(stand.scene.store))")
    }

    @Test func aStoreThatDiesAtAnyQuestionKeepsNoBackupAndIsTidiedLater() async throws {
        let stand = try await Stand()
        defer { stand.scene.end() }
        var counted = ScriptedDestination(inner: try stand.folder())
        let verbs = Locked<[String]>([])
        counted.before = { verb throws(Failure) in verbs.withLock { $0.append(verb) } }
        _ = try await stand.scene.backUp(stand.source, stand.settings(counted))
        let asked = verbs.withLock { $0 }
        let pointer = try #require(asked.firstIndex(of: "replace"))
        var good = 2
        for place in asked.indices {
            var dying = ScriptedDestination(inner: try stand.folder())
            let count = Locked(0)
            dying.before = { verb throws(Failure) in
                let number = count.withLock { count in
                    defer { count += 1 }
                    return count
                }
                if number >= place { throw Failure(.transient, "the store is dead since \(verb) \(place)") }
            }
            let failure = await stand.scene.failure(stand.source, stand.settings(dying))
            let restorable = try await stand.scene.catalogue.state().records.filter { $0.state.isRestorable }.count
            if let failure {
                #expect(restorable == good, "dead at \(asked[place])")
                #expect(failure.failure.message.contains("the store is dead"), "\(failure)")
            } else {
                // The pointer alone may be missing: the backup is there and was read.
                #expect(place + 3 >= pointer && restorable == good + 1, "\(place) of \(asked)")
                good += 1
            }
            // The next run at a store that answers leaves nothing but what is available.
            #expect(try await stand.scene.backUp(stand.source).record.state == .available)
            good += 1
            #expect(stand.scene.files(stand.scene.store).count == 2 * good + 1, "\(asked[place]): \(stand.scene.files(stand.scene.store))")
            #expect(stand.scene.leftovers.isEmpty)
        }
    }

    @Test func whatADeadStoreKeptIsRemovedOnceItAnswersAgain() async throws {
        let stand = try await Stand()
        defer { stand.scene.end() }
        let isDead = Switch()
        var store = ScriptedDestination(inner: try stand.folder())
        store.before = { _ throws(Failure) in
            if isDead.isOn { throw Failure(.transient, "the store is dead") }
        }
        // It dies once the object is stored: neither reading it back nor removing it is possible.
        store.onPut = { (upload, inner) async throws(Failure) in
            defer { isDead.set(true) }
            return try await inner.put(upload)
        }
        #expect(await stand.scene.failure(stand.source, stand.settings(store))?.stage == .confirm)
        #expect(stand.scene.files(stand.scene.store).count == 4)
        let orphan = try #require(try await stand.scene.catalogue.state().records.last)
        #expect(orphan.state == .failed)
        // Still dead: the next run fails too, and forgets nothing.
        #expect(await stand.scene.failure(stand.source, stand.settings(store))?.stage == .preflight)
        isDead.set(false)
        let next = try await stand.scene.backUp(stand.source)
        #expect(next.record.state == .available)
        #expect(stand.scene.files(stand.scene.store).count == 5, "\(stand.scene.files(stand.scene.store))")
    }

    @Test func aStoreThatDiesWhileABackupIsVerifiedCondemnsNothing() async throws {
        let stand = try await Stand()
        defer { stand.scene.end() }
        // Object and manifest are both asked for; it dies before any of the questions.
        for place in 0..<6 {
            var dying = ScriptedDestination(inner: try stand.folder())
            let count = Locked(0)
            dying.before = { _ throws(Failure) in
                let number = count.withLock { count in
                    defer { count += 1 }
                    return count
                }
                if number >= place { throw Failure(.transient, "the store is dead") }
            }
            let verifier = BackupVerifier(
                stand.settings(dying), identities: [.keyFile(stand.scene.keyFile)], catalogue: stand.scene.catalogue,
                now: BackupScene.now)
            do {
                let outcome = try await verifier.verify(
                    stand.good.id, source: stand.source, destination: "local", by: BackupScene.principal)
                #expect(outcome.result.passed, "\(place): \(outcome.result.checks)")
                #expect(count.withLock { $0 } <= place)
            } catch { #expect("\(error)".contains("the store is dead"), "\(error)") }
            #expect(try await stand.scene.record(stand.good.id)?.state.isRestorable == true, "at question \(place)")
        }
    }

    @Test func aMachineWithoutTheToolsCondemnsNoBackup() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let good = try await scene.backUp(try scene.source()).record
        let folder = scene.scratch.file("broken")
        mkdir(folder, 0o755)
        try scene.scratch.write("broken/pg_restore", "not a program\n", mode: 0o755)
        await #expect(throws: Failure.self) {
            _ = try await scene.verifier.verify(
                good.id, source: try scene.source(toolFolders: [folder]), by: BackupScene.principal)
        }
        #expect(try await scene.record(good.id)?.state == .available)
    }

    @Test func aSlowStoreKeepsTheLeaseAndALostLeaseEndsTheRun() async throws {
        let stand = try await Stand()
        defer { stand.scene.end() }
        let (isIn, goesOn) = (Switch(), Switch())
        var slow = ScriptedDestination(inner: try stand.folder())
        slow.onPut = { (upload, inner) async throws(Failure) in
            isIn.set(true)
            while !goesOn.isOn {
                do { try await Task.sleep(for: .milliseconds(20)) } catch { throw Failure(.transient, "given up") }
            }
            return try await inner.put(upload)
        }
        var settings = stand.settings(slow)
        settings.leaseTime = .milliseconds(600)
        let pipeline = stand.scene.pipeline(settings)
        let request = BackupRequest(by: BackupScene.principal)
        async let first = pipeline.run(stand.source, request)
        try await waitUntil("the upload") { isIn.isOn }
        let began = ContinuousClock.now
        // Two lengths of the lease pass, and nobody else gets in.
        try await waitUntil("time", within: .seconds(10)) { began.duration(to: .now) > .milliseconds(1300) }
        #expect(await stand.scene.failure(stand.source, settings)?.isBusy == true)
        goesOn.set(true)
        #expect(try await first.record.state == .available)

        // Now somebody takes the lease away, as after a long stop of the machine.
        isIn.set(false)
        goesOn.set(false)
        let scene = stand.scene
        let source = stand.source
        let later = settings
        let second = Task { await scene.failure(source, later) }
        try await waitUntil("the second upload") { isIn.isOn }
        let thief = LeaseHolder(place: "elsewhere", pid: 1, startTicks: 0, purpose: "test")
        _ = try await scene.catalogue.takeLease(
            LeaseRequest(target: "shop", holder: thief, by: BackupScene.principal, at: BackupScene.now() + .hours(1)))
        let failure = try #require(await second.value)
        #expect(failure.failure.message.contains("lease") || failure.failure.message.contains("given up"), "\(failure)")
        #expect(try await scene.catalogue.state().records.filter { $0.state.isRestorable }.count == 2)
    }

    @Test func aQuotaThatIsReachedWhileStoringLeavesTheOlderOnes() async throws {
        let stand = try await Stand()
        defer { stand.scene.end() }
        // Sizes before say little of a source that grew.
        let noise = try TextSource(text: Noise.text(3_000_000), inner: stand.scene.source(.plain))
        let settings = stand.settings(try stand.scene.folder(stand.scene.store, quota: "1MiB"))
        let failure = await stand.scene.failure(noise, settings)
        #expect(failure?.stage == .store && failure?.failure.message.contains("quota") == true, "\(String(describing: failure))")
        try await stand.expectOnlyTheGoodOne("quota")
    }

    @Test(.enabled(if: SmallDisk.isPossible, "only root may mount a small disk"))
    func fullDisksOfSpoolAndDestinationLeaveTheOlderOnes() async throws {
        let stand = try await Stand()
        defer { stand.scene.end() }
        let noise = try TextSource(text: Noise.text(12_000_000), inner: stand.scene.source(.plain))
        let spool = try await SmallDisk(stand.scene.scratch, "spool", megabytes: 3)
        defer { spool.remove() }
        var settings = stand.scene.settings
        settings.workFolder = spool.path + "/work"
        let full = await stand.scene.failure(noise, settings)
        #expect(full?.stage == .dump && full?.failure.hint?.contains("make room") == true, "\(String(describing: full))")
        #expect(stand.scene.files(spool.path).isEmpty)
        try await stand.expectOnlyTheGoodOne("spool")

        let store = try await SmallDisk(stand.scene.scratch, "disk", megabytes: 3)
        defer { store.remove() }
        let place = try stand.scene.folder(store.path + "/store")
        let first = try await stand.scene.backUp(stand.source, stand.settings(place)).record
        let failure = await stand.scene.failure(noise, stand.settings(place))
        #expect(failure?.stage == .store, "\(String(describing: failure))")
        #expect(stand.scene.files(store.path).count == 3, "\(stand.scene.files(store.path))")
        let verifier = BackupVerifier(
            stand.settings(place), identities: [.keyFile(stand.scene.keyFile)], catalogue: stand.scene.catalogue,
            now: BackupScene.now)
        let read = try await verifier.verify(first.id, source: stand.source, by: BackupScene.principal)
        #expect(read.result.passed, "\(read.result.checks)")
    }

    @Test func aClockThatWasWrongOnceForbidsNoBackupForEver() async throws {
        let stand = try await Stand()
        defer { stand.scene.end() }
        let scene = stand.scene
        let future = BackupPipeline(
            scene.settings, catalogue: scene.catalogue,
            holder: LeaseHolder(place: "here", pid: getpid(), startTicks: 0, purpose: "test"),
            now: { BackupScene.now() + .hours(24 * 1500) })
        // A run that failed in the future says nothing about the time.
        var dead = ScriptedDestination(inner: try stand.folder())
        dead.onPut = { _, _ async throws(Failure) in throw Failure(.transient, "dead") }
        var settings = scene.settings
        settings.places = [BackupPlace("local", dead)]
        let failing = BackupPipeline(
            settings, catalogue: scene.catalogue,
            holder: LeaseHolder(place: "here", pid: getpid(), startTicks: 0, purpose: "test"),
            now: { BackupScene.now() + .hours(24 * 1500) })
        let request = BackupRequest(by: BackupScene.principal)
        await #expect(throws: BackupRunFailure.self) { _ = try await failing.run(stand.source, request) }
        #expect(try await scene.backUp(stand.source).record.state == .available)
        // One that was made there does, until a person has looked at it.
        let odd = try await future.run(stand.source, request).record
        let refused = await scene.failure(stand.source)
        #expect(refused?.stage == .preflight && refused?.failure.hint?.contains("backup hold \(odd.id)") == true)
        try await scene.catalogue.append([
            CatalogueEvent(
                backup: odd.id, at: BackupScene.now(), by: BackupScene.principal,
                .held(Hold(.permanent, reason: "the clock was wrong")))
        ])
        #expect(try await scene.backUp(stand.source).record.state == .available)
    }

    @Test func anOlderBackupInTheNewestOnesPlaceIsNeitherVerifiedNorImported() async throws {
        let stand = try await Stand()
        defer { stand.scene.end() }
        let scene = stand.scene
        let newer = try await scene.backUp(stand.source).record
        let (old, new) = (try #require(stand.good.copies.first).key, try #require(newer.copies.first).key)
        for (from, to) in [
            ("\(old)", "\(new)"),
            ("\(try #require(Manifest.key(beside: old)))", "\(try #require(Manifest.key(beside: new)))"),
        ] {
            let bytes = try Data(contentsOf: URL(filePath: "\(scene.store)/\(from)"))
            unlink("\(scene.store)/\(to)")
            try bytes.write(to: URL(filePath: "\(scene.store)/\(to)"))
        }
        let verified = try await scene.verifier.verify(newer.id, source: stand.source, by: BackupScene.principal)
        #expect(verified.result.checks.filter { !$0.passed }.map(\.name) == ["digest", "manifest"], "\(verified.result.checks)")
        let folder = try stand.folder()
        let reading = DestinationReading(
            destination: "local",
            list: { () async throws(Failure) in try await folder.list(prefix: "shop/manual", limit: 100).objects },
            read: { (key, version) async throws(Failure) in try await folder.read(key, version: version) })
        let contents = try await CatalogueSurvey(reading, authenticate: ManifestSeal(scene.settings.manifestKey).code).contents()
        #expect(contents.manifests.map(\.manifest.order.id) == [stand.good.id])
        #expect(contents.unreadable.map(\.key) == [Manifest.key(beside: new)])
    }
}

/// Text that does not compress, the same each time.
enum Noise {
    static func text(_ count: Int) -> String {
        var generator = SplitMix(seed: 7)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            var word = generator.next()
            for _ in 0..<10 {
                bytes.append(UInt8(48 + word % 64))
                word /= 64
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
