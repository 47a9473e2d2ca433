public import SerinModel
public import SerinPorts

/// What came of a command.
public struct Deed: Sendable, Hashable {
    /// What kind of thing that was.
    public enum Kind: Sendable, Hashable {
        /// It was carried out, and is durable.
        case done
        /// Its sender is told how things stand; nothing was to be done.
        case told
        /// Nothing was done: there was nothing to do it to, or it was refused.
        case nothing
        /// Nothing was done: nobody here has a rollout or service of that name.
        case unknown
    }

    /// The kind.
    public var kind: Kind
    /// What its sender is told.
    public var words: String

    /// What came of a command.
    public init(_ kind: Kind, _ words: String) {
        self.kind = kind
        self.words = words
    }
}

/// Carries out what messages ask for.
public protocol HookOrders: Sendable {
    /// The live rollout that a command is for; nil when there is none, or it cannot be told.
    func reached(by command: ChannelCommand) async -> RolloutID?

    /// Carries a command out, or decides not to. Fails when it could not be made durable; the message says what was done all the same.
    func perform(_ command: ChannelCommand) async throws(Failure) -> Deed
}

/// Receives requests on hooks: from the first look at the sender to the answer, so that a message acts once.
///
/// A message is remembered once it was carried out. A halt or hold of which nothing was done is not: it acts when it comes again and
/// there is something to stop. Where the same words may rightly be sent again, as by an alert that still fires, a halt is one and
/// the same only for the same rollout.
public struct HookReception: Sendable {
    /// What came of a request.
    public struct Receipt: Sendable, Hashable {
        /// What to answer.
        public var answer: HookAnswer
        /// What to send to the channel besides, where the answer itself is not shown.
        public var later: ReplyForm.Later?
        /// For the log and as a label: `accepted`, `nothing`, `duplicate`, `handshake`, `ignored`, `unclear`, `unavailable`,
        /// `forbidden`, or a refusal's reason.
        public var result: String
        /// What to log besides; no part of what a stranger sent.
        public var detail: String
        /// The commands that were carried out by this delivery.
        public var carriedOut: [ChannelCommand] = []
        /// What its sender is told of each command, where a group asks for several.
        var words = ""
        /// Whether it is to be sent again.
        var isUnavailable = false
    }

    private let inbox: any Inbox

    /// A reception that remembers messages there.
    public init(inbox: any Inbox) { self.inbox = inbox }

    /// Receives one request.
    public func receive(
        _ request: HookRequest, by hook: InboundHook, at now: Instant, orders: any HookOrders
    ) async -> Receipt {
        let message: VerifiedMessage
        do throws(HookRefusal) { message = try hook.verify(request, at: now) } catch {
            return Receipt(answer: error.answer, result: error.reason.rawValue, detail: error.detail)
        }
        return await receive(message, by: hook, at: now, orders: orders)
    }

    /// Receives a message that is known to be the sender's.
    func receive(
        _ message: VerifiedMessage, by hook: InboundHook, at now: Instant, orders: any HookOrders
    ) async -> Receipt {
        switch hook.read(message, at: now) {
        case .handshake(let answer): return Receipt(answer: answer, result: "handshake", detail: "")
        case .ignored(let why, let answer): return Receipt(answer: answer, result: "ignored", detail: why)
        case .stranger(let who, let answer): return Receipt(answer: answer, result: "forbidden", detail: who)
        case .unclear(let why, let answer, let later):
            return Receipt(answer: answer, later: later, result: "unclear", detail: why)
        case .commands(let commands, let unclear):
            var receipts: [Receipt] = []
            for command in commands { receipts.append(await carryOut(command, by: hook, at: now, orders)) }
            if let unclear {
                receipts.append(
                    Receipt(
                        answer: ReplyForm.machine.unclear(unclear), result: "unclear", detail: unclear, words: unclear))
            }
            return summary(receipts)
        }
    }

