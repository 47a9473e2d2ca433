/// The pages of `--help`: examples first, then the parameters.
enum Help {
    /// The page of the program.
    static func overview(_ table: CommandTable) -> String {
        var lines = [
            "serin releases a version to a small share of traffic first, and promotes it or takes everything back.", "",
            "Usage: serin COMMAND [options]", "", "Examples:",
            "  serin check policy.yaml",
            "  serin run policy.yaml --version 1.9.0 --previous 1.8.3",
            "  serin halt checkout --reason 'checkout fails in the app'",
            "  serin why checkout", "", "Commands:",
        ]
        let single = table.verbs.filter { !$0.isHidden && !$0.name.contains(" ") }.map { ($0.name, $0.summary) }
        lines += columns(single + table.groups.map { ($0.name, $0.summary) })
        lines += ["", "Options of every command:"] + columns(Globals.describe().map { ($0.usage, $0.help) })
        lines += [
            "", "Exit codes: 0 promoted, passed or ok, 1 unexpected error, 2 usage, unknown name or invalid policy,",
        ]
        lines += [
            "  3 failed and rolled back, 4 halted, 5 inconclusive, 6 rollback incomplete: act now, 7 refused, 8 verification failed,"
        ]
        lines += ["  75 no controller answers, 124 --timeout is over, 130 interrupted (after the last two a rollout goes on)"]
        lines += ["", "serin COMMAND --help tells more about a command."]
        return lines.joined(separator: "\n")
    }

    /// The page of a group of verbs.
    static func overview(_ group: CommandTable.Group, _ table: CommandTable) -> String {
        let verbs = table.verbs.filter { !$0.isHidden && $0.name.hasPrefix(group.name + " ") }
        var lines = [group.summary, "", "Usage: serin \(group.name) COMMAND [options]", "", "Commands:"]
        lines += columns(verbs.map { (String($0.name.dropFirst(group.name.count + 1)), $0.summary) })
        lines +=
            (group.notes.isEmpty ? [] : [""] + group.notes) + [
                "", "serin \(group.name) COMMAND --help tells more about a command.",
            ]
        return lines.joined(separator: "\n")
    }

    /// The page of one verb.
    static func page(_ verb: Subcommand) -> String {
        let parameters = verb.describe()
        var usage = "Usage: serin \(verb.name)"
        for parameter in parameters {
            if case .positional(let isRequired) = parameter.kind {
                usage += isRequired ? " \(parameter.names[0])" : " [\(parameter.names[0])]"
            }
        }
        var lines = [verb.summary, "", usage + " [options]"]
        if !verb.examples.isEmpty { lines += ["", "Examples:"] + verb.examples.map { "  " + $0 } }
        if !parameters.isEmpty { lines += ["", "Parameters:"] + columns(parameters.map { ($0.usage, $0.help) }) }
        if !verb.details.isEmpty { lines += ["", verb.details] }
        lines += ["", "Options of every command:"] + columns(Globals.describe().map { ($0.usage, $0.help) })
        return lines.joined(separator: "\n")
    }

    private static func columns(_ rows: [(String, String)]) -> [String] {
        let width = min(30, rows.map(\.0.count).max() ?? 0)
        return rows.map { left, right in
            let gap =
                left.count > width
                ? "\n" + String(repeating: " ", count: width + 4) : String(repeating: " ", count: width - left.count + 2)
            return "  " + left + gap + right
        }
    }
}
