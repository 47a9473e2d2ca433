internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinRollouts

extension Subcommand {
    static let why = Subcommand(
        "why", summary: "one page: is it safe, why is it there, what is the evidence", examples: ["serin why checkout"]
    ) { input throws(UsageError) in
        let name = try input.positional("ROLLOUT", help: "a rollout or a service")
        return { session in
            let locator = ControllerLocator(session, looksOnce: true)
            let (explanation, isAttended) = try await locator.find(name) { try await explained(name, locator, session) }
            let status = explanation.status
            if !isAttended, !status.isFinal { session.complain(ControllerLocator.unattended(status)) }
            session.data(explanation.document(isAttended: isAttended)) {
                WhyPage.lines(status, decisions: explanation.decisions, state: session.state, style: $0, isAttended: isAttended)
            }
            return .ok
        }
    }

    /// The rollout explained, and whether by the one in charge of it. One that stands still is not waited for: after 2 s its journal is
    /// read, where that can be.
    private static func explained(
        _ name: String, _ locator: ControllerLocator, _ session: Session
    ) async throws -> (Explanation, isAttended: Bool) {
        let reader = try await locator.reader(for: name, assembly: session.assembly)
        guard let controller = reader as? RemoteController else { return (try await Explanation(of: name, from: reader), false) }
        let quick = RemoteController(
            transport: controller.transport, socket: controller.socket,
            timeout: min(controller.timeout, ControllerLocator.shortLimit))
        do throws(OperationError) {
            return (try await Explanation(of: name, from: quick), true)
        } catch {
            guard case .unavailable(let text) = error else { throw error }
            session.complain("the controller does not answer: \(text)")
            for service in StateRoot.services(named: name) {
                do {
                    guard let journal = try await session.assembly.openJournal(service, session.state) else { continue }
                    return (try await Explanation(of: name, from: journal), false)
                } catch { session.complain("\(error)") }
            }
            session.complain(
                "waiting \(controller.timeout) for its answer, as its journal cannot be read\nhint: look at the "
                    + "load balancer; serin halt \(name) leaves a halt file, at which the watchdog lowers the weight")
            return (try await Explanation(of: name, from: controller), true)
        }
    }
}
