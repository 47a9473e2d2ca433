internal import SerinModel
internal import SerinPolicies

/// What a watchdog must know to lower one rollout's weight without any journal: written beside the lock when the rollout starts.
struct Handover: Sendable, Hashable {
    /// The rollout it is for.
    var rollout: RolloutID
    /// How the balancer is reached. Secrets are references here as they are in the policy.
    var driver: DriverSettings
    /// How long nobody may be in charge.
    var after: Duration

    init(rollout: RolloutID, driver: DriverSettings, after: Duration) {
        self.rollout = rollout
        self.driver = driver
        self.after = after
    }

    /// Reads it back; nil when the text is no handover.
    init?(_ document: JSONValue) {
        guard let rollout = document["rollout"]?.text.flatMap(RolloutID.init), let name = document["driver"]?.text,
            let after = document["after_ms"]?.integer, case .object(let members)? = document["settings"]
        else { return nil }
        var settings: [String: String] = [:]
        for member in members { settings[member.key] = member.value.text }
        self.init(
            rollout: rollout, driver: DriverSettings(driver: name, settings: settings), after: Duration(milliseconds: after))
    }

    var document: JSONValue {
        .object([
            "rollout": .string(rollout.description), "driver": .string(driver.driver), "after_ms": .integer(after.milliseconds),
            "settings": .sortedObject(driver.settings.map { JSONValue.Member($0.key, .string($0.value)) }),
        ])
    }
}
