import Glibc
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts
import Testbed
import Testing

@testable import SerinCommandLine

@Suite struct WatchdogTests {
    private let begin = Instant(millisecondsSince1970: 1_800_000_000_000)

    /// Whether a vigil of 30 s says that nobody was in charge for long enough, at each look.
    private func looks(_ looks: [(after: Int64, sign: SignOfLife)]) -> [Bool] {
        var vigil = Vigil(after: .seconds(30), from: begin)
        return looks.map { vigil.look($0.sign, at: begin + .seconds($0.after)) }
    }

    @Test func whoeverShowsLifeIsWaitedForFromTheLastSign() {
        #expect(looks([(29, .silent), (40, .alive), (69, .silent), (70, .silent)]) == [false, false, false, true])
    }

    @Test func whoeverTakesOverHasWhatIsLeftOfThePatience() {
        #expect(looks([(20, .alive), (25, .gone), (49, .silent), (50, .silent)]) == [false, false, false, true])
    }

    /// A controller of a chain: when it takes the rollout up, when it has finished its first poll, and when it ends.
    private struct Life {
        var begins: Int64
        var polled: Int64?
        var ends: Int64
    }

    /// When a chain of controllers, each with a watchdog of its own and with signs that are kept, is lowered first. The first of
    /// them has been in charge until second 0.
    private func lowered(_ lives: [Life], patience: Int64 = 30) -> Int64? {
        var kept = begin
        var vigil = Vigil(after: .seconds(patience), from: kept)
        for second in 1...120 as ClosedRange<Int64> {
            let now = begin + .seconds(second)
            if lives.contains(where: { $0.begins == second }) { vigil = Vigil(after: .seconds(patience), from: kept) }
            let life = lives.last { $0.begins <= second && second < $0.ends }
            let isInCharge = life?.polled.map { $0 <= second } ?? false
            if isInCharge { kept = now }
            if vigil.look(life == nil ? .gone : isInCharge ? .alive : .silent, at: now) { return second }
        }
        return nil
    }

    @Test func l6AControllerThatEndsAgainAndAgainIsLoweredAfterOnePatience() {
        let lives = (1...5).map { Life(begins: $0 * 10, ends: $0 * 10 + 8) }
        #expect(lowered(lives) == 30)
    }

    @Test func anOrdinaryRestartIsNotLowered() {
        #expect(lowered([Life(begins: 4, polled: 5, ends: 1000)]) == nil)
        #expect(lowered([Life(begins: 28, polled: 29, ends: 60), Life(begins: 80, polled: 81, ends: 1000)]) == nil)
    }

    @Test func aSlowFirstPollIsWaitedForWithinThePatience() {
        #expect(lowered([Life(begins: 5, polled: 29, ends: 1000)]) == nil)
        #expect(lowered([Life(begins: 5, polled: 31, ends: 1000)]) == 30)
    }

    @Test func theLastSignOutlastsThoseWhoShowedIt() throws {
        let program = try TestProgram()
        let sign = LastSign(path: program.file("sign"))
        #expect(sign.moment == nil)
        sign.touch()
        let first = try #require(sign.moment)
        var times = [
            timespec(tv_sec: 1_800_000_000, tv_nsec: 250_000_000), timespec(tv_sec: 1_800_000_000, tv_nsec: 250_000_000),
        ]
        #expect(utimensat(AT_FDCWD, program.file("sign"), &times, 0) == 0)
        #expect(LastSign(path: program.file("sign")).moment == Instant(millisecondsSince1970: 1_800_000_000_250))
        sign.touch()
        #expect(try #require(sign.moment) >= first)
        sign.remove()
        #expect(sign.moment == nil)
    }

