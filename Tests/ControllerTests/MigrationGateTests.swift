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

@Suite struct MigrationGateTests {
    private let author = Principal.uid(1000)
    private let ann = Principal.uid(1001)
    private let bob = Principal.uid(1002)

    private func action(_ name: String) -> ActionPolicy {
        ActionPolicy(call: .run([name]), check: .run([name, "check"]), deadline: .minutes(1))
    }

    private func policy(_ change: (inout MigrationPolicy) -> Void = { _ in }) -> Policy {
        var policy = SimulatedService.policy()
        policy.environment = .production
        policy.deploy = action("deploy")
        policy.rollback = action("rollback")
        policy.backup = RolloutBackupPolicy(before: .migrations, plan: .file("backups/checkout.yaml"), deadline: .minutes(30))
        var migrations = MigrationPolicy(tool: .alembic(config: "alembic.ini", program: "alembic", directory: nil))
        migrations.maintenance = MigrationPolicy.Maintenance(on: action("fence"), off: action("unfence"))
        migrations.restore = action("restore")
        change(&migrations)
        policy.migrations = migrations
        return policy
    }

    private func revision(_ name: String, _ kind: MigrationClass, _ phase: MigrationPhase = .expand) throws -> PlannedRevision {
        PlannedRevision(id: try #require(RevisionID(name)), kind: kind, phase: phase, tables: ["public.orders"])
    }

    private func migrations(_ pending: PlannedRevision...) -> FakeMigrations {
        let migrations = FakeMigrations()
        migrations.state.withLock { state in
            state.current = RevisionID("0001")
            state.pending = pending
        }
        return migrations
    }

    private func log(_ service: SimulatedService) async throws -> String {
        let reader = JournalReader(service.store)
        guard let id = try await reader.lastRollout()?.charter.id else { return "no rollout" }
        return try await reader.decisions(of: id, after: 0, limit: 1000).map(\.line).joined(separator: "\n")
    }

    private func expectReplay(of store: MemoryStore, _ place: Comment) async throws {
        var check = JournalCheck(digest: SHA256.digestOrEmpty)
        for entry in try await store.entries(after: 0, rollout: nil, limit: .max) { check.take(entry) }
        #expect(check.faults == [] && check.unread == [], place)
    }

    private func isRollback(_ record: Record) -> Bool {
        if case .effect(.record(let decision)) = record { return decision.text.contains("→ rolling back") }
        return false
    }

    private func moves(_ service: SimulatedService) -> [String] { service.migrations.state.withLock { $0.moves } }

    private func ends(_ service: SimulatedService, within limit: Duration = .hours(2)) -> Bool {
        let isOver = service.pass(atMost: limit) { service.status?.isFinal == true }
        _ = service.pass(atMost: .seconds(1)) { false }
        return isOver
    }

    @Test func theSchemaGoesForwardAfterTheBackupAndBeforeTheDeploy() async throws {
        let service = try SimulatedService(
            policy: policy(),
            migrations: migrations(try revision("0002", .additive), try revision("0003", .destructive, .contract)))
        try await service.running {
            _ = try await service.start(by: author)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
            #expect(moves(service) == ["up 0002"])
            #expect(service.backups.state.withLock { $0.made } == 1)
            #expect(ends(service))
            let log = try await log(service)
            #expect(service.status?.ending == .promoted, "\(log)")
            #expect(log.contains("left for after the promotion, as they take something away: 0003"), "\(log)")
            #expect(log.contains("on a rollback: keep the schema"), "\(log)")
            #expect(service.migrations.state.withLock { $0.current } == RevisionID("0002"))
        }
        try await expectReplay(of: service.store, "promoted")
    }

    @Test func withoutPendingRevisionsNothingIsBackedUpOrMoved() async throws {
        let service = try SimulatedService(policy: policy(), migrations: migrations())
        try await service.running {
            _ = try await service.start(by: author)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
            #expect(moves(service).isEmpty)
            #expect(service.backups.state.withLock { $0.asked } == 0)
        }
    }

    @Test(arguments: [MigrationPolicy.Schema.keep, .downgrade])
    func aFailedCanaryComesBackWithItsSchemaAsThePolicySays(_ schema: MigrationPolicy.Schema) async throws {
        let service = try SimulatedService(
            policy: policy { $0.schema = schema }, migrations: migrations(try revision("0002", .additive)))
        try await service.running {
            _ = try await service.start(by: author)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
            service.telemetry.state.withLock { $0.canaryFailPermille = 300 }
            #expect(ends(service))
            let log = try await log(service)
            #expect(service.status?.ending == .failed, "\(log)")
            #expect(moves(service) == (schema == .keep ? ["up 0002"] : ["up 0002", "down 0001"]), "\(log)")
            #expect(service.status?.cause.contains("errors") == true, "\(service.status?.cause ?? "")")
        }
        try await expectReplay(of: service.store, "failed")
    }

    @Test func aHaltDuringTheMigrationEndsItAndReadsWhatItLeft() async throws {
        let migrations = migrations(try revision("0002", .additive))
        let (gate, inlet) = AsyncStream.makeStream(of: Never.self)
        migrations.state.withLock { $0.gate = gate }
        let service = try SimulatedService(policy: policy(), migrations: migrations)
        try await service.running {
            _ = try await service.start(by: author)
            #expect(service.pass(atMost: .minutes(5)) { service.status?.state == "migrating" })
            let answer = await service.perform(Command(.halt, by: author, reason: "test"))
            guard case .success = answer else {
                Issue.record("\(String(describing: answer))")
                return
            }
            #expect(ends(service, within: .minutes(5)))
            let log = try await log(service)
            #expect(service.status?.ending == .halted, "\(log)")
            let state = migrations.state.withLock { $0 }
            #expect(state.ended == 1 && state.settled == 1 && !state.wasReadInBetween)
            #expect(log.contains("nothing was applied: the schema is at 0001, where it was"), "\(log)")
        }
        inlet.finish()
        try await expectReplay(of: service.store, "halted")
    }

    @Test func s3AMigrationOfUnknownOutcomeIsReadAndTakenBackAsFarAsItCame() async throws {
        for isApplied in [false, true] {
            let migrations = migrations(try revision("0002", .reversible))
            migrations.state.withLock { $0.failures = [(Failure(.unknown, "the connection was cut"), isApplied)] }
            let service = try SimulatedService(policy: policy(), migrations: migrations)
            try await service.running {
                _ = try await service.start(by: author)
                #expect(ends(service))
                let log = try await log(service)
                #expect(service.status?.ending == .failed, "\(log)")
                #expect(moves(service) == (isApplied ? ["up 0002", "down 0001"] : ["up 0002"]), "\(log)")
                #expect(migrations.state.withLock { $0.current } == RevisionID("0001"))
                #expect(service.actions.ran.withLock { $0 }.isEmpty, "nothing was deployed")
            }
        }
    }

    @Test func aSchemaThatCannotBeReadHoldsAtZeroAndCallsAPerson() async throws {
        let migrations = migrations(try revision("0002", .additive))
        migrations.state.withLock { state in
            state.failures = [(Failure(.unknown, "the connection was cut"), true)]
            state.readFailure = Failure(.unknown, "no answer")
        }
        let service = try SimulatedService(policy: policy(), migrations: migrations)
        try await service.running {
            _ = try await service.start(by: author)
            #expect(service.pass(atMost: .hours(1)) { service.status?.isRollbackIncomplete == true })
            #expect(service.weight == .zero)
            #expect(service.notifier.notices.withLock { $0.contains { $0.severity == .critical } })
            migrations.state.withLock { $0.readFailure = nil }
            _ = await service.perform(Command(.rollback, by: ann, reason: "the database is back"))
            #expect(ends(service))
            let log = try await log(service)
            #expect(service.status?.ending == .failed, "\(log)")
        }
        try await expectReplay(of: service.store, "stranded")
    }

    @Test func whatMayDestroyDataIsRefusedUnlessThePolicyAllowsIt() async throws {
        for kind in [MigrationClass.destructive, .unclassified] {
            let service = try SimulatedService(policy: policy(), migrations: migrations(try revision("0002", kind)))
            try await service.running {
                _ = try await service.start(by: author)
                #expect(service.pass(atMost: .minutes(5)) { service.status?.isFinal == true })
                #expect(service.status?.ending == .refused)
                #expect(service.status?.cause.contains("the policy refuses what may destroy data") == true)
                #expect(moves(service).isEmpty)
                #expect(service.backups.state.withLock { $0.asked } == 0)
            }
        }
    }

    @Test func aBackupOfAnotherDatabaseRefusesTheRollout() async throws {
        for other in [nil, DatabaseIdentity(system: "2", name: "checkout"), DatabaseIdentity(system: "1", name: "billing")] {
            let service = try SimulatedService(policy: policy(), migrations: migrations(try revision("0002", .additive)))
            service.backups.state.withLock { $0.database = other }
            try await service.running {
                _ = try await service.start(by: author)
                #expect(service.pass(atMost: .minutes(5)) { service.status?.isFinal == true })
                #expect(service.status?.ending == .refused)
                let words =
                    other.map { "the backup is of \($0), and what is migrated is" } ?? "nobody can tell whether the backup"
                #expect(service.status?.cause.contains(words) == true, "\(service.status?.cause ?? "")")
                #expect(moves(service).isEmpty && service.backups.state.withLock { $0.asked } == 0)
            }
        }
    }

    @Test func aPhysicalBackupOfTheClusterHoldsTheDatabase() async throws {
        let service = try SimulatedService(policy: policy(), migrations: migrations(try revision("0002", .additive)))
        service.backups.state.withLock { $0.database = DatabaseIdentity(system: "1", name: nil) }
        try await service.running {
            _ = try await service.start(by: author)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
        }
    }

    @Test func s13WhatIsRunIsToldAsItWasJudged() async throws {
        let revision = PlannedRevision(
            id: try #require(RevisionID("0002")), kind: .additive, upDigest: "ab", downDigest: "cd")
        let service = try SimulatedService(policy: policy { $0.schema = .downgrade }, migrations: migrations(revision))
        try await service.running {
            _ = try await service.start(by: author)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
            #expect(service.migrations.state.withLock { $0.judged } == [revision])
            service.telemetry.state.withLock { $0.canaryFailPermille = 300 }
            #expect(ends(service))
            #expect(service.migrations.state.withLock { $0.judged } == [revision] && moves(service).last == "down 0001")
        }
    }

    /// Starts a destructive rollout and lets two people agree to it.
    private func startDestructive(_ service: SimulatedService) async throws {
        _ = try await service.start(by: author)
        #expect(service.pass(atMost: .minutes(5)) { service.status?.state == "awaiting approval" })
        #expect(service.status?.awaitedApproval?.contains("a migration that may destroy data: 2 different people") == true)
        guard case .failure = await service.perform(Command(.approve, by: author, reason: "")) else {
            Issue.record("the author approved")
            return
        }
        let plan = service.status?.approvalPlan
        _ = await service.perform(Command(.approve, by: ann, reason: "", plan: plan))
        _ = await service.perform(Command(.approve, by: bob, reason: "", plan: plan))
    }

    @Test func s6ADestructiveMigrationComesBackOnlyWithBackupFenceAndTheirAgreementToThatPlan() async throws {
        let migrations = migrations(try revision("0002", .destructive))
        let service = try SimulatedService(policy: policy { $0.destructive = .allow }, migrations: migrations)
        try await service.running {
            try await startDestructive(service)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
            service.telemetry.state.withLock { $0.canaryFailPermille = 300 }
            #expect(service.pass(atMost: .hours(1)) { service.status?.awaitedApproval != nil })
            let asked = service.actions.names.withLock { $0 }
            #expect(asked == ["fence", "unfence", "deploy", "rollback", "fence"], "\(asked)")
            let plan = try #require(service.status?.approvalPlan)
            for wrong in [nil, "000000000000", String(plan.prefix(8))] {
                guard case .failure(.refused) = await service.perform(Command(.approve, by: ann, reason: "", plan: wrong)) else {
                    Issue.record("agreed to \(wrong ?? "no plan")")
                    return
                }
            }
            guard case .success = await service.perform(Command(.approve, by: ann, reason: "", plan: plan)) else {
                Issue.record("the right plan was refused")
                return
            }
            guard case .failure = await service.perform(Command(.approve, by: ann, reason: "", plan: plan)) else {
                Issue.record("one person counted twice")
                return
            }
            #expect(!service.actions.names.withLock { $0.contains("restore") })
            migrations.state.withLock { $0.current = RevisionID("0001") }
            _ = await service.perform(Command(.approve, by: bob, reason: "", plan: plan))
            #expect(ends(service))
            let log = try await log(service)
            #expect(service.status?.ending == .failed, "\(log)")
            let names = service.actions.names.withLock { $0 }
            #expect(names == ["fence", "unfence", "deploy", "rollback", "fence", "restore", "unfence"], "\(names)")
            let context = try #require(service.actions.contexts.withLock { $0.last { $0.backup != nil } })
            let order = RestoreOrder(way: .salvage, target: RevisionID("0001"), tables: ["public.orders"])
            #expect(context.restore == order)
        }
        try await expectReplay(of: service.store, "restored")
    }

    @Test func anApprovalThatNobodyGivesLeavesWritesFencedAndCallsAPerson() async throws {
        let migrations = migrations(try revision("0002", .destructive))
        var policy = policy { $0.destructive = .allow }
        policy.timing.approvalDeadline = .hours(1)
        let service = try SimulatedService(policy: policy, migrations: migrations)
        try await service.running {
            try await startDestructive(service)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
            service.telemetry.state.withLock { $0.canaryFailPermille = 300 }
            let next = "WRITES ARE FENCED; a person has to see to the schema"
            #expect(service.pass(atMost: .hours(2)) { service.status?.next.hasPrefix(next) == true })
            #expect(service.status?.isRollbackIncomplete == true)
            #expect(!service.actions.names.withLock { $0.contains("restore") })
            #expect(service.actions.names.withLock { $0.last } == "fence")
        }
    }

    @Test func aFailedProbeAfterTheMigrationTakesItBack() async throws {
        let service = try SimulatedService(
            policy: policy {
                $0.schema = .downgrade
                $0.probes = [action("probe")]
            }, migrations: migrations(try revision("0002", .additive)))
        service.actions.failing.withLock { $0 = ["probe"] }
        try await service.running {
            _ = try await service.start(by: author)
            #expect(service.pass(atMost: .hours(1)) { service.status?.cause.contains("probe 1 failed") == true })
            // The way back is probed as well: a person is called as long as the schema is not healthy.
            #expect(service.pass(atMost: .hours(1)) { service.status?.isRollbackIncomplete == true })
            service.actions.failing.withLock { $0 = [] }
            _ = await service.perform(Command(.rollback, by: ann, reason: ""))
            #expect(ends(service))
            #expect(service.status?.ending == .failed)
        }
    }

    /// The process is killed when it makes its n-th entry, which is lost, for every n until the canary has traffic, and while it goes
    /// back.
    @Test(arguments: 1...24) func l4AfterACrashAtAnyWriteTheSchemaIsWhereTheRolloutSays(_ writes: Int) async throws {
        let policy = policy { $0.schema = .downgrade }
        let first = try SimulatedService(policy: policy, migrations: migrations(try revision("0002", .additive)))
        let (store, clock) = (first.store, first.clock)
        try await first.running {
            _ = try await first.start(by: author)
            let count = await store.entries.count
            await store.setFault { drafts throws(StoreError) in
                if await store.entries.count >= count + writes { await clock.sleep(for: .hours(24)) }
            }
            _ = first.pass(atMost: .seconds(40)) { false }
        }
        await store.setFault(nil)
        let second = try SimulatedService(
            store: store, policy: policy, backups: first.backups, migrations: first.migrations)
        let weight = first.weight
        second.balancer.state.withLock { $0.weight = weight }
        second.telemetry.state.withLock { $0.canaryFailPermille = 300 }
        second.clock.advance(to: clock.now())
        _ = try await second.controller.recover()
        try await second.running {
            #expect(ends(second, within: .hours(6)))
            let log = try await log(second)
            let moves = moves(second)
            #expect(moves.filter { $0.hasPrefix("up") }.count <= 1, "\(moves)\n\(log)")
            #expect(second.migrations.state.withLock { $0.current } == RevisionID("0001"), "\(moves)\n\(log)")
            #expect(second.weight == .zero)
        }
        try await expectReplay(of: store, "crash at write \(writes)")
    }

    /// What is left of a service whose process was killed: a new controller with the same journal and the same world.
    private func successor(of first: SimulatedService, _ policy: Policy) async throws -> SimulatedService {
        await first.store.setFault(nil)
        let second = try SimulatedService(
            store: first.store, policy: policy, backups: first.backups, migrations: first.migrations)
        let weight = first.weight
        second.balancer.state.withLock { $0.weight = weight }
        second.telemetry.state.withLock { $0.canaryFailPermille = 300 }
        second.clock.advance(to: first.clock.now())
        _ = try await second.controller.recover()
        return second
    }

    /// A command is taken at once, also while a new controller still reads the world; what it leads to waits for the end of that.
    @Test func aRollbackWhileAControllerTakesOverReadsTheSchemaOnce() async throws {
        let policy = policy()
        let migrations = migrations(try revision("0002", .additive))
        migrations.state.withLock { state in
            state.failures = [(Failure(.unknown, "the connection was cut"), true)]
            state.readFailure = Failure(.unknown, "no answer")
        }
        let first = try SimulatedService(policy: policy, migrations: migrations)
        try await first.running {
            _ = try await first.start(by: author)
            #expect(first.pass(atMost: .hours(1)) { first.status?.isRollbackIncomplete == true })
        }
        let (reading, inlet) = AsyncStream.makeStream(of: Never.self)
        migrations.state.withLock { ($0.readFailure, $0.settled) = (nil, 0) }
        let second = try await successor(of: first, policy)
        second.balancer.state.withLock { $0.readGate = reading }
        try await second.running {
            _ = await second.perform(Command(.rollback, by: ann, reason: "the database is back"))
            _ = second.pass(atMost: .seconds(1)) { false }
            #expect(migrations.state.withLock { $0.settled } == 0)
            inlet.finish()
            #expect(ends(second, within: .minutes(10)))
            let log = try await log(second)
            #expect(second.status?.ending == .failed && migrations.state.withLock { $0.settled } == 1, "\(log)")
        }
        try await expectReplay(of: first.store, "taken over")
    }

    /// Each agreement is given while a new controller still reads the world.
    @Test func l2WhatPeopleAgreeToWhileAControllerTakesOverIsDoneOnce() async throws {
        let policy = policy { $0.destructive = .allow }
        let first = try SimulatedService(policy: policy, migrations: migrations(try revision("0002", .destructive)))
        try await first.running {
            _ = try await first.start(by: author)
            #expect(first.pass(atMost: .minutes(5)) { first.status?.state == "awaiting approval" })
        }
        var former = first
        for deeds in [["fence", "unfence", "deploy", "rollback", "fence"], ["restore", "unfence"]] {
            let next = try await successor(of: former, policy)
            let (reading, inlet) = AsyncStream.makeStream(of: Never.self)
            next.balancer.state.withLock { $0.readGate = reading }
            try await next.running {
                let plan = next.status?.approvalPlan
                for person in [ann, bob] { _ = await next.perform(Command(.approve, by: person, reason: "", plan: plan)) }
                _ = next.pass(atMost: .seconds(10)) { false }
                #expect(next.actions.names.withLock { $0 }.isEmpty)
                if deeds.last == "unfence" { next.migrations.state.withLock { $0.current = RevisionID("0001") } }
                inlet.finish()
                // The canary of the first fails as soon as it has traffic.
                let hasGoneOn = next.pass(atMost: .hours(1)) {
                    let asked = next.status?.approvalPlan
                    return next.status?.isFinal == true || asked != nil && asked != plan
                }
                let said = try await log(next)
                #expect(hasGoneOn && next.actions.names.withLock { $0 } == deeds, "\(said)")
            }
            former = next
        }
        #expect(first.backups.state.withLock { $0.asked } == 1)
        #expect(moves(former) == ["up 0002"])
        #expect(former.status?.ending == .failed)
        try await expectReplay(of: first.store, "agreed to while taken over")
    }

    /// Lets the process make so many entries more; the next one is lost, and it decides nothing after.
    private func kill(_ service: SimulatedService, after writes: Int) async {
        let (store, clock) = (service.store, service.clock)
        let count = await store.entries.count
        await store.setFault { drafts throws(StoreError) in
            if await store.entries.count >= count + writes { await clock.sleep(for: .hours(24)) }
        }
        _ = service.pass(atMost: .seconds(40)) { false }
    }

    @Test(arguments: 1...16) func l4AfterACrashOnTheWayBackTheSchemaIsTakenBackAllTheSame(_ writes: Int) async throws {
        let policy = policy { $0.schema = .downgrade }
        let first = try SimulatedService(policy: policy, migrations: migrations(try revision("0002", .additive)))
        try await first.running {
            _ = try await first.start(by: author)
            #expect(first.pass(atMost: .minutes(5)) { first.weight > .zero })
            first.telemetry.state.withLock { $0.canaryFailPermille = 300 }
            // The whole way back takes no time here, so the entries are counted from the one that begins it.
            let (store, clock, begun) = (first.store, first.clock, Locked<Int?>(nil))
            await store.setFault { drafts throws(StoreError) in
                let count = await store.entries.count
                if drafts.contains(where: { isRollback($0.record) }) { begun.withLock { $0 = $0 ?? count } }
                if let begun = begun.withLock({ $0 }), count >= begun + writes { await clock.sleep(for: .hours(24)) }
            }
            #expect(first.pass(atMost: .hours(1)) { begun.withLock { $0 != nil } })
            _ = first.pass(atMost: .seconds(40)) { false }
        }
        let second = try await successor(of: first, policy)
        try await second.running {
            #expect(ends(second, within: .hours(3)))
            let log = try await log(second)
            #expect(second.status?.ending == .failed, "\(log)")
            #expect(second.migrations.state.withLock { $0.current } == RevisionID("0001"), "\(log)")
            #expect(second.weight == .zero)
        }
        try await expectReplay(of: first.store, "crash at write \(writes) of the way back")
    }

    @Test(arguments: 1...28) func s6AfterACrashOnTheWayBackNothingIsRestoredWithoutPeopleOrTwice(_ writes: Int) async throws {
        let policy = policy { $0.destructive = .allow }
        let first = try SimulatedService(policy: policy, migrations: migrations(try revision("0002", .destructive)))
        try await first.running {
            try await startDestructive(first)
            #expect(first.pass(atMost: .minutes(5)) { first.weight > .zero })
            first.telemetry.state.withLock { $0.canaryFailPermille = 300 }
            #expect(first.pass(atMost: .hours(1)) { first.status?.state == "rolling back" })
            await kill(first, after: writes)
            #expect(!first.actions.names.withLock { $0.contains("restore") })
        }
        let second = try await successor(of: first, policy)
        try await second.running {
            #expect(second.pass(atMost: .hours(3)) { second.status?.approvalPlan != nil })
            #expect(!second.actions.names.withLock { $0.contains("restore") })
            let plan = try #require(second.status?.approvalPlan)
            second.migrations.state.withLock { $0.current = RevisionID("0001") }
            for person in [ann, bob] { _ = await second.perform(Command(.approve, by: person, reason: "", plan: plan)) }
            #expect(ends(second, within: .hours(3)))
            let log = try await log(second)
            #expect(second.status?.ending == .failed, "\(log)")
            let names = second.actions.names.withLock { $0 }
            #expect(names.filter { $0 == "restore" }.count == 1 && names.last == "unfence", "\(names)\n\(log)")
        }
        try await expectReplay(of: first.store, "crash at write \(writes) of the way back")
    }
}
