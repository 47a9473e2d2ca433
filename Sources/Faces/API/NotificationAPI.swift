public import SerinModel

/// What people were told, wait for, and were never told.
public struct NotificationAPI: Sendable {
    /// Answers with the document.
    public typealias Answer = @Sendable () async throws(Failure) -> JSONValue

    private let answer: Answer

    /// An API over what is known.
    public init(_ answer: @escaping Answer) { self.answer = answer }

    /// The document where nobody is told by a channel.
    public static let nothing = JSONValue.object([
        "schema": .string("serin.dev/notifications/v1"), "channels": .array([]), "given_up": .array([]),
    ])

    /// The routes.
    public var routes: [Route] {
        [
            Route(
                "GET", "/v1/notifications", summary: "what was told by which channel, what waits and what was given up",
                access: .any(of: [.viewer]),
                operation: Operation(
                    "showNotifications", tag: "notifications",
                    answers: [
                        200: .json(
                            "The channels, those that are configured no more among them, and what was given up.",
                            Schema.reference("Notifications"))
                    ])
            ) { _, _ in
                do throws(Failure) { return .json(200, try await answer()) } catch {
                    throw Problem(.unavailable, error.message)
                }
            }
        ]
    }
}
