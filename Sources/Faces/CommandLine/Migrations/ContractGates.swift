internal import SerinController
internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// Asks whether what the previous version used may be taken away.
struct ContractGates {
    let contract: MigrationPolicy.Contract
    let service: ServiceName
    let migrations: DatabaseMigrations
    let session: Session

    /// Every gate's answer. All are asked, whatever the first one says: who is refused sees at once what is missing.
    func answers(key: String) async -> [GateAnswer] {
        let last = await Self.lastRollout(of: service, session)
        // Where something else promotes, whoever knows that the old version is gone says so.
        let isGoneAsked = if case .notNeeded = contract.oldVersionGone { false } else { true }
        var answers = [Self.sincePromotion(last, contract.after, session.now, service, orPassed: isGoneAsked)]
        var context = ActionContext(key: key, service: service, version: "", previous: "")
        if case .success(let status) = last { (context.version, context.previous) = (status.version, status.previous) }
        for (name, gate) in [
            ("old_version_gone", contract.oldVersionGone), ("dual_write", contract.dualWrite), ("backfill", contract.backfill),
        ] {
            answers.append(await answer(name, gate, context))
        }
        return answers
    }

    static func lastRollout(of service: ServiceName, _ session: Session) async -> Result<RolloutStatus, OperationError> {
        do throws(OperationError) {
            let reader = try await ControllerLocator(session).reader(for: service.description, assembly: session.assembly)
            return .success(try await reader.status(of: service.description))
        } catch { return .failure(error) }
    }

    /// The version that runs must have been promoted, and long enough ago: until then people may want to go back.
    ///
    /// - Parameter orPassed: Whether a rollout counts that passed without a promote action, after which the previous version serves
    ///   everyone until something else promotes.
    static func sincePromotion(
        _ last: Result<RolloutStatus, OperationError>, _ after: Duration, _ now: Instant, _ service: ServiceName,
        orPassed: Bool = false
    ) -> GateAnswer {
        switch last {
        case .failure(let error):
            return GateAnswer(
                gate: "after", passed: false, words: "when \(service) was promoted cannot be read: \(error.description)")
        case .success(let status):
            guard status.isFinal, status.ending == .promoted else {
                return GateAnswer(
                    gate: "after", passed: false, words: "the last rollout, \(status.id), was not promoted: \(status.state)")
            }
            let isPromoted = status.state == "promoted"
            guard isPromoted || orPassed else {
                return GateAnswer(
                    gate: "after", passed: false,
                    words: "the last rollout, \(status.id), passed, and Serin promotes nothing here: "
                        + "\(status.previous.isEmpty ? "the previous version" : status.previous) may still serve everyone")
            }
            let passed = status.since + after <= now
            return GateAnswer(
                gate: "after", passed: passed,
                words: "\(status.version) \(isPromoted ? "was promoted" : "passed") at \(status.since); "
                    + "\(after) must have passed by \(now)")
        }
    }

    private func answer(_ name: String, _ gate: MigrationPolicy.Contract.Gate, _ context: ActionContext) async -> GateAnswer {
        do throws(Failure) {
            switch gate {
            case .notNeeded(let reason): return GateAnswer(gate: name, passed: true, words: "not asked: \(reason)")
            case .query(let query):
                let left = try await migrations.refusal(of: query)
                return GateAnswer(gate: name, passed: left == nil, words: "\(query) gave \(left ?? "0 or true")")
            case .probe(let action):
                switch try await session.assembly.migrations.probe(action, context) {
                case .done(let output): return GateAnswer(gate: name, passed: true, words: "yes: \(output.suffix(500))")
                case .failed(let failure, let output):
                    return GateAnswer(gate: name, passed: false, words: "no: \(failure.message) \(output.suffix(500))")
                case .unknown(let failure):
                    return GateAnswer(gate: name, passed: false, words: "no answer: \(failure.message)")
                }
            }
        } catch { return GateAnswer(gate: name, passed: false, words: "no answer: \(error.message)") }
    }
}
