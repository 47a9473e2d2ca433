import SerinBackups
import SerinCatalogue
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts
import Testing

@testable import SerinCommandLine

/// The gate's backups over a catalogue in memory.
@Suite struct PlanBackupsTests {
    private let backups = FakeBackups()
    private let now = SystemClock().now()

    private func request() throws -> RolloutBackupRequest {
        RolloutBackupRequest(
            rollout: try #require(RolloutID("checkout-1")), service: try #require(ServiceName("checkout")), version: "2.0",
            author: .uid(1000))
    }

    private func gate() throws -> PlanBackups {
        PlanBackups(
            loaded: LoadedBackupPlan(file: "plan.yaml", plan: try backups.plan, hash: "ab"), catalogue: backups.catalogue,
            work: backups, now: { SystemClock().now() }, busyPause: .milliseconds(10))
    }

    @Test func whatWasStoredBeforeTheControllerDiedIsHeldAndVerifiedAndNotMadeAgain() async throws {
        let request = try request()
        let id = try await backups.add(1, now - .minutes(1), rollout: request.rollout)
        backups.verifies.withLock { $0 = true }
        #expect(
            await (try gate()).take(request, deadline: .seconds(20))
                == .made(CheckpointReference(backup: id, state: .verified, at: now - .minutes(1), kind: .logical)))
        #expect(backups.made.withLock { $0 } == [], "nothing is dumped again")
        let record = try #require(try await backups.catalogue.state()[id])
        #expect(record.holds.map(\.kind) == [.rollout(request.rollout)])
        #expect(await (try gate()).check(request, deadline: .seconds(20)) != .unknown(Failure(.transient, "")))
        try await (try gate()).release(request, deadline: .seconds(20))
        #expect(try await backups.catalogue.state()[id]?.holds.first?.until != nil)
    }

    @Test func aRestorePointThatItsToolRemovedIsNoneAndOneThatItCannotTellOfIsUnknown() async throws {
        let request = try request()
        let id = try await backups.add(1, now - .minutes(1), rollout: request.rollout)
        backups.verifies.withLock { $0 = true }
        _ = await (try gate()).take(request, deadline: .seconds(20))
        backups.expired.withLock { $0 = .failure(Failure(.transient, "the repository does not answer")) }
        let asked = await (try gate()).check(request, deadline: .seconds(20))
        #expect(asked == .unknown(Failure(.transient, "the repository does not answer")))
        backups.expired.withLock { $0 = .success([id]) }
        guard case .failed(let failure) = await (try gate()).check(request, deadline: .seconds(20)) else {
            Issue.record("it still counts")
            return
        }
        #expect(failure == .expiredByItsTool)
    }

    @Test func aBackupThatWasInterruptedWithItsControllerIsAskedForAgain() async throws {
        let request = try request()
        func fail(_ number: Int64, _ why: Failure) async throws {
            let id = BackupID(millisecondsSince1970: number, random: [UInt8(number)])
            let order = BackupOrder(
                id: id, project: "shop", target: FakeBackups.target, kind: .logical, createdAt: now, createdBy: .uid(1000),
                rollout: request.rollout)
            try await backups.catalogue.append(
                [.begun(order), .failed(why)].map { CatalogueEvent(backup: id, at: now, by: .serin, $0) })
        }
        try await fail(1, .runWasInterrupted)
        guard case .unknown = await (try gate()).check(request, deadline: .seconds(20)) else {
            Issue.record("the rollout would be refused")
            return
        }
        try await fail(2, Failure(.denied, "dump: the server refuses"))
        guard case .failed = await (try gate()).check(request, deadline: .seconds(20)) else {
            Issue.record("a real failure counts")
            return
        }
    }

    @Test func aReadingThatProvesTooLittleFailsTheGate() async throws {
        let request = try request()
        try await backups.add(1, now - .minutes(1), rollout: request.rollout)
        backups.verifies.withLock { $0 = true }
        backups.shortfall.withLock { $0 = "no key at hand opens it" }
        guard case .failed(let failure) = await (try gate()).take(request, deadline: .seconds(20)) else {
            Issue.record("it was taken")
            return
        }
        #expect(failure.message.contains("is not verified: no key at hand"), "\(failure)")
    }

    @Test func aTargetThatIsBusyIsWaitedForUntilTheDeadline() async throws {
        let holder = LeaseHolder(place: "here", pid: 1, startTicks: 0, purpose: "a nightly backup")
        let lease = try await backups.catalogue.takeLease(
            LeaseRequest(target: FakeBackups.target, holder: holder, by: .serin, at: now, duration: .minutes(5)))
        backups.failure.withLock { $0 = BackupRunFailure(.lease, Failure(.conflict, "checkout-db is held by a nightly backup")) }
        let short = await (try gate()).take(try request(), deadline: .milliseconds(200))
        if case .failed(let failure) = short { #expect(failure.message.contains("held")) } else { Issue.record("\(short)") }
        async let outcome = (try gate()).take(try request(), deadline: .seconds(20))
        backups.failure.withLock { $0 = nil }
        try await backups.catalogue.releaseLease(lease)
        // The fake's disk is full once it is its turn.
        if case .failed(let failure) = try await outcome {
            #expect(failure.message == "store: the disk is full")
        } else {
            Issue.record("it was not tried again")
        }
        #expect(backups.made.withLock { $0 } == [.logical])
    }
}
