import SerinModel
import SerinPolicies
import SerinRecords
import SerinRollouts
import SerinVerdicts
import Testing

/// A machine small enough to see through: it counts ticks, asks for a weight at each command, and computes one number.
private struct Metronome: Replayable, Hashable {
    var ticks = 0
    var intents = 0
    var sum = 0.0

    init(charter: Charter, createdAt: Instant) {}

    mutating func handle(_ event: RolloutEvent, at now: Instant) -> [Effect] {
        switch event {
        case .started: return [.preflight, .readHistory]
        case .ticked:
            ticks += 1
            sum += 0.1
            var assessment = SignalAssessment(name: "errors")
            assessment.phi = sum
            return [.record(Decision(topic: "verdict", text: "tick \(ticks) at \(now)", signals: [assessment]))]
        case .commanded:
            intents += 2
            return [.setWeight(IntentID(intents - 1), .zero), .runAction(IntentID(intents), .rollback)]
        case .preflightFinished, .historyRead, .observed, .weightReported, .backupReported, .backupReleased,
            .actionReported, .migrationReported, .schemaInspected, .takenOver, .doubted:
            return []
        }
    }
}

@Suite struct ReplayTests {
    private let rollout: RolloutID
    private let charter: Charter
    private let engines: EngineHistory

    init() throws {
        rollout = try #require(RolloutID("checkout-1"))
        charter = try sampleCharter(rollout)
        var engines = EngineHistory()
        for epoch in Int64(1)...2 {
            let opening = Draft(rollout: nil, at: instant(0), record: .opened(epoch: epoch, engine: engineVersion))
            for entry in try chain.link([opening], after: nil, epoch: epoch) { try engines.take(entry) }
        }
        self.engines = engines
    }

    /// What a controller would journal: each event, then what the machine asks for.
    private func journal(_ events: [RolloutEvent], effects: (Effect) -> Effect? = { $0 }) throws -> [Entry] {
        var machine = Metronome(charter: charter, createdAt: instant(0))
        var drafts = [Draft(rollout: rollout, at: instant(0), record: .created(charter))]
        for (number, event) in events.enumerated() {
            let now = instant(Int64(number + 1))
            drafts.append(Draft(rollout: rollout, at: now, record: .event(event)))
            for effect in machine.handle(event, at: now).compactMap(effects) {
                drafts.append(Draft(rollout: rollout, at: now, record: .effect(effect)))
            }
        }
        return try chain.link(drafts, after: nil, epoch: 1)
    }

    private func replay(_ entries: [Entry], engines: EngineHistory? = nil) throws(ReplayError) -> Replayed<Metronome> {
        var replay = Replay<Metronome>(of: rollout, engines: engines ?? self.engines)
        for entry in entries { try replay.take(entry) }
        return try replay.finish()
    }

    private let halt = RolloutEvent.commanded(Command(.halt, by: .serin, reason: ""))

    @Test func s9ReplayRebuildsTheMachineFromItsEvents() throws {
        let entries = try journal([.started, .ticked, .ticked, halt])
        let replayed = try replay(entries)
        #expect(replayed.machine.ticks == 2)
        #expect(replayed.charter == charter)
        #expect(replayed.lastSequence == entries.last?.sequence)
        #expect(replayed.lastAt == instant(4))
        #expect(replayed.inexactEffects == 0)
        #expect(replayed.unjournaledEffects.isEmpty)
    }

