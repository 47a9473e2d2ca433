public import SerinModel
public import SerinPolicies

/// What a plan wants done at a moment with the backups that are there: copies read again, what is no longer kept deleted, restores
/// rehearsed. The catalogue is the memory, so that a restart forgets nothing and one run makes up for those that were missed.
public struct CareAgenda: Sendable, Hashable {
    /// One copy that is to be read again.
    public struct Copy: Sendable, Hashable {
        /// The backup.
        public var backup: BackupID
        /// The destination.
        public var destination: String

        /// A copy.
        public init(backup: BackupID, destination: String) {
            self.backup = backup
            self.destination = destination
        }
    }

    /// The copies to read now, the longest unread first.
    public private(set) var copies: [Copy] = []
    /// Whether retention is to be looked through now.
    public private(set) var isPruneDue = false
    /// The drills to hold now, in the order of the plan.
    public private(set) var drills: [DrillPolicy] = []
    /// When something will be due next; nil for never.
    public private(set) var next: Instant?

    /// The topic of the notes about copies that could not be read.
    public static let unreadTopic = "verify"
    /// The topic of the notes about runs of retention.
    public static let pruneTopic = "prune"
    /// The topic of the notes about runs of retention that wait for a person and did nothing.
    public static let waitingTopic = "prune waits"
    /// The topic of the notes about runs of retention that failed.
    public static let unprunedTopic = "prune failed"
    /// What the note of a drill begins with that could not be held for a passing reason.
    public static let again = "to be tried again: "

    /// What could not be done is tried again after so long.
    public static let retryPause = Duration.minutes(15)
    /// Retention is looked through so often.
    public static let prunePause = Duration.hours(24)

    /// The agenda of a plan.
    ///
    /// - Parameters:
    ///   - records: The target's backups.
    ///   - notes: The notes about the target.
    ///   - offsets: The time zones.
    public init(
        of plan: BackupPlan, _ records: [BackupRecord], _ notes: TargetNotes, at now: Instant, offsets: @escaping ZoneOffsets
    ) {
        let own = records.filter { $0.order.target == plan.target.description }
        // Nothing of this begins in a blackout; the hours for backups are theirs alone.
        let quiet = BackupWindows(blackouts: plan.windows.blackouts)
        guard quiet.allows(now) else {
            if let end = quiet.firstAllowed(from: now) { note(end) }
            return
        }
        let reading = plan.copiesToRead(own, notes, at: now)
        copies = reading.due
        if let time = reading.next { note(time) }
        if plan.prunesInDaemon, !own.isEmpty {
            let looked = [CareAgenda.pruneTopic, CareAgenda.waitingTopic].compactMap { notes.believed($0, at: now)?.at }.max()
            let last = looked.map { $0 + CareAgenda.prunePause } ?? now
            let failed = notes.believed(CareAgenda.unprunedTopic, at: now).map { $0.at + CareAgenda.retryPause } ?? last
            let due = max(last, failed)
            if due <= now { isPruneDue = true } else { note(due) }
        }
        // Before there is anything to rehearse with no drill was missed.
        guard let first = own.filter(\.state.isRestorable).map(\.createdAt).min().map({ min($0, now) }) else { return }
        for drill in plan.drills {
            guard let due = CareAgenda.due(drill, since: first, notes, at: now, offsets) else { continue }
            if due <= now { drills.append(drill) } else { note(due) }
        }
    }

    /// When a drill is due; nil for never.
    private static func due(
        _ drill: DrillPolicy, since first: Instant, _ notes: TargetNotes, at now: Instant, _ offsets: @escaping ZoneOffsets
    ) -> Instant? {
        let last = notes.believed(drill.topic, at: now)
        if let last, last.text.hasPrefix(again) { return last.at + retryPause }
        return drill.trigger.next(after: last?.at ?? first, zone: drill.zone, offsets: offsets)
    }

    private mutating func note(_ time: Instant) { next = min(next ?? time, time) }
}

extension BackupPlan {
    /// The copies whose last complete reading is too long ago, the longest unread first, and when the next one will be. One that was
    /// never verified is due at once; so is an imported one, of which only the manifest was read. Times in the future are not believed.
    ///
    /// - Parameters:
    ///   - records: The target's backups.
    ///   - notes: What could not be read lately is left out; nil to leave nothing out.
    public func copiesToRead(
        _ records: [BackupRecord], _ notes: TargetNotes? = nil, at now: Instant
    ) -> (due: [CareAgenda.Copy], next: Instant?) {
        guard let every = verify.every else { return ([], nil) }
        var due: [(copy: CareAgenda.Copy, last: Instant)] = []
        var next: Instant?
        for record in records where record.state.isRestorable || record.state == .uploaded {
            // One of which only is known that it was written is read back first.
            for copy in record.copies where copy.state.isUsable || copy.state == .stored {
                let read = copy.verifiedAt.flatMap { $0.isBelievable(at: now) ? $0 : nil }
                let last = read ?? Instant(millisecondsSince1970: 0)
                var time = last + every
                if let failed = notes?[CareAgenda.unreadTopic, record.id], failed.at.isBelievable(at: now) {
                    time = max(time, failed.at + CareAgenda.retryPause)
                }
                if time <= now {
                    due.append((CareAgenda.Copy(backup: record.id, destination: copy.destination), last))
                } else {
                    next = min(next ?? time, time)
                }
            }
        }
        let sorted = due.sorted {
            ($0.last, $0.copy.backup, $0.copy.destination) < ($1.last, $1.copy.backup, $1.copy.destination)
        }
        return (sorted.map(\.copy), next)
    }
}

extension DrillPolicy {
    /// The topic of the notes about it, which tells one line of a plan from another.
    public var topic: String {
        switch trigger {
        case .cron(let expression): "drill \(selection.rawValue) \(expression) \(zone)"
        case .every(let length): "drill \(selection.rawValue) every \(length)"
        case .before(let occasion): "drill \(selection.rawValue) before \(occasion.rawValue)"
        }
    }
}

extension TargetNotes {
    /// The last note of a topic, unless it says to be written later than now.
    func believed(_ topic: String, at now: Instant) -> AuditNote? {
        self[topic].flatMap { $0.at.isBelievable(at: now) ? $0 : nil }
    }
}
