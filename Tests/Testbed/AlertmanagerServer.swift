internal import Glibc
public import SerinModel
internal import SerinTransport

/// A real Alertmanager on a free loopback port that notifies nobody.
public final class AlertmanagerServer: Sendable {
    /// The port.
    public let port: Int
    private let folder: Scratch
    private let process: ServerProcess

    /// Starts a server and waits until it answers.
    public static func start(configuration: String = "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n") async throws
        -> AlertmanagerServer
    {
        var last: any Error = Failure(.transient, "cannot start Alertmanager")
        for _ in 0..<3 {
            let server = try AlertmanagerServer(configuration)
            do {
                try await server.awaitReady()
                return server
            } catch {
                last = Failure(.transient, "cannot start Alertmanager: \(error)\n\(server.process.logTail())")
                server.stop()
            }
        }
        throw last
    }

    private init(_ configuration: String) throws(Failure) {
        folder = try Scratch("serin-alertmanager")
        port = try freePort()
        try folder.write("alertmanager.yml", configuration)
        process = try ServerProcess(
            "/usr/bin/prometheus-alertmanager",
            [
                "--config.file=\(folder.file("alertmanager.yml"))", "--storage.path=\(folder.file("data"))",
                "--web.listen-address=127.0.0.1:\(port)", "--cluster.listen-address=", "--log.level=warn",
            ], directory: folder.path, log: folder.file("log"))
    }

    /// `http://127.0.0.1:port`.
    public var url: String { "http://127.0.0.1:\(port)" }

    /// Makes an alert fire, as Prometheus does.
    public func fire(_ labels: [Label]) async throws {
        let alert = JSONValue.object(["labels": .sortedObject(labels.map { .init($0.name, .string($0.value)) })])
        try await post("/api/v2/alerts", .array([alert]))
    }

    /// Silences every alert with this label, from a minute ago for an hour; the moment is the caller's.
    public func silence(_ label: Label, at moment: Instant) async throws {
        let matcher = JSONValue.object([
            "name": .string(label.name), "value": .string(label.value), "isRegex": .bool(false), "isEqual": .bool(true),
        ])
        try await post(
            "/api/v2/silences",
            .object([
                "matchers": .array([matcher]), "startsAt": .string((moment - .minutes(1)).description),
                "endsAt": .string((moment + .hours(1)).description), "createdBy": .string("test"), "comment": .string("test"),
            ]))
    }

    /// Ends it and removes its files.
    public func stop() {
        process.stop()
        folder.remove()
    }

    private func post(_ path: String, _ body: JSONValue) async throws {
        var request = HTTPRequest(method: "POST", url: url + path, body: body.canonicalBytes, timeout: .seconds(5))
        request.headers = [HTTPHeader("Content-Type", "application/json")]
        let response = try await Transport().send(request)
        guard response.status == 200 else {
            throw Failure(.invalid, "Alertmanager answered \(response.status): \(String(decoding: response.body, as: UTF8.self))")
        }
    }

    private func awaitReady() async throws {
        let transport = try Transport()
        let request = HTTPRequest(url: url + "/-/ready", timeout: .seconds(2))
        try await waitUntil("Alertmanager ready on port \(port)") {
            guard process.isRunning else { throw Failure(.transient, "Alertmanager ended") }
            // Not ready yet shows as a refused connection or another status.
            return (try? await transport.send(request).status) == 200
        }
    }
}
