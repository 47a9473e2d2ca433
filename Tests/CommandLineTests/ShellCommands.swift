import SerinAPI

@testable import SerinCommandLine

/// The runs of the program in shell text: enough of a shell to take documents and units apart.
struct ShellCommands {
    /// The arguments of each run, in the order of the text.
    let commands: [[String]]

    init(_ text: some StringProtocol) {
        var commands: [[String]] = []
        // A line that ends with a backslash goes on.
        for line in String(text).replacing("\\\n", with: " ").split(separator: "\n") where !line.trimming(" ").hasPrefix("#") {
            var rest = line[...]
            while let place = rest.firstRange(of: "serin ") {
                let before = place.lowerBound == rest.startIndex ? " " : rest[rest.index(before: place.lowerBound)]
                // A path that only ends like the program is none.
                let isRun = before == "/" ? rest[..<place.lowerBound].hasSuffix("bin/") : " =('".contains(before)
                rest = rest[place.upperBound...]
                if isRun { commands.append(Self.words(&rest)) }
            }
        }
        self.commands = commands
    }

    /// The words up to where the shell ends a command. What is in quotes is one word; what they hold is of no matter.
    private static func words(_ text: inout Substring) -> [String] {
        var (words, word, quote): ([String], String, Character?) = ([], "", nil)
        while let next = text.first {
            if let open = quote {
                if next == open { quote = nil } else { word.append(next) }
            } else if next == "\"" || (next == "'" && !word.isEmpty) || (next == "'" && text.dropFirst().contains("'")) {
                quote = next
                word += " "
            } else if "|;&>)#'".contains(next) {
                break
            } else if next == " " {
                if !word.isEmpty { words.append(word) }
                word = ""
            } else {
                word.append(next)
            }
            text.removeFirst()
        }
        if !word.isEmpty { words.append(word) }
        return words
    }

    /// What the program itself says against them.
    func problems() -> [String] {
        commands.compactMap { arguments in
            do throws(UsageError) {
                _ = try CommandLineProgram.table.resolve(arguments)
                return nil
            } catch { return "serin \(arguments.joined(separator: " ")): \(error.description)" }
        }
    }
}
