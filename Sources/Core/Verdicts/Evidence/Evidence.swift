public import SerinModel

/// All evidence of a rollout: raw readings in, an assessment out. A value that depends on what was absorbed and on nothing else, so a
/// replay of the same readings gives the same assessment.
///
/// Evidence is counted in blocks: the smallest multiple of the poll that spans two samples of the targets. Each block is a stratum of
/// its own, so blocks carry on over steps and are never pooled. A block in which telemetry warned may add to a fail; for a pass only
/// blocks without warnings count, and the others are gaps.
public struct Evidence: Sendable, Hashable {
    /// One signal's evidence, by kind.
    enum Part: Sendable, Hashable {
        case counting(CountingEvidence)
        case gauge(GaugeEvidence)
    }

    /// The plan.
    public let plan: EvidencePlan
    let table: QueryTable
    var parts: [Part]
    /// The time between samples of the targets, as far as it is known.
    public private(set) var scrapeInterval: Duration?
    /// The length of a block; fixed when the first one begins.
    public private(set) var blockLength: Duration?
    /// Observed healthy time that the newest reading completed.
    public private(set) var healthyTime = Duration.zero
    /// Whether the newest reading was incomplete or came with warnings.
    public private(set) var isDegraded = false
    /// Instances that were there and are down now.
    public private(set) var lost: [LostInstance] = []
    private var lastReading: Instant?
    private var watch: NewVersionWatch
    private var openSince: Instant?
    private var processStarts: [String: Instant] = [:]
    private var observed = TrafficCounts(canary: 0, control: 0)
    private var observedSince: Instant?
    private var hasObserved = false

    /// No evidence yet.
    public init(plan: EvidencePlan) {
        self.plan = plan
        let table = QueryTable(plan)
        self.table = table
        watch = NewVersionWatch(plan)
        parts = zip(plan.signals, table.uses).map { signal, use in
            signal.source.isGauge
                ? .gauge(GaugeEvidence(signal: signal, query: use.main)) : .counting(CountingEvidence(signal: signal, use: use))
        }
        scrapeInterval = plan.scrapeInterval
    }

    /// What to ask of telemetry at each poll and for the history.
    public var telemetryQueries: [SeriesQuery] { table.queries }

    /// Takes the control's past: measures its noise and chooses latency edges. To be called once, before the first block.
    public mutating func absorb(history: HistoryReading) {
        scrapeInterval = history.scrapeInterval ?? scrapeInterval
        for k in parts.indices {
            switch parts[k] {
            case .counting(var part):
                part.absorb(history, table: table, instanceLabel: plan.instanceLabel)
                parts[k] = .counting(part)
            case .gauge(var part):
                part.absorb(history, table: table, instanceLabel: plan.instanceLabel)
                parts[k] = .gauge(part)
            }
        }
    }

    /// Takes one poll's answer.
    ///
    /// - Parameters:
    ///   - reading: The answer; nil when there was none, which is a gap in everything.
    ///   - time: When the poll began.
    ///   - isCollecting: Whether this moment counts as evidence. While it does not (warm-up, weight 0) base lines move on, hard
    ///     limits are watched and the open block is dropped; evidence that is there stays.
    public mutating func absorb(_ reading: TelemetryReading?, at time: Instant, isCollecting: Bool) {
        healthyTime = .zero
        let context = context(reading, at: time)
        isDegraded = reading == nil || reading?.failures.isEmpty == false || context.answers.contains { $0.isDegraded }
        lost = []
        var lostKeys: Set<InstanceKey> = []
        for k in parts.indices {
            switch parts[k] {
            case .counting(var part):
                lostKeys.formUnion(part.advance(context))
                parts[k] = .counting(part)
            case .gauge(var part):
                part.advance(context, isCollecting: isCollecting, interval: plan.gaugeInterval, poll: plan.poll)
                parts[k] = .gauge(part)
            }
        }
        lost = lostKeys.sorted().map { LostInstance(cohort: $0.cohort, instance: $0.instance) }
        if let reading, context.answers.contains(where: \.isAnswered) {
            watch.advance(reading, table: table, context)
        } else {
            watch.miss()
        }
        countRequests(context)
        advanceBlock(context, isCollecting: isCollecting)
        if lastReading.map({ $0 < context.at }) ?? true { lastReading = context.at }
    }

    /// A weight was confirmed by read-back: the observed share is counted anew from here.
    public mutating func weightConfirmed(at time: Instant) {
        observed = TrafficCounts(canary: 0, control: 0)
        observedSince = time
        hasObserved = false
    }

    /// The promotion begins: from here on the new version is looked for on instances beyond those that show it so far.
    public mutating func promotionBegan() { watch.promotionBegan() }

    /// Whether the newest reading shows the new version on control.
    var sight: NewVersionSight { watch.sight }

    /// Requests of both cohorts since the weight was last confirmed; nil while none were read.
    public var observedRequests: TrafficCounts? { hasObserved ? observed : nil }

