import Glibc
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts
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

    @Test func aSuccessorHasAsMuchTimeAsTheOneBeforeAndNotMore() {
        let successor = SignOfLife.gone(successor: 7)
        #expect(
            looks([(20, .gone(successor: nil)), (25, successor), (54, successor), (55, successor)]) == [
                false, false, false, true,
            ])
    }

    /// Runs a watchdog on a balancer at 10 %, which sees the signs one after the other and the last one for ever; it is taken away
    /// when it has looked often enough.
    private func watch(
        _ signs: [SignOfLife], looks: Int = 10, markFailure: Failure? = nil
    ) async throws -> (written: [Weight], marks: Int, looks: Int) {
        let handover = Handover(
            rollout: try #require(RolloutID("checkout-1")), driver: DriverSettings(driver: "fake", settings: [:]), version: "2",
            previous: "1",
            after: .seconds(2), controller: 4711)
        #expect(Handover(handover.document) == handover)
        let balancer = LoweredBalancer()
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
                leaveMark: { () async throws(Failure) in
                    marks.withLock { $0 += 1 }
                    if let markFailure { throw markFailure }
                }, say: { _ in }, clock: SteppingClock(), traffic: balancer), handover: handover)
        await watchdog.run()
        return (balancer.written.withLock { $0 }, marks.withLock { $0 }, looked.withLock { $0 })
    }

    @Test func l6ASilentControllerIsLoweredOnceAndWatchedOn() async throws {
        let seen = try await watch([.alive, .silent])
        #expect(seen.written == [.zero])
        #expect(seen.marks == 1)
        #expect(seen.looks == 10)
    }

    @Test func l6AfterTheEndOfItsControllerAWatchdogLowersAndEnds() async throws {
        let seen = try await watch([.alive, .gone(successor: nil)])
        #expect(seen.written == [.zero])
        #expect(seen.looks < 10)
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
    let name = "fake balancer"
    let settleTime = SerinModel.Duration.zero

    func read(deadline: SerinModel.Duration) async throws(Failure) -> WeightReading {
        let weight = written.withLock { $0.last } ?? Weight(percent: 10)
        return WeightReading(weight: weight, raw: "\(weight?.basisPoints ?? 0)")
    }

    func apply(_ weight: Weight, expected: WeightReading?, deadline: SerinModel.Duration) async throws(Failure) {
        written.withLock { $0.append(weight) }
    }

    func zero(deadline: SerinModel.Duration) async throws(Failure) { written.withLock { $0.append(.zero) } }
    func counts(deadline: SerinModel.Duration) async throws(Failure) -> TrafficCounts? { nil }
    func preflight(deadline: SerinModel.Duration) async throws(Failure) {}
}