    @Test func l4IntentsAreOpenUntilAnEventAnswersThem() throws {
        let reading = WeightReading(weight: .zero, raw: "0")
        let report = PreflightReport(problems: [], warnings: [], weight: nil, database: nil)
        #expect(try replay(journal([.started])).openEffects == [.preflight, .readHistory])
        #expect(try replay(journal([.started, .preflightFinished(report)])).openEffects == [.readHistory])
        #expect(try replay(journal([.started, .started])).openEffects == [.preflight, .readHistory])
        let halted = try replay(journal([halt, halt, .weightReported(IntentID(1), .confirmed(reading))]))
        #expect(
            halted.openEffects == [
                .runAction(IntentID(2), .rollback), .setWeight(IntentID(3), .zero), .runAction(IntentID(4), .rollback),
            ])
        let acted = try replay(journal([halt, .actionReported(IntentID(2), .done(output: ""))]))
        #expect(acted.openEffects == [.setWeight(IntentID(1), .zero)])
    }

    @Test func aTakeoverSettlesWeightsAndTheActionsItNames() throws {
        let takeover = Takeover(
            traffic: TrafficReading(reading: nil), watchdogLowered: false,
            actions: [.init(intent: IntentID(2), outcome: .done(output: ""))])
        let replayed = try replay(journal([halt, halt, .takenOver(takeover)]))
        #expect(replayed.openEffects == [.runAction(IntentID(4), .rollback)])
    }

    @Test func effectsThatACrashKeptFromTheJournalAreReturned() throws {
        let entries = try journal([.ticked, halt])
        #expect(try replay(entries.dropLast()).unjournaledEffects == [.runAction(IntentID(2), .rollback)])
        #expect(try replay(entries.dropLast()).openEffects == [.setWeight(IntentID(1), .zero)])
        #expect(try replay(entries.dropLast(2)).unjournaledEffects.count == 2)
    }

    @Test func aTakeoverInALaterEpochMayFollowACutEntry() throws {
        let cut = Array(try journal([halt]).dropLast())
        let takeover = RolloutEvent.takenOver(
            Takeover(traffic: TrafficReading(reading: nil), watchdogLowered: false, actions: []))
        let draft = Draft(rollout: rollout, at: instant(9), record: .event(takeover))
        let later = try chain.link([draft], after: cut.last, epoch: 2)
        #expect(try replay(cut + later).openEffects.isEmpty)
        let same = try chain.link([draft], after: cut.last, epoch: 1)
        #expect(
            throws: ReplayError.difference(
                sequence: 4, expected: .runAction(IntentID(2), .rollback), journaled: nil)
        ) { try replay(cut + same) }
    }

    @Test func s9AnEffectTheMachineDoesNotAskForIsTheFirstDifference() throws {
        let raise = try #require(Weight(percent: 5))
        let entries = try journal([.ticked, halt, .ticked]) { effect in
            if case .setWeight(let intent, _) = effect { .setWeight(intent, raise) } else { effect }
        }
        let error = #expect(throws: ReplayError.self) { try replay(entries) }
        #expect(
            error
                == .difference(
                    sequence: 5, expected: .setWeight(IntentID(1), .zero), journaled: .setWeight(IntentID(1), raise)))
        #expect(
            error?.description
                == #"entry 5: replay asks for {"setWeight":{"_0":1,"_1":0}}, the journal has {"setWeight":{"_0":1,"_1":500}}"#)
        let extra = try chain.link(
            [Draft(rollout: rollout, at: instant(9), record: .effect(.preflight))], after: try journal([.ticked]).last, epoch: 1)
        #expect(throws: ReplayError.difference(sequence: 4, expected: nil, journaled: .preflight)) {
            try replay(journal([.ticked]) + extra)
        }
    }

    @Test func whatAnOlderEngineDecidedOtherwiseIsItsOwnAndNotADifference() throws {
        let older = try #require(replayableEngineVersions.first { $0 != engineVersion })
        var engines = EngineHistory()
        let opening = Draft(rollout: nil, at: instant(0), record: .opened(epoch: 1, engine: older))
        for entry in try chain.link([opening], after: nil, epoch: 1) { try engines.take(entry) }
        _ = try replay(journal([.ticked, halt]), engines: engines)
        let other = try journal([.ticked, halt, .ticked]) { effect in
            if case .setWeight = effect { nil } else { effect }
        }
        let error = #expect(throws: ReplayError.self) { try replay(other, engines: engines) }
        #expect(error?.isUnread == true, "\(String(describing: error))")
    }

    @Test func s9NumbersMayDifferInTheirLastBitsOnly() throws {
        func changed(by factor: Double) throws -> [Entry] {
            try journal([.ticked, .ticked]) { effect in
                guard case .record(var decision) = effect else { return effect }
                decision.signals[0].phi *= factor
                return .record(decision)
            }
        }
        #expect(try replay(changed(by: 1 + 1e-13)).inexactEffects == 2)
        #expect(throws: ReplayError.self) { try replay(changed(by: 1 + 1e-8)) }
    }

    @Test func anEpochOfAnUnknownEngineCannotBeReplayed() throws {
        var newer = EngineHistory()
        let opening = Draft(rollout: nil, at: instant(0), record: .opened(epoch: 1, engine: "99"))
        for entry in try chain.link([opening], after: nil, epoch: 1) { try newer.take(entry) }
        let error = #expect(throws: ReplayError.self) { try replay(journal([.ticked]), engines: newer) }
        #expect(error == .unknownEngine(sequence: 1, version: "99"))
        #expect(error?.description.contains("written by another version of Serin (engine 99, this is \(engineVersion))") == true)
        #expect(throws: ReplayError.unknownEngine(sequence: 1, version: nil)) {
            try replay(journal([.ticked]), engines: EngineHistory())
        }
    }

    @Test func entriesOutOfPlaceAreRefused() throws {
        let entries = try journal([.ticked])
        #expect(throws: ReplayError.notCreated) { try replay([]) }
        #expect(throws: ReplayError.self) { try replay(Array(entries.dropFirst())) }
        #expect(throws: ReplayError.self) { try replay(entries + entries) }
        let again = try chain.link(
            [Draft(rollout: rollout, at: instant(9), record: .created(charter))], after: entries.last, epoch: 1)
        #expect(throws: ReplayError.misplaced(sequence: 4, "it creates the rollout a second time")) {
            try replay(entries + again)
        }
        let foreign = try chain.link(
            [Draft(rollout: RolloutID("other-1"), at: instant(9), record: .event(.ticked))], after: entries.last, epoch: 1)
        #expect(throws: ReplayError.self) { try replay(entries + foreign) }
    }

    @Test func theRealRolloutReplaysWhatItDid() throws {
        var machine = Rollout(charter: charter, createdAt: instant(0))
        var drafts = [Draft(rollout: rollout, at: instant(0), record: .created(charter))]
        for (number, event) in [RolloutEvent.started, .ticked, halt, .ticked].enumerated() {
            let now = instant(Int64(number + 1))
            drafts.append(Draft(rollout: rollout, at: now, record: .event(event)))
            drafts += machine.handle(event, at: now).map { Draft(rollout: rollout, at: now, record: .effect($0)) }
        }
        var replay = Replay<Rollout>(of: rollout, engines: engines)
        for entry in try chain.link(drafts, after: nil, epoch: 1) { try replay.take(entry) }
        #expect(try replay.finish().machine == machine)
    }
}
