/// Compares a tree with its shape and collects every complaint.
struct ShapeReader {
    /// The file's name, for complaints.
    let file: String
    /// The keys of the whole document's root, to tell where a misplaced key belongs.
    let rootKeys: [String]
    /// What was complained about.
    private(set) var diagnostics: [Diagnostic] = []

    /// What the document is called in messages.
    private let document: String
    /// Keys of other tools, with what says the same here.
    private let foreign: [String: String]

    init(file: String, root: Section, document: String = "policy", foreign: [String: String] = foreignKeys) {
        self.file = file
        self.document = document
        self.foreign = foreign
        rootKeys = root.fields.map(\.key)
    }

    mutating func complain(_ mark: Mark, _ path: String, _ message: String, hint: String? = nil) {
        let text = path.isEmpty ? message : "\(path): \(message)"
        diagnostics.append(Diagnostic(file: file, mark: mark, message: text, hint: hint))
    }

    /// Reads a node; nil when it has not the shape, which was complained about.
    mutating func read(_ node: MarkedNode, as shape: Shape, path: String) -> ReadValue? {
        switch shape {
        case .scalar(let form): return read(node, as: form, path: path).map(ReadValue.scalar)
        case .section(let section): return read(node, as: section, path: path).map(ReadValue.section)
        case .list(let item, let least):
            guard case .sequence(let nodes, let mark) = node else {
                complain(node.mark, path, "expected a list, found \(kind(node))", hint: "write [ … ], or one '- …' a line")
                return nil
            }
            if nodes.count < least { complain(mark, path, "the list is too short; expected at least \(least)") }
            return .list(
                nodes.enumerated().compactMap { index, node in read(node, as: item, path: "\(path)[\(index)]") })
        case .map(let keys, let value, let least):
            guard case .mapping(let pairs, let mark) = node else {
                complain(node.mark, path, "expected a mapping, found \(kind(node))", hint: "write {name: value}")
                return nil
            }
            if pairs.count < least { complain(mark, path, "is empty; expected at least \(least) entry") }
            return .map(pairs.compactMap { entry(of: $0, keys: keys, value: value, path: path) })
        case .either(let variants): return read(node, asOneOf: variants, path: path)
        }
    }

    private mutating func entry(
        of pair: MarkedNode.Pair, keys: ScalarForm, value: Shape, path: String
    ) -> ReadSection.Entry? {
        guard keys.read(pair.key, type: .text, mark: pair.keyMark) != nil else {
            complain(pair.keyMark, path, "expected \(keys.expectation), found '\(shown(pair.key))'")
            return nil
        }
        return read(pair.value, as: value, path: join(path, pair.key)).map {
            ReadSection.Entry(key: pair.key, mark: pair.keyMark, value: $0)
        }
    }

    private mutating func read(_ node: MarkedNode, asOneOf variants: [Shape.Variant], path: String) -> ReadValue? {
        let fitting = variants.filter { variant in
            switch (variant.shape, node) {
            case (.scalar, .scalar), (.list, .sequence), (.section, .mapping), (.map, .mapping): true
            case (.scalar, _), (.list, _), (.section, _), (.map, _), (.either, _): false
            }
        }
        guard !fitting.isEmpty else {
            complain(node.mark, path, "expected \(titles(variants)), found \(kind(node))")
            return nil
        }
        guard case .mapping(let pairs, let mark) = node, fitting.count > 1 || fitting.contains(where: { !$0.decidedBy.isEmpty })
        else { return read(node, as: fitting[0].shape, path: path) }
        let keys = pairs.map(\.key)
        guard
            let chosen = fitting.first(where: { $0.decidedBy.contains(where: keys.contains) })
                ?? fitting.first(where: { $0.decidedBy.isEmpty })
        else {
            complain(mark, path, "says not what it is; expected \(titles(variants))")
            noteUnknownKeys(pairs, amongst: fitting, path: path)
            return nil
        }
        guard case .section(var section)? = read(node, as: chosen.shape, path: path) else { return nil }
        section.variant = chosen.title
        return .section(section)
    }

    private mutating func noteUnknownKeys(_ pairs: [MarkedNode.Pair], amongst variants: [Shape.Variant], path: String) {
        let fields = variants.flatMap { variant -> [Field] in
            if case .section(let section) = variant.shape { return section.fields }
            return []
        }
        for pair in pairs where !fields.contains(where: { $0.key == pair.key }) {
            _ = complain(aboutUnknown: pair, in: Section(fields: fields), path: path)
        }
    }

    private func titles(_ variants: [Shape.Variant]) -> String {
        variants.map(\.title).joined(separator: " or ")
    }

    private mutating func read(_ node: MarkedNode, as form: ScalarForm, path: String) -> ReadScalar? {
        guard case .scalar(let text, let quoted, let mark) = node else {
            complain(node.mark, path, "expected \(form.expectation), found \(kind(node))")
            return nil
        }
        let type = ScalarForm.plainType(of: text, quoted: quoted)
        if let scalar = form.read(text, type: type, mark: mark) {
            if let message = inlineSecret(in: text, form: form) {
                complain(mark, path, message, hint: "name where the secret is kept, and let the program read it there")
                return nil
            }
            return scalar
        }
        let (message, hint) = refusal(of: text, type: type, form: form)
        complain(mark, path, message, hint: hint)
        return nil
    }

