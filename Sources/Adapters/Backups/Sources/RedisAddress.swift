internal import SerinModel

/// Where a Redis server is and how to be let in: `redis://[user[:password]@]host[:port]`, or `rediss://` with TLS. The files that TLS
/// needs may follow: `?cacert=/path` (the system's own certificates without), and `cert=/path&key=/path` where the server asks for them.
struct RedisAddress: Sendable {
    var host: String
    var port: Int
    var user: String?
    var password: String?
    var isEncrypted: Bool
    /// Options of `redis-cli` for TLS, with their files.
    private var files: [String] = []

    init(_ url: String) throws(Failure) {
        func refuse(_ why: String) -> Failure {
            Failure(.invalid, "the address of Redis \(why)", hint: "write it like redis://user:password@host:6379")
        }
        guard let mark = url.firstRange(of: "://"), ["redis", "rediss"].contains(String(url[..<mark.lowerBound])) else {
            throw refuse("does not begin with redis:// or rediss://")
        }
        isEncrypted = url.hasPrefix("rediss")
        var rest = url[mark.upperBound...].prefix { $0 != "?" && $0 != "#" }
        for pair in url[rest.endIndex...].drop(while: { $0 == "?" }).prefix(while: { $0 != "#" }).split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard isEncrypted, parts.count == 2, ["cacert", "cert", "key"].contains(parts[0]),
                let path = RedisAddress.decoded(parts[1]), path.hasPrefix("/")
            else {
                throw refuse("has the option '\(parts.first ?? "")': rediss:// takes cacert, cert and key, each an absolute path")
            }
            files += ["--\(parts[0])", path]
        }
        if let at = rest.lastIndex(of: "@") {
            let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = RedisAddress.decoded(parts[0]), let secret = RedisAddress.decoded(parts.count > 1 ? parts[1] : "")
            else { throw refuse("has a user or password that is not percent-encoded text") }
            user = name.isEmpty ? nil : name
            password = secret.isEmpty ? nil : secret
            rest = rest[rest.index(after: at)...]
        }
        rest = rest.prefix { $0 != "/" }
        let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let first = parts.first, !first.isEmpty, !first.hasPrefix("-"),
            let port = parts.count == 2 ? Int(parts[1]) : 6379, (1...65535).contains(port)
        else { throw refuse("names no host and port") }
        host = String(first)
        self.port = port
    }

    /// `redis-cli` against this server. The password is in its environment.
    var client: SourceTool {
        SourceTool(
            "redis-cli", variables: password.map { ["REDISCLI_AUTH": $0] } ?? [:], secrets: password.map { [$0] } ?? [])
    }

    /// The arguments that name the server.
    var arguments: [String] {
        ["-h", host, "-p", "\(port)", "--no-auth-warning"] + (user.map { ["--user", $0] } ?? []) + (isEncrypted ? ["--tls"] : [])
            + files
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
