public import SerinController
internal import SerinModel
internal import SerinRecords
internal import SerinRollouts
internal import SerinVerdicts

/// One thing that must hold for the controller to be of use.
public struct ReadinessCheck: Sendable, Hashable {
    /// What: `reconciled`, `state folder`, `journal of checkout`.
    public var name: String
    /// Why it does not hold; nil when it does.
    public var complaint: String?
    /// Whether the controller is of no use without it; else it is only said.
    public var isFatal: Bool
    /// What people were not told, where it is about that.
    public var undelivered: Undelivered?

    /// A check.
    public init(_ name: String, complaint: String? = nil, isFatal: Bool = true, undelivered: Undelivered? = nil) {
        self.name = name
        self.complaint = complaint
        self.isFatal = isFatal
        self.undelivered = undelivered
    }
}

/// Health, readiness and metrics, for machines that look without an identity. They tell of services, never of people or secrets.
public struct HealthAPI: Sendable {
    private let operations: any RolloutOperations
    private let version: String
    private let checks: @Sendable () async -> [ReadinessCheck]
    private let traffic: RequestMetrics
    private let limiter: RateLimiter
    private let others: @Sendable () async -> String

    /// Health of a controller.
    ///
    /// - Parameters:
    ///   - version: What this build is called.
    ///   - checks: What must hold to be ready.
    ///   - traffic: What the router counts.
    ///   - limiter: What the router keeps out.
    ///   - others: Metrics of other faces, in the text format.
    public init(
        _ operations: any RolloutOperations, version: String, checks: @escaping @Sendable () async -> [ReadinessCheck],
        traffic: RequestMetrics, limiter: RateLimiter, others: @escaping @Sendable () async -> String = { "" }
    ) {
        self.operations = operations
        self.version = version
        self.checks = checks
        self.traffic = traffic
        self.limiter = limiter
        self.others = others
    }

    /// The route that only needs a process.
    public static let alive = Route(
        "GET", "/healthz", summary: "whether the process answers", access: .open, allowance: .none,
        operation: Operation(
            "isAlive", tag: "health", answers: [200: .json("It does.", Schema.object(["status": Schema.oneOf(["ok"])]))])
    ) { _, _ in
        .json(200, .object(["status": .string("ok")]))
    }

    /// The routes.
    public var routes: [Route] {
        [
            Self.alive,
            Route(
                "GET", "/readyz", summary: "whether rollouts are reconciled, journals can be written, and locks are held",
                access: .open, allowance: .none,
                operation: Operation(
                    "isReady", tag: "health",
                    answers: [
                        200: .json("Ready.", Schema.reference("Readiness")),
                        503: .json("Not ready.", Schema.reference("Readiness")),
                    ]), handler: ready),
            Route(
                "GET", "/metrics", summary: "own metrics for Prometheus", access: .open,
                operation: Operation(
                    "readMetrics", tag: "health",
                    answers: [
                        200: Operation.Content(
                            "Prometheus' text format 0.0.4.", [Operation.Content.Media("text/plain", Schema.text())])
                    ]), handler: metrics),
        ]
    }

    private func ready(_ request: Request, _: [String]) async throws -> Response {
        let checks = await checks()
        let isReady = checks.allSatisfy { $0.complaint == nil || !$0.isFatal }
        return .json(
            isReady ? 200 : 503,
            .object([
                "schema": .string("serin.dev/readiness/v1"), "ready": .bool(isReady),
                "checks": .array(
                    checks.map {
                        .object([
                            "name": .string($0.name), "ok": .bool($0.complaint == nil),
                            "complaint": $0.complaint.map { .string($0) } ?? .null,
                            "undelivered": $0.undelivered?.document ?? .null,
                        ])
                    }),
            ]))
    }

    private func metrics(_ request: Request, _: [String]) async throws -> Response {
        var text = MetricText()
        text.add("serin_build_info", .gauge, "Which build this is.", [MetricText.Sample(1, [("version", version)])])
        let statuses = try await operations.statuses()
        await RolloutMetrics(statuses: statuses, operations: operations).write(to: &text)
        ControllerMetrics(await operations.measurements()).write(to: &text)
        traffic.write(to: &text)
        text.add(
            "serin_http_refused_total", .counter, "Requests that were refused because there were too many.",
            [MetricText.Sample(Double(limiter.refused))])
        text.add(text: await others())
        return .text(200, text.text, type: "text/plain; version=0.0.4; charset=utf-8")
    }
}

