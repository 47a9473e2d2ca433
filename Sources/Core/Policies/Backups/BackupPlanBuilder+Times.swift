internal import SerinModel

extension BackupPlanBuilder {
    mutating func schedules(from root: ReadSection, source: SourcePolicy?) -> [BackupSchedule] {
        guard root["schedules"] != nil else { return presetSchedules(source, keepingAges: root["max_age"] == nil) }
        let schedules = root.list("schedules").enumerated().compactMap { index, value -> BackupSchedule? in
            guard case .section(let section) = value, let trigger = trigger(from: section, path: "schedules[\(index)]") else {
                return nil
            }
            let kind: BackupKind? = word(section, "kind")
            if let kind, let source, !source.kinds.contains(kind) {
                complain(
                    section.mark(of: "kind"), "schedules[\(index)].kind: \(source.word) makes no \(kind.rawValue)",
                    hint: "possible are \(source.kinds.map(\.rawValue).joined(separator: ", "))")
            }
            return BackupSchedule(
                trigger, kind: kind ?? source?.defaultKind ?? .command, label: section.text("label"),
                zone: section.text("zone") ?? "UTC", jitter: section.duration("jitter") ?? .zero,
                maximumAge: section.duration("max_age"))
        }
        let needsFull = schedules.contains { [.baseIncremental, .baseDifferential].contains($0.kind) }
        if needsFull, !schedules.contains(where: { $0.kind == .baseFull }) {
            complain(
                root.mark(of: "schedules"), "schedules: incremental backups need a full one to begin with",
                hint: "add {cron: \"0 2 * * sun\", kind: base_full}")
        }
        return schedules
    }

    /// The preset's schedules of the kinds that the source makes. What it cannot make incrementally it makes whole at that time.
    ///
    /// - Parameter keepingAges: Whether their ages hold; the plan's own `max_age` goes before.
    private func presetSchedules(_ source: SourcePolicy?, keepingAges: Bool) -> [BackupSchedule] {
        let kinds = source?.kinds ?? []
        return (preset?.schedules ?? []).compactMap { schedule in
            var schedule = schedule
            if schedule.kind == .baseIncremental, !kinds.contains(.baseIncremental) { schedule.kind = .baseFull }
            if !keepingAges { schedule.maximumAge = nil }
            return kinds.contains(schedule.kind) ? schedule : nil
        }
    }

    mutating func drills(from root: ReadSection) -> [DrillPolicy] {
        guard root["drills"] != nil else { return preset?.drills ?? [] }
        return root.list("drills").enumerated().compactMap { index, value in
            guard case .section(let section) = value, let trigger = trigger(from: section, path: "drills[\(index)]") else {
                return nil
            }
            return DrillPolicy(
                trigger, zone: section.text("zone") ?? "UTC", selection: word(section, "select") ?? .latest,
                within: section.duration("within") ?? .hours(24 * 31), deadline: section.duration("deadline") ?? .hours(4))
        }
    }

    private mutating func trigger(from section: ReadSection, path: String) -> BackupTrigger? {
        if let zone = section.text("zone"), fixedZoneOffset(zone) == nil, offsets(zone, Instant(millisecondsSince1970: 0)) == nil
        {
            complain(
                section.mark(of: "zone"), "\(path).zone: no time zone '\(shown(zone))' is known",
                hint: "write UTC, a distance like +02:00, or a name like Europe/Berlin")
        }
        // The form was checked; what is wrong with it was said there.
        if let text = section.text("cron") { return (try? CronExpression(text)).map(BackupTrigger.cron) }
        if let length = section.duration("every") { return .every(length) }
        let occasion: BackupOccasion? = word(section, "before")
        return occasion.map(BackupTrigger.before)
    }

    func windows(from root: ReadSection) -> BackupWindows {
        // The forms were checked; what is wrong with them was said there.
        let allowed = texts(root, "windows").compactMap { try? DayWindow($0) }
        let blackouts = texts(root, "blackout").compactMap { try? Blackout($0) }
        return BackupWindows(
            allowed: root["windows"] == nil ? preset?.windows ?? [] : allowed, mode: word(root, "windows_mode") ?? .warn,
            blackouts: blackouts)
    }

