internal import CLibPQ
public import SerinModel

/// A connection string as the variables that every program with libpq reads, so that no secret stands among its arguments.
public struct ConnectionVariables: Sendable {
    /// `PGHOST`, `PGPASSWORD` …, those that the string sets.
    public var values: [String: String]
    /// The values that must not be shown.
    public var secrets: [String]

    /// Reads the string as libpq does. Settings without a variable, such as keepalives, are left to their defaults.
    ///
    /// - Throws: When libpq cannot read it (its own complaint quotes the string and is never shown), or when it holds a secret
    ///   that no variable can hand on.
    public init(_ text: String) throws(Failure) {
        var complaint: UnsafeMutablePointer<CChar>?
        defer { PQfreemem(complaint) }
        guard !text.isEmpty, let options = PQconninfoParse(text, &complaint) else {
            throw Failure(.invalid, "the connection string cannot be read", hint: "write it like postgresql://user@host:5432/name")
        }
        defer { PQconninfoFree(options) }
        values = [:]
        secrets = []
        var option = options
        while let keyword = option.pointee.keyword.map({ String(cString: $0) }) {
            defer { option += 1 }
            guard let value = option.pointee.val.map({ String(cString: $0) }), !value.isEmpty else { continue }
            // `*` marks passwords in libpq's own table of settings.
            let isSecret = option.pointee.dispchar.map { $0.pointee == 0x2A } ?? false
            if isSecret { secrets.append(value) }
            guard let name = option.pointee.envvar.map({ String(cString: $0) }) else {
                guard !isSecret else {
                    throw Failure(
                        .invalid, "the connection string sets \(keyword), which cannot be handed to programs",
                        hint: "use a key without a password of its own, or a service file")
                }
                continue
            }
            values[name] = value
        }
    }
}
