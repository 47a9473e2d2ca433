import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinPorts
import Testbed
import Testing

/// Disks and quotas that are full, and clocks that were wrong.
@Suite(.serialized) struct RoomAndTimeFaultTests {
    @Test func aQuotaThatIsReachedWhileStoringLeavesTheOlderOnes() async throws {
        let stand = try await FaultStand()
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
        let stand = try await FaultStand()
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
        let first = try await stand.scene.backUp(stand.source, stand.settings(place, named: "disk")).record
        let failure = await stand.scene.failure(noise, stand.settings(place, named: "disk"))
        #expect(failure?.stage == .store, "\(String(describing: failure))")
        #expect(stand.scene.files(store.path).count == 3, "\(stand.scene.files(store.path))")
        let verifier = BackupVerifier(
            stand.settings(place, named: "disk"), identities: [.keyFile(stand.scene.keyFile)], catalogue: stand.scene.catalogue,
            now: BackupScene.now)
        let read = try await verifier.verify(first.id, source: stand.source, by: BackupScene.principal)
        #expect(read.result.passed, "\(read.result.checks)")
    }

    @Test func aClockThatWasWrongOnceForbidsNoBackupForEver() async throws {
        let stand = try await FaultStand()
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
        // One that was made there is said, keeps no other from being made, and is not the newest.
        let odd = try await future.run(stand.source, request).record
        let made = try await scene.backUp(stand.source)
        #expect(made.remarks.contains { $0.contains("\(odd.id)") && $0.contains("not believed") }, "\(made.remarks)")
        #expect(try await scene.catalogue.state().history().first?.id == made.record.id)
    }
}
