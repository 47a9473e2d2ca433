internal import Glibc
internal import SerinLocks
public import SerinModel
internal import SerinTransport

/// A real Prometheus on a free loopback port.
public final class PrometheusServer: Sendable {
    /// A group of scrape targets with labels of their own.
    public struct Targets: Sendable, Hashable {
        /// Their addresses, such as `127.0.0.1:9100`.
        public var addresses: [String]
        /// Labels that every series of theirs gets.
        public var labels: [Label]

        /// A group.
        public init(_ addresses: [String], _ labels: [Label] = []) {
            self.addresses = addresses
            self.labels = labels
        }
    }

    /// What may be set at a start.
    public struct Settings: Sendable {
        /// Between scrapes and between evaluations of rules.
        public var scrapeInterval = Duration.seconds(1)
        /// The text of a rule file.
        public var rules: String?
        /// The port of an Alertmanager to send alerts to.
        public var alertmanagerPort: Int?
        /// The address of a remote read backend.
        public var remoteRead: String?
        /// The text of a web configuration file: TLS and basic authentication.
        public var webConfiguration: String?
        /// What it kept before it starts, as OpenMetrics text with a time at each sample.
        public var past: String?
        /// More command line arguments.
        public var arguments: [String] = []

        /// A scrape each second, nothing else.
        public init() {}
    }

    /// The port.
    public let port: Int
    private let folder: Scratch
    private let settings: Settings
    private let arguments: [String]
    private let running: Locked<ServerProcess>

    /// Starts a server and waits until it answers; a few other ports are tried when the first is taken meanwhile.
    public static func start(_ targets: [Targets], _ settings: Settings = Settings()) async throws -> PrometheusServer {
        var last: any Error = Failure(.transient, "cannot start Prometheus")
        for _ in 0..<3 {
            let server = try PrometheusServer(targets, settings)
            do {
                try await server.awaitReady()
                return server
            } catch {
                last = Failure(.transient, "cannot start Prometheus: \(error)\n\(server.process.logTail())")
                server.stop()
            }
        }
        throw last
    }

    private init(_ targets: [Targets], _ settings: Settings) throws(Failure) {
        folder = try Scratch("serin-prometheus")
        port = try freePort()
        self.settings = settings
        var text = """
            global:
              scrape_interval: \(settings.scrapeInterval)
              scrape_timeout: \(settings.scrapeInterval)
              evaluation_interval: \(settings.scrapeInterval)
            scrape_configs:
              - job_name: test
                file_sd_configs:
                  - files: ['\(folder.file("targets.json"))']
                    refresh_interval: 1s

            """
        if let rules = settings.rules {
            try folder.write("rules.yml", rules)
            text += "rule_files: ['\(folder.file("rules.yml"))']\n"
        }
        if let port = settings.alertmanagerPort {
            text += "alerting:\n  alertmanagers:\n    - static_configs:\n        - targets: ['127.0.0.1:\(port)']\n"
        }
        if let address = settings.remoteRead {
            text += "remote_read:\n  - url: '\(address)'\n    read_recent: true\n"
        }
        try folder.write("prometheus.yml", text)
        try folder.write("targets.json", targetsText(targets))
        var arguments = [
            "--config.file=\(folder.file("prometheus.yml"))", "--storage.tsdb.path=\(folder.file("data"))",
            "--web.listen-address=127.0.0.1:\(port)", "--log.level=warn",
        ]
        if let web = settings.webConfiguration {
            arguments.append("--web.config.file=\(try folder.write("web.yml", web))")
        }
        self.arguments = arguments + settings.arguments
        if let past = settings.past { try PrometheusServer.keep(past, in: folder) }
        running = Locked(try PrometheusServer.launch(self.arguments, folder))
    }

    /// Makes blocks of a past that nobody scraped, as Prometheus' own tool does.
    private static func keep(_ past: String, in folder: Scratch) throws(Failure) {
        let text = try folder.write("past.om", past)
        let tool = try ServerProcess(
            "/usr/bin/promtool", ["tsdb", "create-blocks-from", "openmetrics", text, folder.file("data")],
            directory: folder.path, log: folder.file("promtool.log"))
        while tool.isRunning { usleep(5_000) }
        guard tool.exitStatus == 0 else { throw Failure(.invalid, "promtool: \(tool.logTail())") }
    }

    private static func launch(_ arguments: [String], _ folder: Scratch) throws(Failure) -> ServerProcess {
        try ServerProcess("/usr/bin/prometheus", arguments, directory: folder.path, log: folder.file("log"))
    }

    private var process: ServerProcess { running.withLock { $0 } }

    /// Ends it and starts it again on the same port with the same data; returns when it is ready.
    public func restart() async throws {
        process.stop()
        let next = try PrometheusServer.launch(arguments, folder)
        running.withLock { $0 = next }
        try await awaitReady()
    }

    /// `http://127.0.0.1:port`.
    public var url: String { "http://127.0.0.1:\(port)" }

    /// Changes what is scraped; taken up within about a second.
    public func scrape(_ targets: [Targets]) throws(Failure) {
        try folder.write("targets.next", targetsText(targets))
        guard rename(folder.file("targets.next"), folder.file("targets.json")) == 0 else {
            throw Failure(.transient, "cannot replace the targets: \(String(cString: strerror(errno)))")
        }
    }

    /// Stops answering without closing anything.
    public func freeze() { process.freeze() }

    /// Goes on after `freeze`.
    public func thaw() { process.signal(SIGCONT) }

    /// The end of its log.
    public var log: String { process.logTail() }

    /// Ends it and removes its files.
    public func stop() {
        process.stop()
        folder.remove()
    }

    private func awaitReady() async throws {
        guard settings.webConfiguration == nil else {
            // With authentication or TLS any answer at all shows that it listens; it is ready soon after.
            try await waitUntil("Prometheus listening on port \(port)") { try isListening(port, unless: process) }
            return
        }
        let transport = try Transport()
        let request = HTTPRequest(url: url + "/-/ready", timeout: .seconds(2))
        try await waitUntil("Prometheus ready on port \(port)") {
            guard process.isRunning else { throw Failure(.transient, "Prometheus ended") }
            // Not ready yet shows as a refused connection or another status.
            return (try? await transport.send(request).status) == 200
        }
    }
}

/// Whether something accepts connections on a loopback port; throws when the process behind it has ended.
func isListening(_ port: Int, unless process: ServerProcess) throws(Failure) -> Bool {
    guard process.isRunning else { throw Failure(.transient, "the server ended: \(process.logTail())") }
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}

private func targetsText(_ targets: [PrometheusServer.Targets]) -> String {
    JSONValue.array(
        targets.map { group in
            .object([
                "targets": .array(group.addresses.map { .string($0) }),
                "labels": .sortedObject(group.labels.map { .init($0.name, .string($0.value)) }),
            ])
        }
    ).canonicalText
}
