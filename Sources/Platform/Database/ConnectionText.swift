internal import CLibPQ
internal import SerinModel

/// A connection string taken apart. libpq's own complaint about one it cannot read quotes the string, so it is never shown.
public enum ConnectionText {
    /// `host:port/database`, which may be shown; nil when libpq cannot read the string.
    public static func name(_ text: String) -> String? {
        guard let found = options(text) else { return nil }
        let host = found["host"] ?? found["hostaddr"] ?? "local"
        return host + (found["port"].map { ":\($0)" } ?? "") + (found["dbname"].map { "/\($0)" } ?? "")
    }

    /// The variables by which a program that uses libpq is told the same, its password among them; nil when libpq cannot read the
    /// string. Settings without a variable are left out.
    public static func environment(_ text: String) -> [String: String]? {
        guard !text.isEmpty, let parsed = PQconninfoParse(text, nil) else { return nil }
        defer { PQconninfoFree(parsed) }
        var variables: [String: String] = [:]
        var option = parsed
        while option.pointee.keyword != nil {
            if let name = option.pointee.envvar, let value = option.pointee.val {
                variables[String(cString: name)] = String(cString: value)
            }
            option += 1
        }
        return variables
    }

    /// The string for another database of the same server; nil when libpq cannot read it. As secret as the string itself.
    public static func text(_ text: String, database: String) -> String? {
        guard var found = options(text) else { return nil }
        found["dbname"] = database
        return found.sorted { $0.key < $1.key }.map { "\($0.key)=\(quoted($0.value))" }.joined(separator: " ")
    }

    /// One setting, such as `dbname`; nil when it is not given, or libpq cannot read the string.
    public static func option(_ keyword: String, of text: String) -> String? { options(text)?[keyword] }

    /// A value as it stands in a connection string of keywords.
    public static func quoted(_ value: String) -> String {
        "'" + value.rewriting { $0 == "'" || $0 == "\\" ? "\\\($0)" : nil } + "'"
    }

    private static func options(_ text: String) -> [String: String]? {
        guard !text.isEmpty, let parsed = PQconninfoParse(text, nil) else { return nil }
        defer { PQconninfoFree(parsed) }
        var found: [String: String] = [:]
        var option = parsed
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { found[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return found
    }
}
