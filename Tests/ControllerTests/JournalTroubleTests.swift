import MemoryJournal
import SerinController
import SerinLocks
import SerinModel
import SerinPorts
import SerinRollouts
import Testing

/// A journal that is slow, refuses, or has to be opened again.
@Suite struct JournalTroubleTests {
    private let person = Principal.uid(1000)

    /// Runs a rollout up to its first weight, and the body then.
    private func raised(_ body: @Sendable (SimulatedService) async throws -> Void) async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(10)) { service.weight > .zero })
            try await body(service)
        }
    }

    @Test func s15AJournalThatMustBeOpenedAgainEndsTheControllerOnceZeroIsConfirmed() async throws {
        try await raised { service in
            await service.store.setFault { _ throws(StoreError) in throw .uncertain("a write may or may not have happened") }
            #expect(service.pass(atMost: .minutes(2)) { service.failure.withLock { $0 } != nil })
            #expect(service.weight == .zero)
            #expect(service.status?.isFinal == false)
            #expect(service.failure.withLock { $0?.message.contains("may or may not") } == true)
            let answer = await service.perform(Command(.halt, by: person, reason: ""))
            guard case .failure(.unavailable(_))? = answer else {
                Issue.record("\(String(describing: answer))")
                return
            }
        }
    }

    @Test func s15TheControllerOfALostJournalGoesOnUntilTheWeightIsZero() async throws {
        try await raised { service in
            let refusal = Failure(.transient, "cannot reach the balancer")
            service.balancer.state.withLock { $0.writeFailure = refusal }
            await service.store.setFault { _ throws(StoreError) in throw .uncertain("a write may or may not have happened") }
            #expect(!service.pass(atMost: .minutes(5)) { service.failure.withLock { $0 } != nil })
            service.balancer.state.withLock { $0.writeFailure = nil }
            #expect(service.pass(atMost: .seconds(30)) { service.failure.withLock { $0 } != nil })
            #expect(service.weight == .zero)
        }
    }

    @Test func s20ABrokenJournalIsTriedByOneTimerOnlyHoweverMuchIsQueued() async throws {
        try await raised { service in
            let tries = Locked(0)
            let refusal = Failure(.transient, "cannot reach the balancer")
            service.balancer.state.withLock { $0.writeFailure = refusal }
            await service.store.setFault { _ throws(StoreError) in
                tries.withLock { $0 += 1 }
                throw .unavailable("no space left on device")
            }
            _ = service.pass(atMost: .minutes(10)) { false }
            // One at most every 4 s once the pauses have grown.
            let count = tries.withLock { $0 }
            #expect((70...170).contains(count), "\(count) tries in ten minutes")
            service.balancer.state.withLock { $0.writeFailure = nil }
            await service.store.setFault(nil)
            #expect(service.pass(atMost: .minutes(2)) { service.weight == .zero && service.status?.wantedWeight == .zero })
        }
    }

    @Test func s7ASlowJournalSpeaksOfTheWeightOnlyToWhoeverLoweredIt() async throws {
        try await raised { service in
            let clock = service.clock
            await service.store.setFault { _ in await clock.sleep(for: .seconds(5)) }
            func words(_ verb: Command.Verb) async -> String {
                let answer = await service.perform(Command(verb, by: person, reason: ""))
                guard case .failure(.unavailable(let words))? = answer else { return "\(String(describing: answer))" }
                return words
            }
            let held = await words(.hold)
            #expect(held.contains("not recorded yet") && !held.contains("lowered"), "\(held)")
            let halted = await words(.halt)
            #expect(halted.contains("the weight is being lowered"), "\(halted)")
        }
    }

    @Test func s7AHaltRightAfterTheJournalBrokeIsToldThatTheWeightIsBeingLowered() async throws {
        try await raised { service in
            service.balancer.state.withLock { $0.writeFailure = Failure(.transient, "cannot reach the balancer") }
            await service.store.setFault { _ throws(StoreError) in
                throw .unavailable("no space left, and the reserve is used up\nhint: make room")
            }
            #expect(service.pass(atMost: .minutes(2)) { service.status?.isRecorded == false })
            func words(_ verb: Command.Verb) async -> String {
                let answer = await service.perform(Command(verb, by: person, reason: "payments fail"))
                guard case .failure(.unavailable(let words))? = answer else { return "\(String(describing: answer))" }
                return words
            }
            let asked = await words(.halt)
            #expect(
                asked.hasPrefix("the journal cannot be written: the weight is being lowered, but this is not recorded yet: "),
                "\(asked)")
            #expect(asked.contains("weight 0 is asked for and not read back yet, 5% was read last"), "\(asked)")
            #expect(asked.contains("it is recorded once the journal can be written"), "\(asked)")
            service.balancer.state.withLock { $0.writeFailure = nil }
            #expect(service.pass(atMost: .minutes(2)) { service.status?.observedWeight == .zero })
            await service.store.setFault(nil)
            #expect(service.pass(atMost: .minutes(2)) { service.status?.isFinal == true })
            let id = try #require(service.status?.id.description)
            let texts = try await service.controller.decisions(of: id, after: 0, limit: 1000).map(\.decision.text)
            #expect(texts.contains { $0.contains("payments fail") }, "\(texts)")
            // What to do about it is a part of the sentence.
            #expect(texts.contains { $0.contains("used up; make room") } && !texts.contains { $0.contains("hint:") }, "\(texts)")
        }
    }

    @Test func whatIsRecordedLateIsToldInItsOrder() async throws {
        try await raised { service in try await tellLate(of: service) }
    }

    private func tellLate(of service: SimulatedService) async throws {
        await service.store.setFault { _ throws(StoreError) in throw .unavailable("no space left on device") }
        _ = await service.perform(Command(.hold, by: person, reason: "lunch"))
        _ = service.pass(atMost: .minutes(2)) { false }
        // The first of what is told then takes longest.
        slowDown(service.notifier, by: service.clock)
        let before = service.notifier.notices.withLock { $0.count }
        func told() -> [String] { service.notifier.notices.withLock { $0.map(\.subject) }.suffix(from: before).map { $0 } }
        await service.store.setFault(nil)
        #expect(service.pass(atMost: .minutes(5)) { told().count == 4 }, "\(told())")
        let words = ["the journal can be written again", "held", "rolling back", "rolled back"]
        let isInOrder = zip(told(), words).allSatisfy { subject, word in subject.hasSuffix(": " + word) }
        #expect(isInOrder, "\(told())")
    }

    /// Each delivery takes less time than the one before it.
    private func slowDown(_ notifier: FakeNotifier, by clock: VirtualClock) {
        let pauses = Locked<[Duration]>([.zero, .seconds(1), .seconds(2), .seconds(3)])
        notifier.delay.withLock { delay in
            delay = {
                let pause = pauses.withLock { $0.popLast() } ?? .zero
                await clock.sleep(for: pause)
            }
        }
    }

    @Test func aLoweringAheadOfAJournalThatHangsIsSeenAtOnce() async throws {
        try await raised { service in
            let clock = service.clock
            await service.store.setFault { _ in await clock.sleep(for: .seconds(40)) }
            _ = await service.perform(Command(.halt, by: person, reason: ""))
            #expect(service.pass(atMost: .seconds(3)) { service.status?.observedWeight == .zero })
            let status = try #require(service.status)
            #expect(status.state == "baking" || status.state == "raising")
            #expect(
                !status.isRecorded && status.wantedWeight == .zero && status.cause.contains("does not answer"), "\(status.cause)")
            await service.store.setFault(nil)
            #expect(service.pass(atMost: .minutes(2)) { service.status?.isRecorded == true && service.status?.isFinal == true })
        }
    }

    @Test func s7AnEndThatIsNotRecordedIsNoReasonToRefuseAHalt() async throws {
        try await raised { service in
            let halt = Command(.halt, by: person, reason: "")
            await service.store.setFault { _ throws(StoreError) in throw .unavailable("no space left on device") }
            #expect(service.pass(atMost: .minutes(2)) { service.weight == .zero })
            // Long enough for the rollout to be over in memory.
            _ = service.pass(atMost: .minutes(5)) { false }
            for verb in [Command.Verb.halt, .resume] {
                let answer = await service.perform(Command(verb, by: person, reason: ""))
                guard case .failure(.unavailable(let words))? = answer else {
                    Issue.record("\(verb): \(String(describing: answer))")
                    return
                }
                #expect(words.contains("not recorded yet"), "\(words)")
            }
            await service.store.setFault(nil)
            #expect(service.pass(atMost: .minutes(2)) { service.status?.isFinal == true })
            let answer = await service.perform(halt)
            guard case .failure(.refused)? = answer else {
                Issue.record("\(String(describing: answer))")
                return
            }
        }
    }

    @Test func aJournalThatCannotBeWrittenIsSeenByEveryoneWhoLooks() async throws {
        try await raised { service in
            #expect(service.status?.isRecorded == true)
            await service.store.setFault { _ throws(StoreError) in throw .unavailable("no space left on device") }
            #expect(service.pass(atMost: .minutes(2)) { service.status?.observedWeight == .zero })
            let status = try #require(service.status)
            #expect(!status.isRecorded && !status.isFinal && !status.isWatched && status.wantedWeight == .zero)
            #expect(status.cause.contains("the journal cannot be written: ") && status.cause.contains("no space left on device"))
            let calls = service.notifier.notices.withLock { $0 }.filter { $0.severity == .critical }
            #expect(calls.contains { $0.text.contains("the journal cannot be written: ") }, "\(calls.map(\.text))")
            await service.store.setFault(nil)
            #expect(service.pass(atMost: .minutes(2)) { service.status?.isRecorded == true && service.status?.isFinal == true })
            let words = [
                ": the journal cannot be written", ": the journal can be written again", ": rolling back", ": rolled back",
            ]
            func count(_ word: String) -> Int {
                service.notifier.notices.withLock { $0 }.count { $0.subject.hasSuffix(word) }
            }
            #expect(service.pass(atMost: .seconds(10)) { words.allSatisfy { count($0) > 0 } })
            // Each says what it is about, though all of it is recorded at once.
            #expect(words.map(count) == [1, 1, 1, 1], "\(service.notifier.notices.withLock { $0.map(\.subject) })")
            #expect(service.notifier.notices.withLock { $0 }.count { $0.kind == .rolloutEnded } == 1)
        }
    }

    @Test func aLoweringThatIsRefusedIsSeenThoughItCannotBeRecorded() async throws {
        try await raised { service in
            service.balancer.state.withLock { $0.writeFailure = Failure(.transient, "cannot reach the balancer") }
            await service.store.setFault { _ throws(StoreError) in throw .unavailable("no space left on device") }
            #expect(service.pass(atMost: .minutes(2)) { service.status?.unconfirmedZero.map { $0.tries > 3 } ?? false })
            let status = try #require(service.status)
            #expect(!status.isRecorded && status.unconfirmedZero?.reason.contains("cannot reach the balancer") ?? false)
            #expect(status.cause.contains("not recorded: rolling back: "), "\(status.cause)")
            #expect(status.next.contains("weight 0 is asked for until it is read back: "), "\(status.next)")
        }
    }

    @Test func l2PeopleAreCalledForAWeightThatIsNotConfirmedThoughItCannotBeRecorded() async throws {
        try await raised { service in
            func calls(_ words: String) -> [String] {
                service.notifier.notices.withLock { $0 }.filter { $0.severity == .critical && $0.text.contains(words) }.map(
                    \.text)
            }
            service.balancer.state.withLock { $0.writeFailure = Failure(.transient, "cannot reach the balancer") }
            await service.store.setFault { _ throws(StoreError) in throw .unavailable("no space left\nhint: make room") }
            #expect(service.pass(atMost: .minutes(1)) { !calls("the journal cannot be written: ").isEmpty })
            let first = try #require(calls("the journal cannot be written: ").first)
            #expect(first.hasPrefix("weight 0 is asked for and not read back yet, 5% was read last; "), "\(first)")
            #expect(first.hasSuffix("make room"), "\(first)")
            let (unconfirmed, late) = ("weight 0 is not confirmed after 15s", "the way back takes longer than ")
            for words in [unconfirmed, late] {
                #expect(service.pass(atMost: .hours(1)) { !calls(words).isEmpty }, "\(words)")
                let text = calls(words).first ?? ""
                #expect(text.contains("5% was read last; not recorded, because the journal cannot be written"), "\(text)")
            }
            #expect(service.pass(atMost: .minutes(1)) { service.status?.isRollbackIncomplete == true })
            #expect(service.status?.isRecorded == false)
            await service.store.setFault(nil)
            #expect(service.pass(atMost: .minutes(2)) { service.status?.isRecorded == true })
            #expect(service.status?.isRollbackIncomplete == true)
            #expect(calls(unconfirmed).count == 1 && calls(late).count == 1)
            func again() -> Notification? {
                service.notifier.notices.withLock { $0 }.first { $0.subject.hasSuffix("the journal can be written again") }
            }
            #expect(service.pass(atMost: .seconds(10)) { again() != nil })
            #expect(again()?.severity == .info && again()?.text.contains("the rollback is incomplete") == true)
        }
    }

    @Test func aJournalThatDoesNotAnswerIsSeenUntilItDoes() async throws {
        try await raised { service in
            let clock = service.clock
            await service.store.setFault { _ in await clock.sleep(for: .seconds(5)) }
            _ = await service.perform(Command(.hold, by: person, reason: ""))
            #expect(service.status?.isRecorded == false && service.status?.cause.contains("does not answer") == true)
            await service.store.setFault(nil)
            #expect(service.pass(atMost: .seconds(30)) { service.status?.isRecorded == true && service.status?.state == "held" })
        }
    }
}