    func verify(from section: ReadSection?) -> VerifyPolicy {
        VerifyPolicy(
            proof: section.flatMap { word($0, "proof") } ?? .contents,
            every: section?.duration("every") ?? preset?.verifyEvery ?? .hours(24 * 30),
            minimumSizeRatio: section?.number("min_size") ?? 0.5, maximumSizeRatio: section?.number("max_size") ?? 2,
            maximumRowDrop: section?.number("max_row_drop") ?? 0.2)
    }

    mutating func heartbeat(from root: ReadSection, source: SourcePolicy) -> HeartbeatPolicy? {
        guard let section = root.section("heartbeat"), let url = secret("url", in: section) else { return nil }
        switch source {
        case .postgres, .postgresPhysical: break
        case .redis, .files, .logs, .mongo, .clickhouse, .command:
            complain(
                root.mark(of: "heartbeat"), "heartbeat: \(source.word) has no table to write it to",
                hint: "remove it; it goes with postgres and postgres_physical")
        }
        return HeartbeatPolicy(url: url, every: section.duration("every") ?? .seconds(10))
    }

    mutating func restore(from section: ReadSection?) -> RestorePolicy {
        var policy = RestorePolicy(approvals: preset?.approvals ?? 1)
        guard let section else { return policy }
        if let approvals = section.number("approvals") { policy.approvals = Int(approvals) }
        if section.flag("in_place") {
            complain(
                section.mark(of: "in_place"), "restore.in_place: a live database is never overwritten",
                hint: "a restore beside it and --swap do the same, are checked first, and can be taken back")
        }
        if section.isGiven("self_service") {
            complain(
                section.mark(of: "self_service"),
                "restore.self_service: a plan does not decide who may restore beside the live database",
                hint:
                    "remove it: over the API a token's scope backup:restore and its projects decide, on this machine the rights to the key"
            )
        }
        policy.keepReplaced = section.duration("keep_replaced") ?? policy.keepReplaced
        policy.url = secret("url", in: section)
        policy.swapURL = secret("swap_url", in: section)
        policy.trust = texts(section, "trust")
        policy.quiesce = section.section("quiesce").map { hook(from: $0) }
        policy.resume = section.section("resume").map { hook(from: $0) }
        policy.mask = section.section("mask").map { hook(from: $0) }
        policy.template = section.text("template")
        policy.eraseFile = section.text("erase_file")
        policy.maximumErased = section.number("max_erased") ?? policy.maximumErased
        policy.deadline = section.duration("deadline") ?? policy.deadline
        if let checks = section.section("checks") { policy.checks = self.checks(from: checks) }
        return policy
    }

    private func checks(from section: ReadSection) -> RestoreChecks {
        RestoreChecks(
            tables: texts(section, "tables"),
            recent: section.list("recent").compactMap { value in
                guard case .section(let own) = value, let table = own.text("table"), let column = own.text("column") else {
                    return nil
                }
                return RestoreChecks.Recency(table: table, column: column, within: own.duration("within") ?? .hours(24))
            },
            foreignKeys: section.flag("foreign_keys"), sqlFile: section.text("sql_file"),
            timed: section.list("timed").compactMap { value in
                guard case .section(let own) = value, let name = own.text("name"), let sql = own.text("sql") else { return nil }
                return RestoreChecks.TimedQuery(name: name, sql: sql)
            },
            smoke: section.list("smoke").compactMap { if case .section(let own) = $0 { hook(from: own) } else { nil } },
            probes: texts(section, "probes"))
    }

    private func hook(from section: ReadSection) -> BackupHook {
        BackupHook(run: texts(section, "run"), deadline: section.duration("deadline") ?? .minutes(5))
    }

    mutating func notify(from section: ReadSection?) -> NotifyPolicy {
        guard let section else { return NotifyPolicy() }
        if section["email"] != nil {
            warn(
                section.mark(of: "email"), "notify.email: nothing sends mail yet, so nobody is told by it",
                hint: "write run: and a program that does")
        }
        let words = texts(section, "on").compactMap(NotifyPolicy.Occasion.init(rawValue:))
        return NotifyPolicy(
            on: words.isEmpty ? NotifyPolicy().on : words, email: texts(section, "email"),
            run: section["run"] == nil ? nil : texts(section, "run"))
    }
}
