public import SerinModel
public import SerinPolicies

/// What Prometheus is told about a plan's backups, in its text format (0.0.4) for a textfile collector. The catalogue alone says it,
/// so that a program that makes backups and ends leaves nothing unsaid.
public struct BackupMetrics: Sendable, Hashable {
    /// One series of numbers with its name.
    private struct Family: Sendable, Hashable {
        var name: String
        var type: String
        var help: String
        var samples: [String] = []
    }

    private var families = [
        Family(
            name: "backup_catalogue_readable", type: "gauge",
            help: "1 while the catalogue can be read, 0 while it cannot; then nothing else is said of backups."),
        Family(name: "backup_success_total", type: "counter", help: "Backups whose copy was stored and read back."),
        Family(
            name: "backup_failure_total", type: "counter",
            help: "Backups that were begun, not called off, and have no good copy there."),
        Family(
            name: "backup_reads_total", type: "counter",
            help: "How often the backups were opened: by restores, rehearsals and exports, good or failed."),
        Family(name: "backup_duration_seconds", type: "gauge", help: "How long the newest good backup took to make."),
        Family(name: "backup_size_bytes", type: "gauge", help: "The size of the newest good backup as it is stored."),
        Family(name: "backup_age_seconds", type: "gauge", help: "The age of the newest good backup when this was written."),
        Family(
            name: "backup_last_success_timestamp_seconds", type: "gauge",
            help: "When the newest good backup was begun; 0 when there is none."),
        Family(
            name: "backup_last_verified_timestamp_seconds", type: "gauge",
            help: "When a copy was last read again completely and agreed; 0 when none was."),
        Family(
            name: "backup_from_the_future", type: "gauge",
            help: "Good backups that say to be made later than now; their times are not believed."),
        Family(name: "backup_max_age_seconds", type: "gauge", help: "The oldest that the newest good backup may be."),
        Family(name: "backup_warn_size_bytes", type: "gauge", help: "The size from which a stored backup is too large."),
        Family(
            name: "backup_log_following", type: "gauge",
            help: "1 while the write-ahead log is followed, 0 while it is not or was lost."),
        Family(
            name: "backup_log_received_timestamp_seconds", type: "gauge",
            help: "When the newest piece of write-ahead log came into its folder; 0 when none did."),
        Family(
            name: "backup_log_lag_bytes", type: "gauge",
            help: "How much write-ahead log the server has that is not received; it keeps that for the slot."),
        Family(
            name: "backup_destination_bytes", type: "gauge", help: "What the backups that are there take up at a destination."),
        Family(
            name: "backup_recoverable_timestamp_seconds", type: "gauge",
            help: "The last moment that what is stored can bring back; 0 when there is none."),
        Family(
            name: "backup_loss_target_seconds", type: "gauge", help: "How much time of changes may be lost, by the plan."),
        Family(
            name: "serin_drill_rpo_seconds", type: "gauge", help: "How much time of changes the last rehearsal would have lost."),
        Family(name: "serin_drill_rto_seconds", type: "gauge", help: "How long the last rehearsal of a recovery took."),
    ]

    /// Nothing yet but whether there is a catalogue to tell it from.
    public init(isCatalogueReadable: Bool) {
        families[0].samples = ["backup_catalogue_readable \(isCatalogueReadable ? 1 : 0)"]
    }

    /// Adds a plan's backups: a series for each kind that the plan makes, or that there is, and each of its destinations.
    ///
    /// - Parameter reads: Of the whole log; nil where that could not be read.
    public mutating func add(_ plan: BackupPlan, _ state: CatalogueState, reads: BackupReads?, at now: Instant) {
        let records = state.records.filter { $0.order.target == plan.target.description }
        let kinds = BackupKind.allCases.filter { kind in
            kind == plan.source.defaultKind || plan.schedules.contains { $0.kind == kind } || records.contains { $0.kind == kind }
        }
        if let drill = records.compactMap(\.drill).max(by: { ($0.at, $0.id) < ($1.at, $1.id) }), drill.restored,
            drill.onlyUnpacked != true
        {
            let labels = [("project", plan.project), ("database", plan.target.description)]
                .map { "\($0.0)=\"\(escaped($0.1))\"" }.joined(separator: ",")
            if let lost = drill.recoveryPoint { set("serin_drill_rpo_seconds", labels, lost) }
            if let time = drill.clock.recoveryTime { set("serin_drill_rto_seconds", labels, time) }
        }
        addExposure(plan, records, at: now)
        if let reads {
            let labels = "project=\"\(escaped(plan.project))\",database=\"\(escaped(plan.target.description))\""
            set("backup_reads_total", labels, reads.count(of: records))
        }
        for kind in kinds.sorted() {
            let own = records.filter { $0.kind == kind }
            for place in plan.destinations.sorted(by: { $0.name < $1.name }) {
                add(plan, kind, place, own, at: now)
            }
        }
    }

