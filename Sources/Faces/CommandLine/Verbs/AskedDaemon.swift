internal import SerinAPI
internal import SerinController
internal import SerinModel

/// Whether what a command line asks about a policy is answered by the daemon, which has rights, files and an environment of its own.
struct AskedDaemon: Sendable {
    /// How long its answer is waited for, where `--timeout` says nothing else: it tries servers that may be slow.
    private static let patience = Duration.seconds(60)

    let isAsked: Bool

    init(_ input: inout Arguments) throws(UsageError) {
        isAsked = try input.flag("--daemon", help: "as the daemon would: with its rights, files and environment")
    }

    /// Refuses options that the daemon is not told of.
    func refuse(_ options: (name: String, isGiven: Bool, hint: String)...) throws(UsageError) {
        guard isAsked, let option = options.first(where: \.isGiven) else { return }
        throw UsageError("--daemon and \(option.name) do not go together", hint: option.hint)
    }

    /// Refuses `--offline` and overrides.
    func refuse(offline: Bool, _ policy: PolicyArguments) throws(UsageError) {
        try refuse(
            ("--offline", offline, "the daemon tries what the policy names; without --daemon the file is validated alone"),
            ("--override", !policy.overrides.isEmpty, "the daemon is asked about the policy as the file has it"))
    }

    /// Asks the daemon what a verb, `check` or `plan`, comes to, and shows that it is waited for.
    ///
    /// - Returns: The verb's document.
    func answer(to verb: String, about source: PolicySource, _ session: Session) async throws -> JSONValue {
        guard let daemon = try ControllerLocator(session).daemon() else {
            throw OperationError.unavailable(
                "no daemon answers at \(session.state.daemonSocket)\nhint: serin daemon starts one; without --daemon none is needed"
            )
        }
        let limit = session.globals.timeout ?? Self.patience
        return try await session.showingWaits(from: Wait("asking the daemon at \(daemon.socket)", limit: limit)) { _ in
            try await daemon.answer(to: source.question, asking: verb, within: limit)
        }
    }
}
