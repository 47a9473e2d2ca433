public import SerinModel

/// The JSON Schema (draft 2020-12) of policies, from the same declarations that the parser follows. What needs more than one key to
/// see – ascending steps, disjoint cohorts, a timeout within half a poll – only the parser checks.
public func policySchema(drivers: [DriverSchema]) -> JSONValue {
    document(policyShape(drivers: drivers), title: "Serin policy", description: "What the rollouts of one service must do.")
}

/// The JSON Schema (draft 2020-12) of a daemon's configuration, from the same declarations that the parser follows.
public func daemonSchema(hooks: [HookSchema], channels: [DriverSchema]) -> JSONValue {
    document(
        daemonShape(hooks: hooks, channels: channels), title: "Serin configuration",
        description: "Where a daemon listens, who may halt by which channel, and who is told.")
}

/// The JSON Schema (draft 2020-12) of backup plans, from the same declarations that the parser follows.
public func backupPlanSchema(destinations: [DriverSchema]) -> JSONValue {
    document(
        backupPlanShape(destinations: destinations), title: "Serin backup plan",
        description: "How one target is backed up, kept, checked, restored and drilled.")
}

private func document(_ root: Section, title: String, description: String) -> JSONValue {
    var members: [JSONValue.Member] = [
        .init("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
        .init("title", .string(title)),
        .init("description", .string(description)),
    ]
    if case .object(let own) = schema(of: root) { members += own }
    return .sortedObject(members)
}

private func schema(of section: Section) -> JSONValue {
    var members: [JSONValue.Member] = [
        .init("type", .string("object")), .init("additionalProperties", .bool(false)),
        .init("properties", .sortedObject(section.fields.map { .init($0.key, schema(of: $0)) })),
    ]
    let required = section.fields.filter { $0.presence == .required }
    if !required.isEmpty { members.append(.init("required", texts(required.map(\.key)))) }
    let conditions =
        section.exactlyOne.map { group in JSONValue.object(["oneOf": .array(group.map(having))]) }
        + section.atMostOne.map { group in
            JSONValue.object([
                "oneOf": .array([.object(["not": .object(["anyOf": .array(group.map(having))])])] + group.map(having))
            ])
        }
        + section.atLeastOne.map { group in JSONValue.object(["anyOf": .array(group.map(having))]) }
    if !conditions.isEmpty { members.append(.init("allOf", .array(conditions))) }
    return .sortedObject(members)
}

private func having(_ key: String) -> JSONValue { .object(["required": texts([key])]) }

private func texts(_ texts: [String]) -> JSONValue { .array(texts.map(JSONValue.string)) }

private func schema(of field: Field) -> JSONValue {
    guard case .object(var members) = schema(of: field.shape) else { return .bool(true) }
    switch field.presence {
    case .required, .optional: members.append(.init("description", .string(field.help)))
    case .derived(let words): members.append(.init("description", .string("\(field.help) (default: \(words))")))
    case .fallback(let text):
        members.append(.init("description", .string(field.help)))
        switch ScalarForm.plainType(of: text, quoted: false) {
        case .flag: members.append(.init("default", .bool(text == "true")))
        case .number: members.append(.init("default", .number(text)))
        case .text, .null: members.append(.init("default", .string(text)))
        }
    }
    return .sortedObject(members)
}

private func schema(of shape: Shape) -> JSONValue {
    switch shape {
    case .scalar(let form): return schema(of: form)
    case .section(let section): return schema(of: section)
    case .list(let item, let least):
        return .object(["type": .string("array"), "items": schema(of: item), "minItems": .integer(least)])
    case .map(let keys, let value, let least):
        return .object([
            "type": .string("object"), "propertyNames": .object(["pattern": .string(pattern(of: keys))]),
            "additionalProperties": schema(of: value), "minProperties": .integer(least),
        ])
    case .either(let variants): return .object(["anyOf": .array(variants.map { schema(of: $0.shape) })])
    }
}

private func schema(of form: ScalarForm) -> JSONValue {
    switch form {
    case .flag: return .object(["type": .string("boolean")])
    case .integer(let range):
        return .object(["type": .string("integer"), "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)])
    case .number(let least, let isExclusive):
        return .object(["type": .string("number"), isExclusive ? "exclusiveMinimum" : "minimum": .number(plainText(least))])
    case .quantile: return .object(["type": .string("number"), "exclusiveMinimum": .integer(0), "exclusiveMaximum": .integer(1)])
    case .word(let words): return .object(["type": .string("string"), "enum": texts(words)])
    case .weight:
        let number = JSONValue.object(["type": .string("number"), "exclusiveMinimum": .integer(0), "maximum": .integer(100)])
        return .object(["anyOf": .array([number, text(form)])])
    case .backup(.keep):
        return .object([
            "anyOf": .array([
                .object(["type": .string("integer"), "minimum": .integer(1), "maximum": .integer(10_000)]), text(form),
            ])
        ])
    case .text, .anyText, .name, .signalName, .metric, .labelName, .url, .path, .address, .environmentName, .credentialName,
        .jsonPointer, .duration, .share, .perSecond, .bytes, .backup:
        return text(form)
    }
}

private func text(_ form: ScalarForm) -> JSONValue {
    var members: [JSONValue.Member] = [.init("type", .string("string")), .init("pattern", .string(pattern(of: form)))]
    if !form.example.isEmpty { members.append(.init("examples", texts([form.example]))) }
    return .sortedObject(members)
}

/// The pattern of a form's texts, in the part of ECMA 262 that JSON Schema recommends. Ranges of quantities are not in it.
func pattern(of form: ScalarForm) -> String {
    switch form {
    case .text: "^[\\s\\S]+$"
    case .anyText: "^[\\s\\S]*$"
    case .name: "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
    case .signalName: "^[A-Za-z_][A-Za-z0-9_]{0,62}$"
    case .metric: "^[A-Za-z_:][A-Za-z0-9_:]{0,254}$"
    case .labelName, .environmentName: "^[A-Za-z_][A-Za-z0-9_]{0,254}$"
    case .credentialName: "^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$"
    case .url: "^https?://[!-\"$-.0->A-~]+([/?#][!-~]*)?$"
    case .path: "^/[^\\u0000-\\u001F\\u007F]+$"
    case .address: "^([0-9]{1,3}(\\.[0-9]{1,3}){3}|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$"
    case .jsonPointer: "^(/([^~/]|~[01])*)*$"
    case .duration: "^([0-9]{1,9}ms|[0-9]{1,9}(\\.[0-9]{1,3})?[smhd])$"
    case .share, .weight: "^[0-9]{1,9}(\\.[0-9]{1,6})?%$"
    case .perSecond: "^[0-9]{1,9}(\\.[0-9]{1,6})?/[smh]$"
    case .bytes: "^[0-9]{1,9}(\\.[0-9]{1,6})?([kMGT]|[KMGT]i)?B$"
    case .word(let words): "^(\(words.joined(separator: "|")))$"
    case .backup(let form): form.pattern
    case .flag, .integer, .number, .quantile: "^$"
    }
}