    // MARK: Sections

    private mutating func read(_ node: MarkedNode, as section: Section, path: String) -> ReadSection? {
        guard case .mapping(let pairs, let mark) = node else {
            let keys = section.fields.prefix(6).map(\.key).joined(separator: ", ")
            complain(node.mark, path, "expected a mapping with keys such as \(keys), found \(kind(node))")
            return nil
        }
        var result = ReadSection(mark: mark)
        var meant: Set<String> = []
        for pair in pairs {
            if let field = section[pair.key] {
                meant.insert(pair.key)
                if let value = read(pair.value, as: field.shape, path: join(path, pair.key)) {
                    result.entries.append(.init(key: pair.key, mark: pair.keyMark, value: value))
                }
            } else if let key = complain(aboutUnknown: pair, in: section, path: path) {
                meant.insert(key)
            }
        }
        checkGroups(of: section, pairs: pairs, meant: meant, mark: mark, path: path)
        for field in section.fields where !meant.contains(field.key) {
            switch field.presence {
            case .required:
                complain(mark, path, "'\(field.key)' is missing", hint: "\(field.key): \(field.help)")
            case .fallback(let text):
                if let value = fallback(text, of: field, mark: mark) {
                    result.entries.append(.init(key: field.key, mark: mark, value: value, isFallback: true))
                }
            case .optional, .derived: break
            }
        }
        return result
    }

    private mutating func checkGroups(
        of section: Section, pairs: [MarkedNode.Pair], meant: Set<String>, mark: Mark, path: String
    ) {
        for group in section.exactlyOne + section.atMostOne {
            let given = pairs.filter { group.contains($0.key) }
            if given.count > 1 {
                complain(
                    given[1].keyMark, path,
                    "only one of \(group.joined(separator: ", ")) may be given, found \(given.map(\.key).joined(separator: " and "))",
                    hint: "keep one of them")
            }
        }
        for group in section.exactlyOne where !group.contains(where: meant.contains) {
            complain(mark, path, "one of \(group.joined(separator: ", ")) is missing", hint: "give exactly one of them")
        }
        for group in section.atLeastOne where !group.contains(where: meant.contains) {
            complain(mark, path, "one of \(group.joined(separator: ", ")) is missing", hint: "give at least one of them")
        }
    }

    /// A default is read like the policy's own text; the declaration's tests see to it that it can be.
    private func fallback(_ text: String, of field: Field, mark: Mark) -> ReadValue? {
        guard case .scalar(let form) = field.shape else { return nil }
        return form.read(text, type: ScalarForm.plainType(of: text, quoted: false), mark: mark).map(ReadValue.scalar)
    }

    /// Says what an unknown key may have meant; returns the key of this section that it was likely meant to be.
    private mutating func complain(aboutUnknown pair: MarkedNode.Pair, in section: Section, path: String) -> String? {
        let name = join(path, pair.key)
        if section.planned.contains(pair.key) {
            complain(
                pair.keyMark, "", "'\(name)' is not supported yet",
                hint: "remove it; a \(document) is never applied in part, so it is refused and not ignored")
            return nil
        }
        let keys = section.fields.map(\.key)
        let shownName = shown(name)
        if let key = secretReplacement(for: pair.key, among: keys) {
            complain(
                pair.keyMark, "", "'\(shownName)': a secret is never written into a \(document)",
                hint: key.isEmpty
                    ? "secrets are given by reference only, under keys that end in _env, _file or _cred where those are offered"
                    : "refer to it: \(key)_env (a variable), \(key)_file (a path) or \(key)_cred (a systemd credential)")
            return key.isEmpty ? nil : key + "_env"
        }
        if let key = closest(to: pair.key, among: keys) {
            complain(pair.keyMark, "", "unknown key '\(shownName)'", hint: "did you mean '\(key)'?")
            return key
        }
        if let hint = foreign[pair.key] {
            complain(pair.keyMark, "", "unknown key '\(shownName)'", hint: "did you mean \(hint)?")
            return nil
        }
        if !path.isEmpty, rootKeys.contains(pair.key) {
            complain(
                pair.keyMark, "", "unknown key '\(shownName)'",
                hint: "'\(pair.key)' stands at the top of the \(document), not in \(path)")
            return nil
        }
        complain(
            pair.keyMark, "", "unknown key '\(shownName)'", hint: "known here: \(keys.joined(separator: ", "))")
        return nil
    }
}

/// A path in the document: `signals.errors.tolerance`.
func join(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

/// What a node is, for messages.
private func kind(_ node: MarkedNode) -> String {
    switch node {
    case .mapping: "a mapping"
    case .sequence: "a list"
    case .scalar(let text, let quoted, _): ScalarForm.plainType(of: text, quoted: quoted) == .null ? "nothing" : "a single value"
    }
}
