internal import SerinModel

extension BackupPlanBuilder {
    mutating func destination(from entry: ReadSection.Entry) -> DestinationPolicy? {
        guard case .section(let section) = entry.value else { return nil }
        let path = "destinations.\(entry.key)"
        guard let schema = destinations.first(where: { section.section($0.driver.name) != nil }),
            let own = section.section(schema.driver.name),
            // What is missing or wrong was complained about.
            schema.driver.fields.allSatisfy({ !$0.isRequired || own[$0.key] != nil })
        else { return nil }
        let settings = settings(from: own, of: schema.driver)
        let traits: DestinationTraits
        do throws(Failure) {
            traits = try schema.inspect(settings)
        } catch {
            complain(own.mark, "\(path).\(schema.driver.name): \(error.message)", hint: error.hint)
            return nil
        }
        let isOffsite = section.isGiven("offsite") ? section.flag("offsite") : traits.isOffsite
        var retention = section.section("retention").map { self.retention(from: $0) }
        if retention == nil, !isOffsite { retention = preset?.localRetention }
        self.traits[entry.key] = traits
        return DestinationPolicy(
            name: entry.key, settings: settings, isRequired: section.flag("required"), isOffsite: isOffsite, retention: retention,
            lock: lock(from: section, traits: traits, path: path), warnSize: bytes(section, "warn_size") ?? preset?.warnSize)
    }

    /// What the author gave, then the preset's demands, then the kind's own defaults.
    private func settings(from own: ReadSection, of driver: DriverSchema) -> DriverSettings {
        var settings: [String: String] = [:]
        for entry in own.entries { if case .scalar(let scalar) = entry.value { settings[entry.key] = scalar.text } }
        for field in driver.fields where settings[field.key] == nil {
            settings[field.key] = preset?.demands.first { $0.key == field.key }?.word ?? field.fallback
        }
        return DriverSettings(driver: driver.name, settings: settings)
    }

    private mutating func lock(from section: ReadSection, traits: DestinationTraits, path: String) -> LockPolicy? {
        let mode: LockMode? = word(section, "lock")
        let days = section.number("lock_days").map { Int($0) }
        if (mode == nil) != (days == nil) {
            complain(
                section.mark(of: mode == nil ? "lock_days" : "lock"), "\(path): lock and lock_days belong together",
                hint: "write lock: compliance and lock_days: 30")
        }
        guard let mode, let days else { return nil }
        if !traits.locks {
            complain(
                section.mark(of: "lock"), "\(path).lock: this kind of place cannot lock what it holds",
                hint: "remove it, or add a bucket with object lock")
        }
        return LockPolicy(mode: mode, days: days)
    }
}
