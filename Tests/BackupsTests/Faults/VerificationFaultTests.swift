import FoundationEssentials
import Glibc
import SerinBackups
import SerinCatalogue
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import Testbed
import Testing

/// What goes wrong while a backup is verified, and what an older one in its place is taken for.
@Suite(.serialized) struct VerificationFaultTests {
    @Test func aStoreThatDiesWhileABackupIsVerifiedCondemnsNothing() async throws {
        let stand = try await FaultStand()
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

    @Test func aDiskThatIsNotMountedCondemnsNoCopyWhereAnotherPlanHasWrittenMeanwhile() async throws {
        let stand = try await FaultStand()
        defer { stand.scene.end() }
        let scene = stand.scene
        let other = try await scene.backUp(stand.source).record
        #expect(rename(scene.store, scene.store + ".disk") == 0)
        mkdir(scene.store, 0o700)
        // The first backup of another plan with the same folder.
        var settings = scene.settings
        settings.target = try #require(ServiceName("office"))
        _ = try await scene.backUp(stand.source, settings)
        for record in [stand.good, other] {
            let failure = await #expect(throws: Failure.self) {
                _ = try await scene.verifier.verify(
                    record.id, source: stand.source, destination: "local", by: BackupScene.principal)
            }
            #expect(failure?.kind == .transient && failure?.hint?.contains("verify PLAN \(record.id)") == true)
            #expect(try await scene.record(record.id)?.state == .available)
        }
        // Somebody says that it is lost, is mistaken, and mounts the disk.
        let lost = try await scene.verifier.verify(
            other.id, source: stand.source, destination: "local", isRightPlace: true, by: BackupScene.principal)
        #expect(!lost.result.passed)
        try FileManager.default.removeItem(atPath: scene.store)
        #expect(rename(scene.store + ".disk", scene.store) == 0)
        let again = try await scene.verifier.verify(other.id, source: stand.source, by: BackupScene.principal)
        #expect(again.result.passed)
        // One that is missing at the right place is missing.
        unlink("\(scene.store)/\(try #require(stand.good.copies.first).key)")
        let gone = try await scene.verifier.verify(stand.good.id, source: stand.source, by: BackupScene.principal)
        #expect(!gone.result.passed)
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

    @Test func anOlderBackupInTheNewestOnesPlaceIsNeitherVerifiedNorImported() async throws {
        let stand = try await FaultStand()
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
            read: { (key, version) async throws(Failure) in try await folder.read(key, version: version) },
            head: { (key) async throws(Failure) in try await folder.head(key, version: nil) })
        let contents = try await CatalogueSurvey(reading, authenticate: ManifestSeal(scene.settings.manifestKey).code).contents()
        #expect(contents.manifests.map(\.manifest.order.id) == [stand.good.id])
        #expect(contents.unreadable.map(\.key) == [Manifest.key(beside: new)])
    }
}
