internal import SerinModel

/// The evidence of one signal that counts events: raw cumulative rows in, blocks out.
struct CountingEvidence: Sendable, Hashable {
    let signal: EvidenceSignal
    let use: QueryTable.Use
    /// What the control's history said; nil when there was too little.
    var calibration: Calibration?
    /// What else the history said, for forecasts and words.
    var past: PastTraffic?
    /// The latency edge and its histograms; nil for other kinds.
    var tails: LatencyEvidence?
    /// One for each instance ever seen, sorted.
    private(set) var tracks: [InstanceTrack] = []
    /// Elapsed blocks with their beginnings, and whether telemetry warned in them.
    private(set) var blocks: [Block] = []
    private(set) var times: [Instant] = []
    private(set) var degraded: [Bool] = []
    /// Noise of this run; nil before the first block.
    private(set) var noise: LiveNoise?
    /// Control instances in the order in which they were first counted.
    private var controlNames: [String] = []
    /// Canary instances in the newest block with any.
    private(set) var canaryInstances = 1
    /// Blocks without exposure though instances were there, by cohort.
    private(set) var emptyBlocks = CohortTotals()
    /// Totals over all usable blocks.
    private(set) var counts = CohortCounts()
    /// What the polls of the last minute added.
    private(set) var recent = RecentWindow()
    /// What is absent at this poll.
    private(set) var absences = CohortAbsences(canary: .noSeries, control: .noSeries)
    /// What this poll added, by cohort.
    private(set) var latest = CohortCounts()
    /// Whether the counter of events was ever seen: a metric that nobody has is no proof of health.
    var hasSeenEvents: Bool
    private var isOpenDegraded = false
    private var isPollDegraded = false

    init(signal: EvidenceSignal, use: QueryTable.Use) {
        self.signal = signal
        self.use = use
        if let quantile = signal.source.quantile { tails = LatencyEvidence(quantile: quantile) }
        // The counter of a ratio is its exposure as well; only `per` has a second metric that may be misspelt.
        if case .per = signal.source { hasSeenEvents = false } else { hasSeenEvents = true }
    }

    /// Takes one poll; returns instances that were there and are down now.
    mutating func advance(_ context: PollContext) -> [InstanceKey] {
        let main = context.answers[use.main]
        let events = use.events.map { context.answers[$0] }
        latest = CohortCounts()
        var step = RecentWindow.Step(at: context.at)
        isPollDegraded = main.isDegraded || events?.isDegraded == true
        if isPollDegraded { isOpenDegraded = true }
        if events?.rows.isEmpty == false { hasSeenEvents = true }
        for row in main.rows { addTrack(row.key) }
        tails?.learn(from: main.rows.filter { $0.key.cohort == .control && $0.isSound && context.isFresh($0) })
        var lost: [InstanceKey] = []
        for k in tracks.indices {
            let key = tracks[k].key
            if context.restarted.contains(key.instance) { tracks[k].restarted() }
            guard let row = main.row(key) else {
                if context.down.contains(key.instance) { lost.append(key) }
                if main.isAnswered { tracks[k].away() } else { tracks[k].gap() }
                continue
            }
            guard var increase = advance(k, row: row, events: events, context) else { continue }
            if case .rate = signal.source { increase.exposure = context.seconds ?? 0 }
            if let tails { increase.events = tails.slow(increase) }
            tracks[k].open += increase
            latest.add(increase, to: key.cohort)
            step.add(increase, to: key.cohort)
            if key.cohort == .control { tails?.observe(increase) }
        }
        tails?.freezeIfReady(at: context.at)
        recent.append(step)
        absences = presence(main, events, context)
        return lost
    }

    private mutating func addTrack(_ key: InstanceKey) {
        let place = tracks.firstIndex { !($0.key < key) } ?? tracks.count
        if place < tracks.count, tracks[place].key == key { return }
        tracks.insert(InstanceTrack(key: key), at: place)
    }

