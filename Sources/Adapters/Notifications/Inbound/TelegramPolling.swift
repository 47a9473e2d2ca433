public import SerinCrypto
public import SerinModel
public import SerinPorts
public import SerinTransport

/// Receives Telegram's updates by long polling, for hosts that nobody outside can reach.
///
/// An update is asked for again until it is dealt with, and dealt with once, as one that came by webhook is.
public struct TelegramPolling: Sendable {
    private let hook: InboundHook
    private let bot: TelegramCalls
    private let reception: HookReception
    private let transport: Transport
    private let clock: any Clock
    /// How long the server holds an empty answer back, in seconds.
    private let patience: Int64

    /// Polling for a hook of the kind `telegram`.
    public init(
        hook: InboundHook, token: Secret, api: String = "https://api.telegram.org", patience: Int64 = 25,
        reception: HookReception, transport: Transport, clock: any Clock
    ) {
        self.hook = hook
        bot = TelegramCalls(token: token, api: api)
        self.reception = reception
        self.transport = transport
        self.clock = clock
        self.patience = patience
    }

    /// Polls until the task is cancelled.
    ///
    /// - Parameter report: Told what came of each update, and what an exchange failed with.
    public func run(
        orders: any HookOrders, report: @Sendable (Result<HookReception.Receipt, Failure>) -> Void
    ) async {
        var next: Int64?
        var failures = 0
        while !Task.isCancelled {
            do throws(Failure) {
                next = try await poll(from: next, orders: orders, report: report)
                failures = 0
            } catch {
                if Task.isCancelled { return }
                report(.failure(error))
                failures += 1
                let pause = Duration.seconds(min(1 << Int64(min(failures, 6) - 1), 60))
                await clock.sleep(for: max(pause, error.retryAfter ?? .zero))
            }
        }
    }

    /// Asks once and deals with what came; returns the number to ask from next.
    func poll(
        from next: Int64?, orders: any HookOrders, report: @Sendable (Result<HookReception.Receipt, Failure>) -> Void
    ) async throws(Failure) -> Int64? {
        var parameters: [JSONValue.Member] = [
            .init("timeout", .integer(patience)),
            .init("allowed_updates", .array([.string("message"), .string("callback_query")])),
        ]
        if let next { parameters.append(.init("offset", .integer(next))) }
        let result: JSONValue
        do throws(TelegramCalls.Refusal) {
            result = try await bot.call(
                "getUpdates", .sortedObject(parameters), transport, timeout: .seconds(patience + 10))
        } catch { throw error.failure }
        // Everything before was confirmed by asking. After a week without any, numbers begin anew and may be smaller.
        guard result.items?.isEmpty == false else { return nil }
        var next = next
        for update in result.items ?? [] {
            guard let number = update["update_id"]?.integer else { continue }
            let request = HookRequest(headers: [], body: update.canonicalBytes)
            // It came over a connection that this side opened, to a name that its certificate proves.
            let message = VerifiedMessage(request: request, isReplayProof: false, fingerprint: "update:\(number)")
            let receipt = await reception.receive(message, by: hook, at: clock.wall, orders: orders)
            report(.success(receipt))
            if receipt.result == "unavailable" {
                throw Failure(.transient, "update \(number) of telegram could not be dealt with: \(receipt.detail)")
            }
            next = saturatingSum([number, 1])
            await say(receipt.answer)
        }
        return next
    }

    /// The answer of a webhook names a call; here it is made.
    private func say(_ answer: HookAnswer) async {
        // An answer that names no call says nothing.
        guard let value = try? JSONValue(parsing: answer.body), case .object(let members) = value,
            let method = value["method"]?.text, ["sendMessage", "answerCallbackQuery"].contains(method)
        else { return }
        // The command stands, whether or not its sender is told so here; the rollout's own notifications follow.
        _ = try? await bot.call(method, .sortedObject(members.filter { $0.key != "method" }), transport)
    }
}
