internal import SerinModel

/// The reference of every key as Markdown tables, from the same declarations that the parser follows.
public func policyReference(drivers: [DriverSchema]) -> String {
    var writer = ReferenceWriter()
    writer.write(policyShape(drivers: drivers), title: "The policy", path: "")
    return writer.text
}

/// The reference of every key of a backup plan as Markdown tables, from the same declarations that the parser follows.
public func backupPlanReference(destinations: [DriverSchema]) -> String {
    var writer = ReferenceWriter()
    writer.write(backupPlanShape(destinations: destinations), title: "The plan", path: "")
    return writer.text
}

/// The reference of every key of a daemon's configuration, from the same declarations that the parser follows.
public func daemonReference(hooks: [HookSchema], channels: [DriverSchema]) -> String {
    var writer = ReferenceWriter()
    writer.write(daemonShape(hooks: hooks, channels: channels), title: "The configuration", path: "")
    return writer.text
}

private struct ReferenceWriter {
    var text = ""
    /// Sections already written under another path, by their keys, so that equal ones are described once.
    private var written: [(keys: [String], path: String)] = []

    mutating func write(_ section: Section, title: String, path: String) {
        let keys = section.fields.map { "\($0.key) \(words($0.shape)) \(words($0.presence)) \($0.help)" }
        if let earlier = written.first(where: { $0.keys == keys }) {
            text += "### \(title)\n\nAs `\(earlier.path)`.\n\n"
            return
        }
        if !path.isEmpty { written.append((keys, path)) }
        text += "### \(title)\n\n| key | value | default | meaning |\n|---|---|---|---|\n"
        for field in section.fields {
            text += "| `\(field.key)` | \(cell(words(field.shape))) | \(cell(words(field.presence))) | \(cell(field.help)) |\n"
        }
        text += "\n"
        for group in section.exactlyOne where !group.isEmpty { text += "Exactly one of \(codes(group)).\n\n" }
        for group in section.atMostOne { text += "At most one of \(codes(group)).\n\n" }
        for group in section.atLeastOne { text += "At least one of \(codes(group)).\n\n" }
        if !section.planned.isEmpty { text += "Refused for now, as not supported yet: \(codes(section.planned)).\n\n" }
        for field in section.fields { write(inside: field.shape, path: join(path, field.key)) }
    }

    private mutating func write(inside shape: Shape, path: String) {
        switch shape {
        case .scalar: break
        case .section(let section): write(section, title: "`\(path)`", path: path)
        case .list(let item, _): write(inside: item, path: path + "[]")
        case .map(_, let value, _): write(inside: value, path: path + ".NAME")
        case .either(let variants):
            for variant in variants {
                guard case .section(let section) = variant.shape else { continue }
                let place = variant.decidedBy.isEmpty ? path : "\(path) = \(variant.title)"
                write(section, title: "`\(place)`", path: place)
            }
        }
    }

    private func words(_ shape: Shape) -> String {
        switch shape {
        case .scalar(let form): form.expectation
        case .section: "a section"
        case .list(let item, _): "a list: \(words(item))"
        case .map(let keys, let value, _): "a mapping from \(keys.expectation) to \(words(value))"
        case .either(let variants): variants.map { "`\($0.title)`" }.joined(separator: " or ")
        }
    }

    private func words(_ presence: Field.Presence) -> String {
        switch presence {
        case .required: "required"
        case .optional: "none"
        case .fallback(let text): "`\(text)`"
        case .derived(let words): words
        }
    }

    private func codes(_ keys: [String]) -> String { keys.map { "`\($0)`" }.joined(separator: ", ") }

    /// A `|` would end the cell.
    private func cell(_ text: String) -> String {
        text.rewriting("|", as: "\\|")
    }
}
