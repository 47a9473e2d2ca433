internal import Glibc
internal import SerinController
internal import SerinModel
internal import SerinNotifications
internal import SerinRollouts
internal import SerinSQLite

/// Carries out what messages ask for, by the same operations that everyone else uses, and says in words what came of it.
struct ChannelOrders: HookOrders {
    /// How long an order may take to be durable: chats wait three seconds for their answer.
    static let limit = Duration.seconds(2)

    let operations: any RolloutOperations
    let state: StateRoot
    let unwrittenHalts: UnwrittenHalts

    func reached(by command: ChannelCommand) async -> RolloutID? {
        if command.target == .every { return nil }
        do throws(OperationError) {
            let status = try await operations.status(of: command.target.description)
            return status.isFinal ? nil : status.id
        } catch {
            // A `serin run` beside the daemon says what is live by what it hands over to its watchdog. One that cannot be read is
            // none: the order is then carried out again at worst.
            return elsewhere(command).flatMap {
                try? WatchdogKeeper.handover(StateFolder(under: state.path, service: $0))?.rollout
            }
        }
    }

    /// Does what a message asks for.
    ///
    /// - Returns: What its sender is told; also why it was refused, which sending again would not change.
    /// - Throws: When it could not be made durable in time. It may be all the same, and asking again does no harm. A halt is left as a
    ///   halt file then, which outlasts whatever happens to the controller.
    func perform(_ order: ChannelCommand) async throws(Failure) -> Deed {
        order.target == .every ? try await performOnEvery(order) : try await performOnOne(order)
    }

    /// Asks it of every live rollout, side by side; each is asked, whatever comes of the others.
    private func performOnEvery(_ order: ChannelCommand) async throws(Failure) -> Deed {
        let live: [ServiceName]
        do throws(OperationError) {
            live = try await operations.statuses().filter { !$0.isFinal }.map(\.service)
        } catch {
            throw Failure(.transient, error.description)
        }
        // Also what another process is in charge of, or nobody; a folder without a live rollout is told so.
        let services = Set(live + (try state.services())).sorted()
        var results: [(ServiceName, Result<Deed, Failure>)] = []
        await withTaskGroup(of: (ServiceName, Result<Deed, Failure>).self) { group in
            for service in services {
                var own = order
                own.target = .service(service)
                group.addTask { [own] in
                    do throws(Failure) { return (service, .success(try await performOnOne(own))) } catch {
                        return (service, .failure(error))
                    }
                }
            }
            for await result in group { results.append(result) }
        }
        var words: [String] = []
        for (service, result) in results.sorted(by: { $0.0 < $1.0 }) {
            switch result {
            case .success(let deed): if deed.kind == .done { words.append(deed.words) }
            // Sent again, it finds those that were halted over.
            case .failure(let failure): throw Failure(failure.kind, "\(service): \(failure.message)", hint: failure.hint)
            }
        }
        let untold = "it cannot be told which service is meant, so every live rollout is halted"
        guard !words.isEmpty else { return Deed(.nothing, "\(untold): none is live, nothing was done") }
        return Deed(.done, "\(untold): " + words.joined(separator: "; "))
    }

    private func performOnOne(_ order: ChannelCommand) async throws(Failure) -> Deed {
        let result: Result<RolloutStatus, OperationError>? = await first(within: Self.limit) { await attempt(order) }
        let failure: Failure
        switch result {
        case .success(let status): return Deed(order.verb == .status ? .told : .done, words(of: order, status))
        case .failure(.notFound(let text)):
            let isKnown = StateRoot.services(named: order.target.description).contains(where: state.hasFolder)
            return Deed(isKnown ? .nothing : .unknown, "nothing was done: \(text)")
        case .failure(.unavailable(let text)) where order.verb == .status: return Deed(.told, text)
        case .failure(.unavailable(let text)): failure = Failure(.transient, text)
        case .failure(let error): return Deed(.nothing, "nothing was done: \(error)")
        case nil: failure = Failure(.unknown, "\(order.verb.rawValue) \(order.target) was not recorded within \(Self.limit)")
        }
        guard order.verb == .halt else { throw failure }
        if let service = elsewhere(order) {
            let left = try leaveHaltFile(order, service)
            return Deed(
                .done,
                "\(service): another process is in charge of it and was told to halt by its halt file"
                    + (left == .whole ? "" : ", without who and why: the disk has no room for that"))
        }
        if let service = StateRoot.services(named: order.target.description).first(where: state.hasFolder) {
            // On a full disk it may be impossible; the sender is asked to send again all the same.
            let left: String
            do throws(Failure) {
                let file = "a halt file is left, which halts it whatever happens to the controller"
                left = try leaveHaltFile(order, service) == .whole ? file : "\(file); \(HaltFile.keptReason)"
            } catch { left = "\(error.message); \(HaltFile.keptHalt)" }
            throw Failure(failure.kind, "\(failure.message); \(left)", hint: failure.hint)
        }
        throw failure
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

    /// The service that another process is in charge of. A `serin run` beside the daemon is its own controller: its halt file reaches
    /// it, and outlasts whatever happens to it.
    private func elsewhere(_ order: ChannelCommand) -> ServiceName? {
        StateRoot.services(named: order.target.description).first { service in
            guard let holder = ServiceLock.holder(of: StateFolder(under: state.path, service: service)) else { return false }
            return holder.pid != getpid()
        }
    }

    private func leaveHaltFile(_ order: ChannelCommand, _ service: ServiceName) throws(Failure) -> HaltFile.Left {
        try HaltFile(path: state.haltFile(of: service), unwritten: unwrittenHalts).make(
            reason: "\(order.by): \(reason(of: order))")
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
