import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinTraffic
import SerinTransport
import Testbed
import Testing

/// What every load balancer's driver must do, on the real server.
@Suite(.serialized) struct TrafficConformance {
    @Test(arguments: BalancerKind.allCases)
    func everyWeightAppliedIsReadBackAndNothingElseChanges(_ kind: BalancerKind) async throws {
        try await Rig.with(kind) { rig in
            #expect(try await rig.weight() == .zero)
            try await rig.driver.preflight(deadline: rig.deadline)
            try await rig.balancer.write(native: rig.balancer.native(canary: 1, control: 99))
            #expect(try await rig.weight() == Weight(percent: 1))
            let before = try await rig.balancer.unrelated()
            for points in [0, 1, 100, 500, 2500, 3333, 5000, 9900, 9999, 10_000] {
                let weight = try #require(Weight(basisPoints: points))
                try await rig.apply(weight)
                let reading = try await rig.driver.read(deadline: rig.deadline)
                #expect(reading.weight == weight, "\(reading.raw)")
                try await rig.apply(weight)
                #expect(try await rig.driver.read(deadline: rig.deadline) == reading, "the same again changes nothing")
            }
            try await rig.driver.zero(deadline: rig.deadline)
            try await rig.driver.zero(deadline: rig.deadline)
            #expect(try await rig.weight() == .zero)
            #expect(try await rig.balancer.unrelated() == before)
        }
    }

    @Test(arguments: BalancerKind.allCases)
    func theObservedShareIsTheWeight(_ kind: BalancerKind) async throws {
        try await Rig.with(kind) { rig in
            let before = try await rig.driver.counts(deadline: rig.deadline)
            var sent = (canary: 0, control: 0)
            for percent in [0, 5, 25, 50, 100] {
                let weight = try #require(Weight(percent: percent))
                try await rig.apply(weight)
                let report = await rig.load().run(count: 2000)
                let share = report.canaryShare
                print("\(kind) at \(weight): \(report.count(of: "canary")) of \(report.requests) to the canary")
                #expect(report.failureCount == 0 && report.serverErrors == 0, "\(report.failures)")
                #expect(report.requests == 2000)
                sent.canary += report.count(of: "canary")
                sent.control += report.count(of: "control")
                if percent == 0 || percent == 100 || rig.balancer.isExact {
                    // An exact split is off by at most the cycle that was cut, of 20 requests or fewer.
                    #expect(abs(share - weight.fraction) * 2000 <= (percent % 100 == 0 ? 0 : 1), "\(share) at \(weight)")
                } else {
                    let deviation = (weight.fraction * (1 - weight.fraction) / 2000).squareRoot()
                    #expect(abs(share - weight.fraction) <= 4 * deviation, "\(share) at \(weight)")
                }
            }
            if let before, let after = try await rig.driver.counts(deadline: rig.deadline) {
                #expect(after.canary - before.canary == Double(sent.canary))
                #expect(after.control - before.control == Double(sent.control))
            } else {
                #expect(kind == .caddy, "only Caddy's admin API counts no requests")
            }
        }
    }

