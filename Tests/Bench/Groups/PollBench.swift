internal import MemoryJournal
internal import SerinCrypto
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRecords
internal import SerinRollouts

/// How many polls one core carries, from the reading to the journal's entries.
struct PollBench {
    private let polls = 240

    func run() async throws -> Section {
        progress("polls: \(polls) polls of one rollout, three times")
        var rates: [Double] = []
        var bytes = 0
        var isBaking = false
        for _ in 0..<3 {
            let result = try await once()
            rates.append(result.rate)
            bytes = result.bytes
            isBaking = result.isBaking
        }
        rates.sort()
        return Section(rows: [
            Row(
                name: "polls a second that one core sustains", value: rates[1], unit: "polls/s",
                note:
                    "median of 3 runs of \(polls) polls (an hour): ten signals, 5 instances; the rollout's decision and status, "
                    + "canonical encoding, SHA-256 chain, append to a store in memory; no network, no disk"
                    + (isBaking ? "" : "; NOT BAKING")),
            Row(
                name: "journal growth", value: Double(bytes) / Double(polls) / 1024, unit: "KiB/poll",
                note: "the same rollout's entries"),
            Row(
                name: "services that one core carries at 15 s a poll", value: rates[1] * 15, unit: "services",
                note: "the same, by calculation"),
        ])
    }

    private func once() async throws -> (rate: Double, bytes: Int, isBaking: Bool) {
        guard let service = ServiceName("checkout"), let id = RolloutID("checkout-1") else { return (.nan, 0, false) }
        var now = Instant(millisecondsSince1970: 1_800_000_000_000)
        var policy = BenchPolicy.policy(service: service, driver: DriverSettings(driver: "none", settings: [:]))
        // One step for the whole hour.
        policy.timing.stepFor = .hours(10)
        let charter = Charter(
            id: id, policy: policy, policyHash: "00", version: "2", previous: "1", author: .uid(0), overrides: [])
        var rollout = Rollout(charter: charter, createdAt: now)
        var world = SteadyService(seed: 23)
        let queries = rollout.telemetryRequest.queries
        var weight = Weight.zero
        // The way up to the first step, each effect answered at once.
        var events: [RolloutEvent] = [.started]
        var effects: [Effect] = []
        for _ in 0..<12 {
            for event in events { effects += rollout.handle(event, at: now) }
            events = []
            for effect in effects {
                switch effect {
                case .preflight:
                    events.append(
                        .preflightFinished(
                            PreflightReport(
                                problems: [], warnings: [], weight: WeightReading(weight: .zero, raw: "0"), database: nil)))
                case .readHistory: events.append(.historyRead(world.history(queries, to: now)))
                case .setWeight(let intent, let wanted), .lowerWeight(let intent, let wanted):
                    weight = wanted
                    events.append(.weightReported(intent, .confirmed(WeightReading(weight: wanted, raw: "\(wanted)"))))
                case .takeBackup, .endBackup, .releaseBackup, .runAction, .migrate, .endMigration, .inspectSchema, .restore,
                    .record,
                    .notify:
                    break
                }
            }
            effects = []
            guard events.isEmpty else { continue }
            if weight > .zero { break }
            world.share = weight.fraction
            now = now + .seconds(15)
            events = [observed(&world, queries, weight, now)]
        }
        // Readings are made beforehand: they are the world's work, not the controller's.
        var observations: [RolloutEvent] = []
        let first = now
        world.share = weight.fraction
        for k in 1...polls { observations.append(observed(&world, queries, weight, first + .seconds(15) * Int64(k))) }
        let store = try MemoryStore(at: now, digest: SHA256.digestOrEmpty)
        let clock = ContinuousClock()
        let start = clock.now
        for event in observations {
            now = now + .seconds(15)
            let before = rollout
            let effects = rollout.handle(event, at: now)
            let drafts =
                [Draft(rollout: id, at: now, record: .event(event))]
                + effects.map { Draft(rollout: id, at: now, record: .effect($0)) }
            _ = try await store.append(drafts)
            keep(rollout.status(at: now))
            keep(before)
        }
        let seconds = (clock.now - start).milliseconds / 1000
        let bytes = await store.entries.reduce(0) { $0 + $1.body.count }
        return (Double(polls) / seconds, bytes, rollout.status(at: now).step == 1 && weight > .zero)
    }

    private func observed(
        _ world: inout SteadyService, _ queries: [SeriesQuery], _ weight: Weight, _ now: Instant
    ) -> RolloutEvent {
        let telemetry = world.reading(queries, at: now, after: 15)
        return .observed(
            Observation(
                at: now, telemetry: telemetry, database: nil,
                traffic: TrafficReading(reading: WeightReading(weight: weight, raw: "\(weight)"))))
    }
}
