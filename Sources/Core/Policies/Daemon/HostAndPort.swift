/// The host and the port of `127.0.0.1:8080` or `[::1]:8080`; nil for any other text. Names are not looked up.
func hostAndPort(_ text: String) -> (host: String, port: UInt16)? {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    var host = text[..<colon]
    guard digits.utf8.count <= 5, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits) else {
        return nil
    }
    if host.first == "[", host.last == "]" {
        host = host.dropFirst().dropLast()
        let isNumber = host.utf8.allSatisfy {
            (0x30...0x3A).contains($0) || (0x41...0x46).contains($0) || (0x61...0x66).contains($0) || $0 == 0x2E
        }
        return isNumber && host.utf8.contains(0x3A) ? (String(host), port) : nil
    }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4,
        parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } && UInt8($0) != nil })
    else { return nil }
    return (String(host), port)
}

/// Whether only programs of this machine reach a host's number.
func isOwnMachine(_ host: String) -> Bool { host.hasPrefix("127.") || host == "::1" }
