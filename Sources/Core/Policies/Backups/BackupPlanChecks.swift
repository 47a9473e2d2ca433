internal import SerinModel

extension BackupPlanBuilder {
    /// What only the whole plan shows.
    mutating func check(_ plan: BackupPlan, root: ReadSection) {
        checkEncryption(plan, root: root)
        checkWindows(plan, root: root)
        checkRetention(plan, root: root)
        if let preset { checkStrength(plan, against: preset, root: root) }
        if let refusal = plan.source.drillRefusal, root["drills"] != nil || preset?.drills.isEmpty == false {
            warn(
                root.mark(of: root["drills"] == nil ? "source" : "drills"), "drills: none can be held: \(refusal.message)",
                hint: refusal.hint)
        }
        if !plan.destinations.contains(where: \.isOffsite) {
            warn(
                root.mark(of: "destinations"), "destinations: every copy is on the machine that is backed up",
                hint: "add one elsewhere, or offsite: true on one that is")
        }
        if !plan.destinations.contains(where: \.isRequired) {
            complain(
                root.mark(of: "destinations"), "destinations: none is required, so no copy at all would count as a success",
                hint: "remove required: false from one of them")
        }
        if (plan.restore.quiesce == nil) != (plan.restore.resume == nil), let section = root.section("restore") {
            complain(section.mark, "restore: quiesce and resume belong together", hint: "give both or none")
        }
        if plan.restore.swapURL != nil, let section = root.section("restore") {
            switch plan.source {
            case .postgres: break
            case .postgresPhysical, .redis, .files, .logs, .mongo, .clickhouse, .command:
                complain(
                    section.mark, "restore: \(plan.source.word) has no live database that a role could swap",
                    hint: "remove swap_url_env; it goes with postgres")
            }
        }
        for kind in plan.schedules.map(\.kind) {
            guard let limit = plan.maximumAge(of: kind) else { continue }
            let longest = plan.schedules.filter { $0.kind == kind }.compactMap(\.trigger.longestGap).min()
            guard let gap = longest, gap > limit, !warnings.contains(where: { $0.message.hasPrefix("max_age: \(kind.rawValue)") })
            else {
                continue
            }
            warn(
                root.mark(of: root["max_age"] == nil ? "schedules" : "max_age"),
                "max_age: \(kind.rawValue) may be \(limit) old, and is made only every \(gap)",
                hint: "it would be too old between two backups: make them more often, or allow more")
        }
    }

    private mutating func checkEncryption(_ plan: BackupPlan, root: ReadSection) {
        guard plan.encryption.profile == .none else { return }
        for place in plan.destinations where traits[place.name]?.requiresEncryption == true {
            complain(
                root.mark(ofPath: "destinations.\(place.name)"),
                "destinations.\(place.name): \(place.settings.driver) takes encrypted backups only",
                hint: "write encryption: {profile: enc1, recipients: […]}")
        }
        if plan.preset != nil {
            complain(
                root.mark(of: "encryption"), "encryption: the preset \(plan.preset?.rawValue ?? "") asks for encryption",
                hint: "write profile: enc1 with a key")
        }
    }

    /// Runs outside the windows: every clock time once.
    private mutating func checkWindows(_ plan: BackupPlan, root: ReadSection) {
        checkThatSomeTimeIsAllowed(plan, root: root)
        guard !plan.windows.allowed.isEmpty, plan.windows.mode == .warn else { return }
        // The strictest preset has one practice's windows and others' times: nobody has to mend what the plan does not say.
        guard root["schedules"] != nil || root["windows"] != nil else { return }
        let items = root.list("schedules")
        for (index, schedule) in plan.schedules.enumerated() {
            var outside: [String] = []
            // A week that begins on a Sunday, in winter; a zone's other hour is not looked for.
            var time = Instant(dayNumber: CivilDate(year: 2026, month: 1, day: 4).dayNumber) - .milliseconds(1)
            let end = time + .hours(24 * 7)
            for _ in 0..<2000 {
                guard let next = schedule.trigger.next(after: time, zone: schedule.zone, offsets: offsets), next <= end else {
                    break
                }
                let text = String(next.timeOfDay.prefix(5))
                if !plan.windows.isInWindow(next), !outside.contains(text) { outside.append(text) }
                time = next
            }
            guard !outside.isEmpty else { continue }
            let shownTimes = outside.sorted().prefix(8).joined(separator: ", ") + (outside.count > 8 ? ", …" : "")
            var mark = root.mark(of: root["schedules"] == nil ? "preset" : "schedules")
            if items.indices.contains(index), case .section(let section) = items[index] { mark = section.mark }
            warn(
                mark, "schedules[\(index)]: \(schedule.kind.rawValue) begins outside the windows at \(shownTimes) UTC",
                hint: "move it, add a window, or write windows_mode: enforce to make it wait")
        }
    }

