import MemoryJournal
import SerinController
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRecords
import SerinRollouts
import SerinVerdicts
import Testing

@Suite struct ServiceControllerTests {
    private let person = Principal.uid(1000)

    private func log(_ service: SimulatedService) async throws -> String {
        let reader = JournalReader(service.store)
        guard let id = try await reader.lastRollout()?.charter.id else { return "no rollout" }
        return try await reader.decisions(of: id, after: 0, limit: 1000).map(\.line).joined(separator: "\n")
    }

    private func isOver(_ service: SimulatedService) -> Bool { service.status?.isFinal == true }

    private func expectReplay(of store: MemoryStore) async throws {
        var check = JournalCheck(digest: SHA256.digestOrEmpty)
        for entry in try await store.entries(after: 0, rollout: nil, limit: .max) { check.take(entry) }
        #expect(check.replayed > 0 && check.unread == [])
        #expect(check.faults == [])
    }

    @Test func aGoodReleaseIsPromotedAndTheWeightIsBackAtZero() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.start(by: person)
            let isGiven = Locked(false)
            #expect(
                service.pass(atMost: .hours(2)) {
                    if service.status?.isPromotionBegun == true { isGiven.withLock { $0 = true } }
                    return isOver(service)
                })
            let log = try await log(service)
            #expect(service.status?.ending == .promoted, "\(log)")
            // Without a promote action nobody else gets it from here.
            #expect(!isGiven.withLock { $0 })
            #expect(service.weight == .zero)
            #expect(service.balancer.state.withLock { $0.written.map(\.basisPoints) } == [0, 0, 500, 2500, 5000, 0])
        }
    }

    @Test func theSameKeyStartsOnceAndIsAnsweredTheSameAfterARestart() async throws {
        let service = try SimulatedService()
        var request = SimulatedService.request
        request.requestKey = "pipeline-4711"
        let keyed = request
        let first = try await service.running {
            let first = try await service.controller.start(keyed, by: person)
            #expect(try await service.controller.start(keyed, by: person) == first, "while it is live")
            _ = await service.perform(Command(.halt, by: person, reason: ""))
            #expect(service.pass(atMost: .minutes(10)) { isOver(service) })
            #expect(try await service.controller.start(keyed, by: person) == first, "once it is over")
            return first
        }
        let next = try SimulatedService(store: service.store)
        next.clock.advance(to: service.clock.now() + .seconds(1))
        try await next.controller.recover()
        try await next.running {
            #expect(try await next.controller.start(keyed, by: person) == first, "by a later controller")
            var other = keyed
            other.version = "3"
            let changed = other
            await #expect(throws: OperationError.self) { try await next.controller.start(changed, by: person) }
            let another = try await next.controller.start(keyed, by: .uid(2000))
            #expect(another.id != first.id, "a key is its principal's own")
        }
    }

    @Test func theSameKeyIsAnsweredTheSameWhileTheFirstStartIsUnderWay() async throws {
        let service = try SimulatedService()
        var request = SimulatedService.request
        request.requestKey = "pipeline-4711"
        let keyed = request
        let (isHeld, mayGoOn) = (Locked(false), Locked(false))
        await service.store.setFault { _ in
            isHeld.withLock { $0 = true }
            // One that is cancelled goes on at once.
            while !mayGoOn.withLock({ $0 }), !Task.isCancelled { await Task.yield() }
        }
        try await service.running {
            async let first = service.controller.start(keyed, by: person)
            while !isHeld.withLock({ $0 }) { await Task.yield() }
            async let again = service.controller.start(keyed, by: person)
            await #expect(throws: OperationError.self) { try await service.start(by: person) }
            mayGoOn.withLock { $0 = true }
            let ids = try await [first.id, again.id]
            #expect(ids[0] == ids[1])
        }
    }

    @Test func whatEndedUnderAnEarlierControllerIsStillAnswered() async throws {
        let service = try SimulatedService()
        let old = try await service.running {
            var ended: [RolloutStatus] = []
            for _ in 0..<2 {
                service.clock.advance(to: service.clock.now() + .seconds(1))
                let id = try await service.start(by: person).id
                _ = await service.perform(Command(.halt, by: person, reason: ""))
                #expect(service.pass(atMost: .minutes(10)) { isOver(service) })
                ended.append(try await service.controller.status(of: id.description))
            }
            return ended
        }
        let next = try SimulatedService(store: service.store)
        next.clock.advance(to: service.clock.now() + .seconds(1))
        try await next.controller.recover()
        try await next.running {
            let live = try await next.start(by: person)
            for status in old {
                let name = status.id.description
                let answer = try await next.controller.status(of: name)
                #expect(answer == status)
                #expect(try await next.controller.status(of: name) == status, "and once more")
                #expect(try await next.controller.decisions(of: name, after: 0, limit: 1000).count > 2)
                let changed = try await next.controller.statusChange(of: name, from: nil, timeout: .seconds(5))
                #expect(changed == status)
                let error = await #expect(throws: OperationError.self) {
                    try await next.controller.perform(Command(.halt, by: person, reason: ""), on: name)
                }
                #expect(error?.description.contains("has ended") == true)
            }
            #expect(try await next.controller.status(of: SimulatedService.name).id == live.id)
            #expect(try await next.controller.statuses().map(\.id) == [live.id], "only the last is listed")
            for name in ["checkout-0", "checkout-none", "other", "not a name"] {
                let error = await #expect(throws: OperationError.self) { try await next.controller.status(of: name) }
                #expect(error == .notFound("there is no rollout '\(name)' of service 'checkout'"))
            }
        }
    }

    @Test func theIntervalStaysBesideWhatItWasComputedFrom() async throws {
        let service = try SimulatedService()
        // Without events there is no ratio.
        service.telemetry.state.withLock { ($0.canaryFailPermille, $0.controlFailPermille) = (10, 10) }
        try await service.running {
            _ = try await service.start(by: person)
            var computed: ComputedInterval?
            #expect(
                service.pass(atMost: .minutes(10)) {
                    guard let status = service.status, let signal = status.signals.first else { return false }
                    computed = status.interval(of: signal.name)
                    return signal.interval == nil && computed.map { $0.ratio != nil && !$0.isOf(signal) } ?? false
                })
            let kept = try #require(computed)
            let signal = try #require(service.status?.signals.first)
            #expect(kept.counts.canaryExposure < signal.counts.canaryExposure)
            #expect(service.clock.now() - kept.at < .minutes(1), "no older than the last line of the log")
            #expect(EvidenceNumbers.ratio(of: signal, computed: kept).contains("] of "))
            #expect(service.pass(atMost: .minutes(2)) { service.status?.interval(of: signal.name)?.at ?? kept.at > kept.at })
        }
    }

    @Test func aReleaseThatFailsThreePercentIsTakenBack() async throws {
        let service = try SimulatedService()
        service.telemetry.state.withLock { $0.canaryFailPermille = 30 }
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(20)) { isOver(service) })
            let log = try await log(service)
            #expect(service.status?.ending == .failed, "\(log)")
            #expect(service.weight == .zero)
            #expect(log.contains("FAIL errors: canary 3.") && log.contains("→ rollback"), "\(log)")
        }
    }

    @Test(arguments: ["held", "held in its warm-up", "awaiting approval"])
    func aReleaseThatGoesBadWhilePeopleHaveItInHandIsTakenBack(how: String) async throws {
        var policy = SimulatedService.policy()
        if how == "awaiting approval" { policy.traffic.steps[1].needsApproval = true }
        let service = try SimulatedService(policy: policy)
        try await service.running {
            _ = try await service.start(by: person)
            #expect(
                service.pass(atMost: .minutes(20)) {
                    guard let status = service.status else { return false }
                    return how == "held" ? status.baked > .zero : status.state == (how == "awaiting approval" ? how : "baking")
                })
            if how != "awaiting approval" { _ = await service.perform(Command(.hold, by: person, reason: "")) }
            // Longer than any block of evidence: what comes is new.
            #expect(!service.pass(atMost: .minutes(5)) { isOver(service) })
            service.telemetry.state.withLock { $0.canaryFailPermille = 30 }
            #expect(service.pass(atMost: .minutes(20)) { isOver(service) })
            #expect(service.status?.ending == .failed)
            #expect(service.weight == .zero)
        }
    }

    @Test func aHaltIsDurableBeforeItIsAnsweredAndTheWeightGoesToZero() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
            let before = service.clock.now()
            let answer = await service.perform(Command(.halt, by: person, reason: "test"))
            guard case .success = answer else {
                Issue.record("\(String(describing: answer))")
                return
            }
            let records = try await service.store.entries.map { try CanonicalDecoder.decode(Record.self, from: $0.body) }
            #expect(records.contains(.event(.commanded(Command(.halt, by: person, reason: "test")))))
            #expect(service.pass(atMost: .minutes(1)) { service.weight == .zero })
            #expect(service.clock.now() - before <= .seconds(15))
            #expect(service.pass(atMost: .minutes(5)) { isOver(service) })
            #expect(service.status?.ending == .halted)
        }
    }

    @Test func aSecondRolloutOfTheServiceIsRefusedWhileOneIsLive() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.start(by: person)
            await #expect(throws: OperationError.self) { _ = try await service.start(by: person) }
        }
    }

    @Test func aHaltGoesAheadOfAStalledJournalAndIsNotAcknowledged() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
            let clock = service.clock
            await service.store.setFault { _ throws(StoreError) in await clock.sleep(for: .seconds(30)) }
            let before = clock.now()
            let answer = await service.perform(Command(.halt, by: person, reason: ""))
            guard case .failure(.unavailable) = answer else {
                Issue.record("the halt was acknowledged: \(String(describing: answer))")
                return
            }
            #expect(service.pass(atMost: .seconds(10)) { service.weight == .zero })
            #expect(clock.now() - before <= .seconds(3))
            #expect(service.pass(atMost: .minutes(10)) { isOver(service) })
            #expect(service.status?.ending == .halted)
        }
    }

    @Test func aBrokenJournalLowersTheWeightAndNothingIsRaisedAgain() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
            await service.store.setFault { _ throws(StoreError) in throw .unavailable("disk full") }
            #expect(service.pass(atMost: .minutes(2)) { service.weight == .zero })
            let written = service.balancer.state.withLock { $0.written.count }
            _ = service.pass(atMost: .minutes(5)) { false }
            await service.store.setFault(nil)
            #expect(service.pass(atMost: .minutes(30)) { isOver(service) })
            #expect(service.status?.ending != .promoted)
            #expect(service.balancer.state.withLock { $0.written.dropFirst(written).allSatisfy { $0 == .zero } })
        }
    }

    @Test func aNewControllerTakesTheRolloutOverAndTheJournalReplays() async throws {
        let first = try SimulatedService()
        try await first.running {
            _ = try await first.start(by: person)
            #expect(first.pass(atMost: .minutes(5)) { first.weight > .zero })
        }
        let second = try SimulatedService(store: first.store)
        let weight = first.weight
        second.balancer.state.withLock { $0.weight = weight }
        second.clock.advance(to: first.clock.now())
        let taken = try await second.controller.recover()
        #expect(taken?.isFinal == false)
        try await second.running {
            #expect(second.pass(atMost: .hours(2)) { isOver(second) })
            let log = try await log(second)
            #expect(second.status?.ending == .promoted, "\(log)")
        }
        try await expectReplay(of: second.store)
    }

    @Test func s8TimeWithoutAControllerDoesNotCountAgainstTheLongestBake() async throws {
        let first = try SimulatedService()
        try await first.running {
            _ = try await first.start(by: person)
            #expect(first.pass(atMost: .minutes(5)) { first.status?.state == "baking" && first.status?.baked ?? .zero > .zero })
        }
        let second = try SimulatedService(store: first.store)
        let weight = first.weight
        second.balancer.state.withLock { $0.weight = weight }
        // Much longer than the longest bake, 40 minutes.
        second.clock.advance(to: first.clock.now() + .hours(3))
        _ = try await second.controller.recover()
        try await second.running {
            #expect(second.pass(atMost: .hours(2)) { isOver(second) })
            let log = try await log(second)
            #expect(second.status?.ending == .promoted, "\(log)")
            #expect(!log.contains("held"), "\(log)")
        }
        try await expectReplay(of: second.store)
    }

    @Test func l7ADeployThatABrokenJournalHeldBackIsNotWaitedFor() async throws {
        var policy = SimulatedService.policy()
        policy.deploy = ActionPolicy(call: .run(["deploy"]), check: nil, deadline: .hours(1))
        let service = try SimulatedService(policy: policy)
        let store = service.store
        service.telemetry.whileReadingHistory.withLock {
            $0 = { await store.setFault { _ throws(StoreError) in throw .unavailable("disk full") } }
        }
        try await service.running {
            _ = try await service.start(by: person)
            _ = service.pass(atMost: .seconds(10)) { false }
            await service.store.setFault(nil)
            #expect(service.pass(atMost: .minutes(5)) { isOver(service) })
            let log = try await log(service)
            #expect(service.status?.ending == .inconclusive, "\(log)")
            #expect(log.contains("the deploy action was not begun"), "\(log)")
            #expect(service.actions.ran.withLock { $0 }.isEmpty)
        }
    }

    @Test func theWatchdogsLoweringIsNotDriftAndTheStepIsEnteredAgainThroughItsGate() async throws {
        let first = try SimulatedService()
        try await first.running {
            _ = try await first.start(by: person)
            #expect(first.pass(atMost: .minutes(5)) { first.weight > .zero })
        }
        let second = try SimulatedService(store: first.store)
        second.watchdogMark.withLock { $0 = true }
        second.clock.advance(to: first.clock.now())
        _ = try await second.controller.recover()
        try await second.running {
            #expect(second.pass(atMost: .hours(2)) { isOver(second) })
            let log = try await log(second)
            #expect(second.status?.ending == .promoted, "\(log)")
            let told = second.notifier.notices.withLock { $0.filter { $0.text.contains("watchdog had lowered the weight to 0") } }
            #expect(told.count == 1 && told.allSatisfy { $0.severity != .critical })
        }
    }

    @Test func aJumpOfTheComputersClockIsJournaledAndMovesNothing() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
            service.clock.jumpWallClock(by: 3_600_000)
            #expect(service.pass(atMost: .hours(2)) { isOver(service) })
            #expect(service.status?.ending == .promoted)
            let records = try await service.store.entries.map { try CanonicalDecoder.decode(Record.self, from: $0.body) }
            #expect(records.count { $0 == .clockJumped(milliseconds: 3_600_000) } == 1)
        }
    }

    @Test func afterASecurityHaltANewRolloutWaitsForTwoOtherPeople() async throws {
        var policy = SimulatedService.policy()
        policy.environment = .production
        let service = try SimulatedService(policy: policy)
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(5)) { service.weight > .zero })
            _ = await service.perform(Command(.haltForSecurity, by: person, reason: "leak"))
            #expect(service.pass(atMost: .minutes(5)) { isOver(service) })
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(5)) { service.status?.state == "awaiting approval" })
            func isRefused(_ approver: Principal) async -> Bool {
                let command = Command(.approve, by: approver, reason: "", plan: service.status?.approvalPlan)
                if case .failure(.refused) = await service.perform(command) { return true }
                return false
            }
            guard case .failure(.refused(let refusal)) = await service.perform(Command(.approve, by: .uid(1001), reason: ""))
            else {
                Issue.record("agreed to without its plan")
                return
            }
            #expect(refusal.hint?.contains("--plan \(service.status?.approvalPlan ?? "none")") == true)
            #expect(await isRefused(person))
            #expect(await !isRefused(.uid(1001)))
            _ = service.pass(atMost: .minutes(2)) { false }
            #expect(service.status?.state == "awaiting approval")
            #expect(await !isRefused(.uid(1002)))
            #expect(service.pass(atMost: .minutes(10)) { service.weight > .zero })
        }
    }
}
