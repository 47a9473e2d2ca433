internal import CYAML
internal import SerinPolicies

/// Builds the tree from libyaml's events and collects complaints.
struct EventReader {
    private let file: String
    private let limits: YAMLLimits
    private var nodes = 0
    private var diagnostics: [Diagnostic] = []

    init(file: String, limits: YAMLLimits) {
        self.file = file
        self.limits = limits
    }

    /// Ends the reading: what was met so far stands in `diagnostics`.
    private struct Stop: Error {}

    /// An event without its C memory.
    private struct Event {
        var type: yaml_event_type_t
        var mark: Mark
        var text = ""
        var isQuoted = false
        var hasAnchor = false
        var hasTag = false
        var hasDirectives = false
    }

    mutating func read(_ bytes: [UInt8]) -> YAMLReading {
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else {
            complain(Mark(line: 1, column: 1), "cannot be read: out of memory", hint: nil)
            return YAMLReading(node: nil, diagnostics: diagnostics)
        }
        defer { yaml_parser_delete(&parser) }
        let node: MarkedNode? = bytes.withUnsafeBufferPointer { buffer in
            yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
            yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
            do throws(Stop) {
                return try document(&parser)
            } catch {
                return nil
            }
        }
        return YAMLReading(node: node, diagnostics: diagnostics.sorted { $0.mark < $1.mark })
    }

    private mutating func complain(_ mark: Mark, _ message: String, hint: String?) {
        diagnostics.append(Diagnostic(file: file, mark: mark, message: message, hint: hint))
    }

    /// A complaint after which reading can go on, unless there are too many of them.
    private mutating func note(_ mark: Mark, _ message: String, hint: String) throws(Stop) {
        complain(mark, message, hint: hint)
        if diagnostics.count >= limits.diagnostics {
            complain(mark, "too many errors: reading stops here", hint: nil)
            throw Stop()
        }
    }

    private mutating func document(_ parser: inout yaml_parser_t) throws(Stop) -> MarkedNode {
        var event = try next(&parser)
        while event.type == YAML_STREAM_START_EVENT { event = try next(&parser) }
        guard event.type == YAML_DOCUMENT_START_EVENT else {
            complain(
                Mark(line: 1, column: 1), "is empty; expected a mapping",
                hint: "start from an example: policies/minimal.yaml is a policy, backups/minimal.yaml a backup plan")
            throw Stop()
        }
        if event.hasDirectives {
            try note(event.mark, "directives (lines that start with %) are not allowed", hint: "remove the line")
        }
        let root = try node(try next(&parser), &parser, depth: 0)
        _ = try next(&parser)
        let after = try next(&parser)
        if after.type != YAML_STREAM_END_EVENT {
            try note(
                after.mark, "a second document starts here; expected one document in a file",
                hint: "put each policy into a file of its own")
        }
        return root
    }

    private mutating func node(_ event: Event, _ parser: inout yaml_parser_t, depth: Int) throws(Stop) -> MarkedNode {
        nodes += 1
        guard nodes <= limits.nodes else {
            complain(
                event.mark, "holds more than \(limits.nodes) values",
                hint: "a policy is about a page of text: is this the right file?")
            throw Stop()
        }
        guard depth < limits.depth else {
            complain(
                event.mark, "nested more than \(limits.depth) levels deep",
                hint: "no part of a policy is nested so deep: check the brackets")
            throw Stop()
        }
        if event.hasAnchor {
            try note(event.mark, "anchors (&name) are not allowed", hint: "write the value out where it is used")
        }
        if event.hasTag {
            try note(event.mark, "tags (!type) are not allowed", hint: "remove the tag: the type follows from the key")
        }
        if event.type == YAML_ALIAS_EVENT {
            try note(event.mark, "aliases (*name) are not allowed", hint: "write the value out here")
            return .scalar("", quoted: true, event.mark)
        }
        if event.type == YAML_SEQUENCE_START_EVENT {
            var items: [MarkedNode] = []
            var item = try next(&parser)
            while item.type != YAML_SEQUENCE_END_EVENT {
                items.append(try node(item, &parser, depth: depth + 1))
                item = try next(&parser)
            }
            return .sequence(items, event.mark)
        }
        if event.type == YAML_MAPPING_START_EVENT {
            return .mapping(try pairs(&parser, depth: depth + 1), event.mark)
        }
        return .scalar(event.text, quoted: event.isQuoted, event.mark)
    }

