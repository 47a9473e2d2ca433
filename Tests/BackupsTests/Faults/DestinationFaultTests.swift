import SerinBackups
import SerinCatalogue
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import Testbed
import Testing

/// Destinations that lie, stall and die: nothing is called available that is not, nothing older is lost, and what was begun is gone after
/// the next run.
@Suite(.serialized) struct DestinationFaultTests {
    @Test func aStoreThatAnswersWithOlderBytesOrKnowsWhatItHasNotIsFoundOut() async throws {
        let stand = try await FaultStand()
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
        // It drops everything it is given and says yes to every question about it; what it was given before it does have.
        let sizes = Locked<[ObjectKey: Int64]>([:])
        boaster.onPut = { (upload, _) async throws(Failure) in
            sizes.withLock { $0[upload.key] = upload.size }
            return StoredObject(key: upload.key, size: upload.size)
        }
        boaster.onHead = { (key, inner) async throws(Failure) in
            if let size = sizes.withLock({ $0[key] }) { return StoredObject(key: key, size: size) }
            return try await inner.head(key, version: nil)
        }
        for (destination, name) in [(old, "older bytes"), (boaster, "boasts")] {
            let failure = await stand.scene.failure(stand.source, stand.settings(destination))
            #expect(failure?.stage == .confirm, "\(name): \(String(describing: failure))")
            // Its removal was answered like everything else: the next run at an honest store finds what is left.
            #expect(try await stand.scene.catalogue.state().records.last?.state == .failed)
        }
        // One that knows nothing of what it was given before is found out before anything is read from the source.
        var forgetful = ScriptedDestination(inner: try stand.folder())
        forgetful.onHead = { _, _ async throws(Failure) in nil }
        let failure = await stand.scene.failure(stand.source, stand.settings(forgetful))
        #expect(failure?.stage == .preflight, "\(String(describing: failure))")
        #expect(failure?.failure.message.contains("none of the newest copies") == true, "\(String(describing: failure))")
        #expect(try await stand.scene.catalogue.state().records.filter { $0.state.isRestorable }.map(\.id) == [stand.good.id])
        let honest = try await stand.scene.backUp(stand.source)
        #expect(honest.record.state == .available)
        #expect(stand.scene.files(stand.scene.store).count == 5, "\(stand.scene.files(stand.scene.store))")
    }

    @Test func aStoreThatDiesAtAnyQuestionKeepsNoBackupAndIsTidiedLater() async throws {
        let stand = try await FaultStand()
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
            #expect(
                stand.scene.files(stand.scene.store).count == 2 * good + 1,
                "\(asked[place]): \(stand.scene.files(stand.scene.store))")
            #expect(stand.scene.leftovers.isEmpty)
        }
    }

    @Test func aPartOfAnObjectKeepsNoLaterCopyFromItsPlace() async throws {
        let stand = try await FaultStand()
        defer { stand.scene.end() }
        let other = stand.scene.scratch.file("other")
        let isBroken = Switch(true)
        var cutting = ScriptedDestination(inner: try stand.scene.folder(other))
        // It keeps ten bytes too few, and says that it is full.
        let part = try stand.scene.scratch.write("part", "a part")
        cutting.onPut = { (upload, inner) async throws(Failure) in
            guard isBroken.isOn else { return try await inner.put(upload) }
            let short = Upload(
                file: part, key: upload.key, size: 6, sha256: Hexadecimal.text(of: SHA256.digestOrEmpty(Array("a part".utf8))),
                isEncrypted: true)
            _ = try await inner.put(short)
            throw Failure(.invalid, "it was accepted, but no such object is there")
        }
        var settings = stand.settings(try stand.folder())
        settings.places.append(BackupPlace("other", cutting, isRequired: false))
        let made = try await stand.scene.backUp(stand.source, settings)
        #expect(made.missing.map(\.destination) == ["other"])
        #expect(!stand.scene.files(other).contains { $0.hasSuffix(".backup") }, "\(stand.scene.files(other))")
        let pipeline = stand.scene.pipeline(settings)
        // The same in a later copy; and one that was killed has left its part behind.
        let later = try await pipeline.replicate(made.record.id, by: BackupScene.principal)
        #expect(later.missing.map(\.destination) == ["other"])
        isBroken.set(false)
        let copied = try await pipeline.replicate(made.record.id, by: BackupScene.principal)
        #expect(copied.missing.isEmpty && copied.record.copy(at: "other")?.state.isUsable == true, "\(copied.missing)")
    }

    @Test func whatADeadStoreKeptIsRemovedOnceItAnswersAgain() async throws {
        let stand = try await FaultStand()
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

    @Test func aSlowStoreKeepsTheLeaseAndALostLeaseEndsTheRun() async throws {
        let stand = try await FaultStand()
        defer { stand.scene.end() }
        let (isIn, goesOn) = (Switch(), Switch())
        var slow = ScriptedDestination(inner: try stand.folder())
        slow.onPut = { (upload, inner) async throws(Failure) in
            isIn.set(true)
            while !goesOn.isOn {
                // sleeps: a store that is slow, and notices when it is given up.
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
}
