public import SerinCrypto
public import SerinModel
internal import SerinPorts
public import SerinTransport

/// Posts to a chat of Telegram by a bot. The bot's token is part of every address.
public struct TelegramChannel: NotificationChannel {
    private let bot: TelegramCalls
    private let chat: String

    /// A chat, by its number or `@name`.
    public init(token: Secret, chat: String, api: String = "https://api.telegram.org") {
        bot = TelegramCalls(token: token, api: api)
        self.chat = chat
    }

    /// Posts the message, with a button that halts while a rollout goes on.
    public func deliver(_ message: OutboundMessage, at now: Instant, through transport: Transport) async throws(Failure) {
        var parameters = content(of: message.notification)
        parameters.append(.init("chat_id", .string(chat)))
        do throws(TelegramCalls.Refusal) {
            _ = try await bot.call("sendMessage", .sortedObject(parameters), transport)
        } catch {
            // A group that became a supergroup has another number, which the refusal names.
            guard let moved = error.movedTo else { throw error.failure }
            parameters.removeLast()
            parameters.append(.init("chat_id", .integer(moved)))
            do throws(TelegramCalls.Refusal) { _ = try await bot.call("sendMessage", .sortedObject(parameters), transport) } catch
            {
                throw error.failure
            }
        }
    }

    private func content(of notification: Notification) -> [JSONValue.Member] {
        var parameters: [JSONValue.Member] = [
            .init("text", .string(Medium.telegram.text(notification.plainText))),
            .init("link_preview_options", .object(["is_disabled": .bool(true)])),
            .init("disable_notification", .bool(notification.severity == .info)),
        ]
        // A button carries 64 bytes.
        if let rollout = notification.liveRollout, rollout.utf8.count <= 59 {
            let button: JSONValue = .object(["text": .string("Halt"), "callback_data": .string("halt:\(rollout)")])
            parameters.append(.init("reply_markup", .object(["inline_keyboard": .array([.array([button])])])))
        }
        return parameters
    }
}

/// Calls of Telegram's Bot API, whose failures show no token.
struct TelegramCalls: Sendable {
    /// Why a call was not carried out.
    struct Refusal: Error {
        var failure: Failure
        /// The chat's new number.
        var movedTo: Int64?
    }

    let token: Secret
    let api: String

    /// The `result` of a call.
    ///
    /// - Parameter timeout: For the exchange; long polling takes longer than other calls.
    func call(
        _ method: String, _ parameters: JSONValue, _ transport: Transport, timeout: Duration = exchangeTimeout
    ) async throws(Refusal) -> JSONValue {
        let exchange = JSONExchange(
            name: "telegram", url: "", secrets: [token], deed: method == "getUpdates" ? "ask" : "notify")
        var request = HTTPRequest(
            method: "POST", url: "\(api)/bot\(token.revealed)/\(method)",
            headers: [HTTPHeader("Content-Type", "application/json")],
            body: parameters.canonicalBytes, timeout: timeout, bodyLimit: 4 << 20)
        request.publicName = "telegram \(method)"
        let answer: HTTPResponse
        do throws(Failure) { answer = try await transport.send(request) } catch { throw Refusal(failure: error) }
        let value = answer.json
        if answer.isSuccess, let value, value["ok"] == .bool(true), let result = value["result"] { return result }
        let details = value?["parameters"]
        // The error's own number counts, whatever status a proxy made of it.
        var counted = answer
        if let code = value?["error_code"]?.integer, (400..<600).contains(code) { counted.status = Int(code) }
        // A chat that is not there, or that the bot is no member of, is a setting.
        let isSetting = counted.status == 400 && value?["description"]?.text?.lowercased().holds("chat not found") == true
        let failure = exchange.failure(
            counted, isSetting ? .denied : nil, said: value?["description"]?.text ?? "no answer of the Bot API",
            retryAfter: details?["retry_after"]?.integer.map { .seconds(min(max($0, 0), 86_400)) },
            hint: counted.status == 409 ? "another process polls this bot, or a webhook is set for it" : nil)
        throw Refusal(failure: failure, movedTo: details?["migrate_to_chat_id"]?.integer)
    }
}
