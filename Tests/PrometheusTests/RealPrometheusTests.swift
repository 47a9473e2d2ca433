import Glibc
import SerinModel
import SerinPolicies
import SerinPorts
import SerinPrometheus
import SerinTransport
import Testbed
import Testing

/// A real Prometheus with scripted targets, and telemetry that reads from it.
struct RealPrometheus {
    let server: PrometheusServer
    let telemetry: PrometheusTelemetry
    let instances: [String]

    init(
        _ targets: [(exporter: ScriptedExporter, version: String)],
        _ settings: PrometheusServer.Settings = PrometheusServer.Settings(),
        alertmanager: AlertmanagerServer? = nil
    ) async throws {
        server = try await PrometheusServer.start(
            targets.map { PrometheusServer.Targets([$0.exporter.address], [Label("version", $0.version)]) }, settings)
        instances = targets.map(\.exporter.address)
        let hubs = TelemetryHubs(transport: try Transport()) { _ throws(Failure) in "" }
        let policy = PrometheusPolicy(
            endpoint: HTTPEndpoint(url: server.url), instanceLabel: "instance", canary: [Label("version", "2")],
            control: [Label("version", "1")], staleAfter: nil, timeout: .seconds(10))
        let alerts = alertmanager.map { AlertsPolicy(match: [], alertmanager: HTTPEndpoint(url: $0.url)) }
        telemetry = hubs.telemetry(for: policy, alerts: alerts, poll: .milliseconds(2))
    }

    func read(_ queries: [SeriesQuery], alerts: [LabelMatcher]? = nil) async -> TelemetryReading {
        await telemetry.read(request(queries, alerts: alerts), at: now(), deadline: .seconds(20))
    }
}

