internal import SerinAPI
internal import SerinPolicies

/// One verb of the command line.
struct Subcommand: Sendable {
    /// What a verb does once its arguments are read.
    typealias Action = @Sendable (Session) async throws -> ExitCode

    /// What Ctrl-C or SIGTERM does to a verb.
    enum Interruption: Sendable {
        /// It ends, and with it everything it did.
        case ends
        /// It ends; the rollout that it asked about goes on.
        case leavesRollout
        /// The verb takes care of it itself.
        case handled
    }

    var name: String
    var summary: String
    var details: String
    var examples: [String]
    var isHidden: Bool
    var interruption: Interruption
    var parse: @Sendable (inout Arguments) throws(UsageError) -> Action

    init(
        _ name: String, summary: String, details: String = "", examples: [String] = [], isHidden: Bool = false,
        interruption: Interruption = .leavesRollout, parse: @escaping @Sendable (inout Arguments) throws(UsageError) -> Action
    ) {
        self.name = name
        self.summary = summary
        self.details = details
        self.examples = examples
        self.isHidden = isHidden
        self.interruption = interruption
        self.parse = parse
    }

    /// What its closure asks for.
    func describe() -> [Parameter] {
        var input = Arguments(tokens: [], isDescribing: true)
        // While describing nothing can be missing; what was recorded counts, not what is returned.
        do throws(UsageError) { _ = try parse(&input) } catch {}
        return input.parameters
    }
}

/// All verbs, and how a command line is understood.
struct CommandTable: Sendable {
    var verbs: [Subcommand]

    /// What a command line asks for.
    enum Resolution: Sendable {
        case run(Subcommand, Globals, Subcommand.Action)
        case help(String)
    }

    /// Finds the verb and reads the rest for it. Global options may stand before the verb.
    func resolve(_ arguments: [String]) throws(UsageError) -> Resolution {
        var leading: [String] = []
        var rest = arguments[...]
        while let token = rest.first, token.hasPrefix("-"), token != "-", token != "--" {
            rest.removeFirst()
            if token == "-h" || token == "--help" { return .help(Help.overview(self)) }
            if token == "--version" { return try resolve(["version"]) }
            leading.append(token)
            if Globals.valued.contains(token), let value = rest.popFirst() { leading.append(value) }
        }
        guard let name = rest.popFirst() else {
            guard leading.isEmpty else { throw UsageError("missing a command", hint: "serin --help lists them") }
            return .help(Help.overview(self))
        }
        if name == "help" {
            guard let topic = rest.first else { return .help(Help.overview(self)) }
            return .help(Help.page(try verb(topic)))
        }
        let verb = try verb(name)
        let tokens = leading + rest
        if tokens.prefix(while: { $0 != "--" }).contains(where: { $0 == "--help" || $0 == "-h" }) {
            return .help(Help.page(verb))
        }
        var input = Arguments(tokens: tokens)
        try input.refuseStrangers(verb.describe() + Globals.describe())
        let globals = try Globals(&input)
        let action = try verb.parse(&input)
        try input.finish()
        return .run(verb, globals, action)
    }

    private func verb(_ name: String) throws(UsageError) -> Subcommand {
        if let verb = verbs.first(where: { $0.name == name }) { return verb }
        let known = verbs.filter { !$0.isHidden }.map(\.name)
        throw UsageError(
            "unknown command '\(name)'",
            hint: closest(to: name, among: known).map { "did you mean serin \($0)?" } ?? "serin --help lists the commands")
    }
}
