internal import Glibc
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts
internal import SerinSQLite
internal import SerinServer
internal import SerinTransport

/// Finds who is in charge of a rollout: the `serin run` that is its own controller, or the daemon of all services.
struct ControllerLocator: Sendable {
    let state: StateRoot
    let timeout: Duration

    /// - Parameter looksOnce: Whether a person looks once and nothing is lost without the answer: then 7 s is the limit, unless
    ///   `--timeout` says otherwise.
    init(_ session: Session, looksOnce: Bool = false) {
        state = session.state
        // A short wait is for the rollout; an answer from a busy controller may take longer than that.
        timeout = min(max(session.globals.timeout ?? .seconds(looksOnce ? 7 : 20), .seconds(5)), .seconds(20))
    }

    /// The sockets at which the one in charge of a name may answer, the nearest first.
    func sockets(for name: String) -> [String] {
        StateRoot.services(named: name).map(state.socket) + [state.daemonSocket]
    }

    /// The controller in charge of a rollout or service; nil when nobody answers.
    func controller(for name: String) throws(OperationError) -> RemoteController? {
        guard let socket = sockets(for: name).first(where: UnixSocket.answers) else {
            // Behind the socket of a daemon that was killed nobody answers anyone, whatever rights there are.
            guard !UnixSocket.isAbandoned(state.daemonSocket) else { return nil }
            for socket in sockets(for: name) { try refuseClosed(socket, "the controller of '\(name)'") }
            return nil
        }
        return RemoteController(transport: try transport(), socket: socket, timeout: timeout)
    }

    /// Refuses to take for silent whom this user may not ask.
    private func refuseClosed(_ socket: String, _ whom: String) throws(OperationError) {
        guard let owner = UnixSocket.deniedBy(socket) else { return }
        throw .refused(
            Refusal(
                "you may not ask \(whom): \(socket) is closed to you and belongs to \(userName(owner))",
                hint: "ask as that user, or start the controller with --socket-group GROUP"
                    + (socket == state.daemonSocket ? "" : "; a daemon would answer at \(state.daemonSocket), and none does")))
    }

    /// The services that have a folder. Who may ask the daemon but not read the state folder is told of none.
    func services() throws(Failure) -> [ServiceName] {
        do {
            return try state.services()
        } catch {
            guard UnixSocket.answers(at: state.daemonSocket) else { throw error }
            return []
        }
    }

    /// What one of several controllers that were asked side by side answered; `service` is nil for the daemon.
    struct Answer: Sendable {
        var service: ServiceName?
        var statuses: Result<[RolloutStatus], OperationError>
    }

    /// For one answer when several are asked: one that stands still must not hide the others for long.
    static let shortLimit = Duration.seconds(2)

    /// Asks every controller that takes a connection, the daemon and those of these services, side by side.
    func answers(of services: [ServiceName]) async throws(OperationError) -> [Answer] {
        var asked: [(service: ServiceName?, socket: String)] = services.map { ($0, state.socket(of: $0)) }
        asked.append((nil, state.daemonSocket))
        let open = asked.filter { UnixSocket.answers(at: $0.socket) }
        guard !open.isEmpty else { return [] }
        let transport = try transport()
        return await withTaskGroup(of: Answer.self) { group in
            for one in open {
                let controller = RemoteController(
                    transport: transport, socket: one.socket, timeout: min(timeout, Self.shortLimit))
                group.addTask {
                    do throws(OperationError) {
                        return Answer(service: one.service, statuses: .success(try await controller.statuses()))
                    } catch {
                        return Answer(service: one.service, statuses: .failure(error))
                    }
                }
            }
            var answers: [Answer] = []
            for await answer in group { answers.append(answer) }
            return answers.sorted { ($0.service?.description ?? "") < ($1.service?.description ?? "") }
        }
    }

    /// The daemon; nil when it does not answer.
    func daemon() throws(OperationError) -> RemoteController? {
        guard UnixSocket.answers(at: state.daemonSocket) else {
            try refuseClosed(state.daemonSocket, "the daemon")
            return nil
        }
        return RemoteController(transport: try transport(), socket: state.daemonSocket, timeout: timeout)
    }

    /// The daemon, for who may not open the catalogue of the backups; nil for who may.
    func approvalDesk() throws(OperationError) -> RemoteController? {
        let path = SQLiteCatalogue.path(under: state.path)
        guard access(path, R_OK | W_OK) != 0, errno == EACCES else { return nil }
        if UnixSocket.answers(at: state.daemonSocket), let daemon = try daemon() { return daemon }
        throw .refused(
            Refusal(
                "the catalogue \(path) is closed to you, and no daemon answers you at \(state.daemonSocket)",
                hint: "serin daemon --socket-group GROUP lets the members of a group that you are in approve through it"))
    }

