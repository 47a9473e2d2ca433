public import SerinModel

/// What libpq said about a failure, taken apart.
public struct ServerMessage {
    /// The five characters of the SQLSTATE, when the server itself spoke.
    public let state: String?
    /// The message on one line, without the place in the server's source.
    public let text: String

    /// Takes a message apart that was made with `PQERRORS_VERBOSE`: `FATAL:  53300: sorry, too many clients already`.
    public init(_ message: String) {
        let lines = message.split(whereSeparator: \.isNewline).map(String.init).filter { !$0.hasPrefix("LOCATION:") }
        state = lines.lazy.compactMap(ServerMessage.code).first
        text = lines.map { line in String(line.drop { $0 == " " || $0 == "\t" }) }.joined(separator: "; ")
    }

    /// Looks for `: 53300: ` between colons, whatever language the words around it are in.
    private static func code(in line: String) -> String? {
        line.split(separator: ":").lazy.map { part in String(part.drop { $0 == " " }) }
            .first { part in
                part.utf8.count == 5
                    && part.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) }
                    && part.utf8.contains { (0x30...0x39).contains($0) }
            }
    }

    /// Whether it can pass by itself.
    public var kind: FailureClass {
        guard let state else { return .transient }
        switch state {
        case "28P01", "28000", "42501": return .denied
        case "3D000": return .invalid
        case SQLState.tooManyConnections: return .throttled
        default: return state.hasPrefix("42") ? .invalid : .transient
        }
    }

    /// What to do about it.
    public func hint(ofDenial denied: String) -> String? {
        guard let state else { return nil }
        switch state {
        case "28P01": return "check the password in the connection string"
        case "28000": return "let this role in with a line in pg_hba.conf"
        case "42501": return denied
        case "3D000": return "name an existing database in the connection string"
        case SQLState.tooManyConnections:
            // The server counts for itself, for each database and for each role, and says in words which it was.
            if text.contains("connections for database") {
                return "the limit of this database is reached: ALTER DATABASE … CONNECTION LIMIT raises it, or use a pooler"
            }
            if text.contains("connections for role") {
                return "the limit of this role is reached: ALTER ROLE … CONNECTION LIMIT raises it, or use a pooler"
            }
            return "every connection is taken: raise max_connections or use a pooler"
        case "57P01": return "the server was being stopped, or an administrator ended the session"
        case "57P02": return "another process of the server died, and it ended every session"
        case "57P03": return "the server is starting or being stopped"
        case SQLState.queryCanceled: return "the statement took longer than its time limit"
        default: return nil
        }
    }
}