    private mutating func pairs(_ parser: inout yaml_parser_t, depth: Int) throws(Stop) -> [MarkedNode.Pair] {
        var pairs: [MarkedNode.Pair] = []
        var lines: [String: Int] = [:]
        var event = try next(&parser)
        while event.type != YAML_MAPPING_END_EVENT {
            let keyNode = try node(event, &parser, depth: depth)
            let value = try node(try next(&parser), &parser, depth: depth)
            event = try next(&parser)
            guard case .scalar(let key, _, let mark) = keyNode else {
                try note(keyNode.mark, "a list or mapping stands where a key was expected", hint: "write 'key: value'")
                continue
            }
            if let line = lines[key] {
                try note(
                    mark, "the key '\(clipped(key))' stands twice, first in line \(line)", hint: "keep one of them")
                continue
            }
            lines[key] = mark.line
            pairs.append(MarkedNode.Pair(key: key, keyMark: mark, value: value))
        }
        return pairs
    }

    private mutating func next(_ parser: inout yaml_parser_t) throws(Stop) -> Event {
        var raw = yaml_event_t()
        guard yaml_parser_parse(&parser, &raw) == 1 else {
            complain(about: parser)
            throw Stop()
        }
        defer { yaml_event_delete(&raw) }
        var event = Event(type: raw.type, mark: Mark(libyaml: raw.start_mark))
        if raw.type == YAML_SCALAR_EVENT {
            let scalar = raw.data.scalar
            event.text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            event.isQuoted = scalar.style != YAML_PLAIN_SCALAR_STYLE
            event.hasAnchor = scalar.anchor != nil
            event.hasTag = scalar.tag != nil
        } else if raw.type == YAML_SEQUENCE_START_EVENT {
            event.hasAnchor = raw.data.sequence_start.anchor != nil
            event.hasTag = raw.data.sequence_start.tag != nil
        } else if raw.type == YAML_MAPPING_START_EVENT {
            event.hasAnchor = raw.data.mapping_start.anchor != nil
            event.hasTag = raw.data.mapping_start.tag != nil
        } else if raw.type == YAML_DOCUMENT_START_EVENT {
            let start = raw.data.document_start
            event.hasDirectives = start.version_directive != nil || start.tag_directives.start != start.tag_directives.end
        }
        return event
    }

    private mutating func complain(about parser: yaml_parser_t) {
        let problem = parser.problem.map { String(cString: $0) } ?? "unknown problem"
        let mark = Mark(libyaml: parser.problem_mark)
        let (message, hint) = words(for: problem)
        let context = parser.context.map { ", \(String(cString: $0)) at \(Mark(libyaml: parser.context_mark))" } ?? ""
        complain(mark, message + context, hint: hint)
    }
}

extension Mark {
    /// libyaml counts both from 0.
    fileprivate init(libyaml mark: yaml_mark_t) {
        self.init(line: Int(clamping: mark.line) + 1, column: Int(clamping: mark.column) + 1)
    }
}

/// libyaml's words in ours, with what to do.
private func words(for problem: String) -> (message: String, hint: String) {
    switch problem {
    case "found character that cannot start any token":
        (
            "a character stands here that starts no value: a tab, '@', '`' or '%'",
            "indent with spaces, and put such a value into quotes"
        )
    case "did not find expected key":
        ("expected a key here", "align it with the keys above, and end quotes and brackets")
    case "mapping values are not allowed in this context":
        ("a second ':' stands in this line", "put the value into quotes, or begin a new line for the key")
    case "could not find expected ':'": ("expected ':' after the key", "write 'key: value'")
    case "found unexpected end of stream": ("the document ends inside a quoted text", "close the quotes")
    case "did not find expected ',' or ']'": ("expected ',' or ']'", "close the list")
    case "did not find expected ',' or '}'": ("expected ',' or '}'", "close the mapping")
    case "found undefined tag handle": ("tags (!type) are not allowed", "remove the tag: the type follows from the key")
    default: ("is no valid YAML: \(problem)", "check indentation, quotes and brackets near here")
    }
}

/// A key as it may be printed: control characters escaped, not longer than a line.
private func clipped(_ key: String) -> String {
    let clean = String(String.UnicodeScalarView(key.unicodeScalars.prefix(60).map { $0.value < 0x20 ? "?" : $0 }))
    return key.unicodeScalars.count > 60 ? clean + "…" : clean
}
