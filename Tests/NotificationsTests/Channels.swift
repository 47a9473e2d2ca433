import SerinCrypto
import SerinModel
import SerinPorts
import SerinTransport
import Testbed
import Testing

@testable import SerinNotifications

/// Words that try to be markup, mentions, links and commands in every medium.
let hostile = "<!channel> @everyone @all *bold* [x](http://evil) & `code` ::error:: \u{1B}[31m\r\nX: y"

func notification(
    _ kind: Notification.Kind = .rolloutChanged, _ severity: Notification.Severity = .info, state: String = "baking",
    text: String = hostile
) -> Notification {
    Notification(
        kind, severity, subject: "api 2.4.0: \(state)", text: text,
        fields: [
            .init("rollout", "api-01J"), .init("service", "api"), .init("version", "2.4.0"), .init("previous", "2.3.9"),
            .init("state", state), .init("weight", "25%"),
        ], deduplicationKey: "rollout api-01J", at: now)
}

/// Delivers once to a stand-in and gives what was sent and what came of it.
struct Delivery {
    let server: ScriptedServer
    let failure: Failure?

    /// - Parameter channel: Makes the channel for the stand-in's address.
    init(
        _ notification: Notification = notification(),
        answer: @escaping @Sendable (ScriptedServer.Request) -> ScriptedServer.Step,
        to channel: (String) -> any NotificationChannel
    ) async throws {
        server = try ScriptedServer { [answer($0)] }
        let transport = try Transport()
        let message = try OutboundMessage(notification)
        do throws(Failure) {
            try await channel(server.url).deliver(message, at: now, through: transport)
            failure = nil
        } catch { failure = error }
        transport.shutdown()
        server.stop()
    }

    /// The body of a request in JSON.
    func body(_ index: Int = 0) throws -> JSONValue {
        try JSONValue(parsing: try #require(server.requests.dropFirst(index).first).body)
    }
}
