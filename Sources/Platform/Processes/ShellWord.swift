internal import SerinModel

/// A text as one word of a shell command. Characters named besides need no quotes either. No word holds a NUL: it is left out.
public func shellWord(_ text: String, besides others: String = "") -> String {
    let isSafe = text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || "/._-".utf8.contains($0)
            || others.utf8.contains($0)
    }
    if isSafe, !text.isEmpty { return text }
    return "'" + text.rewriting { $0 == "'" ? "'\\''" : $0 == "\0" ? "" : nil } + "'"
}
