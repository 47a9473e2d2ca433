internal import SerinController
internal import SerinModel
internal import SerinNotifications
internal import SerinRollouts
internal import SerinSQLite

/// Carries out what messages ask for, by the same operations that everyone else uses, and says in words what came of it.
struct ChannelOrders: Sendable {
    /// How long an order may take to be durable: chats wait three seconds for their answer.
    static let limit = Duration.seconds(2)

    let operations: any RolloutOperations
    let state: StateRoot

    /// Does what a message asks for.
    ///
    /// - Returns: What its sender is told; also why it was refused, which sending again would not change.
    /// - Throws: When it could not be made durable in time. It may be all the same, and asking again does no harm.
    func perform(_ order: ChannelCommand) async throws(Failure) -> String {
        let result: Result<RolloutStatus, OperationError>? = await first(within: Self.limit) { await attempt(order) }
        switch result {
        case .success(let status): return words(of: order, status)
        case .failure(.unavailable(let text)): throw Failure(.transient, text)
        case .failure(.notFound(let text)):
            if order.verb == .halt, let words = try haltElsewhere(order) { return words }
            return "nothing was done: \(text)"
        case .failure(let error): return "nothing was done: \(error)"
        case nil: throw Failure(.unknown, "\(order.verb.rawValue) \(order.target) was not recorded within \(Self.limit)")
        }
    }

    private func attempt(_ order: ChannelCommand) async -> Result<RolloutStatus, OperationError> {
        let name = order.target.description
        do throws(OperationError) {
            guard let verb = Command.Verb(rawValue: order.verb.rawValue) else {
                return .success(try await operations.status(of: name))
            }
            let principal = order.person.map { Principal(channel: "person", identity: $0) } ?? order.by
            // An approval names the plan it is for before its words.
            var plan: String?
            if verb == .approve, let first = order.reason.split(separator: " ").first, first.count >= 12,
                first.allSatisfy(\.isHexDigit)
            {
                plan = String(first)
            }
            return .success(
                try await operations.perform(Command(verb, by: principal, reason: reason(of: order), plan: plan), on: name))
        } catch { return .failure(error) }
    }

    private func reason(of order: ChannelCommand) -> String {
        let words = order.reason.isEmpty ? "asked by \(order.by.channel)" : order.reason
        // The person is in the journal; how the words came is worth keeping too.
        return order.person == nil ? words : "\(words) (\(order.by))"
    }

    /// A `serin run` beside the daemon is its own controller: its halt file reaches it, and outlasts whatever happens to it.
    private func haltElsewhere(_ order: ChannelCommand) throws(Failure) -> String? {
        for service in StateRoot.services(named: order.target.description) {
            guard ServiceLock.holder(of: StateFolder(under: state.path, service: service)) != nil else { continue }
            try HaltFile(path: state.haltFile(of: service)).make(reason: "\(order.by): \(reason(of: order))")
            return "\(service): another process is in charge of it and was told to halt by its halt file"
        }
        return nil
    }

    private func words(of order: ChannelCommand, _ status: RolloutStatus) -> String {
        let weight = status.observedWeight.map { "weight \($0)" } ?? "weight not known"
        let how = "\(status.id): \(status.state), \(weight). \(status.cause)"
        switch order.verb {
        case .status: return how
        case .halt: return "halt of \(status.service) \(status.version) is recorded. \(how)"
        case .hold, .resume, .promote, .approve: return "\(order.verb.rawValue) is recorded. \(how)"
        }
    }
}
