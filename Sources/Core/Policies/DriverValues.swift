public import SerinModel

/// The settings of one driver, checked once more against its schema: a driver does not rely on who read the policy.
public struct DriverValues: Sendable {
    private let schema: DriverSchema
    private let settings: DriverSettings

    /// Checks that every setting is known, has its form, and that none is missing.
    public init(_ settings: DriverSettings, schema: DriverSchema) throws(Failure) {
        self.schema = schema
        self.settings = settings
        for setting in settings.settings {
            guard let field = schema.fields.first(where: { $0.key == setting.key }) else {
                throw Failure(.invalid, "the driver \(schema.name) has no setting '\(setting.key)'")
            }
            if let expectation = expectation(of: field.form, notMetBy: setting.value) {
                throw Failure(.invalid, "setting '\(setting.key)' of the driver \(schema.name): expected \(expectation)")
            }
        }
        for field in schema.fields where field.isRequired && field.fallback == nil && settings[field.key] == nil {
            throw Failure(.invalid, "the driver \(schema.name) needs the setting '\(field.key)': \(field.help)")
        }
    }

    /// The value given, or the field's own.
    public subscript(key: String) -> String? { settings[key] ?? schema.fields.first { $0.key == key }?.fallback }

    /// A value that must be there.
    public func required(_ key: String) throws(Failure) -> String {
        guard let value = self[key] else { throw Failure(.invalid, "the driver \(schema.name) needs the setting '\(key)'") }
        return value
    }

    /// A time in the notation of policies, such as `500ms` or `2s`.
    public func duration(_ key: String) -> Duration? { self[key].flatMap { Duration(policyText: $0) } }

    /// A number of bytes in the notation of policies, such as `100GiB`.
    public func bytes(_ key: String) -> Int64? { self[key].flatMap(byteCount(policyText:)) }

    /// A choice that is `yes` or `no`.
    public func isOn(_ key: String) -> Bool { self[key] == "yes" }

    /// The reference that `<stem>_env`, `<stem>_file` or `<stem>_cred` holds. Fails when more than one is given.
    public func secret(_ stem: String) throws(Failure) -> SecretReference? {
        let given = [
            self[stem + "_env"].map { SecretReference.environment($0) }, self[stem + "_file"].map { .file($0) },
            self[stem + "_cred"].map { .credential($0) },
        ].compactMap { $0 }
        guard given.count <= 1 else {
            throw Failure(.invalid, "the driver \(schema.name) has more than one of \(stem)_env, \(stem)_file and \(stem)_cred")
        }
        return given.first
    }

    /// The three fields by which a secret can be named.
    public static func secretFields(_ stem: String, help: String) -> [DriverSchema.Field] {
        [
            DriverSchema.Field(stem + "_env", .secret, help: help + " (name of an environment variable)", isRequired: false),
            DriverSchema.Field(stem + "_file", .secret, help: help + " (path of a file)", isRequired: false),
            DriverSchema.Field(stem + "_cred", .secret, help: help + " (name of a systemd credential)", isRequired: false),
        ]
    }

    /// What the text should have been; nil when it is so.
    private func expectation(of form: DriverSchema.Form, notMetBy text: String) -> String? {
        switch form {
        case .text: return nil
        case .url: return isAddress(text) ? nil : "an http:// or https:// address without user, password or white space"
        case .path: return text.hasPrefix("/") && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } ? nil : "an absolute path"
        case .name: return isName(text) ? nil : "a name of letters, digits and . _ -"
        case .duration: return Duration(policyText: text) == nil ? "a time with a unit, such as 500ms or 2s" : nil
        case .jsonPointer: return text.isEmpty || text.hasPrefix("/") ? nil : "a JSON pointer, such as /weights/1"
        case .oneOf(let words): return words.contains(text) ? nil : "one of \(words.joined(separator: ", "))"
        case .integer(let range):
            return Int(text).map(range.contains) == true ? nil : "a whole number \(range.lowerBound)…\(range.upperBound)"
        case .bytes: return byteCount(policyText: text) == nil ? "an amount with a unit, such as 100GiB" : nil
        case .secret: return text.isEmpty ? "the name of an environment variable, file or credential" : nil
        }
    }

    private func isAddress(_ text: String) -> Bool {
        for scheme in ["http://", "https://"] where text.hasPrefix(scheme) {
            let rest = text.dropFirst(scheme.count)
            let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            return !authority.isEmpty && !authority.contains("@") && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
        }
        return false
    }

    private func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 200
            && text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2E || $0 == 0x5F
                    || $0 == 0x2D
            }
    }
}