    /// Runs a watchdog on a balancer at 10 %, which sees the signs one after the other and the last one for ever; it is taken away
    /// when it has looked often enough.
    private func watch(
        _ signs: [SignOfLife], looks: Int = 10, markFailure: Failure? = nil, canRead: Bool = true, lastSign: Instant? = nil,
        after: Duration = .seconds(2), isHaltAsked: Bool = false
    ) async throws -> (written: [Weight], marks: Int, looks: Int, first: String?) {
        let handover = Handover(
            rollout: try #require(RolloutID("checkout-1")), driver: DriverSettings(driver: "fake", settings: [:]), version: "2",
            previous: "1",
            after: after, controller: 4711)
        #expect(Handover(handover.document) == handover)
        let balancer = LoweredBalancer(canRead: canRead)
        let (looked, marks) = (Locked(0), Locked(0))
        let watchdog = Watchdog(
            parts: Watchdog.Parts(
                handover: { looked.withLock { $0 } < looks ? handover : nil },
                look: {
                    looked.withLock { looked in
                        defer { looked += 1 }
                        return signs[min(looked, signs.count - 1)]
                    }
                },
                isHaltAsked: { isHaltAsked },
                leaveMark: { () async throws(Failure) in
                    marks.withLock { $0 += 1 }
                    if let markFailure { throw markFailure }
                }, say: { _ in }, clock: SteppingClock(), traffic: balancer), handover: handover,
            lastSign: lastSign)
        await watchdog.run()
        return (
            balancer.written.withLock { $0 }, marks.withLock { $0 }, looked.withLock { $0 }, balancer.first.withLock { $0 }
        )
    }

    @Test func l6ASilentControllerIsLoweredOnceAndWatchedOn() async throws {
        let seen = try await watch([.alive, .silent])
        #expect(seen.written == [.zero])
        #expect(seen.marks == 1)
        #expect(seen.looks == 10)
    }

    @Test func s19AHaltFileThatNoControllerTakesIsNotWaitedWith() async throws {
        for (asked, written) in [(true, [Weight.zero]), (false, [])] {
            let seen = try await watch([.gone], looks: 20, after: .minutes(60), isHaltAsked: asked)
            #expect(seen.written == written)
        }
        let attended = try await watch([.alive], looks: 20, after: .minutes(60), isHaltAsked: true)
        #expect(attended.written.isEmpty, "the controller takes it")
    }

    @Test func l6AfterTheEndOfItsControllerAWatchdogLowersAndEnds() async throws {
        let seen = try await watch([.alive, .gone])
        #expect(seen.written == [.zero])
        #expect(seen.looks < 10)
    }

    @Test func l6AWatchdogGoesOnFromTheSignsOfControllersBefore() async throws {
        // Two looks pass before the patience of 2 s is over, and none when it was over before.
        #expect(try await watch([.silent], looks: 1).written.isEmpty)
        #expect(try await watch([.silent], looks: 1, lastSign: begin + .seconds(-2)).written == [.zero])
        #expect(try await watch([.silent], looks: 1, lastSign: begin + .seconds(60)).written.isEmpty)
        #expect(try await watch([.alive], lastSign: begin + .seconds(-2)).written.isEmpty)
    }

    /// Whatever the balancer's answers hold, and whatever becomes of whoever reads them.
    @Test func l6AfterTheEndOfItsControllerZeroIsAskedForBeforeAnythingIsRead() async throws {
        let seen = try await watch([.alive, .gone])
        #expect(seen.first == "zero")
        #expect(seen.written == [.zero])
    }

    @Test func l6WhatCannotBeReadIsLoweredAgainAndAgain() async throws {
        for end in [SignOfLife.gone, .silent] {
            let seen = try await watch([.alive, end], canRead: false)
            #expect(seen.written.count > 3 && seen.written.allSatisfy { $0 == .zero })
            #expect(seen.looks == 10)
        }
    }

    @Test func aControllerThatShowsLifeIsLeftAlone() async throws {
        let seen = try await watch([.alive])
        #expect(seen.written.isEmpty)
        #expect(seen.marks == 0)
    }

    @Test func s5AMarkThatCannotBeLeftKeepsNoWeightUp() async throws {
        let seen = try await watch([.silent], markFailure: Failure(.transient, "no space left on device"))
        #expect(seen.written == [.zero])
    }

    @Test func aMarkIsLeftFoundAndTakenAway() async throws {
        let program = try TestProgram()
        let mark = WatchdogMark(path: program.file("policy.yaml"))
        #expect(!mark.exists)
        try await mark.leave()
        #expect(mark.exists)
        await #expect(throws: Failure.self) { try await WatchdogMark(path: program.file("none/mark")).leave() }
    }

