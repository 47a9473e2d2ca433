internal import SerinModel

/// What the control did before the rollout.
struct PastTraffic: Sendable, Hashable {
    /// Usable bins and how long each is, in seconds.
    var bins: Int
    var binSeconds: Double
    /// Control instances that were used.
    var instances: Int
    /// Exposure per second and events per unit of exposure, of all instances together.
    var traffic: Double
    var rate: Double

    /// `6 h of 4 control instances`.
    var words: String {
        let minutes = Double(bins) * binSeconds / 60
        let length =
            minutes >= 90
            ? "\(decimal(minutes / 60, places: minutes.truncatingRemainder(dividingBy: 60) == 0 ? 0 : 1)) h"
            : "\(decimal(minutes, places: 0)) min"
        return "\(length) of \(instances) control instance\(instances == 1 ? "" : "s")"
    }
}

/// Increases per control instance and bin from the cumulative values of history, as a full table: bins in which an instance was born,
/// reset or missing are dropped, after instances that lack more than a fifth of the bins.
struct HistoryBins: Sendable, Hashable {
    /// For each instance, what it added in each bin.
    var rows: [[InstanceTrack.Increase]]
    /// The finite edges of histograms.
    var edges: [Double] = []
    /// Whether the counter of events was there.
    var hasEvents: Bool

    init(main: [HistoryRow], events: [HistoryRow]?, table: QueryTable, instanceLabel: String, isHistogram: Bool) {
        hasEvents = events.map { !$0.isEmpty } ?? true
        var found: [(name: String, bins: [InstanceTrack.Increase?])] = []
        for row in main where table.cohort(of: row.labels) == .control {
            let name = row.labels.first { $0.name == instanceLabel }?.value ?? ""
            guard !found.contains(where: { $0.name == name }) else { continue }
            let matching = events?.first {
                table.cohort(of: $0.labels) == .control && ($0.labels.first { $0.name == instanceLabel }?.value ?? "") == name
            }
            if isHistogram, edges.isEmpty {
                edges = row.buckets.last { !$0.isEmpty }?.map(\.edge).filter(\.isFinite) ?? []
            }
            let marks = HistoryBins.marks(
                row, events: events == nil ? nil : matching, hasEventQuery: events != nil, edges: edges, isHistogram: isHistogram)
            found.append((name, zip(marks, marks.dropFirst()).map { HistoryBins.increase($0, $1) }))
        }
        found.sort { $0.name < $1.name }
        let most = found.map { $0.bins.count { $0 != nil } }.max() ?? 0
        let kept = found.filter { 5 * $0.bins.count { $0 != nil } >= 4 * most && most > 0 }
        let bins = kept.map(\.bins.count).min() ?? 0
        let whole = (0..<bins).filter { k in kept.allSatisfy { $0.bins[k] != nil } }
        rows = kept.map { instance in whole.compactMap { instance.bins[$0] } }
    }

    private static func marks(
        _ row: HistoryRow, events: HistoryRow?, hasEventQuery: Bool, edges: [Double], isHistogram: Bool
    ) -> [InstanceTrack.Mark?] {
        row.values.indices.map { k in
            guard let value = row.values[k], value.isFinite, value >= 0 else { return nil }
            var counts: [Double] = []
            if isHistogram {
                guard k < row.buckets.count else { return nil }
                let finite = row.buckets[k].filter { $0.edge.isFinite }
                guard finite.map(\.edge) == edges, finite.allSatisfy({ $0.count.isFinite && $0.count >= 0 }) else { return nil }
                counts = finite.map(\.count)
            }
            var event = hasEventQuery ? 0 : value
            if let events, k < events.values.count, let there = events.values[k] { event = there }
            guard event.isFinite, event >= 0 else { return nil }
            return InstanceTrack.Mark(events: isHistogram ? 0 : event, exposure: value, counts: counts)
        }
    }

    private static func increase(_ from: InstanceTrack.Mark?, _ to: InstanceTrack.Mark?) -> InstanceTrack.Increase? {
        guard let from, let to else { return nil }
        let counts = zip(to.counts, from.counts).map { $0 - $1 }
        guard to.exposure >= from.exposure, to.events >= from.events, counts.allSatisfy({ $0 >= 0 }) else { return nil }
        return InstanceTrack.Increase(
            events: to.events - from.events, exposure: to.exposure - from.exposure, counts: counts)
    }

    /// The pooled tail of all instances and bins.
    var tail: LatencyTail {
        var tail = LatencyTail(edges: edges, above: edges.map { _ in 0 }, total: 0)
        for row in rows {
            for bin in row {
                tail.total += bin.exposure
                for i in edges.indices { tail.above[i] += max(0, bin.exposure - bin.counts[i]) }
            }
        }
        return tail
    }
}

extension CountingEvidence {
    /// Measures noise on history, and chooses the latency edge.
    mutating func absorb(_ history: HistoryReading, table: QueryTable, instanceLabel: String) {
        guard use.main < history.series.count, use.events.map({ $0 < history.series.count }) ?? true else { return }
        var bins = HistoryBins(
            main: history.series[use.main], events: use.events.map { history.series[$0] }, table: table,
            instanceLabel: instanceLabel, isHistogram: tails != nil)
        if bins.hasEvents, use.events != nil { hasSeenEvents = true }
        let seconds = history.step.seconds
        guard let count = bins.rows.first?.count, count > 0, seconds > 0 else { return }
        tails?.freeze(bins.tail)
        for i in bins.rows.indices {
            for k in bins.rows[i].indices {
                if let tails { bins.rows[i][k].events = tails.slow(bins.rows[i][k]) }
                if case .rate = signal.source { bins.rows[i][k].exposure = seconds }
            }
        }
        let exposure = bins.rows.map { $0.map(\.exposure) }
        let events = bins.rows.map { $0.map(\.events) }
        let allExposure = total(exposure.map { total($0) })
        let allEvents = total(events.map { total($0) })
        past = PastTraffic(
            bins: count, binSeconds: seconds, instances: bins.rows.count, traffic: allExposure / (Double(count) * seconds),
            rate: allExposure > 0 ? allEvents / allExposure : 0)
        guard count >= 60, allEvents >= 200, tails == nil || tails?.edge != nil else { return }
        if bins.rows.count == 1 {
            calibration = Calibration(singleExposure: exposure[0], events: events[0])
        } else {
            calibration = Calibration(exposure: exposure, events: events)
        }
    }
}