/// The metrics of rollouts; their labels are services, signals and words of a fixed list.
struct RolloutMetrics {
    let statuses: [RolloutStatus]
    let operations: any RolloutOperations

    func write(to text: inout MetricText) async {
        let states = Dictionary(grouping: statuses, by: \.state).mapValues(\.count).sorted { $0.key < $1.key }
        text.add(
            "serin_rollouts", .gauge, "Live rollouts, and the last finished one of each service, by state.",
            states.map { MetricText.Sample(Double($0.value), [("state", $0.key)]) })
        let endings = await operations.endings()
        text.add(
            "serin_rollouts_total", .counter, "Rollouts that have ended since this process began.",
            Ending.allCases.map { MetricText.Sample(Double(endings[$0] ?? 0), [("result", $0.rawValue)]) })
        weights(&text)
        signals(&text)
        await journals(&text)
    }

    /// The last one of each service, which is the live one where one is live.
    private var latest: [RolloutStatus] {
        statuses.indices.filter { $0 + 1 == statuses.endIndex || statuses[$0 + 1].service != statuses[$0].service }
            .map { statuses[$0] }
    }

    private func weights(_ text: inout MetricText) {
        text.add(
            "serin_canary_weight_ratio", .gauge, "The canary's share of the traffic, as wanted and as read back.",
            latest.flatMap { status in
                let service = status.service.description
                var samples = [
                    MetricText.Sample(status.wantedWeight.fraction, [("service", service), ("kind", "desired")])
                ]
                if let observed = status.observedWeight {
                    samples.append(MetricText.Sample(observed.fraction, [("service", service), ("kind", "observed")]))
                }
                return samples
            })
        text.add(
            "serin_rollback_incomplete", .gauge, "Whether the way back is past its deadline without weight 0 read back.",
            latest.map { MetricText.Sample($0.isRollbackIncomplete ? 1 : 0, [("service", $0.service.description)]) })
    }

    private func signals(_ text: inout MetricText) {
        func samples(_ value: (SignalAssessment) -> Double?) -> [MetricText.Sample] {
            latest.filter { !$0.isFinal }.flatMap { status in
                status.signals.compactMap { signal in
                    value(signal).map {
                        MetricText.Sample($0, [("service", status.service.description), ("signal", signal.name)])
                    }
                }
            }
        }
        text.add("serin_signal_ratio", .gauge, "Canary over control, of live rollouts.", samples(\.ratio))
        func bounds(_ value: (Interval) -> Double) -> [MetricText.Sample] {
            latest.filter { !$0.isFinal }.flatMap { status in
                status.intervals.map {
                    MetricText.Sample(
                        value($0.interval), [("service", status.service.description), ("signal", $0.signal)])
                }
            }
        }
        text.add(
            "serin_signal_ratio_lower", .gauge, "The lower end of the ratio's interval, computed once a minute.", bounds(\.low))
        text.add(
            "serin_signal_ratio_upper", .gauge, "The upper end of the ratio's interval, computed once a minute.", bounds(\.high))
        text.add(
            "serin_signal_verdict", .gauge, "1 for the present verdict on a signal of a live rollout.",
            latest.filter { !$0.isFinal }.flatMap { status in
                status.signals.map {
                    MetricText.Sample(
                        1,
                        [
                            ("service", status.service.description), ("signal", $0.name), ("verdict", $0.verdict.rawValue),
                        ])
                }
            })
    }

    private func journals(_ text: inout MetricText) async {
        var sizes: [MetricText.Sample] = []
        var epochs: [MetricText.Sample] = []
        for service in latest.map(\.service) {
            // A journal that cannot be read shows in the readiness; here it is only missing.
            guard let head = try? await operations.head(of: service) else { continue }
            sizes.append(MetricText.Sample(Double(head.sequence), [("service", service.description)]))
            epochs.append(MetricText.Sample(Double(head.epoch), [("service", service.description)]))
        }
        text.add("serin_log_size", .gauge, "Entries of each service's journal.", sizes)
        text.add("serin_lease_epoch", .gauge, "How often each service's journal was opened to be written.", epochs)
    }
}