    @Test func s19AHaltFileSaysWhoAndWhy() throws {
        let program = try TestProgram()
        let file = HaltFile(path: program.policy("payments\n fail\u{1B}[2J"))
        let command = try #require(file.command())
        #expect(command == Command(.halt, by: .uid(getuid()), reason: #"payments fail\u{1b}[2J"#))
        file.remove()
        #expect(file.command() == nil)
        let bare = HaltFile(path: program.policy(""))
        #expect(bare.command()?.reason == "the halt file appeared")
        bare.remove(madeBefore: Instant(millisecondsSince1970: 1))
        #expect(bare.exists)
        bare.remove(madeBefore: Instant(millisecondsSince1970: .max))
        #expect(!bare.exists)
    }
}

/// A halt file on a disk that has no room.
@Suite struct UnwrittenHaltTests {
    @Test func s19AHaltWithoutAFileIsKeptUntilItCanBeLeft() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let file = HaltFile(path: scratch.path + "/later/halt")
        #expect(throws: Failure.self) { try file.make(reason: "payments fail") }
        #expect(file.exists)
        #expect(file.command() == Command(.halt, by: .uid(getuid()), reason: "payments fail"))
        try #require(mkdir(scratch.path + "/later", 0o700) == 0)
        #expect(file.command()?.reason == "payments fail")
        var status = stat()
        #expect(stat(file.path, &status) == 0 && status.st_size == 13)
        // Now it is the file that counts.
        unlink(file.path)
        #expect(!file.exists && file.command() == nil)
    }

    @Test func s19AFileWithoutItsReasonHaltsWithTheReasonAndGetsItOnceThereIsRoom() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let file = HaltFile(path: scratch.path + "/halt")
        let full = HaltFile(path: file.path, put: { _, _ in -1 }, unwritten: file.unwritten)
        #expect(try full.make(reason: "payments fail") == .withoutReason)
        #expect(full.command()?.reason == "payments fail")
        var status = stat()
        #expect(stat(file.path, &status) == 0 && status.st_size == 0)
        #expect(file.command()?.reason == "payments fail")
        #expect(stat(file.path, &status) == 0 && status.st_size == 13)
        file.remove()
        #expect(!file.exists)
        // Taken away by a person, what is in memory goes with it.
        #expect(try full.make(reason: "again") == .withoutReason)
        unlink(file.path)
        #expect(!file.exists && file.command() == nil)
    }
}

/// A clock on which sleeping takes no time.
private final class SteppingClock: SerinPorts.Clock {
    private let time = Locked(Instant(millisecondsSince1970: 1_800_000_000_000))

    func now() -> Instant { time.withLock { $0 } }
    func wallClockOffset() -> Int64 { 0 }
    func sleep(for duration: SerinModel.Duration) async { time.withLock { $0 = $0 + duration } }
}

/// A balancer that keeps what was written to it, at 10 % before.
private final class LoweredBalancer: Traffic {
    let written = Locked<[Weight]>([])
    /// The first thing that was asked of it.
    let first = Locked<String?>(nil)
    private let canRead: Bool
    let name = "fake balancer"
    let settleTime = SerinModel.Duration.zero

    init(canRead: Bool) { self.canRead = canRead }

    func read(deadline: SerinModel.Duration) async throws(Failure) -> WeightReading {
        first.withLock { $0 = $0 ?? "read" }
        guard canRead else { throw Failure(.invalid, "the answer is no JSON") }
        let weight = written.withLock { $0.last } ?? Weight(percent: 10)
        return WeightReading(weight: weight, raw: "\(weight?.basisPoints ?? 0)")
    }

    func apply(_ weight: Weight, expected: WeightReading?, deadline: SerinModel.Duration) async throws(Failure) {
        written.withLock { $0.append(weight) }
    }

    func zero(deadline: SerinModel.Duration) async throws(Failure) {
        first.withLock { $0 = $0 ?? "zero" }
        written.withLock { $0.append(.zero) }
    }
    func counts(deadline: SerinModel.Duration) async throws(Failure) -> TrafficCounts? { nil }
    func preflight(deadline: SerinModel.Duration) async throws(Failure) {}
}