    private func carryOut(
        _ command: ChannelCommand, by hook: InboundHook, at now: Instant, _ orders: any HookOrders
    ) async -> Receipt {
        if let refusal = command.refusal {
            return Receipt(
                answer: command.reply.answer(refusal), later: command.reply.unshown(refusal), result: "forbidden",
                detail: command.words)
        }
        var key = command.replay
        // Whether the deed is worth remembering: that a rollout was stopped says nothing of the next one.
        var isKept = true
        if command.verb.isSafeToRepeat, key.isRepeatable {
            if let rollout = await orders.reached(by: command) { key.message += "@\(rollout)" } else { isKept = false }
        }
        do throws(Failure) {
            switch try await inbox.claim(key, isSafeToRepeat: command.verb.isSafeToRepeat, at: now) {
            case .taken: break
            case .underWay:
                // Whether that one ends well is not known yet: who sends again is asked to.
                return Receipt(
                    answer: command.reply.unavailable("this message is already being dealt with"), result: "duplicate",
                    detail: "\(command.words) is under way", isUnavailable: true)
            case .settled(let bytes):
                let words = String(decoding: bytes, as: UTF8.self)
                return Receipt(
                    answer: command.reply.answer(words), result: "duplicate", detail: "\(command.words) was dealt with before",
                    words: words)
            }
        } catch {
            // To stop needs no memory of what was stopped; to go on does.
            guard command.verb.isSafeToRepeat else {
                return unavailable(
                    command, error, "not done: \(command.words) could not be recorded; try again")
            }
        }
        let deed: Deed
        do throws(Failure) { deed = try await orders.perform(command) } catch {
            // The claim then ends by itself.
            try? await inbox.release(key)
            // What was done all the same is said there: a weight is lowered, or a halt file left, without any record.
            return unavailable(command, error, "not recorded, try again: \(command.words): \(error.message)")
        }
        // What lets a release go on is decided upon once, whatever came of it.
        if command.verb.isSafeToRepeat && deed.kind != .done { isKept = false }
        // The command is durable. A message that is not settled is carried out once more at worst, and only to stop.
        if isKept {
            try? await inbox.settle(key, answer: Array(deed.words.utf8))
        } else {
            // The claim then ends by itself.
            try? await inbox.release(key)
        }
        return receipt(of: command, deed, by: hook)
    }

    private func receipt(of command: ChannelCommand, _ deed: Deed, by hook: InboundHook) -> Receipt {
        var receipt = Receipt(
            answer: command.reply.answer(deed.words), later: command.reply.unshown(deed.words), result: "accepted",
            detail: "\(command.words): \(deed.words)", words: deed.words)
        switch deed.kind {
        case .done: receipt.carriedOut = [command]
        case .told: break
        case .nothing: receipt.result = "nothing"
        case .unknown:
            // The services that are listed are known, whether or not there was a rollout of them yet.
            receipt.result = hook.services.isEmpty ? "unclear" : "nothing"
            if hook.services.isEmpty, hook.kind.looksAtStatus { receipt.answer = command.reply.unclear(deed.words) }
        }
        return receipt
    }

    private func unavailable(_ command: ChannelCommand, _ failure: Failure, _ words: String) -> Receipt {
        Receipt(
            answer: command.reply.unavailable(words), result: "unavailable", detail: "\(command.words): \(failure.message)",
            words: words, isUnavailable: true)
    }

    /// One answer for a group of alerts. It is to be sent again when one part could not be done, and what was done is a duplicate
    /// then; a part that nobody here can do is complained of. Every part is named in the answer and in the log.
    private func summary(_ receipts: [Receipt]) -> Receipt {
        let order = ["unavailable", "unclear", "accepted", "nothing"]
        func rank(_ receipt: Receipt) -> Int {
            receipt.isUnavailable ? 0 : order.firstIndex(of: receipt.result) ?? order.count
        }
        guard var whole = receipts.min(by: { rank($0) < rank($1) }) else {
            return Receipt(answer: HookAnswer(status: 200), result: "ignored", detail: "")
        }
        guard receipts.count > 1 else { return whole }
        whole.carriedOut = receipts.flatMap(\.carriedOut)
        whole.detail = receipts.map { "\($0.result): \($0.detail)" }.joined(separator: "; ")
        if !whole.isUnavailable {
            let status = whole.answer.status
            whole.answer = ReplyForm.machine.answer(receipts.map(\.words).joined(separator: "; "))
            whole.answer.status = status
        }
        return whole
    }
}

extension ChannelCommand {
    /// `halt checkout`.
    fileprivate var words: String { "\(verb.rawValue) \(target)" }
}
