internal import Glibc
internal import SerinLocks
public import SerinModel

/// A stand-in for Telegram's Bot API, for one bot whose updates are fetched by long polling.
///
/// It behaves as the documentation of `getUpdates` says: an update is given again until an offset above its number is asked for;
/// an empty answer is held back for the time that was asked for; of two that ask at once the earlier one is refused (409); while a
/// webhook is set nothing is given (409); who asks too often is told for how long to wait (429); a wrong token is refused (401).
public final class TelegramServer: Sendable {
    private struct State: Sendable {
        var updates: [(number: Int64, body: JSONValue)] = []
        /// The number of the update that was confirmed last.
        var confirmed: Int64 = 0
        var hasWebhook = false
        var retryAfter: Int64?
        var losesConfirmations = false
        /// How often it was asked; who asked last is answered.
        var asking = 0
        var throttledAt: ContinuousClock.Instant?
        var pause: Duration?
        var refusals: [Int] = []
        var said: [(chat: Int64, text: String)] = []
        var isStopped = false
    }

    private let state: Locked<State>
    private let server: ScriptedServer

    /// Starts listening for a bot's token.
    public init(token: String) throws(Failure) {
        let state = Locked(State())
        self.state = state
        server = try ScriptedServer { request in
            let words = request.target.split(separator: "/")
            guard words.count == 2, words[0] == "bot" + token else {
                return [.http(401, #"{"ok":false,"error_code":401,"description":"Unauthorized"}"#)]
            }
            let parameters = (try? JSONValue(parsing: request.body)) ?? .null
            switch words[1] {
            case "getUpdates": return Self.getUpdates(parameters, state)
            case "sendMessage":
                state.withLock { $0.said.append((parameters["chat_id"]?.integer ?? 0, parameters["text"]?.text ?? "")) }
                return [.http(200, #"{"ok":true,"result":{"message_id":1}}"#)]
            default: return [.http(404, #"{"ok":false,"error_code":404,"description":"Not Found"}"#)]
            }
        }
    }

    /// Where it is.
    public var url: String { server.url }

    /// Answers nobody any more.
    public func stop() {
        state.withLock { $0.isStopped = true }
        server.stop()
    }

    /// Somebody writes a message in a chat.
    public func write(_ text: String, update: Int64, chat: Int64, by user: Int64, at now: Instant) {
        let message: JSONValue = .object([
            "message_id": .integer(update), "date": .integer(now.millisecondsSince1970 / 1000),
            "from": .object(["id": .integer(user), "is_bot": .bool(false)]),
            "chat": .object(["id": .integer(chat), "type": .string("supergroup")]), "text": .string(text),
        ])
        let body: JSONValue = .object(["update_id": .integer(update), "message": message])
        state.withLock { $0.updates.append((update, body)) }
    }

    /// Whether a webhook is set.
    public func setWebhook(_ isSet: Bool) { state.withLock { $0.hasWebhook = isSet } }

    /// Refuses the next question, and says after how many seconds the next one is welcome.
    public func refuseOnce(retryAfter seconds: Int64) { state.withLock { $0.retryAfter = seconds } }

    /// Whether updates are given and the offsets that confirm them never arrive.
    public func loseConfirmations(_ loses: Bool) { state.withLock { $0.losesConfirmations = loses } }

    /// Whether an update was confirmed.
    public func isConfirmed(_ update: Int64) -> Bool { state.withLock { $0.confirmed >= update } }

    /// The statuses of the refusals so far.
    public var refusals: [Int] { state.withLock { $0.refusals } }

    /// How long whoever was told to wait has waited.
    public var pause: Duration? { state.withLock { $0.pause } }

    /// What the bot wrote, and where.
    public var said: [(chat: Int64, text: String)] { state.withLock { $0.said } }

    private static func getUpdates(_ parameters: JSONValue, _ state: Locked<State>) -> [ScriptedServer.Step] {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(Double(parameters["timeout"]?.integer ?? 0))
        let number: Int = state.withLock { state in
            state.asking += 1
            if let moment = state.throttledAt { state.pause = .milliseconds(Int64((clock.now - moment) / .milliseconds(1))) }
            state.throttledAt = nil
            return state.asking
        }
        while true {
            let step: ScriptedServer.Step? = state.withLock { state in
                if let refusal = Self.refusal(number, &state) { return refusal }
                if let offset = parameters["offset"]?.integer {
                    // Lost on its way there: asked for again as if it had never been.
                    if state.losesConfirmations, state.updates.contains(where: { $0.number < offset }) {
                        state.refusals.append(502)
                        return .http(502, "<html>Bad Gateway</html>", type: "text/html")
                    }
                    state.confirmed = max(state.confirmed, offset - 1)
                    state.updates.removeAll { $0.number < offset }
                }
                let due = state.updates.prefix(100).map(\.body)
                guard !due.isEmpty || clock.now >= end || state.isStopped else { return nil }
                return .http(200, JSONValue.object(["ok": .bool(true), "result": .array(Array(due))]).canonicalText)
            }
            if let step { return [step] }
            usleep(5_000)
        }
    }

    private static func refusal(_ number: Int, _ state: inout State) -> ScriptedServer.Step? {
        func refuse(_ status: Int, _ words: String, _ more: String = "") -> ScriptedServer.Step {
            state.refusals.append(status)
            return .http(status, #"{"ok":false,"error_code":\#(status),"description":"\#(words)"\#(more)}"#)
        }
        if state.hasWebhook {
            return refuse(
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first")
        }
        if let seconds = state.retryAfter {
            state.retryAfter = nil
            state.throttledAt = ContinuousClock().now
            return refuse(429, "Too Many Requests: retry after \(seconds)", #","parameters":{"retry_after":\#(seconds)}"#)
        }
        if number < state.asking {
            return refuse(
                409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")
        }
        return nil
    }
}
