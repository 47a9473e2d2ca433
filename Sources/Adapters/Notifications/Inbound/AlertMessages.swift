internal import SerinModel
internal import SerinPorts

/// Alertmanager, Grafana and PagerDuty: machines that say what is wrong, and by a label what is to be done.
extension InboundHook {
    /// A group of alerts in Alertmanager's form (version 4), which Grafana's payload shares.
    ///
    /// A firing alert asks for what its label `serin_action` says, of the service in its label `service`. Resolved ones ask for
    /// nothing: a halt is final. A group that was cut may have lost the very alert that asks for the halt, so it halts: the service that
    /// all its alerts share, else all that the hook reaches.
    func readAlerts(_ message: VerifiedMessage) -> HookReading {
        guard let value = message.request.json, let alerts = value["alerts"]?.items else { return unreadable }
        // The same alert is sent again while it fires, also to a later rollout, so it is not remembered for long.
        let context = MessageContext(
            message: message, identity: name, isUnique: false, reply: .machine)
        var wanted: [ServiceName: (verb: ChannelCommand.Verb, reason: String)] = [:]
        var strangers: Set<String> = []
        func want(_ verb: ChannelCommand.Verb, _ service: ServiceName, _ reason: String) {
            if wanted[service] == nil || (verb == .halt && wanted[service]?.verb != .halt) { wanted[service] = (verb, reason) }
        }
        for alert in alerts where alert["status"]?.text == "firing" {
            guard let verb = verb(ofAlert: alert["labels"]) else { continue }
            guard let service = alertService(alert["labels"]) else {
                strangers.insert(
                    alert.at(pointer: "/labels/service")?.text.map { "'\(visible($0, lines: false).prefix(40))'" } ?? "none")
                continue
            }
            want(verb, service, alertReason(alert))
        }
        let isCut = (value["truncatedAlerts"]?.integer ?? 0) > 0 && value["status"]?.text != "resolved"
        var everyHalt: ChannelCommand?
        if isCut {
            let cut = "a group of alerts was cut, and may have lost one that halts"
            let common = Set([value["groupLabels"], value["commonLabels"]].compactMap { $0 }.compactMap { alertService($0) })
            for service in common { want(.halt, service, cut) }
            if common.isEmpty {
                let untold = cut + "; it cannot be told of which service, so all that this hook reaches are halted"
                for service in Set(services.values) { want(.halt, service, untold) }
                if services.isEmpty { everyHalt = command(.halt, .every, reason: untold, context) }
            }
        }
        let unclear =
            strangers.isEmpty
            ? nil : "an alert that halts names no known service (\(strangers.sorted().prefix(5).joined(separator: ", ")))"
        guard !wanted.isEmpty || everyHalt != nil else {
            return unclear.map { .unclear($0, context.reply.unclear($0)) }
                ?? .ignored("no firing alert asks for anything", context.reply.answer("nothing to do"))
        }
        return .commands(
            [everyHalt].compactMap { $0 }
                + wanted.sorted { $0.key < $1.key }.map { service, order in
                    var command = command(order.verb, .service(service), reason: order.reason, context)
                    command.replay.message += "/\(service)"
                    return command
                }, unclear: unclear)
    }

    /// A machine may stop a release, and may not let it go on.
    private func verb(ofAlert labels: JSONValue?) -> ChannelCommand.Verb? {
        let verb = labels?["serin_action"]?.text.map { ChannelCommand.Verb(rawValue: $0) } ?? alertVerb
        return verb == .halt || verb == .hold ? verb : nil
    }

    private func alertService(_ labels: JSONValue?) -> ServiceName? {
        guard let name = labels?["service"]?.text else { return nil }
        return services.isEmpty ? ServiceName(name) : services[name] ?? services.values.first { $0.description == name }
    }

    private func alertReason(_ alert: JSONValue) -> String {
        let name = alert.at(pointer: "/labels/alertname")?.text ?? "alert"
        let summary = alert.at(pointer: "/annotations/summary")?.text
        return summary.map { "\(name): \($0)" } ?? name
    }

    /// An event of a webhook v3: an incident that was triggered asks for the hook's alert verb, of the service by its identifier or
    /// its name at PagerDuty.
    func readPagerDuty(_ message: VerifiedMessage) -> HookReading {
        guard let event = message.request.json?["event"], let type = event["event_type"]?.text else { return unreadable }
        if type == "pagey.ping" { return .handshake(HookAnswer(status: 200)) }
        guard type == "incident.triggered", let verb = verb(ofAlert: nil) else {
            return .ignored("an event that asks for nothing", HookAnswer(status: 200))
        }
        let context = MessageContext(
            message: message, identity: name, identifier: event["id"]?.text.map { "event:\($0)" }, isUnique: true, reply: .machine
        )
        let names = [event.at(pointer: "/data/service/id"), event.at(pointer: "/data/service/summary")].compactMap { $0?.text }
        let target = names.first { resolved($0) != nil } ?? names.first
        let title = event.at(pointer: "/data/title")?.text ?? "incident"
        return reading(of: verb, target: target, reason: "PagerDuty: \(title)", context)
    }
}