    private mutating func advance(
        _ k: Int, row: CohortRow, events: PollRows?, _ context: PollContext
    ) -> InstanceTrack.Increase? {
        let key = tracks[k].key
        let eventRow = events?.row(key)
        // After a pause of the polls the old base line is too far away; this poll is the new one.
        if context.seconds == nil { tracks[k].gap() }
        guard row.isSound, context.isFresh(row), events?.isAnswered != false,
            eventRow.map({ $0.isSound && context.isFresh($0) }) ?? true,
            tails?.accepts(row.edges) ?? true
        else {
            tracks[k].gap()
            return nil
        }
        let isRestarted = context.restarted.contains(key.instance) || row.resets >= 1 || (eventRow?.resets ?? 0) >= 1
        if isRestarted { tracks[k].restarted() }
        // A series of events is born with its first event, so one that never was is 0. One that was there and is gone is a hole:
        // read as 0 it would hide events now and count all of them again on its return.
        guard events == nil || tracks[k].sees(events: eventRow != nil, exposure: row.value) else {
            tracks[k].gap()
            return nil
        }
        var value = 0.0
        if events != nil { value = eventRow?.value ?? 0 } else if tails == nil { value = row.value }
        return tracks[k].advance(
            to: InstanceTrack.Mark(events: value, exposure: row.value, counts: row.counts), isRestarted: isRestarted)
    }

    private func presence(_ main: PollRows, _ events: PollRows?, _ context: PollContext) -> CohortAbsences {
        if !main.isAnswered || events?.isAnswered == false {
            return CohortAbsences(canary: .sourceDown, control: .sourceDown)
        }
        func absence(_ cohort: Cohort) -> Absence? {
            let rows = main.rows.filter { $0.key.cohort == cohort && $0.isSound }
            if rows.isEmpty || !hasSeenEvents { return .noSeries }
            if !rows.contains(where: context.isFresh) { return .stale }
            if case .rate = signal.source { return nil }
            return recent.isSilent(cohort) ? .zeroTraffic : nil
        }
        return CohortAbsences(canary: absence(.canary), control: absence(.control))
    }

    /// Begins a block at this poll.
    mutating func beginBlock() {
        // A warning at the first reading makes its base lines doubtful, and so the block that begins with them.
        isOpenDegraded = isPollDegraded
        for k in tracks.indices { tracks[k].beginBlock() }
    }

    /// Ends the open block; returns whether it is usable and no warning fell in it.
    mutating func endBlock(from start: Instant, blocksPerBin: Int) -> Bool {
        var block = Block.unusable
        var canaries = 0
        var controls = 0
        var exposure = [Double](repeating: 0, count: controlNames.count)
        var events = exposure
        var pooled = InstanceTrack.Increase()
        for track in tracks where track.isWhole {
            switch track.key.cohort {
            case .canary:
                canaries += 1
                block.canaryEvents += track.open.events
                block.canaryExposure += track.open.exposure
            case .control:
                controls += 1
                block.controlEvents += track.open.events
                block.controlExposure += track.open.exposure
                pooled += track.open
                var place = controlNames.firstIndex(of: track.key.instance)
                if place == nil {
                    place = controlNames.count
                    controlNames.append(track.key.instance)
                    exposure.append(0)
                    events.append(0)
                }
                if let place {
                    exposure[place] = track.open.exposure
                    events[place] = track.open.events
                }
            }
        }
        if let tails, tails.edge == nil || tails.isUnsettled(in: start) { block = .unusable }
        if canaries > 0, controls > 0 {
            if block.canaryExposure == 0 { emptyBlocks.canary += 1 }
            if block.controlExposure == 0 { emptyBlocks.control += 1 }
        }
        if canaries > 0 { canaryInstances = canaries }
        append(block, at: start)
        if noise == nil { noise = LiveNoise(blocksPerBin: blocksPerBin) }
        noise?.append(block, exposure: exposure, events: events)
        if block.isUsable { tails?.pool(pooled) }
        return block.isUsable && !isOpenDegraded
    }

    /// Counts a block that was cut off, by a pause of the polls for example.
    mutating func loseBlock(from start: Instant, blocksPerBin: Int) {
        append(.unusable, at: start)
        if noise == nil { noise = LiveNoise(blocksPerBin: blocksPerBin) }
        noise?.append(.unusable, exposure: [], events: [])
    }

    private mutating func append(_ block: Block, at start: Instant) {
        blocks.append(block)
        times.append(start)
        degraded.append(isOpenDegraded)
        guard block.isUsable else { return }
        counts.canaryEvents += block.canaryEvents
        counts.canaryExposure += block.canaryExposure
        counts.controlEvents += block.controlEvents
        counts.controlExposure += block.controlExposure
    }

    /// Control instances that were counted.
    var controlInstances: Int { controlNames.count }
}

/// Two counts of something, by cohort.
struct CohortTotals: Sendable, Hashable {
    var canary = 0
    var control = 0
}

extension CohortCounts {
    mutating func add(_ increase: InstanceTrack.Increase, to cohort: Cohort) {
        switch cohort {
        case .canary:
            canaryEvents += increase.events
            canaryExposure += increase.exposure
        case .control:
            controlEvents += increase.events
            controlExposure += increase.exposure
        }
    }
}