    private mutating func context(_ reading: TelemetryReading?, at time: Instant) -> PollContext {
        let scrape = scrapeInterval ?? max(plan.poll, .seconds(15))
        let stale = plan.staleAfter ?? Duration(milliseconds: (scrape * 5).milliseconds / 2)
        let missing = table.queries.map { _ in PollRows.missing }
        guard let reading, reading.series.count == table.queries.count, lastReading.map({ $0 < reading.evaluatedAt }) ?? true
        else {
            let at = max(time, lastReading ?? time)
            return PollContext(at: at, seconds: nil, answers: missing, down: [], restarted: [], stale: stale)
        }
        var down: Set<String> = []
        var restarted: Set<String> = []
        for instance in reading.instances {
            if let up = instance.up, up < 1 { down.insert(instance.instance) }
            guard let start = instance.startedAt else { continue }
            // A second of tolerance: the start time is a rounded clock reading.
            if let before = processStarts[instance.instance], start - before > .seconds(1) {
                restarted.insert(instance.instance)
            }
            processStarts[instance.instance] = start
        }
        let answers = zip(reading.series, table.queries).map {
            PollRows($0, query: $1, table: table, instanceLabel: plan.instanceLabel)
        }
        var seconds = lastReading.map { (reading.evaluatedAt - $0).seconds }
        // Polls that come quickly may be held up for seconds by a slow balancer; what they read then is still evidence.
        if let step = seconds, step > max(3 * plan.poll.seconds, 2 * stale.seconds, 15) { seconds = nil }
        return PollContext(
            at: reading.evaluatedAt, seconds: seconds, answers: answers, down: down, restarted: restarted, stale: stale)
    }

    /// Counts requests by the first signal that counts all of them (without exclusions, where there is one). Increases of a poll that
    /// began before the confirmation, or whose samples may be older, are left out.
    private mutating func countRequests(_ context: PollContext) {
        let scrape = scrapeInterval ?? plan.poll
        guard let observedSince, let lastReading, lastReading >= observedSince + scrape, context.seconds != nil else { return }
        var counting: [CountingEvidence] = []
        for part in parts {
            guard case .counting(let one) = part else { continue }
            if case .rate = one.signal.source { continue }
            counting.append(one)
        }
        guard let source = counting.first(where: \.signal.matchers.isEmpty) ?? counting.first,
            source.absences.canary != .sourceDown
        else { return }
        // Without the control's requests there is nothing to have a share of: that is a loss of telemetry, and reported as such.
        switch source.absences.control {
        case .noSeries, .stale, .sourceDown: return
        case .zeroTraffic, .tooFewRequests, nil: break
        }
        observed.canary += source.latest.canaryExposure
        observed.control += source.latest.controlExposure
        hasObserved = true
    }

    private mutating func advanceBlock(_ context: PollContext, isCollecting: Bool) {
        let length = blockLength ?? Evidence.blockLength(poll: plan.poll, scrape: scrapeInterval)
        let blocksPerBin = max(1, Int((60 / length.seconds).rounded()))
        guard isCollecting else {
            openSince = nil
            return
        }
        guard let start = openSince else {
            blockLength = length
            openSince = context.at
            beginBlock()
            return
        }
        if context.seconds == nil, context.answers.contains(where: \.isAnswered) {
            forEachCounting { $0.loseBlock(from: start, blocksPerBin: blocksPerBin) }
            openSince = context.at
            beginBlock()
            return
        }
        let elapsed = context.at - start
        // Half a poll early is still the poll that was meant.
        guard elapsed.milliseconds >= length.milliseconds - plan.poll.milliseconds / 2 else { return }
        var isHealthy = true
        for k in parts.indices {
            switch parts[k] {
            case .counting(var part):
                let isUsable = part.endBlock(from: start, blocksPerBin: blocksPerBin)
                if !part.signal.isReportOnly, !isUsable { isHealthy = false }
                parts[k] = .counting(part)
            case .gauge(let part):
                let isUsable = part.recent.last?.isUsable == true && part.recent.last?.isDegraded == false
                if !part.signal.isReportOnly, !isUsable { isHealthy = false }
            }
        }
        if isHealthy { healthyTime = min(elapsed, length + plan.poll) }
        openSince = context.at
        beginBlock()
    }

    private mutating func beginBlock() { forEachCounting { $0.beginBlock() } }

    private mutating func forEachCounting(_ body: (inout CountingEvidence) -> Void) {
        for k in parts.indices {
            guard case .counting(var part) = parts[k] else { continue }
            body(&part)
            parts[k] = .counting(part)
        }
    }

    /// The smallest multiple of the poll that spans two samples; without a known scrape interval, 15 s or the poll is assumed.
    static func blockLength(poll: Duration, scrape: Duration?) -> Duration {
        let span = (scrape ?? max(poll, .seconds(15))) * 2
        let polls = max(1, (span + poll - .milliseconds(1)).milliseconds / max(1, poll.milliseconds))
        return poll * polls
    }
}
