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
    /// The process in charge. A watchdog whose handover was replaced has a successor.
    var controller: Int64

    init(rollout: RolloutID, driver: DriverSettings, after: Duration, controller: Int64) {
        self.rollout = rollout
        self.controller = controller
        self.driver = driver
        self.after = after
    }

    /// Reads it back; nil when the text is no handover.
    init?(_ document: JSONValue) {
        guard let rollout = document["rollout"]?.text.flatMap(RolloutID.init), let name = document["driver"]?.text,
            let after = document["after_ms"]?.integer, let controller = document["controller"]?.integer,
            case .object(let members)? = document["settings"]
        else { return nil }
        var settings: [String: String] = [:]
        for member in members { settings[member.key] = member.value.text }
        self.init(
            rollout: rollout, driver: DriverSettings(driver: name, settings: settings), after: Duration(milliseconds: after),
            controller: controller)
    }

    var document: JSONValue {
        .object([
            "rollout": .string(rollout.description), "driver": .string(driver.driver), "after_ms": .integer(after.milliseconds),
            "controller": .integer(controller),
            "settings": .sortedObject(driver.settings.map { JSONValue.Member($0.key, .string($0.value)) }),
        ])
    }
}
