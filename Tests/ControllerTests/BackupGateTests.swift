import MemoryJournal
import SerinController
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRecords
import SerinRollouts
import Testing

@Suite struct BackupGateTests {
    private let person = Principal.uid(1000)

    private func policy() -> Policy {
        var policy = SimulatedService.policy()
        policy.backup = RolloutBackupPolicy(before: .always, plan: .file("backups/checkout.yaml"), deadline: .minutes(30))
        policy.deploy = ActionPolicy(call: .run(["deploy"]), check: nil, deadline: .minutes(1))
        return policy
    }

    private func log(_ service: SimulatedService) async throws -> String {
        let reader = JournalReader(service.store)
        guard let id = try await reader.lastRollout()?.charter.id else { return "no rollout" }
        return try await reader.decisions(of: id, after: 0, limit: 1000).map(\.line).joined(separator: "\n")
    }

    private func isOver(_ service: SimulatedService) -> Bool { service.status?.isFinal == true }

    /// Whether the rollout comes to its end, and everything that follows it.
    private func ends(_ service: SimulatedService, within limit: Duration) -> Bool {
        let isOver = service.pass(atMost: limit) { service.status?.isFinal == true }
        _ = service.pass(atMost: .seconds(1)) { false }
        return isOver
    }

    private func known(_ record: Record) -> Bool {
        switch record {
        case .event(.backupReported(_, .made)): return true
        case .event(.takenOver(let takeover)):
            if case .made? = takeover.backup { return true }
            return false
        case .event, .effect, .opened, .created, .clockJumped: return false
        }
    }

    private func isBackup(_ record: Record) -> Bool {
        if case .effect(.takeBackup) = record { return true }
        return false
    }

    private func isDeploy(_ record: Record) -> Bool {
        if case .effect(.runAction(_, .deploy)) = record { return true }
        return false
    }

    private func records(_ store: MemoryStore) async throws -> [Record] {
        try await store.entries.map { try CanonicalDecoder.decode(Record.self, from: $0.body) }
    }

    private func expectReplay(of store: MemoryStore, _ place: Comment) async throws {
        var check = JournalCheck(digest: SHA256.digestOrEmpty)
        for entry in try await store.entries(after: 0, rollout: nil, limit: .max) { check.take(entry) }
        #expect(check.faults == [] && check.unread == [], place)
    }