    /// Days of the calendar pass; what is forbidden every week stays so.
    private mutating func checkThatSomeTimeIsAllowed(_ plan: BackupPlan, root: ReadSection) {
        var windows = plan.windows
        windows.blackouts.removeAll { if case .days = $0 { true } else { false } }
        guard !windows.blackouts.isEmpty, windows.firstAllowed(from: Instant(dayNumber: 0)) == nil else { return }
        warn(
            root.mark(of: root["blackout"] == nil ? "windows" : "blackout"),
            "blackout: it leaves no minute of the week, so no scheduled backup can ever begin", hint: "leave hours free")
    }

    private mutating func checkRetention(_ plan: BackupPlan, root: ReadSection) {
        for place in plan.destinations {
            guard let lock = place.lock else { continue }
            let policy = plan.retention(at: place.name)[plan.source.defaultKind]
            let ages = [policy.keepAll] + policy.tiers.map(\.rule.age)
            guard let longest = ages.compactMap({ $0 }).max(), .hours(24 * Int64(lock.days)) > longest else { continue }
            warn(
                root.mark(ofPath: "destinations.\(place.name)"),
                "destinations.\(place.name): locked for \(lock.days) days, which is longer than anything is kept",
                hint: "the place will refuse the deletions until then")
        }
        if plan.retentionClass != "standard",
            !plan.destinations.contains(where: { plan.retention(at: $0.name).classes.contains { $0.name == plan.retentionClass } }
            )
        {
            complain(
                root.mark(of: "class"), "class: no retention has a class '\(plan.retentionClass)'",
                hint: "add retention.classes: {\(plan.retentionClass): 2557d}")
        }
    }

    // MARK: Against the preset

    /// What the plan itself says, and says weaker than its preset.
    private mutating func checkStrength(_ plan: BackupPlan, against preset: BackupPreset, root: ReadSection) {
        let name = preset.name.rawValue
        func hint() -> String { "the plan's own value holds; remove it to get the preset's" }
        if root["retention"] != nil, plan.retention.union(preset.retention) != plan.retention {
            warn(root.mark(of: "retention"), "retention: keeps less than the preset \(name)", hint: hint())
        }
        if root["schedules"] != nil {
            for kind in plan.source.kinds {
                let wanted = preset.schedules.filter { $0.kind == kind }
                guard !wanted.isEmpty else { continue }
                if BackupPreset.gap(plan.schedules.filter { $0.kind == kind }) > BackupPreset.gap(wanted) {
                    warn(
                        root.mark(of: "schedules"), "schedules: \(kind.rawValue) is made less often than the preset \(name) asks",
                        hint: hint())
                }
            }
        }
        if let age = root.duration("max_age"), age > preset.maximumAge {
            warn(root.mark(of: "max_age"), "max_age: more than the preset \(name) allows", hint: hint())
        }
        if root["drills"] != nil {
            let own = plan.drills.compactMap(\.trigger.longestGap).min() ?? BackupPreset.never
            if own > (preset.drills.compactMap(\.trigger.longestGap).min() ?? BackupPreset.never) {
                warn(root.mark(of: "drills"), "drills: less often than the preset \(name) asks", hint: hint())
            }
        }
        if plan.restore.approvals < preset.approvals {
            warn(root.mark(ofPath: "restore.approvals"), "restore.approvals: fewer than the preset \(name) asks", hint: hint())
        }
        if let every = plan.verify.every, every > preset.verifyEvery {
            warn(root.mark(ofPath: "verify.every"), "verify.every: less often than the preset \(name) asks", hint: hint())
        }
        for place in plan.destinations { checkStrength(place, of: plan.source, against: preset, root: root) }
    }

    private mutating func checkStrength(
        _ place: DestinationPolicy, of source: SourcePolicy, against preset: BackupPreset, root: ReadSection
    ) {
        let path = "destinations.\(place.name)"
        let mark = root.mark(ofPath: path)
        let fields = destinations.first { $0.driver.name == place.settings.driver }?.driver.fields ?? []
        for demand in preset.demands {
            guard case .oneOf(let words)? = fields.first(where: { $0.key == demand.key })?.form,
                let own = place.settings[demand.key].flatMap(words.firstIndex), let wanted = words.firstIndex(of: demand.word),
                own < wanted
            else { continue }
            warn(
                mark, "\(path).\(place.settings.driver).\(demand.key): weaker than the preset \(preset.name.rawValue) asks",
                hint: "remove it to get the preset's")
        }
        let lockable: [BackupKind] = [.files, .logs]
        if let days = preset.lockDays, traits[place.name]?.locks == true, source.kinds.contains(where: lockable.contains),
            days > place.lock?.days ?? 0
        {
            warn(
                mark, "\(path).lock_days: the preset \(preset.name.rawValue) asks for a lock of \(days) days on files and logs",
                hint: "write lock: compliance and lock_days: \(days)")
        }
    }
}
