internal import SerinModel
internal import SerinPolicies

/// The working of one evaluation: a node for every copy, and why it is kept.
struct RetentionEvaluation {
    struct Node {
        let record: Int
        let copy: Int?
        var reasons: [KeepReason] = []
        /// When rules, classes and locks let go of it; nil without end or when nothing is known.
        var until: Instant?
        var isEndless = false
    }

    let retention: Retention
    let records: [BackupRecord]
    let circumstances: RetentionCircumstances
    var nodes: [Node] = []
    var places: [BackupID: Int] = [:]
    var now: Instant { circumstances.now }

    init(retention: Retention, records: [BackupRecord], circumstances: RetentionCircumstances) {
        self.retention = retention
        // The oldest first; of the same moment by identifier, so that the first of a bucket is always the same one.
        self.records = records.filter { $0.state != .deleted }.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
        self.circumstances = circumstances
        for (index, record) in self.records.enumerated() {
            places[record.id] = index
            let copies = record.copies.indices.filter { record.copies[$0].state != .deleted }
                .sorted { record.copies[$0].destination < record.copies[$1].destination }
            nodes += copies.map { Node(record: index, copy: $0) }
            if copies.isEmpty { nodes.append(Node(record: index, copy: nil)) }
        }
    }

    func destination(of node: Node) -> String? { node.copy.map { records[node.record].copies[$0].destination } }

    /// Whether a restore could read this copy.
    func isUsable(_ node: Node) -> Bool {
        guard let copy = node.copy else { return false }
        return records[node.record].state.isRestorable && records[node.record].copies[copy].state.isUsable
    }

    func isFuture(_ record: BackupRecord) -> Bool { record.isFromTheFuture(at: now) }

    // MARK: Rules

    /// What each copy is kept for by itself.
    mutating func noteRules() {
        var streams: [Stream: [Int]] = [:]
        for index in nodes.indices {
            noteOwnReasons(index)
            let record = records[nodes[index].record]
            guard let destination = destination(of: nodes[index]), isUsable(nodes[index]), !isFuture(record) else { continue }
            streams[Stream(destination: destination, kind: record.kind), default: []].append(index)
        }
        for stream in streams.keys.sorted() { note(stream, of: streams[stream] ?? []) }
    }

    /// The copies of one kind at one destination: what the tiers count.
    private struct Stream: Hashable, Comparable {
        let destination: String
        let kind: BackupKind

        static func < (left: Stream, right: Stream) -> Bool {
            (left.destination, left.kind) < (right.destination, right.kind)
        }
    }

    private mutating func noteOwnReasons(_ index: Int) {
        let record = records[nodes[index].record]
        var reasons: [KeepReason] = []
        for hold in record.holds(at: now) {
            if !reasons.contains(.held(hold.kind)) { reasons.append(.held(hold.kind)) }
            if let until = hold.until { keep(index, until: until) } else { nodes[index].isEndless = true }
        }
        if let rollout = record.order.rollout, circumstances.neededRollouts.contains(rollout) {
            reasons.append(.rollout(rollout))
        }
        if isFuture(record) {
            reasons.append(.future)
            nodes[index].isEndless = true
        }
        switch record.state {
        case .running, .uploaded: reasons.append(.unfinished)
        // The receipt of what its tool has removed proves nothing.
        case .quarantined: if record.failure != .expiredByItsTool { reasons.append(.evidence) }
        case .available, .verified, .drilled, .failed, .deleting, .deleted: break
        }
        if let copy = nodes[index].copy {
            if record.copies[copy].state == .damaged, record.state != .failed, record.state != .quarantined {
                reasons.append(.evidence)
            }
            if let lock = record.copies[copy].lock, now < lock.until {
                reasons.append(.locked(lock.until))
                keep(index, until: lock.until)
            }
        }
        noteClass(of: record, index: index, reasons: &reasons)
        nodes[index].reasons += reasons
    }

    private mutating func noteClass(of record: BackupRecord, index: Int, reasons: inout [KeepReason]) {
        let name = record.order.retentionClass
        guard name != "standard", let destination = destination(of: nodes[index]) else { return }
        guard let known = retention.plan(at: destination).classes.first(where: { $0.name == name }) else {
            reasons.append(.unknownClass(name))
            nodes[index].isEndless = true
            return
        }
        keep(index, until: record.createdAt + known.age)
        if now - record.createdAt < known.age { reasons.append(.compliance(name)) }
    }

    private mutating func keep(_ index: Int, until time: Instant) { nodes[index].until = larger(nodes[index].until, time) }

    private mutating func note(_ stream: Stream, of indices: [Int]) {
        let plan = retention.plan(at: stream.destination)
        let policy = plan[stream.kind]
        if stream.kind != .walRange {
            let candidates = indices.map { TierCandidate(index: $0, createdAt: records[nodes[$0].record].createdAt) }
            for (index, finding) in zip(indices, policy.findings(of: candidates, at: now)) {
                nodes[index].reasons += finding.reasons
                if let until = finding.until { keep(index, until: until) }
                if policy.keepsEverything { nodes[index].isEndless = true }
            }
        }
        let verified = indices.filter { isVerified(nodes[$0]) }
        for index in verified.suffix(policy.floor) { nodes[index].reasons.append(.floor) }
        if verified.count < policy.floor, stream.kind != .walRange {
            for index in indices.suffix(policy.floor) where !nodes[index].reasons.contains(.floor) {
                nodes[index].reasons.append(.floor)
            }
        }
        if isFrozen(stream.kind) { for index in indices { nodes[index].reasons.append(.frozen) } }
    }

    /// Whether a later independent read has shown the backup to be good.
    private func isVerified(_ node: Node) -> Bool { records[node.record].state.isVerified }

    /// No verified one of the kind, or too old a one: something is wrong with making them, so none goes.
    private func isFrozen(_ kind: BackupKind) -> Bool {
        if kind == .walRange { return false }
        let newest = records.last { $0.kind == kind && $0.state.isVerified && !isFuture($0) && !$0.usableCopies.isEmpty }
        guard let newest else { return true }
        guard let limit = retention.maximumAges.first(where: { $0.kind == kind })?.age else { return false }
        return now - newest.createdAt > limit
    }
}
