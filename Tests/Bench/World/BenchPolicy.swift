internal import SerinModel
internal import SerinPolicies
internal import SerinVerdicts

/// Policies as values, for rollouts inside this process.
enum BenchPolicy {
    /// One that watches the signals of `SteadyService`, with one step of 5 % and the default times.
    static func policy(
        service: ServiceName, driver: DriverSettings, signals: ArraySlice<SignalPolicy> = signals[...]
    ) -> Policy {
        Policy(
            service: service, environment: .production,
            traffic: TrafficPolicy(
                driver: driver, steps: [5, 25, 50].compactMap(Weight.init(percent:)).map { StepPolicy(weight: $0) }),
            prometheus: PrometheusPolicy(
                endpoint: HTTPEndpoint(url: "http://127.0.0.1:9090"), instanceLabel: "instance",
                canary: SteadyService.canaryLabels, control: SteadyService.controlLabels, staleAfter: nil, timeout: .seconds(5)),
            signals: Array(signals), alerts: nil, postgres: nil, deploy: nil, promote: nil, rollback: nil, onFailure: .rollback,
            onInconclusive: .hold, onTelemetryLoss: .hold, onDrift: .hold, timing: TimingPolicy())
    }

    /// The ten signals of `SteadyService`.
    static let signals: [SignalPolicy] = SteadyService.signals.map { signal in
        let source: SignalPolicy.Source =
            switch signal.source {
            case .ratio(let counter, let bad): .ratio(counter: counter, bad: bad)
            case .per(let counter, let exposure): .per(counter: counter, exposure: exposure)
            case .rate(let counter): .rate(counter: counter)
            case .latency(let histogram, let quantile): .latency(histogram: histogram, quantile: quantile)
            case .gauge(let metric): .gauge(metric: metric)
            case .expression(let text): .expression(text)
            }
        return SignalPolicy(name: signal.name, source: source, isSecurity: signal.isSecurity)
    }
}
