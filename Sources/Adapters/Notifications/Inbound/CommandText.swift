internal import SerinModel

/// The words of a person, by a grammar without guesses: VERB [TARGET [REASON]].
enum CommandText: Equatable {
    /// A verb, and the words after it.
    case command(ChannelCommand.Verb, target: String?, reason: String)
    /// No verb of Serin; the first word, empty when there is none.
    case unclear(String)

    /// What can be said.
    static let usage =
        "say: " + ChannelCommand.Verb.allCases.map(\.rawValue).joined(separator: "|") + " SERVICE [REASON]"

    /// Reads a text: `halt api canary is bad`, `/serin halt api`, `/halt@serin_bot api`, `halt:api-01J…` of a button.
    init(_ text: String) {
        var words = visible(text, lines: false).split { $0 == " " || $0 == "\u{A0}" }
        // The name by which the bot was called, alone or as a command.
        if let first = words.first, ["/serin", "serin", "@serin", "serin:", "serin,"].contains(first.lowercased()) {
            words.removeFirst()
        }
        guard let first = words.first else {
            self = .unclear("")
            return
        }
        let parts = first.split(separator: ":", maxSplits: 1)
        var name = Substring((parts.first ?? "").lowercased())
        if name.hasPrefix("/") { name = name.dropFirst().prefix { $0 != "@" } }
        guard let verb = ChannelCommand.Verb(rawValue: String(name)) else {
            self = .unclear(String(first.prefix(40)))
            return
        }
        var rest = words.dropFirst()
        if parts.count == 2 { rest = [parts[1]] + rest }
        self = .command(verb, target: rest.first.map(String.init), reason: rest.dropFirst().joined(separator: " "))
    }
}
