public import SerinModel
public import SerinPorts

/// Receives requests on hooks: from the first look at the sender to the answer, so that a message acts once.
public struct HookReception: Sendable {
    /// Carries a command out, or decides not to, and says so in words. Fails when it could not be made durable.
    public typealias Action = @Sendable (ChannelCommand) async throws(Failure) -> String

    /// What came of a request.
    public struct Receipt: Sendable, Hashable {
        /// What to answer.
        public var answer: HookAnswer
        /// What to send to the channel besides, where the answer itself is not shown.
        public var later: ReplyForm.Later?
        /// For the log and as a label: `accepted`, `duplicate`, `handshake`, `ignored`, `unclear`, `unavailable`, `forbidden`, or a
        /// refusal's reason.
        public var result: String
        /// What to log besides; no part of what a stranger sent.
        public var detail: String
        /// The commands that were carried out by this delivery.
        public var carriedOut: [ChannelCommand] = []
    }

    private let inbox: any Inbox

    /// A reception that remembers messages there.
    public init(inbox: any Inbox) { self.inbox = inbox }

    /// Receives one request.
    public func receive(
        _ request: HookRequest, by hook: InboundHook, at now: Instant, perform: Action
    ) async -> Receipt {
        let message: VerifiedMessage
        do throws(HookRefusal) { message = try hook.verify(request, at: now) } catch {
            return Receipt(answer: error.answer, result: error.reason.rawValue, detail: error.detail)
        }
        return await receive(message, by: hook, at: now, perform: perform)
    }

    /// Receives a message that is known to be the sender's.
    func receive(
        _ message: VerifiedMessage, by hook: InboundHook, at now: Instant, perform: Action
    ) async -> Receipt {
        switch hook.read(message, at: now) {
        case .handshake(let answer): return Receipt(answer: answer, result: "handshake", detail: "")
        case .ignored(let why, let answer): return Receipt(answer: answer, result: "ignored", detail: why)
        case .unclear(let why, let answer, let later):
            return Receipt(answer: answer, later: later, result: "unclear", detail: why)
        case .commands(let commands):
            var receipts: [Receipt] = []
            for command in commands { receipts.append(await carryOut(command, at: now, perform: perform)) }
            return summary(receipts)
        }
    }

    private func carryOut(_ command: ChannelCommand, at now: Instant, perform: Action) async -> Receipt {
        if let refusal = command.refusal {
            return Receipt(
                answer: command.reply.answer(refusal), later: command.reply.unshown(refusal), result: "forbidden",
                detail: command.verb.rawValue)
        }
        do throws(Failure) {
            let isRepeatable = command.verb.isSafeToRepeat
            switch try await inbox.claim(command.replay, isSafeToRepeat: isRepeatable, at: now) {
            case .taken: break
            case .underWay:
                // Whether that one ends well is not known yet: who sends again is asked to.
                return Receipt(
                    answer: command.reply.unavailable("this message is already being dealt with"), result: "duplicate",
                    detail: "under way")
            case .settled(let words):
                let answer = command.reply.answer(String(decoding: words, as: UTF8.self))
                return Receipt(answer: answer, result: "duplicate", detail: "dealt with before")
            }
        } catch {
            // To stop needs no memory of what was stopped; to go on does.
            guard command.verb.isSafeToRepeat else { return unavailable(command, error) }
        }
        let words: String
        do throws(Failure) { words = try await perform(command) } catch {
            // The claim then ends by itself.
            try? await inbox.release(command.replay)
            return unavailable(command, error)
        }
        // The command is durable. A message that is not settled is carried out once more at worst, and only to stop.
        try? await inbox.settle(command.replay, answer: Array(words.utf8))
        return Receipt(
            answer: command.reply.answer(words), later: command.reply.unshown(words), result: "accepted",
            detail: command.verb.rawValue, carriedOut: [command])
    }

    private func unavailable(_ command: ChannelCommand, _ failure: Failure) -> Receipt {
        Receipt(
            answer: command.reply.unavailable(
                "not done: \(command.verb.rawValue) \(command.target) could not be recorded; try again"),
            result: "unavailable", detail: failure.message)
    }

    /// One answer for a group of alerts: to be sent again when one part could not be done; what was done is then a duplicate.
    private func summary(_ receipts: [Receipt]) -> Receipt {
        var whole =
            receipts.first { $0.result == "unavailable" } ?? receipts.first { $0.result == "accepted" } ?? receipts.first
            ?? Receipt(answer: HookAnswer(status: 200), result: "ignored", detail: "")
        whole.carriedOut = receipts.flatMap(\.carriedOut)
        return whole
    }
}
