internal import SerinPolicies

/// A mistake on the command line. Exit 2.
struct UsageError: Error, Equatable, Sendable, CustomStringConvertible {
    var message: String
    var hint: String?

    init(_ message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }

    var description: String { hint.map { "\(message)\nhint: \($0)" } ?? message }
}

/// One documented parameter of a command.
struct Parameter: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case flag
        case option(value: String)
        case positional(isRequired: Bool)
    }

    var names: [String]
    var kind: Kind
    var help: String

    /// As it stands on the left of the help: `-o, --output FORMAT`.
    var usage: String {
        switch kind {
        case .flag: names.joined(separator: ", ")
        case .option(let value): names.joined(separator: ", ") + " " + value
        case .positional: names[0]
        }
    }
}

/// The command line as one command's `parse` closure sees it.
///
/// The same closure runs in two modes: reading real arguments, and describing itself for help. Every accessor records what it was
/// asked for, so help cannot disagree with what is parsed. While describing, everything missing has a placeholder.
struct Arguments {
    private var tokens: [String]
    private var literals: [String]
    private(set) var parameters: [Parameter] = []
    let isDescribing: Bool

    init(tokens: [String], isDescribing: Bool = false) {
        let end = tokens.firstIndex(of: "--")
        self.tokens = Array(tokens[..<(end ?? tokens.endIndex)])
        literals = end.map { Array(tokens[($0 + 1)...]) } ?? []
        self.isDescribing = isDescribing
    }

    /// A switch that is off unless given.
    mutating func flag(_ names: String..., help: String) throws(UsageError) -> Bool {
        parameters.append(Parameter(names: names, kind: .flag, help: help))
        var found = false
        while let index = tokens.firstIndex(where: { names.contains($0) }) {
            tokens.remove(at: index)
            found = true
        }
        if let joined = tokens.first(where: { token in names.contains { token.hasPrefix($0 + "=") } }) {
            throw UsageError("\(joined.prefix { $0 != "=" }) takes no value")
        }
        return found
    }

    /// An option that may be absent; a second one is a mistake.
    mutating func option<Value>(
        _ names: String..., value: String, help: String, read: (String) -> Value?
    ) throws(UsageError) -> Value? {
        let values = try all(names, value: value, help: help, read: read)
        guard values.count <= 1 else { throw UsageError("\(names[names.count - 1]) stands twice") }
        return values.first
    }

    /// A text option that may be absent.
    mutating func text(_ names: String..., value: String, help: String) throws(UsageError) -> String? {
        let values = try all(names, value: value, help: help) { $0 }
        guard values.count <= 1 else { throw UsageError("\(names[names.count - 1]) stands twice") }
        return values.first
    }

    /// An option that must be given.
    mutating func required(_ names: String..., value: String, help: String) throws(UsageError) -> String {
        let values = try all(names, value: value, help: help) { $0 }
        guard values.count <= 1 else { throw UsageError("\(names[names.count - 1]) stands twice") }
        if let first = values.first { return first }
        guard !isDescribing else { return "" }
        throw UsageError("missing \(names[names.count - 1]) \(value)", hint: help)
    }

    /// An option that may be given any number of times.
    mutating func every<Value>(
        _ names: String..., value: String, help: String, read: (String) -> Value?
    ) throws(UsageError) -> [Value] {
        try all(names, value: value, help: help, read: read)
    }

    private mutating func all<Value>(
        _ names: [String], value: String, help: String, read: (String) -> Value?
    ) throws(UsageError) -> [Value] {
        parameters.append(Parameter(names: names, kind: .option(value: value), help: help))
        var values: [Value] = []
        while let (name, text) = try take(names, value) {
            guard let result = read(text) else {
                throw UsageError("\(name) does not accept '\(text)'", hint: "\(name) \(value): \(help)")
            }
            values.append(result)
        }
        return values
    }

    /// The next argument that is no option. Ask for these after the options.
    mutating func positional(_ name: String, help: String) throws(UsageError) -> String {
        parameters.append(Parameter(names: [name], kind: .positional(isRequired: true), help: help))
        if let found = nextPositional() { return found }
        guard !isDescribing else { return "" }
        throw UsageError("missing \(name)", hint: "\(name): \(help)")
    }

    /// The next argument that is no option, when there is one.
    mutating func optionalPositional(_ name: String, help: String) throws(UsageError) -> String? {
        parameters.append(Parameter(names: [name], kind: .positional(isRequired: false), help: help))
        return nextPositional()
    }

    private mutating func nextPositional() -> String? {
        if let index = tokens.firstIndex(where: { !$0.hasPrefix("-") || $0 == "-" }) { return tokens.remove(at: index) }
        return literals.isEmpty ? nil : literals.removeFirst()
    }

    private mutating func take(_ names: [String], _ value: String) throws(UsageError) -> (name: String, text: String)? {
        let index = tokens.firstIndex { token in names.contains { token == $0 || token.hasPrefix($0 + "=") } }
        guard let index else { return nil }
        let token = tokens.remove(at: index)
        if let equals = token.firstIndex(of: "=") {
            return (String(token[..<equals]), String(token[token.index(after: equals)...]))
        }
        guard index < tokens.count, !tokens[index].hasPrefix("-") || tokens[index] == "-" else {
            throw UsageError(
                "\(token) needs a value: \(token) \(value)", hint: "a value that starts with '-' is written \(token)=VALUE")
        }
        return (token, tokens.remove(at: index))
    }

    /// Fails on an option that none of these parameters has, before anything else is found wrong.
    func refuseStrangers(_ known: [Parameter]) throws(UsageError) {
        let names = known.flatMap(\.names).filter { $0.hasPrefix("-") }
        for token in tokens where token.hasPrefix("-") && token != "-" {
            let name = String(token.prefix { $0 != "=" })
            guard !names.contains(name) else { continue }
            throw UsageError("unknown option '\(name)'", hint: closest(to: name, among: names).map { "did you mean \($0)?" })
        }
    }

    /// Fails when something was given that was not asked for.
    func finish() throws(UsageError) {
        if let extra = tokens.first ?? literals.first { throw UsageError("unexpected argument '\(extra)'") }
    }
}
