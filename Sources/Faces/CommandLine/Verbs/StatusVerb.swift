internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinProcesses
internal import SerinRollouts

extension Subcommand {
    static let status = Subcommand(
        "status", summary: "where rollouts stand",
        details: """
            Shows the live rollout of each service, or its last one. A controller that does not answer within 2 s is named, and the
            others are shown; exit 75 only when none answers. Looking on is exit 0 however the rollout stands; serin wait ends with its
            exit code.
            """,
        examples: ["serin status", "serin status checkout --watch", "serin status -o json"]
    ) { input throws(UsageError) in
        let watch = try input.flag("-w", "--watch", help: "go on showing it until it is final")
        let name = try input.optionalPositional("ROLLOUT", help: "a rollout or a service; all when left out")
        return { session in
            guard let name else {
                guard !watch else { throw UsageError("--watch needs a rollout or a service") }
                return try await showAll(session)
            }
            return try await ControllerLocator(session).find(name) {
                watch ? try await watchOne(name, session) : try await showOne(name, session)
            }
        }
    }

    private static func showOne(_ name: String, _ session: Session) async throws -> ExitCode {
        let reader = try await ControllerLocator(session, looksOnce: true).reader(for: name, assembly: session.assembly)
        let status = try await reader.status(of: name)
        if !status.isFinal, !(reader is RemoteController) { session.complain(ControllerLocator.unattended(status)) }
        session.data(StatusDocument.encode(status)) { style in
            StatusView.block(status, style: style, width: session.console.isDataTerminal ? session.console.width() : .max)
        }
        return .ok
    }

    private static func watchOne(_ name: String, _ session: Session) async throws -> ExitCode {
        let reader = try await ControllerLocator(session).reader(for: name, assembly: session.assembly)
        let watch = RolloutWatch(reader, name: name, session: session, timeout: session.globals.timeout)
        let result = try await watch.run(after: try await watch.lastDecision())
        if session.globals.output != .jsonl {
            session.data(StatusDocument.encode(result.status)) { style in
                StatusView.block(
                    result.status, style: style, width: session.console.isDataTerminal ? session.console.width() : .max)
            }
        }
        // Looking on is done, however the rollout ended; `wait` is for its exit code.
        return result.code == .timedOut ? .timedOut : .ok
    }

    private static func showAll(_ session: Session) async throws -> ExitCode {
        let locator = ControllerLocator(session)
        var statuses: [RolloutStatus] = []
        var code = ExitCode.ok
        // A service of the daemon answers at its own socket as well as at the daemon's.
        let services = try locator.services()
        let answers = try await locator.answers(of: services)
        var answered: Set<ServiceName> = []
        for answer in answers {
            switch answer.statuses {
            case .success(let found):
                // One that has none is asked, too: its journal is not looked at instead.
                if let service = answer.service { answered.insert(service) }
                statuses += found.filter { status in !statuses.contains { $0.id == status.id } }
            case .failure(let error):
                // Its journal is behind what it does, so that is not shown instead.
                if let service = answer.service { answered.insert(service) }
                let who = answer.service.map { "the controller of \($0)" } ?? "the daemon"
                session.complain("\(who) does not answer: \(error.description)")
            }
        }
        if !answers.isEmpty, !answers.contains(where: { if case .success = $0.statuses { true } else { false } }) {
            code = .unreachable
        }
        answered.formUnion(statuses.map(\.service))
        for service in services where !answered.contains(service) {
            do throws(OperationError) {
                if let journal = try await session.assembly.openJournal(service, session.state) {
                    let found = try await journal.statuses()
                    for status in found where !status.isFinal { session.complain(ControllerLocator.unattended(status)) }
                    statuses += found
                }
            } catch {
                // One service that cannot be read must not hide the others.
                code = session.complain(error)
            }
        }
        statuses.sort { ($0.service, $0.id) < ($1.service, $1.id) }
        if session.globals.output == .jsonl {
            session.data(statuses.map { StatusDocument.encode($0).canonicalText })
        } else {
            session.data(StatusDocument.encode(statuses)) { style in
                statuses.isEmpty ? [] : StatusView.table(statuses).lines(style)
            }
            if statuses.isEmpty, code == .ok { session.note("no rollouts in \(session.state.path)") }
        }
        let halt = HaltFile(path: session.state.haltFile)
        if let order = halt.command() {
            session.complain(
                "\(halt.path) halts every rollout and lets none begin (\(order.by): \(order.reason))\nhint: rm "
                    + "\(shellWord(halt.path)) once rollouts may go on")
        }
        for line in await DaemonComplaints(socket: session.state.daemonSocket).lines() { session.complain(line) }
        for line in await UndeliveredNotices(socket: session.state.daemonSocket).lines() { session.complain(line) }
        return code
    }
}
