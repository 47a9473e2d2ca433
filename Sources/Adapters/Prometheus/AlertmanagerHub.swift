public import SerinModel
public import SerinPolicies
public import SerinTransport

/// An alert as Alertmanager knows it.
struct ManagedAlert: Sendable, Hashable {
    /// Its labels, sorted by name.
    var labels: [Label]
    /// Whether a silence covers it: people have seen it and asked not to be told.
    var isSilenced: Bool
}

/// One Alertmanager's alerts (API v2, `GET /api/v2/alerts`), shared by every rollout that asks for the same ones.
///
/// Silenced alerts do not count, and neither does the same alert seen in Prometheus, which knows no silences. Inhibited alerts count:
/// they are hidden from people because a greater one fires, not because nothing is wrong.
public final class AlertmanagerHub: Sendable {
    let server: QueryServer
    private let rounds: SharedRounds<[ManagedAlert]>

    /// A hub for a server; `timeout` is for one answer.
    public init(endpoint: HTTPEndpoint, timeout: Duration, transport: Transport, secrets: @escaping SecretReader) {
        var limits = AnswerLimits()
        limits.bytes = 8 << 20
        let server = QueryServer(
            name: "alertmanager", endpoint: endpoint, timeout: timeout, secrets: secrets, limits: limits)
        self.server = server
        rounds = SharedRounds(transport: transport) { AlertmanagerHub.alerts($0, of: server) }
    }

    /// The alerts that meet the conditions, silenced ones too; nil when the task is cancelled first.
    func alerts(_ matchers: [LabelMatcher], at time: Instant, age: Duration) async -> Result<[ManagedAlert], Failure>? {
        var path = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true"
        do throws(Failure) {
            for matcher in matchers { path += "&filter=\(percentEncoded(try PromQL.conditions([matcher])))" }
        } catch {
            return .failure(error)
        }
        return await rounds.value(of: path, in: rounds.join(at: time, age: age, key: path)) { () throws(Failure) in
            try server.request("GET", path)
        }
    }

    /// Reads what came back.
    static func alerts(_ result: Result<HTTPResponse, Failure>, of server: QueryServer) -> Result<[ManagedAlert], Failure> {
        let response: HTTPResponse
        switch result {
        case .failure(let failure): return .failure(server.named(failure))
        case .success(let success): response = success
        }
        if let kind = response.failureClass(ofWrite: false) {
            return .failure(server.refusal(response, kind, server.excerpt(response.body)))
        }
        do throws(JSONError) {
            let document = try JSONValue(parsing: response.body, depthLimit: 16, byteLimit: server.limits.bytes)
            if let items = document.items {
                let alerts = items.prefix(10_000).compactMap { alert($0) }
                if alerts.count == items.count { return .success(alerts) }
            }
            return .failure(unreadable(server, "the answer is no list of alerts"))
        } catch {
            return .failure(unreadable(server, "the answer is not JSON: \(error)"))
        }
    }

    private static func unreadable(_ server: QueryServer, _ reason: String) -> Failure {
        Failure(
            .invalid, "cannot read from \(server.name) \(server.endpoint.publicURL): \(reason)",
            hint: "check that the url is the base of an Alertmanager")
    }

    private static func alert(_ value: JSONValue) -> ManagedAlert? {
        guard case .object(let members)? = value["labels"], let silences = value["status"]?["silencedBy"]?.items else {
            return nil
        }
        var labels: [Label] = []
        for member in members {
            guard let text = member.value.text else { return nil }
            labels.append(Label(member.key, text))
        }
        return ManagedAlert(labels: labels.sorted(), isSilenced: !silences.isEmpty)
    }
}
