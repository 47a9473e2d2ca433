internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let schema = Subcommand(
        "schema", summary: "the JSON Schema of policies and backup plans, and the OpenAPI document",
        examples: ["serin schema policy > policy.schema.json", "serin schema openapi > openapi.json"],
        interruption: .ends
    ) { input throws(UsageError) in
        let topic = try input.optionalPositional("TOPIC", help: "policy (the default), backup or openapi")
        guard topic == nil || ["policy", "backup", "openapi"].contains(topic) || input.isDescribing else {
            throw UsageError("there is no schema of '\(topic ?? "")'", hint: "serin schema policy, backup or openapi")
        }
        return { session in
            switch topic {
            case "openapi": session.data([DaemonFaces.description(session).canonicalText])
            case "backup": session.data([session.assembly.backups.planSchema()])
            case .some, nil: session.data([session.assembly.policySchema()])
            }
            return .ok
        }
    }

    static let version = Subcommand("version", summary: "which Serin this is", interruption: .ends) { _ in
        return { session in
            let document = JSONValue.object([
                "schema": .string("serin.dev/version/v1"), "version": .string(Release.version),
            ])
            session.data(document) { _ in ["serin \(Release.version)"] }
            return .ok
        }
    }

    static let watchdog = Subcommand(
        "watchdog", summary: "lower a service's weight to 0 once its controller shows no life",
        examples: ["serin watchdog checkout --after 30s"], isHidden: true, interruption: .ends
    ) { input throws(UsageError) in
        let after =
            try input.option(
                "--after", value: "TIME", help: "how long no controller may show life (default: 30s)",
                read: { Duration(policyText: $0) })
            ?? .seconds(30)
        let name = try input.option("--service", value: "SERVICE", help: "the service (or as an argument)") { ServiceName($0) }
        let argument = try input.optionalPositional("SERVICE", help: "the service")
        guard let service = name ?? argument.flatMap({ ServiceName($0) }) else {
            if input.isDescribing { return { _ in .usage } }
            throw UsageError("missing SERVICE")
        }
        return { session in try await session.assembly.watchdog(service, session.state, after) }
    }
}

/// What this build is called.
public enum Release {
    /// The version, as `serin version` prints it.
    public static let version = "0.1.0"
}
