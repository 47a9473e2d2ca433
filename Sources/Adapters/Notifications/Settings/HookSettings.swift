public import SerinCrypto
public import SerinModel
public import SerinPolicies

extension HookKind {
    /// What each kind is asked of its settings, for those who read configurations.
    public static var schemas: [HookSchema] {
        allCases.map { kind in
            HookSchema(
                kind: kind.rawValue, needsPlaces: kind.isOpenToStrangers, namesPeople: kind.namesPeople,
                sendsAlerts: [.alertmanager, .grafana, .pagerduty].contains(kind),
                hasOwnHeaders: [.grafana, .hmac].contains(kind), polls: kind == .telegram)
        }
    }
}

extension InboundHook {
    /// The hook that settings mean, with its secrets read.
    public init(
        _ settings: DaemonSettings.Hook, secret: ChannelDefinition.SecretReader
    ) throws(Failure) {
        guard let kind = HookKind(rawValue: settings.kind) else {
            throw Failure(.invalid, "there is no kind of hook '\(settings.kind)'")
        }
        var secrets: [Secret] = []
        for reference in settings.secrets { secrets.append(try secret(reference)) }
        self.init(name: settings.name, kind: kind, secrets: secrets)
        services = settings.services
        people = settings.people
        owner = settings.owner
        places = settings.places
        alertVerb = settings.alert.flatMap(ChannelCommand.Verb.init)
        signatureHeader = settings.signatureHeader
        timestampHeader = settings.timestampHeader
        requiresTimestamp = settings.requiresTimestamp
    }
}
