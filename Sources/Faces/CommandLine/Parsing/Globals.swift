internal import SerinAPI
internal import SerinModel

/// In which form data is written.
enum OutputFormat: String, Sendable, Hashable, CaseIterable {
    /// For people.
    case table
    /// One JSON document.
    case json
    /// One JSON document a line.
    case jsonl
    /// One YAML document.
    case yaml
}

/// The options that every command takes, before or after its name.
struct Globals: Sendable, Hashable {
    var output: OutputFormat
    var isQuiet: Bool
    var noColor: Bool
    var noInput: Bool
    var timeout: Duration?
    var state: String?

    init(_ input: inout Arguments) throws(UsageError) {
        let forms = OutputFormat.allCases.map(\.rawValue).joined(separator: "|")
        output =
            try input.option(
                "-o", "--output", value: forms, help: "the form of the data on standard output (default: table)",
                read: OutputFormat.init(rawValue:)) ?? .table
        isQuiet = try input.flag("-q", "--quiet", help: "no progress, only data and errors")
        noColor = try input.flag("--no-color", help: "no colours (also NO_COLOR=1)")
        noInput = try input.flag("--no-input", help: "never ask anything")
        timeout = try input.option(
            "--timeout", value: "TIME", help: "give up waiting after this long, such as 90m", read: Notation.duration)
        state = try input.text(
            "--state", value: "DIR",
            help: "the state folder (default: $SERIN_STATE, else /var/lib/serin for root and ~/.local/state/serin for others)")
    }

    /// The names of global options that take a value.
    static let valued: Set<String> = ["-o", "--output", "--timeout", "--state"]

    /// What its initialiser asks for.
    static func describe() -> [Parameter] {
        var input = Arguments(tokens: [], isDescribing: true)
        // While describing nothing can be missing.
        do throws(UsageError) { _ = try Globals(&input) } catch {}
        return input.parameters
    }
}
