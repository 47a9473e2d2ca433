public import SerinModel
public import SerinPolicies

/// What a plan's schedules want at a moment. The catalogue is the memory of what has run, so a daemon that was restarted, a cron job
/// and a run by hand never make the same backup twice.
public struct BackupAgenda: Sendable, Hashable {
    /// A backup that should begin now.
    public struct Item: Sendable, Hashable {
        /// What is made.
        public var kind: BackupKind
        /// What it is labelled.
        public var label: String?
        /// The moment for which it was due; nil when there was never one of the kind.
        public var since: Instant?
        /// How many were missed before and are made up for by this one.
        public var missed: Int

        /// A backup to make.
        public init(kind: BackupKind, label: String? = nil, since: Instant? = nil, missed: Int = 0) {
            self.kind = kind
            self.label = label
            self.since = since
            self.missed = missed
        }
    }

    /// What should begin now, in the order of the plan; one of each kind.
    public private(set) var due: [Item] = []
    /// When something will be due next; nil for never.
    public private(set) var next: Instant?
    /// What is to be said of backups whose times are not believed; nil where all are.
    public private(set) var remark: String?

    /// After a failed one the next try waits for so long.
    public static let retryPause = Duration.minutes(15)

    /// The topic of the notes that there was nothing to back up: that was looked at, and is looked at again when the schedule says.
    public static func nothingTopic(_ kind: BackupKind) -> String { "nothing \(kind.rawValue)" }

    /// The agenda of a plan.
    ///
    /// - Parameters:
    ///   - records: The target's backups.
    ///   - notes: The notes about the target.
    ///   - chance: A number from 0 up to 1 for a text, always the same: its share of the jitter.
    ///   - offsets: The time zones.
    public init(
        of plan: BackupPlan, _ records: [BackupRecord], _ notes: TargetNotes, at now: Instant, chance: (String) -> Double,
        offsets: @escaping ZoneOffsets
    ) {
        let records = records.filter { $0.order.target == plan.target.description }
        remark = BackupRecord.wordsAboutFuture(records, at: now)
        for schedule in plan.schedules where schedule.trigger.isTimed {
            let own = records.filter { $0.kind == schedule.kind }
            // A time in the future would keep the schedule quiet until then.
            let made = own.filter { $0.state != .failed }.map(\.createdAt).filter { $0.isBelievable(at: now) }.max()
            let last = larger(made, notes.believed(BackupAgenda.nothingTopic(schedule.kind), at: now)?.at)
            // What was interrupted is made as soon as something runs again.
            let failed = own.filter { $0.state == .failed && !$0.wasInterrupted }.map { $0.failedAt ?? $0.createdAt }
                .filter { $0.isBelievable(at: now) }.max()
            if let failed, failed > last ?? failed - .milliseconds(1), now < failed + BackupAgenda.retryPause {
                note(failed + BackupAgenda.retryPause)
                continue
            }
            let run: ScheduledRun
            if let last {
                let text = "\(plan.target) \(schedule.kind.rawValue) \(last.millisecondsSince1970)"
                run = schedule.run(
                    after: last, now: now, windows: plan.windows, chance: chance(text), offsets: offsets)
            } else {
                // What was never made is made up for at the first moment that is allowed.
                run = plan.windows.firstAllowed(from: now).map { $0 == now ? .due(since: now, missed: 0) : .at($0) } ?? .never
            }
            switch run {
            case .due(let since, let missed):
                guard !due.contains(where: { $0.kind == schedule.kind }) else { continue }
                due.append(
                    Item(kind: schedule.kind, label: schedule.label, since: last == nil ? nil : since, missed: missed))
            case .at(let time): note(time)
            case .never: break
            }
        }
    }

    private mutating func note(_ time: Instant) { next = min(next ?? time, time) }

    /// A number from 0 up to 1 that looks random and is always the same for a text (FNV-1a, 64 bits).
    public static func steadyChance(of text: String) -> Double {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        // The upper bits of the product are the better mixed ones.
        hash = (hash ^ (hash >> 32)) &* 0xD6E8_FEB8_6659_FD93
        return Double(hash >> 11) / Double(UInt64(1) << 53)
    }
}
