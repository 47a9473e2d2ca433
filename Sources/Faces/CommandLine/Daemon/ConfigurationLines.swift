internal import SerinAccess
internal import SerinCrypto
internal import SerinPolicies
internal import SerinYAML

/// What a set of files says, a line a value: `configuration hooks.chat.kind: slack`. Comments, order of keys and spelling do not
/// matter.
struct ConfigurationLines: Sendable, Hashable {
    /// The keys of a daemon's configuration that nobody has to agree to.
    static let harmless: Set<String> = ["log", "limits"]

    /// Every critical line, as it is.
    private(set) var all: [String] = []

    init(_ set: ConfigurationSet) {
        all = set.flags.map { "command line: \($0)" }
        for file in set.files {
            let name = file.kind == .plan ? "plan \(file.path)" : file.kind.rawValue
            // Which file it is decides as well: another one may be another's to write.
            all.append("\(name) is read from \(file.path)")
            guard let node = readYAML(Array(file.text.utf8), file: file.path).node else {
                all.append("\(name): \(file.text)")
                continue
            }
            add(node, name + " ", isRoot: file.kind == .configuration)
        }
        all.sort()
    }

    private mutating func add(_ node: MarkedNode, _ path: String, isRoot: Bool = false) {
        switch node {
        case .scalar(let text, _, _): all.append("\(path): \(text)")
        case .sequence(let items, _):
            if items.isEmpty { all.append("\(path): []") }
            for (index, item) in items.enumerated() { add(item, "\(path)[\(index)]") }
        case .mapping(let pairs, _):
            if pairs.isEmpty { all.append("\(path): {}") }
            for pair in pairs where !isRoot || !Self.harmless.contains(pair.key) {
                add(pair.value, path.hasSuffix(" ") ? path + pair.key : "\(path).\(pair.key)")
            }
        }
    }

    /// SHA-256 of all, lower-case hexadecimal.
    var hash: String { Self.hash(all) }

    private static func hash(_ lines: [String]) -> String {
        Hexadecimal.text(of: SHA256.digestOrEmpty(Array(lines.joined(separator: "\n").utf8)))
    }

    /// What changes from these lines to others. `before` is the hash by which those in force were recorded.
    func change(to others: ConfigurationLines, before: String) -> ConfigurationChange {
        let (old, new) = (Set(all), Set(others.all))
        let after = others.hash
        return ConfigurationChange(
            before: before, after: after, plan: Self.hash([before, after]),
            removed: all.filter { !new.contains($0) }.map(Self.shown),
            added: others.all.filter { !old.contains($0) }.map(Self.shown))
    }

    /// A line without the credentials of an address: `https://[redacted]@host/…`.
    static func shown(_ line: String) -> String {
        guard let scheme = line.firstRange(of: "://") else { return line }
        let (head, rest) = (line[..<scheme.upperBound], line[scheme.upperBound...])
        let host = rest.prefix { $0 != "/" && $0 != " " }
        var shown = rest[...]
        var prefix = ""
        if let at = host.lastIndex(of: "@") {
            prefix = "[redacted]"
            shown = rest[at...]
        }
        // What follows a question mark is as good a place for a key.
        if let query = shown.firstIndex(of: "?") { return head + prefix + shown[..<query] + "?[redacted]" }
        return head + prefix + shown
    }
}
