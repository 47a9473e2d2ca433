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

/// What `serin verify` finds in journals in which something was done that must not be.
@Suite struct JournalPromiseTests {
    private let author = Principal.uid(1000)
    private let ann = Principal.uid(1001)
    private let bob = Principal.uid(1002)

    /// A journal with one thing in it that is not as it was.
    enum Damage: String, CaseIterable, CustomTestStringConvertible {
        case noBackup, unverifiedBackup, anotherBackup, noFence, onePersonTwice, theAuthor, anotherPlan, noIntent, nobodyCalled

        var testDescription: String { rawValue }

        /// What is found.
        var words: [String] {
            switch self {
            case .noBackup, .unverifiedBackup: ["S13: ", "S6: ", "without a verified backup"]
            case .anotherBackup: ["S6: ", "restores data without a verified backup"]
            case .noFence: ["S13: ", "S6: ", "with writes let in"]
            case .onePersonTwice, .theAuthor, .anotherPlan: ["S13: ", "S6: ", "with 1 of 2 people agreed"]
            case .noIntent: ["S3: ", "which nobody asked for"]
            case .nobodyCalled: ["L2: it is being taken back since", "later it is neither at its end nor was a person called"]
            }
        }
    }

    private func damaged(_ record: Record, _ damage: Damage?) throws -> Record? {
        switch (damage, record) {
        case (.noBackup, .event(.backupReported)), (.noIntent, .effect(.migrate)): return nil
        case (.unverifiedBackup, .event(.backupReported(let intent, .made(var reference)))):
            reference.state = .available
            return .event(.backupReported(intent, .made(reference)))
        case (.anotherBackup, .effect(.restore(let intent, var reference, let order))):
            reference.backup = try #require(BackupID("01930000-0000-7000-8000-000000000009"))
            return .effect(.restore(intent, reference, order))
        case (.noFence, .effect(.runAction(let intent, .fence))): return .effect(.runAction(intent, .unfence))
        case (.onePersonTwice, .event(.commanded(var command))) where command.by == bob:
            command.by = ann
            return .event(.commanded(command))
        case (.theAuthor, .event(.commanded(var command))) where command.by == bob:
            command.by = author
            return .event(.commanded(command))
        case (.anotherPlan, .event(.commanded(var command))) where command.by == bob:
            command.plan = "000000000000"
            return .event(.commanded(command))
        case (.nobodyCalled, .effect(.notify(let notice))) where notice.isCall: return nil
        default: return record
        }
    }

