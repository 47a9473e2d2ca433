internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPages
internal import SerinProcesses
internal import SerinRollouts

extension DaemonFaces {
    /// Adds the pages. After every authenticator is known: a session stands for a token that one of them judges.
    ///
    /// - Parameter hosts: The names by which browsers may reach them, beside those of the computer itself.
    mutating func addPages(
        of operations: any RolloutOperations, _ session: Session, backups: any BackupDesk, hosts: [String],
        desk: any ConfigurationDesk, signIn: SignInWays,
        decided: @escaping @Sendable () async throws(Failure) -> [AuditPage.Line],
        checks: @escaping @Sendable () async -> [ReadinessCheck]
    ) throws(Failure) {
        let clock = SystemClock()
        let sessions = try PageSessions(over: Authenticators(authenticators), now: { clock.now() })
        let sources = PageSources(
            operations: operations, now: { clock.now() },
            plan: { charter in
                let plan = Plan(charter.policy, version: charter.version, previous: charter.previous)
                return PlanWords(stages: plan.stages, wayBack: plan.wayBack, earliest: plan.earliest)
            },
            text: { status, decisions in
                let lines = WhyPage.lines(status, decisions: decisions, state: session.state, style: .none)
                return lines.joined(separator: "\n") + "\n"
            },
            backups: { try await backups.state().records },
            decided: decided, desk: desk, signIn: signIn,
            checks: {
                await checks().map { check in
                    let tone: Tone = check.complaint == nil ? .good : check.isFatal ? .bad : .warn
                    return HealthPage.Check(check.name, tone, check.complaint ?? "as it should be")
                }
            }, stateFolder: shellWord(session.state.path), hosts: Set(hosts.map { $0.lowercased() }))
        let pages = Pages(sources, sessions: sessions)
        others += pages.routes
        onUnknown = pages.unknown
        authenticators.append(sessions)
    }
}