    @Test func aVerifiedBackupComesBeforeTheDeployAndIsHeldUntilTheEnd() async throws {
        let service = try SimulatedService(policy: policy())
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
            #expect(service.backups.state.withLock { $0.isHeld })
            #expect(service.status?.restorePoint?.state == .verified)
            #expect(ends(service, within: .hours(2)))
            let log = try await log(service)
            #expect(service.status?.ending == .promoted, "\(log)")
            let request = try #require(service.backups.state.withLock { $0.requests.first })
            #expect(request.version == "2" && request.rollout == service.status?.id && request.author == person)
            let records = try await records(service.store)
            let backup = try #require(records.firstIndex { if case .event(.backupReported) = $0 { true } else { false } })
            let deploy = try #require(
                records.firstIndex { if case .effect(.runAction(_, .deploy)) = $0 { true } else { false } })
            #expect(backup < deploy)
            #expect(records.contains(.event(.backupReleased(nil))))
            #expect(log.contains("the restore point is backup 01934b5e-6d00-7abc-8def-0123456789ab, verified"), "\(log)")
        }
        try await expectReplay(of: service.store, "promoted")
    }

    @Test(arguments: [BackupState.uploaded, .available, .quarantined])
    func aBackupThatIsNotVerifiedRefusesTheRolloutAndNothingIsDeployed(_ quality: BackupState) async throws {
        let service = try SimulatedService(policy: policy())
        service.backups.state.withLock { $0.quality = quality }
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(5)) { isOver(service) })
            let log = try await log(service)
            #expect(service.status?.ending == .refused, "\(log)")
            #expect(service.status?.restorePoint == nil)
            #expect(service.status?.cause.contains("not verified") == true, "\(log)")
            #expect(service.actions.ran.withLock { $0 }.isEmpty)
            #expect(service.balancer.state.withLock { $0.written.allSatisfy { $0 == .zero } })
        }
    }

    @Test func aBackupThatFailsRefusesTheRollout() async throws {
        let service = try SimulatedService(policy: policy())
        service.backups.state.withLock { $0.failure = Failure(.transient, "pg_dump ended with status 1") }
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(5)) { isOver(service) })
            #expect(service.status?.ending == .refused)
            #expect(service.status?.cause == "the backup failed: pg_dump ended with status 1")
            #expect(service.actions.ran.withLock { $0 }.isEmpty)
        }
    }

    @Test func whatWouldKeepABackupFromBeingMadeRefusesTheRolloutInPreflight() async throws {
        let service = try SimulatedService(policy: policy())
        service.backups.state.withLock { $0.problems = [Failure(.invalid, "no room at /var/backups")] }
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(5)) { isOver(service) })
            #expect(service.status?.ending == .refused)
            #expect(service.status?.cause.contains("backup: no room at /var/backups") == true)
            #expect(service.backups.state.withLock { $0.asked } == 0)
        }
    }

    @Test func aHaltEndsTheBackupUnderWayAndTheRolloutWithIt() async throws {
        let service = try SimulatedService(policy: policy())
        let (gate, inlet) = AsyncStream.makeStream(of: Never.self)
        service.backups.state.withLock { $0.gate = gate }
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(5)) { service.status?.state == "backing up" })
            let before = service.clock.now()
            let answer = await service.perform(Command(.halt, by: person, reason: "test"))
            guard case .success = answer else {
                Issue.record("\(String(describing: answer))")
                return
            }
            #expect(service.pass(atMost: .minutes(1)) { isOver(service) })
            #expect(service.clock.now() - before <= .seconds(15))
            #expect(service.status?.ending == .halted)
            #expect(service.backups.state.withLock { $0.ended } == 1)
        }
        inlet.finish()
        try await expectReplay(of: service.store, "halted")
    }

    @Test func aBackupThatTakesLongerThanItMayRefusesTheRollout() async throws {
        let service = try SimulatedService(policy: policy())
        let (gate, inlet) = AsyncStream.makeStream(of: Never.self)
        service.backups.state.withLock { $0.gate = gate }
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(40)) { isOver(service) })
            #expect(service.status?.ending == .refused)
            #expect(service.status?.cause == "the backup did not end in time")
        }
        inlet.finish()
    }

    @Test func aBackupThatABrokenJournalHeldBackIsNotWaitedFor() async throws {
        let service = try SimulatedService(policy: policy())
        try await service.running {
            _ = try await service.start(by: person)
            await service.store.setFault { drafts throws(StoreError) in
                if drafts.contains(where: { isBackup($0.record) }) { throw .unavailable("disk full") }
            }
            _ = service.pass(atMost: .seconds(10)) { false }
            await service.store.setFault(nil)
            #expect(service.pass(atMost: .minutes(5)) { isOver(service) })
            #expect(service.actions.ran.withLock { $0 }.isEmpty)
            #expect(service.weight == .zero)
        }
        try await expectReplay(of: service.store, "broken journal")
    }

    /// The process is killed when it makes its n-th entry, which is lost, for every n around the backup.
    @Test(arguments: 1...14) func l4AfterACrashAtAnyWriteOneBackupStandsBeforeTheDeploy(_ writes: Int) async throws {
        let first = try SimulatedService(policy: policy())
        let (store, clock) = (first.store, first.clock)
        try await first.running {
            _ = try await first.start(by: person)
            let count = await store.entries.count
            await store.setFault { drafts throws(StoreError) in
                if await store.entries.count >= count + writes { await clock.sleep(for: .hours(24)) }
            }
            _ = first.pass(atMost: .seconds(40)) { false }
        }
        await store.setFault(nil)
        let second = try SimulatedService(store: store, policy: policy(), backups: first.backups)
        let weight = first.weight
        second.balancer.state.withLock { $0.weight = weight }
        second.clock.advance(to: clock.now())
        _ = try await second.controller.recover()
        try await second.running {
            let hasEnded = ends(second, within: .hours(3))
            let log = try await log(second)
            #expect(hasEnded, "\(log)")
            #expect(second.backups.state.withLock { $0.made } == 1, "\(log)")
            let records = try await records(store)
            let known = try #require(records.firstIndex(where: known))
            let deploys = records.indices.filter { isDeploy(records[$0]) }
            #expect(deploys.count == 1 && deploys.allSatisfy { $0 > known }, "\(log)")
            #expect(!second.backups.state.withLock { $0.isHeld }, "\(log)")
        }
        try await expectReplay(of: store, "\(writes)")
    }

    @Test func aBackupThatWasKilledHalfwayIsAskedForAgain() async throws {
        let first = try SimulatedService(policy: policy())
        let (gate, inlet) = AsyncStream.makeStream(of: Never.self)
        first.backups.state.withLock { $0.gate = gate }
        try await first.running {
            _ = try await first.start(by: person)
            #expect(first.pass(atMost: .minutes(1)) { first.backups.state.withLock { $0.asked } == 1 })
        }
        inlet.finish()
        first.backups.state.withLock { $0.gate = nil }
        let second = try SimulatedService(store: first.store, policy: policy(), backups: first.backups)
        second.clock.advance(to: first.clock.now())
        _ = try await second.controller.recover()
        try await second.running {
            #expect(second.pass(atMost: .minutes(5)) { second.weight > .zero })
            #expect(second.backups.state.withLock { ($0.asked, $0.made) } == (2, 1))
        }
    }

    @Test func aBackupThatCouldNotBeReleasedIsReleasedByTheNextController() async throws {
        let first = try SimulatedService(policy: policy())
        first.backups.state.withLock { $0.releaseFailure = Failure(.transient, "the catalogue is locked") }
        try await first.running {
            _ = try await first.start(by: person)
            #expect(ends(first, within: .hours(2)))
            #expect(first.backups.state.withLock { $0.isHeld })
            let log = try await log(first)
            #expect(log.contains("the backup is still held for this rollout: the catalogue is locked"), "\(log)")
        }
        first.backups.state.withLock { $0.releaseFailure = nil }
        let second = try SimulatedService(store: first.store, policy: policy(), backups: first.backups)
        second.clock.advance(to: first.clock.now())
        let taken = try await second.controller.recover()
        #expect(taken == nil)
        try await second.running {
            #expect(second.pass(atMost: .minutes(1)) { !second.backups.state.withLock { $0.isHeld } })
            _ = second.pass(atMost: .seconds(1)) { false }
            #expect(second.status?.ending == .promoted)
        }
        try await expectReplay(of: first.store, "released later")
    }
}
