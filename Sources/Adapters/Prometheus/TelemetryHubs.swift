internal import SerinLocks
public import SerinModel
public import SerinPolicies
public import SerinTransport

/// Every Prometheus and Alertmanager that this process reads from: one hub each, so that rollouts share what they ask.
public final class TelemetryHubs: Sendable {
    private struct Key: Hashable, Sendable {
        var endpoint: HTTPEndpoint
        var timeout: Duration
    }

    private let transport: Transport
    private let limits: AnswerLimits
    private let secrets: SecretReader
    private let servers = Locked<[Key: TelemetryHub]>([:])
    private let managers = Locked<[Key: AlertmanagerHub]>([:])

    /// No servers yet.
    ///
    /// - Parameters:
    ///   - transport: What carries the requests.
    ///   - limits: How much of an answer is taken.
    ///   - secrets: Finds passwords and tokens.
    public init(transport: Transport, limits: AnswerLimits = AnswerLimits(), secrets: @escaping SecretReader) {
        self.transport = transport
        self.limits = limits
        self.secrets = secrets
    }

    /// Telemetry for one rollout, on hubs shared with all others that name the same servers in the same words.
    public func telemetry(for prometheus: PrometheusPolicy, alerts: AlertsPolicy?, poll: Duration) -> PrometheusTelemetry {
        let hub = servers.withLock { servers in
            let key = Key(endpoint: prometheus.endpoint, timeout: prometheus.timeout)
            if let known = servers[key] { return known }
            let hub = TelemetryHub(
                endpoint: key.endpoint, timeout: key.timeout, transport: transport, limits: limits, secrets: secrets)
            servers[key] = hub
            return hub
        }
        let manager = alerts?.alertmanager.map { endpoint in
            managers.withLock { managers in
                let key = Key(endpoint: endpoint, timeout: prometheus.timeout)
                if let known = managers[key] { return known }
                let hub = AlertmanagerHub(endpoint: endpoint, timeout: key.timeout, transport: transport, secrets: secrets)
                managers[key] = hub
                return hub
            }
        }
        return PrometheusTelemetry(hub: hub, poll: poll, alertmanager: manager)
    }
}