    /// What the promises find in a journal, with something else in the place of some entries.
    private func faults(_ entries: [Entry], _ damage: Damage? = nil, isHeld: Bool = true) throws -> [String] {
        var rollout: Rollout?
        var promises: JournalPromises?
        for entry in entries where entry.rollout != nil {
            let record = try CanonicalDecoder.decode(Record.self, from: entry.body)
            switch record {
            case .created(let charter):
                rollout = Rollout(charter: charter, createdAt: entry.at)
                promises = JournalPromises(charter: charter)
            case .event(let event): _ = rollout?.handle(event, at: entry.at)
            case .opened, .effect, .clockJumped: break
            }
            let standing = JournalPromises.Standing(try #require(rollout))
            if let shown = try damaged(record, damage) { promises?.take(entry.sequence, at: entry.at, shown, standing) }
        }
        promises?.finish(isHeld: isHeld)
        return try #require(promises).faults
    }

    private func action(_ name: String) -> ActionPolicy {
        ActionPolicy(call: .run([name]), check: .run([name, "check"]), deadline: .minutes(1))
    }

    /// A service whose release may destroy data.
    private func service() throws -> SimulatedService {
        var policy = SimulatedService.policy()
        policy.environment = .production
        policy.deploy = action("deploy")
        policy.rollback = action("rollback")
        policy.backup = RolloutBackupPolicy(before: .migrations, plan: .file("backups/checkout.yaml"), deadline: .minutes(30))
        var rules = MigrationPolicy(tool: .alembic(config: "alembic.ini", program: "alembic", directory: nil))
        rules.maintenance = MigrationPolicy.Maintenance(on: action("fence"), off: action("unfence"))
        rules.restore = action("restore")
        rules.destructive = .allow
        policy.migrations = rules
        let revision = PlannedRevision(
            id: try #require(RevisionID("0002")), kind: .destructive, tables: ["public.orders"])
        let migrations = FakeMigrations()
        migrations.state.withLock { state in
            state.current = RevisionID("0001")
            state.pending = [revision]
        }
        return try SimulatedService(policy: policy, migrations: migrations)
    }

    private func agree(_ service: SimulatedService) async {
        let plan = service.status?.approvalPlan
        for person in [ann, bob] { _ = await service.perform(Command(.approve, by: person, reason: "", plan: plan)) }
    }

    /// Starts it, lets it migrate, and lets its canary fail until people are asked about its data.
    private func failed(_ service: SimulatedService) async throws {
        _ = try await service.start(by: author)
        #expect(service.pass(atMost: .minutes(5)) { service.status?.state == "awaiting approval" })
        await agree(service)
        #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
        service.telemetry.state.withLock { $0.canaryFailPermille = 300 }
        #expect(service.pass(atMost: .hours(1)) { service.status?.awaitedApproval != nil })
    }

    @Test func s3s6s13l2WhatIsDoneWithoutWhatMustComeBeforeIsFoundInTheJournal() async throws {
        let service = try service()
        try await service.running {
            try await failed(service)
            service.migrations.state.withLock { $0.current = RevisionID("0001") }
            await agree(service)
            #expect(service.pass(atMost: .hours(2)) { service.status?.isFinal == true })
        }
        let entries = try await service.store.entries(after: 0, rollout: nil, limit: .max)
        #expect(try faults(entries) == [])
        for damage in Damage.allCases where damage != .nobodyCalled {
            let found = try faults(entries, damage).joined(separator: "\n")
            for words in damage.words { #expect(found.contains(words), "\(damage): \(found)") }
        }
    }

    @Test func l2AWayBackThatEndsInNothingAndCallsNobodyIsFoundInTheJournal() async throws {
        let service = try service()
        try await service.running {
            try await failed(service)
            // Nobody agrees, and in the end a person has to come.
            #expect(service.pass(atMost: .hours(50)) { service.status?.isRollbackIncomplete == true })
        }
        let entries = try await service.store.entries(after: 0, rollout: nil, limit: .max)
        #expect(try faults(entries) == [])
        #expect(try faults(entries, isHeld: false) == [], "a person was called")
        let found = try faults(entries, .nobodyCalled).joined(separator: "\n")
        for words in Damage.nobodyCalled.words { #expect(found.contains(words), "\(found)") }
        // Cut off as soon as it goes back: whoever goes on has time left, nobody has not.
        let begun = try #require(
            try entries.firstIndex { entry in
                guard case .effect(.record(let decision)) = try CanonicalDecoder.decode(Record.self, from: entry.body) else {
                    return false
                }
                return decision.text.contains("→ rolling back")
            })
        #expect(try faults(Array(entries[...begun])) == [])
        let left = try faults(Array(entries[...begun]), isHeld: false)
        #expect(left.count == 1 && left[0].contains("no controller goes on with it, and no person was called"), "\(left)")
        // The check of a whole journal says so too.
        for (isHeld, count) in [(true, 0), (false, 1)] {
            var check = JournalCheck(digest: SHA256.digestOrEmpty)
            for entry in entries[...begun] { check.take(entry) }
            check.finish(isHeld: isHeld)
            #expect(check.faults.count == count && check.faults.allSatisfy { $0.contains("L2: ") }, "\(check.faults)")
        }
    }
}