/// The present moment, which these tests share with the servers they start.
func now() -> Instant {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Instant(millisecondsSince1970: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
}

let byCode = SeriesQuery(
    kind: .counter, metric: "requests_total", matchers: [], groupedBy: ["instance", "version", "code"])

@Suite struct RealPrometheusTests {
    @Test func birthResetVanishDownAndStaleAreSeenAsTheyAre() async throws {
        let canary = try ScriptedExporter("requests_total{code=\"200\"} 100\nprocess_start_time_seconds 1795217000.25\n")
        let control = try ScriptedExporter("requests_total{code=\"200\"} 1000\n")
        defer {
            canary.stop()
            control.stop()
        }
        let real = try await RealPrometheus([(canary, "2"), (control, "1")])
        defer { real.server.stop() }

        var reading = await real.read([byCode])
        try await waitUntil("both targets scraped") {
            reading = await real.read([byCode])
            return reading.series[0].rows.count == 2 && reading.instances.map(\.up) == [1, 1]
        }
        let row = try #require(reading.series[0].rows.first { $0.label("version") == "2" })
        #expect(row.value == 100 && row.resets == nil && row.label("instance") == canary.address)
        let age = reading.evaluatedAt - (try #require(row.sampledAt))
        #expect(age >= .zero && age < .seconds(10), "the sample's own time, not the evaluation's")
        let started = reading.instances.first { $0.instance == canary.address }?.startedAt
        #expect(started == Instant(millisecondsSince1970: 1_795_217_000_250))

        // Birth: the series' first value is read as it is.
        canary.set("requests_total{code=\"200\"} 110\nrequests_total{code=\"500\"} 5\n")
        try await waitUntil("the birth") {
            reading = await real.read([byCode])
            return reading.series[0].rows.contains { $0.label("code") == "500" && $0.value == 5 && $0.resets == nil }
        }

        // Reset: the fall is read, with the evidence that it was one.
        canary.set("requests_total{code=\"200\"} 3\nrequests_total{code=\"500\"} 5\n")
        try await waitUntil("the reset") {
            reading = await real.read([byCode])
            return reading.series[0].rows.contains { $0.label("version") == "2" && $0.value == 3 }
        }
        let fallen = try #require(reading.series[0].rows.first { $0.label("version") == "2" && $0.value == 3 })
        #expect(fallen.resets == 1)
        #expect(await real.read([byCode]).series[0].rows.allSatisfy { $0.resets == nil }, "asked only when something fell")

        // Vanished: no row, but the target is still known to be up.
        canary.set("other_total 1\n")
        try await waitUntil("the series vanishing") {
            reading = await real.read([byCode])
            return !reading.series[0].rows.contains { $0.label("version") == "2" }
        }
        #expect(reading.instances.first { $0.instance == canary.address }?.up == 1)

        // Down: the target answers with an error.
        canary.set(.status(500))
        try await waitUntil("the target going down") {
            reading = await real.read([byCode])
            return reading.instances.first { $0.instance == canary.address }?.up == 0
        }
        #expect(reading.series[0].rows.allSatisfy { $0.label("version") == "1" })
        #expect(reading.series[0].failure == nil && reading.failures.isEmpty)

        try await readsAcrossOutages(real)
    }

    private func readsAcrossOutages(_ real: RealPrometheus) async throws {
        // Frozen: no answer, then answers that say how old they are.
        real.server.freeze()
        let frozen = await real.telemetry.read(request([byCode]), at: now(), deadline: .milliseconds(300))
        #expect(frozen.series[0].failure?.kind == .transient && frozen.series[0].rows.isEmpty)
        real.server.thaw()

        // Restarted: what was scraped before is still there.
        try await real.server.restart()
        try await waitUntil("the control after the restart") {
            await real.read([byCode]).series[0].rows.contains { $0.label("version") == "1" && $0.value == 1000 }
        }

        // Asked by someone whose clock is an hour ahead: what is there now, as old as it is.
        let later = now() + .hours(1)
        let reading = await real.telemetry.read(request([byCode]), at: later, deadline: .seconds(20))
        #expect(reading.series[0].rows.contains { $0.label("version") == "1" })
        for row in reading.series[0].rows {
            #expect(abs((later - (try #require(row.sampledAt))).milliseconds) < 30_000, "\(row)")
        }
    }

    @Test func historyIsReadPerInstanceOfOneCohortWithItsScrapeInterval() async throws {
        func metrics(_ count: Int) -> String {
            """
            requests_total{code="200"} \(count)
            latency_bucket{le="0.1"} \(count / 2)
            latency_bucket{le="+Inf"} \(count)
            queue 7

            """
        }
        let canary = try ScriptedExporter(metrics(10))
        let control = try ScriptedExporter(metrics(1000))
        defer {
            canary.stop()
            control.stop()
        }
        let real = try await RealPrometheus([(canary, "2"), (control, "1")])
        defer { real.server.stop() }
        let queries = [
            byCode,
            SeriesQuery(kind: .histogram, metric: "latency", matchers: [], groupedBy: ["instance", "version"]),
            SeriesQuery(kind: .gauge, metric: "queue", matchers: [], groupedBy: ["instance", "version"]),
            SeriesQuery(kind: .expression, metric: "queue * 2", matchers: [], groupedBy: ["instance", "version"]),
            SeriesQuery(kind: .counter, metric: "nothing_total", matchers: [], groupedBy: ["instance", "version"]),
        ]
        try await waitUntil("a few scrapes") { control.scrapes >= 4 && canary.scrapes >= 4 }
        let end = now()
        let history = await real.telemetry.history(
            request(queries), of: [Label("version", "1")], from: end - .minutes(10), to: end, deadline: .seconds(10))
        #expect(history.start == end - .minutes(10))
        #expect(history.step == .seconds(60))
        #expect(history.warnings.isEmpty, "\(history.warnings)")
        #expect(history.series.map(\.count) == [1, 1, 1, 1, 0])
        for rows in history.series.prefix(4) {
            #expect(rows[0].labels.contains(Label("instance", control.address)) && rows[0].values.count == 11)
            #expect(rows[0].values.first == .some(nil), "ten minutes ago there was nothing")
        }
        #expect(history.series[0][0].values.last == 1000)
        #expect(history.series[1][0].values.last == 1000)
        #expect(history.series[1][0].buckets.last == [Bucket(edge: 0.1, count: 500), Bucket(edge: .infinity, count: 1000)])
        #expect(history.series[2][0].values.last == 7)
        #expect(history.series[3][0].values.last == 14)
        let interval = try #require(history.scrapeInterval)
        #expect(abs(interval.milliseconds - 1000) < 300, "\(interval)")
        let same = try await real.telemetry.clock(of: request(queries), deadline: .seconds(20)).interval
        #expect(same.map { abs($0.milliseconds - 1000) < 300 } ?? false)
        let none = SeriesQuery(kind: .counter, metric: "nothing_total", matchers: [], groupedBy: ["instance"])
        #expect(try await real.telemetry.clock(of: request([none]), deadline: .seconds(20)).interval == nil)
    }

    @Test func alertsFireFromPrometheusAndAlertmanagerUnlessSilenced() async throws {
        let manager = try await AlertmanagerServer.start()
        defer { manager.stop() }
        let exporter = try ScriptedExporter("broken 0\n")
        defer { exporter.stop() }
        var settings = PrometheusServer.Settings()
        settings.rules = """
            groups:
              - name: test
                rules:
                  - alert: Broken
                    expr: broken > 0
                    labels: {service: "check\\"out", severity: page}

            """
        settings.alertmanagerPort = manager.port
        let real = try await RealPrometheus([(exporter, "2")], settings, alertmanager: manager)
        defer { real.server.stop() }
        let matchers = [LabelMatcher("service", .equal, "check\"out"), LabelMatcher("severity", .matches, "page|ticket")]
        let quiet = await real.read([], alerts: matchers)
        #expect(quiet.alerts == [] && quiet.failures.isEmpty, "\(quiet.failures)")
        #expect(await real.read([]).alerts == nil, "not watched")

        exporter.set("broken 1\n")
        try await waitUntil("the alert firing in both") {
            await real.read([], alerts: matchers).alerts?.map(\.source) == ["alertmanager", "prometheus"]
        }
        #expect(await real.read([], alerts: [LabelMatcher("service", .equal, "other")]).alerts == [])
        let firing = await real.read([], alerts: matchers).alerts?.last
        #expect(firing?.labels.contains(Label("alertname", "Broken")) ?? false)

        try await manager.silence(Label("alertname", "Broken"), at: now())
        try await waitUntil("the silence taking effect") { await real.read([], alerts: matchers).alerts == [] }

        // An Alertmanager that cannot be read: nobody knows whether all is quiet.
        manager.stop()
        exporter.set("broken 0\n")
        try await waitUntil("the end of the alert") {
            let reading = await real.read([], alerts: matchers)
            return reading.alerts == nil && reading.failures.contains { $0.message.contains("alertmanager") }
        }
    }

    @Test func wrongCredentialsAreDeniedAndRightOnesOverTLSWork() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let certificate = try await TestCertificate(in: scratch)
        let exporter = try ScriptedExporter("requests_total{code=\"200\"} 1\n")
        defer { exporter.stop() }
        var settings = PrometheusServer.Settings()
        // The password is "open sesame"; the cost is the least that bcrypt allows.
        settings.webConfiguration = """
            tls_server_config: {cert_file: '\(certificate.certificate)', key_file: '\(certificate.key)'}
            basic_auth_users: {serin: '$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy'}

            """
        let real = try await RealPrometheus([(exporter, "2")], settings)
        defer { real.server.stop() }
        let hubs = TelemetryHubs(transport: try Transport()) { reference throws(Failure) in
            reference == .environment("RIGHT") ? "open sesame" : "hush-hush"
        }
        func read(_ secret: String, _ authority: String?) async -> TelemetryReading {
            let endpoint = HTTPEndpoint(
                url: "https://127.0.0.1:\(real.server.port)",
                authentication: .basic(username: "serin", password: .environment(secret)), certificateAuthorityFile: authority)
            let policy = PrometheusPolicy(
                endpoint: endpoint, instanceLabel: "instance", canary: [], control: [], staleAfter: nil, timeout: .seconds(5))
            let telemetry = hubs.telemetry(for: policy, alerts: nil, poll: .milliseconds(2))
            return await telemetry.read(request([byCode]), at: now(), deadline: .seconds(10))
        }
        try await waitUntil("an answer with the right password") {
            await read("RIGHT", certificate.certificate).series[0].rows.count == 1
        }
        let denied = await read("WRONG", certificate.certificate)
        #expect(denied.series[0].failure?.kind == .denied)
        #expect(!"\(denied)".contains("hush"))
        let untrusted = await read("RIGHT", nil)
        #expect(untrusted.series[0].failure?.kind == .denied)
        #expect(untrusted.series[0].failure?.message.contains("certificate is not trusted") ?? false)
        let missing = await read("RIGHT", scratch.file("none.pem"))
        #expect(missing.series[0].failure?.kind == .invalid)
        #expect(missing.series[0].failure?.message.contains("none.pem") ?? false)
    }

    @Test func labelValuesOfAnyKindReachPrometheusUnchanged() async throws {
        let odd = "a\\\"} or up{x=\"\n\té😀"
        let exposed = #"a\\\"} or up{x=\"\n"# + "\té😀"
        let exporter = try ScriptedExporter("odd_total{l=\"\(exposed)\"} 5\nodd_total{l=\"x\"} 7\n")
        defer { exporter.stop() }
        let real = try await RealPrometheus([(exporter, "2")])
        defer { real.server.stop() }
        let query = SeriesQuery(
            kind: .counter, metric: "odd_total", matchers: [LabelMatcher("l", .equal, odd)], groupedBy: ["instance", "l"])
        try await waitUntil("the odd series") {
            let rows = await real.read([query]).series[0].rows
            return rows.map(\.value) == [5] && rows[0].label("l") == odd
        }
        var anchored = query
        anchored.matchers = [LabelMatcher("l", .matches, "x")]
        #expect(await real.read([anchored]).series[0].rows.map(\.value) == [7])
    }
}
