import SerinBackups
import SerinLocks
import SerinModel
import SerinPorts
import Testing

@testable import SerinCatalogue
@testable import SerinCommandLine

/// A clock that a test moves.
private final class HandClock: Clock {
    let time: Locked<Instant>
    /// By how much the computer's clock was set since.
    let step = Locked(Duration.zero)
    init(_ time: Instant) { self.time = Locked(time) }
    func now() -> Instant { time.withLock { $0 } }
    func wallClockOffset() -> Int64 { step.withLock { $0.milliseconds } }
    func sleep(for duration: Duration) async { time.withLock { $0 = $0 + duration } }
}

@Suite struct BackupSchedulerTests {
    private let start = Instant(millisecondsSince1970: 1_790_000_000_000)

    private func scheduler(_ program: TestProgram, _ clock: HandClock, _ chance: Double = 0) throws -> BackupScheduler {
        let backups = BackupSession(
            session: try program.session(), store: program.backups.catalogue, afterwork: Afterwork())
        return BackupScheduler(
            backups: backups, loaded: LoadedBackupPlan(file: "plan.yaml", plan: try program.backups.plan, hash: "ab"),
            clock: clock, chance: { _ in chance })
    }

    @Test func whatIsDueIsMadeAndTheNextLookIsWhenSomethingIsDue() async throws {
        let program = try TestProgram()
        let clock = HandClock(start)
        let scheduler = try scheduler(program, clock)
        _ = await scheduler.tick()
        #expect(program.backups.made.withLock { $0 } == [.logical])
        // Every six hours from 1970 on.
        try await program.backups.add(1, start)
        #expect(await scheduler.tick() == BackupScheduler.longestPause)
        #expect(program.backups.made.withLock { $0.count } == 1)
        let six = Duration.hours(6).milliseconds
        let next = Instant(millisecondsSince1970: (start.millisecondsSince1970 / six + 1) * six)
        clock.time.withLock { $0 = next - .seconds(90) }
        #expect(await scheduler.tick() == .seconds(90))
        clock.time.withLock { $0 = next }
        _ = await scheduler.tick()
        #expect(program.backups.made.withLock { $0.count } == 2)
    }

    @Test(arguments: [Duration.hours(2), .hours(-1)])
    func afterTheClockIsSetABackupIsMadeOnceAndNotAtEachLook(step: Duration) async throws {
        let program = try TestProgram()
        let clock = HandClock(start)
        let scheduler = try scheduler(program, clock)
        try await program.backups.add(1, start)
        clock.step.withLock { $0 = step }
        clock.time.withLock { $0 = $0 + .hours(7) }
        _ = await scheduler.tick()
        #expect(program.backups.made.withLock { $0 } == [.logical])
        // Whoever makes it reads the clock as it is set now.
        try await program.backups.add(2, clock.wall)
        for _ in 0..<5 {
            clock.time.withLock { $0 = $0 + BackupScheduler.longestPause }
            _ = await scheduler.tick()
        }
        #expect(program.backups.made.withLock { $0 } == [.logical])
    }

    @Test func aLookAtRetentionThatWaitsForAPersonIsNoRunToMeasureTheClockBy() async throws {
        let program = try TestProgram()
        let clock = HandClock(start)
        let scheduler = try scheduler(program, clock)
        let id = try await program.backups.add(1, start)
        let entry = PrunePlan.Entry(
            backup: id, destination: "local", kind: .logical, createdAt: start, reasons: [], expiresAt: nil, isRestorable: true,
            step: .delete(reason: "expired"))
        program.backups.retention.withLock { $0 = PrunePlan(at: start, entries: [entry], brakes: [.clock(.hours(400))]) }
        for _ in 0..<2 {
            _ = await scheduler.tick()
            clock.time.withLock { $0 = $0 + CareAgenda.prunePause + .minutes(1) }
        }
        #expect(program.backups.lastRuns.withLock { $0 } == [nil, nil])
    }

    @Test func aRunThatWasCutOffHasFailedIsToldAndIsTriedAgain() async throws {
        let program = try TestProgram()
        let clock = HandClock(start)
        let order = BackupOrder(
            id: BackupID(millisecondsSince1970: 7, random: [7]), project: "shop", target: FakeBackups.target, kind: .logical,
            createdAt: start - .minutes(3), createdBy: .serin)
        let begun = CatalogueEvent(backup: order.id, at: order.createdAt, by: .serin, .begun(order))
        try await program.backups.catalogue.append([begun])
        // Its process lives and holds the lease.
        let holder = LeaseHolder(place: "elsewhere", pid: 1, startTicks: 1, purpose: "serin backup create")
        let lease = try await program.backups.catalogue.takeLease(
            LeaseRequest(target: FakeBackups.target, holder: holder, by: .serin, at: start, duration: .minutes(5)))
        let scheduler = try scheduler(program, clock)
        _ = await scheduler.tick()
        #expect(try await program.backups.catalogue.state()[order.id]?.state == .running)
        #expect(program.backups.made.withLock { $0 } == [])
        // It was killed: nobody renews the lease.
        clock.time.withLock { $0 = lease.expiresAt + .seconds(1) }
        _ = await scheduler.tick()
        #expect(try await program.backups.catalogue.state()[order.id]?.state == .failed)
        #expect(program.messages.withLock { $0 }.contains("was cut off: its process is gone"))
        #expect(program.backups.cutOff.withLock { $0 } == [order.id])
        clock.time.withLock { $0 = $0 + BackupAgenda.retryPause }
        _ = await scheduler.tick()
        #expect(program.backups.made.withLock { $0 } == [.logical])
        #expect(program.backups.cutOff.withLock { $0 } == [order.id], "told once")
    }

    @Test func whatHasNothingNewIsLookedAtAgainWhenItsScheduleSays() async throws {
        let program = try TestProgram()
        let clock = HandClock(start)
        let scheduler = try scheduler(program, clock)
        let nothing = Failure(.conflict, "the server keeps none")
        program.backups.failure.withLock { $0 = BackupRunFailure(.preflight, nothing, isNothing: true) }
        func words() -> Int {
            program.messages.withLock { $0 }.split(separator: "\n").count { $0.contains("nothing to back up") }
        }
        _ = await scheduler.tick()
        #expect(words() == 1)
        clock.time.withLock { $0 = $0 + .minutes(5) }
        _ = await scheduler.tick()
        #expect(words() == 1)
        clock.time.withLock { $0 = $0 + .hours(6) }
        _ = await scheduler.tick()
        #expect(words() == 2)
    }

    @Test func whatFailsIsSaidAndTheScheduleGoesOn() async throws {
        let program = try TestProgram()
        program.backups.failure.withLock { $0 = BackupRunFailure(.dump, Failure(.transient, "the server went away")) }
        _ = await (try scheduler(program, HandClock(start))).tick()
        #expect(program.messages.withLock { $0 }.contains("no backup of checkout-db was made: dump: the server went away"))
    }
}
