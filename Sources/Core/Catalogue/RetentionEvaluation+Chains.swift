internal import SerinModel
internal import SerinPolicies

extension RetentionEvaluation {
    // MARK: Point in time

    /// At each destination: the last base backup before the window, all write-ahead log from its beginning on, and every later base
    /// that the log does not lead to, because it is missing, or of a timeline whose history is not stored or is another one.
    mutating func notePointInTime() {
        for destination in Set(nodes.compactMap { destination(of: $0) }).sorted() {
            let here = nodes.indices.filter { self.destination(of: nodes[$0]) == destination && isUsable(nodes[$0]) }
            let bases = here.filter { records[nodes[$0].record].kind.isPhysicalBase && !isFuture(records[nodes[$0].record]) }
            let plan = retention.plan(at: destination)
            let window = plan.pointInTime ?? plan.kinds.first { $0.kind == .walRange }?.policy.keepAll
            guard let anchor = anchor(of: bases, window: window) else {
                // Without a base the log leads nowhere yet; the next base may still need none of it, but that is for a person to say.
                for index in here where records[nodes[index].record].kind == .walRange { add(.pointInTime, to: index) }
                continue
            }
            if window != nil {
                add(.pointInTime, to: anchor)
                keepUnreached(bases.drop { $0 != anchor }, anchor: anchor, here)
            }
            let start = records[nodes[anchor].record].createdAt
            for index in here where records[nodes[index].record].kind == .walRange {
                if records[nodes[index].record].consistentAt >= start { add(.pointInTime, to: index) }
            }
        }
    }

    private mutating func keepUnreached(_ bases: some Sequence<Int>, anchor: Int, _ here: [Int]) {
        let log = here.map { records[nodes[$0].record] }.filter { $0.kind == .walRange }
        // Where the log is kept by its tool nothing is known of it.
        guard !log.isEmpty else { return }
        var kept = [records[nodes[anchor].record]]
        var window = RecoveryWindow(of: log + kept)
        for base in bases where base != anchor && records[nodes[base].record].facts?.server?.lsnStop != nil {
            let record = records[nodes[base].record]
            if kept.contains(where: { window.leads(from: $0.id, to: record) }) { continue }
            add(.pointInTime, to: base)
            kept.append(record)
            window = RecoveryWindow(of: log + kept)
        }
    }

    /// The newest base from before the window, else the oldest. Without a window: the oldest that something keeps.
    private func anchor(of bases: [Int], window: Duration?) -> Int? {
        guard let window else { return bases.first { !nodes[$0].reasons.isEmpty } ?? bases.first }
        return bases.last { records[nodes[$0].record].consistentAt <= now - window } ?? bases.first
    }

    // MARK: Dependencies

    /// Whatever a kept backup cannot be restored without is kept: at the same destination, or wherever it is when not there.
    mutating func closeOverDependencies() {
        var nodesOfRecord = [[Int]](repeating: [], count: records.count)
        for index in nodes.indices { nodesOfRecord[nodes[index].record].append(index) }
        var pending = nodes.indices.filter { !nodes[$0].reasons.isEmpty && isUsable(nodes[$0]) }
        while let index = pending.popLast() {
            let record = records[nodes[index].record]
            for needed in record.order.dependsOn {
                guard let place = places[needed] else { continue }
                let all = nodesOfRecord[place].filter { isUsable(nodes[$0]) }
                let here = all.filter { destination(of: nodes[$0]) == destination(of: nodes[index]) }
                for other in here.isEmpty ? all : here {
                    let wasKept = !nodes[other].reasons.isEmpty
                    add(.dependency(record.id), to: other)
                    if !wasKept { pending.append(other) }
                }
            }
        }
    }

    private mutating func add(_ reason: KeepReason, to index: Int) {
        if !nodes[index].reasons.contains(reason) { nodes[index].reasons.append(reason) }
    }

    // MARK: Steps

    /// What is to be done about every copy.
    func entries() -> [PrunePlan.Entry] {
        var entries: [PrunePlan.Entry] = []
        var index = 0
        while index < nodes.count {
            var end = index
            while end < nodes.count, nodes[end].record == nodes[index].record { end += 1 }
            entries += self.entries(of: records[nodes[index].record], nodes: Array(nodes[index..<end]))
            index = end
        }
        return entries
    }

    private func entries(of record: BackupRecord, nodes: [Node]) -> [PrunePlan.Entry] {
        let keepers = nodes.filter { !$0.reasons.isEmpty && isUsable($0) }
        let expiresAt = expiry(of: nodes)
        return nodes.map { node in
            let step =
                node.reasons.isEmpty
                ? step(of: record, node: node, keepers: keepers) : keptStep(of: record, node: node, expiresAt: expiresAt)
            return PrunePlan.Entry(
                backup: record.id, destination: destination(of: node), kind: record.kind, createdAt: record.createdAt,
                reasons: node.reasons, expiresAt: expiresAt, isRestorable: isUsable(node), step: step)
        }
    }

    /// The latest moment at which any copy is let go of; nil while one of them is kept without end, or only by what names no moment.
    private func expiry(of nodes: [Node]) -> Instant? {
        if nodes.contains(where: \.isEndless) { return nil }
        let last = nodes.compactMap(\.until).max()
        let isKept = nodes.contains { !$0.reasons.isEmpty }
        return last.flatMap { isKept && $0 <= now ? nil : $0 }
    }

    private func keptStep(of record: BackupRecord, node: Node, expiresAt: Instant?) -> PruneStep {
        let warning = warning(for: node)
        guard record.warnedAt != nil, let announced = record.expiresAt else {
            if isUsable(node), let expiresAt, expiresAt <= now + warning {
                return .warn(expiresAt: max(expiresAt, now + warning))
            }
            return .keep
        }
        guard let expiresAt else { return .spare }
        return expiresAt > announced + warning ? .spare : .keep
    }

    /// Nothing keeps this copy.
    private func step(of record: BackupRecord, node: Node, keepers: [Node]) -> PruneStep {
        if record.state == .deleting { return .delete(reason: record.tombstone?.reason ?? "its deletion was begun") }
        if record.state == .failed {
            let age = now - (record.failedAt ?? record.createdAt)
            if age > Retention.leftoverAge { return .delete(reason: "it was never finished") }
            return .wait(until: (record.failedAt ?? record.createdAt) + Retention.leftoverAge)
        }
        if let copy = node.copy, record.copies[copy].state == .deleting { return .delete(reason: "its deletion was begun") }
        if let other = keepers.first, let place = destination(of: other) {
            return .delete(reason: "no rule keeps it here, and it is kept at \(place)")
        }
        let warning = warning(for: node)
        guard let warnedAt = record.warnedAt, let announced = record.expiresAt else { return .warn(expiresAt: now + warning) }
        let due = max(announced, warnedAt + warning)
        return now < due ? .wait(until: due) : .delete(reason: "no rule keeps it, and it was announced on \(warnedAt)")
    }

    private func warning(for node: Node) -> Duration {
        retention.plan(at: destination(of: node) ?? "").warning
    }
}
