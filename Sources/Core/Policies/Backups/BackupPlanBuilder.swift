internal import SerinModel

/// Makes a plan from sections that have their shape, and checks what no single value shows.
struct BackupPlanBuilder {
    let file: String
    let destinations: [DestinationSchema]
    let offsets: ZoneOffsets
    /// What the destinations that were read can do, by name.
    var traits: [String: DestinationTraits] = [:]
    var preset: BackupPreset?
    private(set) var diagnostics: [Diagnostic] = []
    private(set) var warnings: [Diagnostic] = []

    init(file: String, destinations: [DestinationSchema], offsets: @escaping ZoneOffsets) {
        self.file = file
        self.destinations = destinations
        self.offsets = offsets
    }

    mutating func complain(_ mark: Mark, _ message: String, hint: String? = nil) {
        diagnostics.append(Diagnostic(file: file, mark: mark, message: message, hint: hint))
    }

    mutating func warn(_ mark: Mark, _ message: String, hint: String? = nil) {
        warnings.append(Diagnostic(file: file, mark: mark, message: message, hint: hint))
    }

    /// The plan; nil when a part is missing, which was complained about.
    mutating func plan(from root: ReadSection) -> BackupPlan? {
        preset = root.text("preset").flatMap(BackupPreset.Name.init(rawValue:)).map(BackupPreset.init)
        let encryption = root.section("encryption").flatMap { self.encryption(from: $0) }
        let retention = root.section("retention").map { self.retention(from: $0) } ?? preset?.retention ?? RetentionPlan()
        let source = root.section("source").flatMap { self.source(from: $0) }
        let destinations = root.map("destinations").compactMap { self.destination(from: $0) }
        let schedules = schedules(from: root, source: source)
        let windows = windows(from: root)
        // Those that cannot be held are not begun either: the check says so.
        let drills = self.drills(from: root).filter { _ in source?.drillRefusal == nil }
        let compression = root.section("compression").map { self.compression(from: $0) } ?? BackupPlan.Compression()
        let verify = verify(from: root.section("verify"))
        let restore = restore(from: root.section("restore"))
        guard let target = root.text("target").flatMap(ServiceName.init), let source, let encryption, !destinations.isEmpty else {
            return nil
        }
        let goals = root.section("targets")
        let plan = BackupPlan(
            target: target, project: root.text("project") ?? target.description, preset: preset?.name,
            purpose: root.text("purpose"), retentionClass: root.text("class") ?? "standard",
            hasPersonalData: root.flag("personal_data"), source: source, destinations: destinations, compression: compression,
            encryption: encryption, retention: retention, schedules: schedules, windows: windows,
            maximumAge: root.duration("max_age") ?? preset?.maximumAge, verify: verify, restore: restore, drills: drills,
            targets: BackupPlan.Targets(
                recoveryPoint: goals?.duration("rpo") ?? preset?.targets.recoveryPoint,
                recoveryTime: goals?.duration("rto") ?? preset?.targets.recoveryTime),
            notify: notify(from: root.section("notify")),
            mirror: root.section("mirror").flatMap { secret("url", in: $0) }, heartbeat: heartbeat(from: root, source: source),
            prunesInDaemon: root.text("prune") != "elsewhere")
        check(plan, root: root)
        return plan
    }

    /// A word of a closed list, whose form was checked.
    func word<Word: RawRepresentable>(_ section: ReadSection, _ key: String) -> Word? where Word.RawValue == String {
        section.text(key).flatMap(Word.init(rawValue:))
    }

    /// The reference to a secret under one of its three keys.
    func secret(_ key: String, in section: ReadSection) -> SecretReference? {
        if let name = section.text(key + "_env") { return .environment(name) }
        if let path = section.text(key + "_file") { return .file(path) }
        return section.text(key + "_cred").map(SecretReference.credential)
    }

    /// The texts of a list.
    func texts(_ section: ReadSection, _ key: String) -> [String] { texts(section.list(key)) }

    func texts(_ items: [ReadValue]) -> [String] {
        items.compactMap { if case .scalar(let scalar) = $0 { scalar.text } else { nil } }
    }

