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
            let isNamed = file.kind == .plan || file.kind == .policy
            let name = isNamed ? "\(file.kind.rawValue) \(file.path)" : file.kind.rawValue
            // Which file it is decides as well: another one may be another's to write. Policies come with rollouts, from anywhere.
            if file.kind != .policy { all.append("\(name) is read from \(file.path)") }
            guard let node = readYAML(Array(file.text.utf8), file: file.path).node else {
                all.append("\(name): \(file.text)")
                continue
            }
            add(node, name + " ", isRoot: file.kind == .configuration)
        }
        // By bytes, here as in a comparison: two spellings of one character can name two files.
        all.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private mutating func add(_ node: MarkedNode, _ path: String, isRoot: Bool = false) {
        switch node {
        case .scalar(let text, _, _): all.append("\(path): \(Self.escaped(text))")
        case .sequence(let items, _):
            if items.isEmpty { all.append("\(path): []") }
            for (index, item) in items.enumerated() { add(item, "\(path)[\(index)]") }
        case .mapping(let pairs, _):
            if pairs.isEmpty { all.append("\(path): {}") }
            for pair in pairs where !isRoot || !Self.harmless.contains(pair.key) {
                let key = Self.name(pair.key)
                add(pair.value, path.hasSuffix(" ") ? path + key : "\(path).\(key)")
            }
        }
    }

    /// A value on one line, so that none can be taken for several.
    private static func escaped(_ text: String) -> String {
        // By scalars: a carriage return and a line feed are one character.
        text.unicodeScalars.map { scalar in
            switch scalar {
            case "\\": "\\\\"
            case "\"": "\\\""
            case "\r": "\\r"
            case "\n": "\\n"
            default: String(scalar)
            }
        }.joined()
    }

    /// A key, in quotation marks where it could be taken for several.
    private static func name(_ key: String) -> String {
        let isPlain = key.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2D
                || byte == 0x5F
        }
        return isPlain && !key.isEmpty ? key : "\"\(escaped(key))\""
    }

    /// SHA-256 of all, lower-case hexadecimal.
    var hash: String { Self.hash(all) }

    private static func hash(_ lines: [String]) -> String {
        Hexadecimal.text(of: SHA256.digestOrEmpty(Array(lines.joined(separator: "\n").utf8)))
    }

    /// What changes from these lines to others. `before` is the hash by which those in force were recorded.
    func change(to others: ConfigurationLines, before: String) -> ConfigurationChange {
        let (old, new) = (Set(all.map { Array($0.utf8) }), Set(others.all.map { Array($0.utf8) }))
        let after = others.hash
        return ConfigurationChange(
            before: before, after: after, plan: Self.hash([before, after]),
            removed: all.filter { !new.contains(Array($0.utf8)) }.map(Self.shown),
            added: others.all.filter { !old.contains(Array($0.utf8)) }.map(Self.shown))
    }

    /// A line without the credentials of its addresses: `https://[redacted]@host/…`.
    static func shown(_ line: String) -> String {
        // By bytes: what is combined with a sign is no part of it for whoever uses the address.
        let mark = Array("://".utf8)
        var shown: [UInt8] = []
        var rest = Array(line.utf8)[...]
        var first: Int?
        while let scheme = rest.firstRange(of: mark) {
            shown += rest[..<scheme.upperBound]
            first = first ?? shown.count
            rest = rest[scheme.upperBound...]
            let host = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: " ") }
            if let at = host.lastIndex(of: UInt8(ascii: "@")) {
                shown += Array("[redacted]".utf8)
                rest = rest[at...]
            }
        }
        shown += rest
        // What follows a question mark is as good a place for a key.
        if let first, let query = shown[first...].firstIndex(of: UInt8(ascii: "?")) {
            shown.replaceSubrange((query + 1)..., with: Array("[redacted]".utf8))
        }
        return String(decoding: shown, as: UTF8.self)
    }
}