    private mutating func addExposure(_ plan: BackupPlan, _ records: [BackupRecord], at now: Instant) {
        let labels = "project=\"\(escaped(plan.project))\",database=\"\(escaped(plan.target.description))\""
        let lost = Exposure(of: records, plan: plan, at: now).currentLoss
        set("backup_recoverable_timestamp_seconds", labels, lost.map { (now - $0).millisecondsSince1970 / 1000 } ?? 0)
        if let limit = plan.targets.recoveryPoint { set("backup_loss_target_seconds", labels, limit) }
        for place in plan.destinations.sorted(by: { $0.name < $1.name }) {
            set(
                "backup_destination_bytes", labels + ",destination=\"\(escaped(place.name))\"",
                records.storedBytes(at: place.name))
        }
    }

    /// The topic of the notes about following the write-ahead log.
    public static let logTopic = "log"
    /// What such a note says while all is well.
    public static let following = "following"

    /// Adds how the write-ahead log of a plan is followed.
    ///
    /// - Parameters:
    ///   - words: The last note of it; nil when it was never followed.
    ///   - receivedAt: When the newest piece came.
    ///   - lag: How many bytes of it the server has that were not received; nil where nobody could tell.
    public mutating func addLog(_ plan: BackupPlan, words: String?, receivedAt: Instant?, lag: Int64? = nil) {
        let labels = "project=\"\(escaped(plan.project))\",database=\"\(escaped(plan.target.description))\""
        set("backup_log_following", labels, words == BackupMetrics.following ? 1 : 0)
        set("backup_log_received_timestamp_seconds", labels, (receivedAt?.millisecondsSince1970 ?? 0) / 1000)
        if let lag { set("backup_log_lag_bytes", labels, lag) }
    }

    private mutating func add(
        _ plan: BackupPlan, _ kind: BackupKind, _ place: DestinationPolicy, _ records: [BackupRecord], at now: Instant
    ) {
        let destination = place.name
        let labels = [
            ("project", plan.project), ("database", plan.target.description), ("kind", kind.rawValue),
            ("destination", destination),
        ].map { "\($0.0)=\"\(escaped($0.1))\"" }.joined(separator: ",")
        let done = records.filter { $0.copy(at: destination)?.confirmedAt != nil }
        let failed = records.filter {
            $0.state != .running && !$0.wasInterrupted && $0.copy(at: destination)?.confirmedAt == nil
        }
        let good = done.filter { $0.state.isRestorable && $0.copy(at: destination)?.state.isUsable == true }
        // A time in the future would hide that nothing is made any more.
        let newest = good.filter { !$0.isFromTheFuture(at: now) }.max { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
        let verified = records.compactMap { $0.copy(at: destination)?.verifiedAt }.filter { $0.isBelievable(at: now) }.max()
        set("backup_from_the_future", labels, Int64(good.count { $0.isFromTheFuture(at: now) }))
        set("backup_success_total", labels, Int64(done.count))
        set("backup_failure_total", labels, Int64(failed.count))
        if let newest, let facts = newest.facts {
            set("backup_duration_seconds", labels, facts.finishedAt - facts.startedAt)
            set("backup_size_bytes", labels, Int64(facts.envelope.storedBytes))
            set("backup_age_seconds", labels, now - newest.createdAt)
        }
        set("backup_last_success_timestamp_seconds", labels, (newest?.createdAt.millisecondsSince1970 ?? 0) / 1000)
        set("backup_last_verified_timestamp_seconds", labels, (verified?.millisecondsSince1970 ?? 0) / 1000)
        if let limit = plan.maximumAge(of: kind) { set("backup_max_age_seconds", labels, limit) }
        if let size = place.warnSize { set("backup_warn_size_bytes", labels, size) }
    }

    private mutating func set(_ name: String, _ labels: String, _ value: Int64) { set(name, labels, "\(value)") }

    private mutating func set(_ name: String, _ labels: String, _ value: Duration) {
        let thousandths = value.milliseconds % 1000
        let digits = "\(1000 + abs(thousandths))".dropFirst()
        set(name, labels, "\(value.milliseconds / 1000)" + (thousandths == 0 ? "" : ".\(digits)"))
    }

    private mutating func set(_ name: String, _ labels: String, _ value: String) {
        guard let place = families.firstIndex(where: { $0.name == name }) else { return }
        families[place].samples.append("\(name){\(labels)} \(value)")
    }

    private func escaped(_ text: String) -> String {
        text.rewriting { $0 == "\\" ? "\\\\" : $0 == "\"" ? "\\\"" : $0 == "\n" ? "\\n" : nil }
    }

    /// The text; every line ends with a line feed.
    public var text: String {
        families.filter { !$0.samples.isEmpty }.map { family in
            "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.type)\n"
                + family.samples.map { $0 + "\n" }.joined()
        }.joined()
    }
}

extension Sequence<BackupRecord> {
    /// What the copies at a destination take up there, in bytes: damaged ones too, as long as they are not deleted.
    public func storedBytes(at destination: String) -> Int64 {
        saturatingSum(
            compactMap { record in
                guard let copy = record.copy(at: destination), copy.state != .deleted else { return nil }
                return record.size
            })
    }
}
