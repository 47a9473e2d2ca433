import Glibc
import SerinModel
import SerinTransport
import Testbed
import Testing

/// Everything around the program, once for all suites: HAProxy with a control and a canary pool, Prometheus with instances of three
/// versions. Scenes that run at a time take different keys of the map.
struct Stage: Sendable {
    /// The stage of the running suite.
    @TaskLocal static var current: Stage?

    /// What control runs: two instances.
    static let old = "1.9"
    /// A release as good as that.
    static let good = "2.0"
    /// A release of whose requests 4 % fail.
    static let bad = "2.1"
    /// A release whose instance a test may change.
    static let odd = "2.2"
    /// Names of services that may be released side by side; the first one's weight splits the requests.
    static let services = ["checkout", "search", "basket", "mail", "login", "video"]

    let scratch: Scratch
    let balancer: HAProxyServer
    let prometheus: PrometheusServer
    let control: OriginServer
    let canary: OriginServer
    /// The instance of the version `odd`.
    let oddInstance: SteadyExporter
    private let instances: [SteadyExporter]
    /// For each service an instance of the version `good` on control, which shows itself once a promote action has left its mark.
    private let promoted: [SteadyExporter]
    /// The instances of what control runs.
    var controlInstances: [SteadyExporter] { Array(instances.prefix(2)) }

    static func open() async throws -> Stage {
        let scratch = try Scratch("serin-stage")
        let control = try OriginServer(cohort: "control")
        let canary = try OriginServer(cohort: "canary")
        // A canary has a tenth of all requests, which is the share of the first step.
        let rate = 10_000.0
        let most = 45_000.0
        let odd = try SteadyExporter(version: Self.odd, rate: rate)
        let instances = [
            try SteadyExporter(version: old, rate: most), try SteadyExporter(version: old, rate: most),
            try SteadyExporter(version: good, rate: rate), try SteadyExporter(version: bad, rate: rate, failing: 0.04), odd,
        ]
        let promoted = try services.map {
            try SteadyExporter(version: good, rate: 0, shownBy: mark(of: $0, in: scratch))
        }
        var settings = PrometheusServer.Settings()
        settings.scrapeInterval = .milliseconds(250)
        async let prometheus = PrometheusServer.start([.init((instances + promoted).map(\.address))], settings)
        let balancer = try await HAProxyServer(
            scratch: scratch, control: [control.port], canary: [canary.port], key: services[0],
            moreKeys: Array(services.dropFirst()))
        let stage = Stage(
            scratch: scratch, balancer: balancer, prometheus: try await prometheus, control: control, canary: canary,
            oddInstance: odd, instances: instances, promoted: promoted)
        try await stage.awaitScrapes()
        return stage
    }

    /// The file that a service's promote action leaves: from then on control shows the new version.
    func promotionMark(of service: String) -> String { Stage.mark(of: service, in: scratch) }

    private static func mark(of service: String, in scratch: Scratch) -> String { scratch.file("promoted-\(service)") }

    /// Waits until every instance was scraped often enough to know the rhythm.
    private func awaitScrapes() async throws {
        try await awaitAnswer("\(instances.count * 2)", to: "count(count_over_time(http_requests_total%5B1m%5D)%3E3)")
    }

    /// Waits until Prometheus has the series of control's instances, which were away.
    func awaitControl() async throws {
        try await awaitAnswer("\(controlInstances.count * 2)", to: "count(http_requests_total%7Bversion=%22\(Stage.old)%22%7D)")
    }

    private func awaitAnswer(_ value: String, to query: String) async throws {
        let transport = try Transport()
        defer { transport.shutdown() }
        let request = HTTPRequest(url: prometheus.url + "/api/v1/query?query=" + query, timeout: .seconds(2))
        try await waitUntil("the answer \(value) to \(query)") {
            String(decoding: try await transport.send(request).body, as: UTF8.self).contains("\"\(value)\"")
        }
    }

    func close() {
        balancer.stop()
        prometheus.stop()
        control.stop()
        canary.stop()
        for instance in instances + promoted { instance.stop() }
        scratch.remove()
    }

    /// The weight that HAProxy itself shows for a service, in basis points; nil when it does not answer or shows none.
    func weight(of service: String) async -> Int? {
        let answer = await balancer.command("get map \(balancer.map) \(service)")
        guard let start = answer.range(of: "value=\"") else { return nil }
        return Int(answer[start.upperBound...].prefix { $0 != "\"" })
    }

    /// Moves a weight past Serin, as someone with HAProxy's socket would.
    func move(_ service: String, to basisPoints: Int) async {
        _ = await balancer.command("set map \(balancer.map) \(service) \(basisPoints)")
    }
}

extension String {
    /// The place of the first occurrence of a text.
    func range(of text: String) -> Range<String.Index>? {
        firstRange(of: text)
    }
}

/// Opens the stage before a suite's first test and closes it after the last.
struct StageTrait: SuiteTrait, TestScoping {
    @concurrent func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        let stage = try await Stage.open()
        defer { stage.close() }
        try await Stage.$current.withValue(stage) { try await function() }
    }
}

extension Trait where Self == StageTrait {
    /// A stage around the suite.
    static var stage: StageTrait { StageTrait() }
}

/// The real program on real servers. One stage, one test at a time.
@Suite(.serialized, .stage) struct Integration {}
