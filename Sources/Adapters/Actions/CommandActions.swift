public import SerinModel
public import SerinPolicies
public import SerinPorts
internal import SerinProcesses
public import SerinRollouts
public import SerinTransport

/// Runs deploy, promote and rollback actions: programs without a shell, or HTTP requests; and their checks.
///
/// A program sees only these variables: `PATH` (fixed), `HOME`, `LANG`, `SERIN_SERVICE`, `SERIN_VERSION`, `SERIN_PREVIOUS`,
/// `SERIN_IDEMPOTENCY_KEY` and those that the action's policy names.
public struct CommandActions: Actions {
    /// How much of an output is kept, in bytes; its end.
    public static let outputLimit = 65_536

    private let transport: Transport
    private let environment: [String: String]
    private let secret: @Sendable (SecretReference) throws(Failure) -> String

    /// Actions on this machine.
    ///
    /// `environment` is the caller's own, from which `HOME`, `LANG` and the variables that an action names are taken; what an action
    /// names is treated as secret and taken out of outputs. `secret` gives the text that a reference stands for.
    public init(
        transport: Transport, environment: [String: String],
        secret: @escaping @Sendable (SecretReference) throws(Failure) -> String
    ) {
        self.transport = transport
        self.environment = environment
        self.secret = secret
    }

    /// Runs an action once. After a success its check must agree; when the action was cut off, its check decides.
    public func run(_ action: ActionPolicy, context: ActionContext) async -> ActionOutcome {
        switch await perform(action.call, of: action, context) {
        case .failed(let failure, let output), .refused(let failure, let output): return .failed(failure, output: output)
        case .succeeded(let output):
            guard action.check != nil else { return .done(output: output) }
            return settle(await self.check(action, context: context), output: output, doubt: nil)
        case .unknown(let failure, let output):
            guard action.check != nil else { return .unknown(addingOutput(output, to: failure)) }
            return settle(await self.check(action, context: context), output: output, doubt: failure)
        }
    }

    /// Ends the programs of an action that outlived their controller, which are known by its key in their environment.
    public func endLeftovers(of context: ActionContext) async throws(Failure) {
        let left = await ProgramLeftovers.end(variable: ActionEnvironment.keyVariable, value: context.key)
        guard !left.isEmpty else { return }
        throw Failure(
            .unknown, "its program still runs (process \(left.map(\.description).joined(separator: ", "))) and cannot be ended",
            hint: "end it, then look yourself whether the action was done")
    }

    /// Asks only the check. An exit status other than 0, or 4xx, is a no; whatever keeps the check from answering is unknown.
    public func check(_ action: ActionPolicy, context: ActionContext) async -> ActionOutcome {
        guard let check = action.check else {
            return .unknown(
                Failure(
                    .unknown, "nobody knows whether the action was done: it has no check",
                    hint: "look yourself; a `check:` in the policy would answer next time"))
        }
        switch await perform(check, of: action, context) {
        case .succeeded(let output): return .done(output: output)
        case .unknown(let failure, let output):
            return .unknown(addingOutput(output, to: Failure(.unknown, "the check did not answer: \(failure.message)")))
        case .refused(let failure, _):
            return .unknown(Failure(.unknown, "the check could not be asked: \(failure.message)", hint: failure.hint))
        case .failed(let failure, let output):
            return .failed(Failure(failure.kind, "the check says no: \(failure.message)"), output: output)
        }
    }

    private func perform(_ call: ActionPolicy.Call, of action: ActionPolicy, _ context: ActionContext) async -> CallResult {
        let environment = ActionEnvironment(caller: environment, passing: action.environment)
        switch call {
        case .run(let words):
            let template = Template(context)
            return await ProgramCall(
                command: words.map { template.fill($0, in: .argument) }, environment: environment.variables(for: context),
                deadline: action.deadline, redaction: Redaction(secrets: environment.passed),
                outputLimit: CommandActions.outputLimit
            ).result()
        case .http(let method, let endpoint, let body):
            return await RequestCall(
                method: method, endpoint: endpoint, body: body, context: context, deadline: action.deadline,
                outputLimit: CommandActions.outputLimit, transport: transport, passed: environment.passed, secret: secret
            ).result()
        }
    }

    /// What the check makes of an action that succeeded (`doubt` is nil) or was cut off.
    private func settle(_ checked: ActionOutcome, output: String, doubt: Failure?) -> ActionOutcome {
        switch checked {
        case .done: return .done(output: output)
        case .failed(let failure, let said):
            let message = doubt.map { "\($0.message); \(failure.message)" } ?? "the action succeeded, but \(failure.message)"
            return .failed(
                Failure(doubt == nil ? failure.kind : .transient, message, hint: failure.hint),
                output: output.isEmpty ? said : output)
        case .unknown(let failure):
            return .unknown(
                Failure(
                    .unknown, doubt.map { "\($0.message); \(failure.message)" } ?? "the action succeeded, but \(failure.message)",
                    hint: failure.hint))
        }
    }

    /// An unknown outcome carries no output of its own, so its end goes into the words.
    private func addingOutput(_ output: String, to failure: Failure) -> Failure {
        guard !output.isEmpty else { return failure }
        var failure = failure
        failure.message += "; its last words: \(output.suffix(500))"
        return failure
    }
}
