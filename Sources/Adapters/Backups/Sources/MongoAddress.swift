internal import Glibc
public import SerinModel

/// The servers that a connection string of MongoDB names.
public struct MongoAddress: Sendable, Hashable {
    /// `host:port` of each, in small letters; this machine is `localhost` whatever it is called. Empty for a name that stands for a list.
    private var hosts: [String] = []
    /// The name behind `mongodb+srv://`, under which the servers are looked up.
    private var service: String?

    /// Reads `mongodb://…` or `mongodb+srv://…`.
    public init(_ url: String) throws(Failure) {
        let isService = url.hasPrefix("mongodb+srv://")
        guard isService || url.hasPrefix("mongodb://"), !url.contains(where: \.isNewline),
            let start = url.firstRange(of: "://")?.upperBound
        else { throw Failure(.invalid, "the address of MongoDB does not begin with mongodb:// or mongodb+srv://") }
        let authority = url[start...].prefix { $0 != "/" && $0 != "?" }
        let list = authority.split(separator: "@").last ?? ""
        if isService {
            service = Self.folded(list)
        } else {
            hosts = list.split(separator: ",").map(Self.server)
            if hosts.isEmpty { hosts = ["localhost:27017"] }
        }
    }

    /// What messages call it: as it is written, without the account.
    public var words: String { service ?? hosts.joined(separator: ",") }

    private static func server(_ text: Substring) -> String {
        if text.lowercased().contains("%2f") {
            // A socket of this machine: `/tmp/mongodb-27017.sock`.
            let digits = text.lowercased().split(separator: "-").last?.prefix { $0.isASCII && $0.isNumber } ?? ""
            return "localhost:\(digits.isEmpty ? "27017" : String(digits))"
        }
        var name = text
        var port = "27017"
        // Colons within brackets are the address's own.
        if let colon = text.lastIndex(of: ":"), !text[colon...].contains("]") {
            name = text[..<colon]
            if let number = UInt16(text[text.index(after: colon)...]) { port = "\(number)" }
        }
        return "\(isThisMachine(folded(name)) ? "localhost" : folded(name)):\(port)"
    }

    private static func folded(_ name: Substring) -> String {
        var name = name.lowercased()
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        while name.hasSuffix(".") { name.removeLast() }
        return name
    }

    private static func isThisMachine(_ name: String) -> Bool {
        if name == "localhost" || name.hasSuffix(".localhost") { return true }
        // In all its ways of writing: 127.1, ::1, 0:0:0:0:0:0:0:1, ::ffff:127.0.0.1, and the addresses of every interface.
        var four = in_addr()
        if inet_aton(name, &four) != 0 { return four.s_addr & 0xFF == 127 || four.s_addr == 0 }
        var six = in6_addr()
        guard inet_pton(AF_INET6, name, &six) == 1 else { return false }
        let bytes = withUnsafeBytes(of: six) { Array($0) }
        if bytes.dropLast().allSatisfy({ $0 == 0 }) { return bytes[15] <= 1 }
        return bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF && bytes[12] == 127
    }

    /// A server that both name, or may name; nil when none is shared by what is written. Names that are others' aliases are not seen.
    public func shared(with other: MongoAddress) -> String? {
        if let service, let theirs = other.service { return service == theirs ? service : nil }
        if let host = hosts.first(where: other.hosts.contains) { return host }
        // The servers behind such a name are in its own domain, as drivers demand.
        for (name, list) in [(service, other.hosts), (other.service, hosts)] {
            guard let domain = name?.drop(while: { $0 != "." }), !domain.isEmpty else { continue }
            if let host = list.first(where: { $0.prefix { $0 != ":" }.hasSuffix(domain) }) { return host }
        }
        return nil
    }
}