    func bytes(_ section: ReadSection, _ key: String) -> Int64? { section.number(key).flatMap { Int64(exactly: $0.rounded()) } }

    // MARK: Keys and compression

    private mutating func encryption(from section: ReadSection) -> EncryptionPolicy? {
        let profile: EnvelopeProfile = word(section, "profile") ?? .enc1
        let recipients = texts(section, "recipients")
        let passphrase = secret("key", in: section)
        let reason = section.text("reason")
        let former = texts(section, "former_key_files")
        if profile == .none {
            if passphrase != nil || !recipients.isEmpty {
                complain(
                    section.mark(of: "profile"), "encryption.profile: none has no key", hint: "remove the key, or write enc1")
            }
            if reason == nil {
                complain(
                    section.mark(of: "profile"), "encryption.profile: none needs a reason",
                    hint: "write enc1 with key_file or recipients, or reason: and why the backups may be read by anybody")
            }
            return EncryptionPolicy(profile: .none, key: .none, formerKeyFiles: former, reason: reason)
        }
        if let passphrase {
            return EncryptionPolicy(profile: profile, key: .passphrase(passphrase), formerKeyFiles: former, reason: reason)
        }
        guard let first = recipients.first else {
            complain(
                section.mark, "encryption: has no key",
                hint: "name recipients: [two certificates], or key_file: a file that holds a passphrase")
            return nil
        }
        if Set(recipients).count != recipients.count {
            complain(section.mark(of: "recipients"), "encryption.recipients: names one twice", hint: "name two different ones")
        }
        if recipients.count == 1, reason == nil {
            complain(
                section.mark(of: "recipients"), "encryption.recipients: only \(first) could open the backups",
                hint: "add a second certificate whose key is kept elsewhere, or reason: and why one is enough")
        }
        return EncryptionPolicy(profile: profile, key: .recipients(recipients), formerKeyFiles: former, reason: reason)
    }

    private mutating func compression(from section: ReadSection) -> BackupPlan.Compression {
        let method: EnvelopeCompression = word(section, "method") ?? .zstd
        let level = section.number("level").map { Int($0) }
        if let level, method == .none {
            complain(section.mark(of: "level"), "compression.level: \(method) has no level \(level)", hint: "remove it")
        }
        return BackupPlan.Compression(method, level: level)
    }

    // MARK: Retention

    mutating func retention(from section: ReadSection) -> RetentionPlan {
        RetentionPlan(
            standard: tiers(from: section),
            kinds: section.map("kinds").compactMap { entry in
                guard case .section(let own) = entry.value, let kind = BackupKind(rawValue: entry.key) else { return nil }
                return (kind, tiers(from: own))
            },
            classes: section.map("classes").compactMap { entry in
                if case .scalar(let scalar) = entry.value { scalar.duration.map { (entry.key, $0) } } else { nil }
            },
            warning: section.duration("warn_before") ?? .hours(24 * 7),
            afterRollout: section.duration("after_rollout") ?? .hours(24 * 7), pointInTime: section.duration("point_in_time"),
            proposesOnly: section.isGiven("propose_only") ? section.flag("propose_only") : preset?.retention.proposesOnly ?? false
        )
    }

    private func tiers(from section: ReadSection) -> RetentionPolicy {
        func rule(_ tier: RetentionTier) -> KeepRule? {
            switch section[tier.rawValue]?.value {
            case .scalar(let scalar): KeepRule(count: scalar.number.map { Int($0) }, age: scalar.duration)
            case .section(let both): KeepRule(count: both.number("count").map { Int($0) }, age: both.duration("for"))
            case .list, .map, nil: nil
            }
        }
        return RetentionPolicy(
            keepAll: section.duration("keep_all"), hourly: rule(.hourly), daily: rule(.daily), weekly: rule(.weekly),
            monthly: rule(.monthly), yearly: rule(.yearly),
            weekStart: section.text("week_start").flatMap { Weekday($0) } ?? .sunday,
            floor: section.number("floor").map { Int($0) } ?? 3)
    }
}