    @Test(arguments: BalancerKind.allCases)
    func noRequestFailsDuringShiftsAndZeroActsWithinTheSettleTime(_ kind: BalancerKind) async throws {
        try await Rig.with(kind) { rig in
            let isOver = Locked(false)
            async let load = rig.load(runners: 4).run(for: .seconds(20), limit: 100_000) { !isOver.withLock { $0 } }
            for points in [500, 2500, 5000, 3333, 0, 10_000] {
                try await rig.apply(try #require(Weight(basisPoints: points)))
                // sleeps: requests are to flow at each weight
                try await Task.sleep(for: .milliseconds(150))
            }
            try await rig.driver.zero(deadline: rig.deadline)
            let accepted = ContinuousClock().now
            // sleeps: what may still reach the canary is measured over the promised time
            try await Task.sleep(for: .milliseconds(rig.driver.settleTime.milliseconds + 200))
            isOver.withLock { $0 = true }
            let report = await load
            let late = report.answers.filter { $0.cohort == "canary" }.map { accepted.duration(to: $0.start) }.max()
            print(
                "\(kind): \(report.requests) requests during shifts, \(report.retries) sent twice; last to the canary \(late ?? .zero) after zero was accepted"
            )
            #expect(report.failureCount == 0 && report.serverErrors == 0, "\(report.failures)")
            // Caddy closes connections at each change; a client may repeat a GET that got no byte of an answer.
            #expect(report.retries == 0 || kind == .caddy)
            #expect(report.count(of: "canary") > 0 && report.count(of: "control") > 0)
            let last = try #require(late)
            #expect(last <= .milliseconds(rig.driver.settleTime.milliseconds))
        }
    }

    @Test(arguments: BalancerKind.allCases)
    func slowRequestsAndStreamsSurviveTheFallToZero(_ kind: BalancerKind) async throws {
        try await Rig.with(kind) { rig in
            try await rig.apply(.all)
            async let slow = rig.load("/slow/900", runners: 10).run(count: 10)
            async let streams = bodies(of: rig, "/stream/900", count: 3)
            try await waitUntil("13 requests at the canary") { rig.canary.requests >= 13 }
            try await rig.driver.zero(deadline: rig.deadline)
            let report = await rig.load().run(count: 50)
            #expect(report.count(of: "control") == 50)
            let slowReport = await slow
            #expect(slowReport.failureCount == 0 && slowReport.count(of: "canary") == 10, "\(slowReport.failures)")
            let whole = (0..<20).map { "canary \($0)\n" }.joined()
            #expect(try await streams == [whole, whole, whole])
        }
    }

    private func bodies(of rig: Rig, _ path: String, count: Int) async throws -> [String] {
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<count {
                group.addTask {
                    let url = "http://127.0.0.1:\(rig.balancer.port)\(path)"
                    let answer = try await rig.transport.send(HTTPRequest(url: url, timeout: .seconds(10)))
                    return String(decoding: answer.body, as: UTF8.self)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    @Test(arguments: BalancerKind.allCases)
    func aForeignChangeIsVisibleAndAConditionalWriteLosesToIt(_ kind: BalancerKind) async throws {
        try await Rig.with(kind) { rig in
            try await rig.apply(try #require(Weight(percent: 5)))
            let stale = try await rig.driver.read(deadline: rig.deadline)
            try await rig.balancer.write(native: rig.balancer.native(canary: 1, control: 1))
            let foreign = try await rig.driver.read(deadline: rig.deadline)
            #expect(foreign.weight == Weight(percent: 50))
            #expect((foreign.version != nil) == rig.balancer.hasCompareAndSet)
            let raise = try #require(Weight(percent: 25))
            if rig.balancer.hasCompareAndSet {
                let failure = await outcome { try await rig.driver.apply(raise, expected: stale, deadline: rig.deadline) }
                #expect(failure?.kind == .conflict, "\(failure?.description ?? "no failure")")
                #expect(try await rig.driver.read(deadline: rig.deadline) == foreign)
                var unversioned = stale
                unversioned.version = nil
                let second = await outcome {
                    try await rig.driver.apply(raise, expected: unversioned, deadline: rig.deadline)
                }
                #expect(second?.kind == .conflict, "\(second?.description ?? "no failure")")
            }
            try await rig.driver.apply(raise, expected: foreign, deadline: rig.deadline)
            #expect(try await rig.weight() == raise)
        }
    }

    @Test(arguments: BalancerKind.allCases)
    func whatMeansNoShareIsReadAsNoneAndZeroRepairsIt(_ kind: BalancerKind) async throws {
        try await Rig.with(kind) { rig in
            for (native, weight) in rig.balancer.oddStates {
                try await rig.balancer.write(native: native)
                let reading = try await rig.driver.read(deadline: rig.deadline)
                #expect(reading.weight == weight, "\(native) is read as '\(reading.raw)'")
                if weight == nil {
                    let failure = await outcome { try await rig.driver.preflight(deadline: rig.deadline) }
                    #expect(failure?.kind == .invalid, "\(native): \(failure?.description ?? "preflight passed")")
                }
                try await rig.driver.zero(deadline: rig.deadline)
                #expect(try await rig.weight() == .zero)
            }
        }
    }

    @Test(arguments: BalancerKind.allCases)
    func wrongNamesAreRefusedAndChangeNothing(_ kind: BalancerKind) async throws {
        try await Rig.with(kind) { rig in
            try await rig.apply(try #require(Weight(percent: 5)))
            let before = try await rig.balancer.unrelated()
            for settings in rig.balancer.wrongSettings {
                let failure = await outcome { try await rig.make(settings).preflight(deadline: rig.deadline) }
                #expect(failure?.kind == .invalid, "\(settings): \(failure?.description ?? "preflight passed")")
            }
            #expect(try await rig.weight() == Weight(percent: 5))
            #expect(try await rig.balancer.unrelated() == before)
        }
    }

    @Test(arguments: BalancerKind.allCases)
    func aLostAnswerIsUnknownUntilReadAndAServerThatIsGoneIsTransient(_ kind: BalancerKind) async throws {
        try await Rig.with(kind) { rig in
            let raise = try #require(Weight(percent: 5))
            let path = rig.scratch.file("cut.sock")
            let cases: [(mode: CuttingProxy.Mode, left: Weight, deadline: Duration)] = [
                (.losesTheAnswer, raise, rig.deadline), (.losesTheRequest, .zero, rig.deadline),
                (.keepsSilent, .zero, .milliseconds(400)),
            ]
            for (mode, left, deadline) in cases {
                let proxy = try CuttingProxy(before: rig.balancer.control, mode: mode, path: path)
                defer { proxy.stop() }
                let driver = try rig.make(rig.balancer.settings(socket: path))
                let failure = await outcome { try await driver.apply(raise, expected: nil, deadline: deadline) }
                #expect(failure?.kind == .unknown, "\(mode): \(failure?.description ?? "no failure")")
                #expect(try await rig.weight() == left, "\(mode)")
                let reading = await outcome { _ = try await driver.read(deadline: deadline) }
                #expect(reading?.kind == .transient, "\(mode): \(reading?.description ?? "no failure")")
                try await rig.driver.zero(deadline: rig.deadline)
            }
            rig.balancer.stop()
            let gone = await outcome { try await rig.driver.zero(deadline: rig.deadline) }
            #expect(gone?.kind == .transient, "\(gone?.description ?? "no failure")")
        }
    }

    @Test(arguments: BalancerKind.allCases)
    func aRestartFallsBackToZeroAndZeroWorksWhateverWasRead(_ kind: BalancerKind) async throws {
        try await Rig.with(kind) { rig in
            try await rig.apply(try #require(Weight(percent: 50)))
            let stale = try await rig.driver.read(deadline: rig.deadline)
            try await rig.balancer.restart()
            let fresh = try await rig.driver.read(deadline: rig.deadline)
            #expect(fresh.weight == .zero, "the configured weight is 0, and the loss of 50 % is visible")
            try await rig.driver.zero(deadline: rig.deadline)
            if rig.balancer.hasCompareAndSet {
                let failure = await outcome {
                    try await rig.driver.apply(try #require(Weight(percent: 5)), expected: stale, deadline: rig.deadline)
                }
                #expect(failure?.kind == .conflict)
            }
            #expect(try await rig.weight() == .zero)
            let report = await rig.load().run(count: 100)
            #expect(report.count(of: "control") == 100, "\(report.failures)")
        }
    }

    @Test(arguments: BalancerKind.allCases)
    func aDeadCanaryIsNotHidden(_ kind: BalancerKind) async throws {
        try await Rig.with(kind) { rig in
            try await rig.apply(try #require(Weight(percent: 50)))
            rig.canary.stop()
            let report = await rig.load().run(count: 400)
            let failed = report.serverErrors + report.failureCount
            print("\(kind): \(failed) of \(report.requests) failed with a dead canary at 50 % \(report.failures)")
            // Binomial with p = 1/2: four standard deviations are 40 requests.
            #expect(abs(failed - 200) <= (rig.balancer.isExact ? 2 : 40))
            #expect(report.count(of: "canary") == 0)
            #expect(report.count(of: "control") == 400 - failed, "\(Set(report.answers.map(\.status)))")
            if kind == .haproxy {
                // Its own health check: preflight names the backend without a server.
                let failure = await outcome { try await rig.driver.preflight(deadline: rig.deadline) }
                #expect(failure?.kind == .transient && failure?.message.contains("be_canary") == true)
            }
        }
    }

    @Test(arguments: BalancerKind.allCases)
    func severalServersShareTheTrafficOfTheirCohort(_ kind: BalancerKind) async throws {
        let scratch = try Scratch("serin-traffic")
        defer { scratch.remove() }
        let transport = try Transport()
        defer { transport.shutdown() }
        var origins: [OriginServer] = []
        for number in 0..<5 { origins.append(try OriginServer(cohort: number < 3 ? "control" : "canary")) }
        defer { for origin in origins { origin.stop() } }
        let ports = origins.map(\.port)
        let balancer = try await kind.start(
            scratch: scratch, control: Array(ports[0..<3]), canary: Array(ports[3...]), transport: transport)
        defer { balancer.stop() }
        let driver = try TrafficDrivers.make(balancer.settings, environment: .test(transport))
        try await driver.preflight(deadline: .seconds(5))
        try await driver.apply(try #require(Weight(percent: 50)), expected: nil, deadline: .seconds(5))
        let load = LoadGenerator(transport: transport, url: "http://127.0.0.1:\(balancer.port)/", runners: 4)
        let report = await load.run(count: 400)
        #expect(report.failureCount == 0 && report.serverErrors == 0, "\(report.failures)")
        // Binomial with p = 1/2: four standard deviations are 10 % of 400.
        #expect(abs(report.canaryShare - 0.5) <= 0.1)
        #expect(origins.allSatisfy { $0.requests > 20 }, "\(origins.map(\.requests))")
    }
}
