internal import CLibPQ
internal import SerinModel

/// What may be shown of a connection string.
public enum ConnectionText {
    /// `host:port/database`; nil when libpq cannot read the string. libpq's own complaint quotes the string, so it is never shown.
    public static func name(_ text: String) -> String? {
        var complaint: UnsafeMutablePointer<CChar>?
        defer { PQfreemem(complaint) }
        guard !text.isEmpty, let options = PQconninfoParse(text, &complaint) else { return nil }
        defer { PQconninfoFree(options) }
        var found: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { found[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        let host = found["host"] ?? found["hostaddr"] ?? "local"
        return host + (found["port"].map { ":\($0)" } ?? "") + (found["dbname"].map { "/\($0)" } ?? "")
    }
}
