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
            let locator = ControllerLocator(session)
            let (reader, explanation) = try await locator.find(name) {
                let reader = try await locator.reader(for: name, assembly: session.assembly)
                do { return (reader, try await Explanation(of: name, from: reader)) } catch OperationError.unavailable(let text)
                    where reader is RemoteController && !text.contains("hint: ")
                {
                    // Its journal is its own while it stands still.
                    throw OperationError.unavailable(
                        text
                            + "\nhint: look at the load balancer; a controller that stands still lowers nothing, its watchdog does, "
                            + "and serin halt \(name) leaves a halt file")
                }
            }
            let status = explanation.status
            let isAttended = reader is RemoteController
            if !isAttended, !status.isFinal { session.complain(ControllerLocator.unattended(status)) }
            session.data(explanation.document(isAttended: isAttended)) {
                WhyPage.lines(status, decisions: explanation.decisions, state: session.state, style: $0, isAttended: isAttended)
            }
            return .ok
        }
    }
}