    /// The controller in charge, or else the service's journal to read in.
    func reader(for name: String, assembly: Assembly) async throws(OperationError) -> any RolloutOperations {
        if let controller = try controller(for: name) { return controller }
        for service in StateRoot.services(named: name) {
            if let journal = try await assembly.openJournal(service, state) { return journal }
        }
        try await refuseUnknown(name)
        if access(state.path, R_OK | X_OK) != 0, errno == EACCES {
            throw .unavailable(nobodyAnswers(name) + "; what \(state.path) holds of it is closed to you")
        }
        throw .unavailable(
            nobodyAnswers(name)
                + ", and there is no journal of it in \(state.path)\nhint: serin status lists what is there; --state or "
                + "SERIN_STATE names another state folder")
    }

    /// The rollout of a service that is not over, whoever is in charge of it; nil when there is none. That it cannot be told is an error
    /// for whoever would be in its way.
    func unfinished(of service: ServiceName, assembly: Assembly) async throws(OperationError) -> RolloutStatus? {
        let name = service.description
        let path = StateFolder(under: state.path, service: service).journal
        do throws(OperationError) {
            let status: RolloutStatus
            if let controller = try controller(for: name) {
                status = try await controller.status(of: name)
            } else if let journal = try await assembly.openJournal(service, state) {
                status = try await journal.status(of: name)
            } else if access(path, F_OK) != 0, errno != ENOENT, errno != ENOTDIR {
                throw .unavailable("\(path) cannot be looked at: \(String(cString: strerror(errno)))")
            } else {
                return nil
            }
            return status.isFinal ? nil : status
        } catch {
            // Where a controller or a journal answers that it has none, there is none.
            if case .notFound = error { return nil }
            throw error
        }
    }

    /// What has to be said about a rollout that is not over and that nobody controls: its status is as old as the journal.
    static func unattended(_ status: RolloutStatus) -> String {
        "no controller is in charge of \(status.id): this is what its journal said last, and the weight may have changed since\n"
            + "hint: serin run POLICY --continue takes it up; serin halt \(status.service) then stops it"
    }

    /// What is said when nobody answers for a name.
    func nobodyAnswers(_ name: String) -> String {
        "no controller answers for '\(name)' (tried \(sockets(for: name).joined(separator: ", ")))"
    }

    // MARK: Names that nothing has

    /// Does what is asked of a rollout or service by name. Where there is none of it, the error says which there are.
    func find<Value>(_ name: String, _ body: () async throws -> Value) async throws -> Value {
        do { return try await body() } catch OperationError.notFound(let text) {
            throw OperationError.notFound(text + (text.contains("\nhint: ") ? "" : "\nhint: " + (await suggestions(for: name))))
        }
    }

    /// Refuses a name of which this state folder has nothing although it has others, when nobody answers for it: it is mistyped, and
    /// another try would not help. An empty folder is no proof of that; it may be the wrong one.
    func refuseUnknown(_ name: String) async throws(OperationError) {
        guard !StateRoot.services(named: name).contains(where: state.hasFolder) else { return }
        // A folder that may not be read says nothing about names.
        let known = (try? state.services()) ?? []
        guard !known.isEmpty || RolloutID(name) == nil else { return }
        throw .notFound(
            "there is no rollout or service '\(name)' in \(state.path)\nhint: " + (await suggestions(for: name)))
    }

    /// The known name that was most likely meant, and which there are.
    private func suggestions(for name: String) async -> String {
        // Who cannot be asked is left out; what was asked for has failed already.
        let services = (try? state.services()) ?? []
        let statuses = ((try? await answers(of: services)) ?? []).flatMap { (try? $0.statuses.get()) ?? [] }
        let names = Set(services + statuses.map(\.service)).map(\.description).sorted()
        let elsewhere = "--state or SERIN_STATE names another state folder"
        guard !names.isEmpty else { return "no service is known in \(state.path); \(elsewhere)" }
        let service = StateRoot.services(named: name).last?.description ?? name
        let isKnown = names.contains(name)
        let meant =
            isKnown ? nil : closest(to: name, among: names + statuses.map(\.id.description)) ?? closest(to: service, among: names)
        let shown = names.prefix(Self.most).joined(separator: ", ")
        let more = names.count > Self.most ? " and \(names.count - Self.most) more, which serin status lists" : ""
        // A service without a rollout is what was meant, and has none.
        return (meant.flatMap { $0 == name ? nil : "did you mean \($0)? " } ?? "") + "known here: \(shown)\(more); \(elsewhere)"
    }

    /// So many names fit into a message.
    private static let most = 20

    private func transport() throws(OperationError) -> Transport {
        do throws(Failure) { return try Transport(connectionLimit: 4) } catch { throw .unavailable(error.description) }
    }
}
