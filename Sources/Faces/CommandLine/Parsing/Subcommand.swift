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

    /// Whether `--timeout` ends what it does, and not only a waiting that it knows of itself.
    var endsWithTimeout: Bool { name.hasPrefix("backup ") || name.hasPrefix("migrate ") }

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
    /// Verbs under a first word, whose names are of several words.
    struct Group: Sendable {
        var name: String
        var summary: String
        /// Lines below the list of the verbs.
        var notes: [String]
    }

    var verbs: [Subcommand]
    var groups: [Group] = []

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
            try Self.refuseValue(of: token)
            leading.append(token)
            if Globals.valued.contains(token), let value = rest.popFirst() { leading.append(value) }
        }
        guard let name = rest.popFirst() else {
            guard leading.isEmpty else {
                try Arguments(tokens: leading).refuseStrangers(Globals.describe() + Self.alone)
                throw UsageError("missing a command", hint: "serin --help lists them")
            }
            return .help(Help.overview(self))
        }
        if name == "help" {
            guard let topic = rest.popFirst() else { return .help(Help.overview(self)) }
            if let group = groups.first(where: { $0.name == topic }), rest.isEmpty { return .help(Help.overview(group, self)) }
            return .help(Help.page(try verb(wholeName(topic, &rest))))
        }
        if let group = groups.first(where: { $0.name == name }), rest.first.map({ ["-h", "--help"].contains($0) }) ?? true {
            return .help(Help.overview(group, self))
        }
        let verb = try verb(wholeName(name, &rest))
        let tokens = leading + rest
        for token in tokens.prefix(while: { $0 != "--" }) {
            if token == "--help" || token == "-h" { return .help(Help.page(verb)) }
            if token.hasPrefix("--help=") { try Self.refuseValue(of: token) }
        }
        var input = Arguments(tokens: tokens)
        try input.refuseStrangers(verb.describe() + Globals.describe())
        let globals = try Globals(&input)
        let action = try verb.parse(&input)
        try input.finish()
        return .run(verb, globals, action)
    }

    /// The options that stand alone, in place of a command.
    private static let alone = [
        Parameter(names: ["-h", "--help"], kind: .flag, help: ""), Parameter(names: ["--version"], kind: .flag, help: ""),
    ]

    private static func refuseValue(of token: String) throws(UsageError) {
        let name = token.prefix { $0 != "=" }
        guard name != token, alone.contains(where: { $0.names.contains(String(name)) }) else { return }
        throw UsageError("\(name) takes no value")
    }

    /// Joins the words of a name that has several, as many as there are in the name of a verb.
    private func wholeName(_ first: String, _ rest: inout ArraySlice<String>) -> String {
        var name = first
        while !verbs.contains(where: { $0.name == name }), verbs.contains(where: { $0.name.hasPrefix(name + " ") }),
            let next = rest.first, !next.hasPrefix("-")
        {
            name += " " + next
            rest.removeFirst()
        }
        return name
    }

    private func verb(_ name: String) throws(UsageError) -> Subcommand {
        if let verb = verbs.first(where: { $0.name == name }) { return verb }
        // Within a group only its own verbs are near, compared without the word that they share.
        let group = groups.first { name.hasPrefix($0.name + " ") }.map { $0.name + " " } ?? ""
        let known = verbs.filter { !$0.isHidden && $0.name.hasPrefix(group) }.map { String($0.name.dropFirst(group.count)) }
        throw UsageError(
            "unknown command '\(name)'",
            hint: closest(to: String(name.dropFirst(group.count)), among: group.isEmpty ? known + groups.map(\.name) : known)
                .map { "did you mean serin \(group)\($0)?" } ?? "serin \(group)--help lists the commands")
    }
}
