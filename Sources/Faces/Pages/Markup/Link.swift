/// Where a link or a form leads: a place of this site by its parts, or an address of the web. Never a scheme that runs something.
public struct Link: Sendable, Hashable {
    /// The address.
    public let text: String

    /// A place of this site; its parts are encoded, so none can lead elsewhere. A part may begin with `#` or hold `:` only as text.
    public init(_ parts: String..., query: [(name: String, value: String)] = [], fragment: String? = nil) {
        let path = "/" + parts.map(Link.encoded).joined(separator: "/")
        let asked = query.map { "\(Link.encoded($0.name))=\(Link.encoded($0.value))" }.joined(separator: "&")
        text = path + (asked.isEmpty ? "" : "?" + asked) + (fragment.map { "#" + Link.encoded($0) } ?? "")
    }

    /// A place of this site that came from outside, and `/` for what is none: one slash at the beginning, and only characters that a path
    /// may hold as they are.
    init(place text: String?) {
        guard let text, text.hasPrefix("/"), !text.hasPrefix("//"), text.utf8.count <= 300,
            text.utf8.allSatisfy({
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || "/._-~%".utf8.contains($0)
            })
        else {
            self.text = "/"
            return
        }
        self.text = text
    }

    /// An icon of nothing, so that browsers do not ask for one that is not there.
    static let noIcon = Link(constant: "data:,")

    private init(constant: StaticString) { text = "\(constant)" }

    /// A place on the same page.
    public init(fragment: String) { text = "#" + Link.encoded(fragment) }

    /// An address of the web with a query; nil when it is not `http` or `https`, or names a user.
    public init?(web base: String, query: [(name: String, value: String)] = []) {
        guard base.hasPrefix("http://") || base.hasPrefix("https://"),
            base.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x3C && $0 != 0x3E })
        else { return nil }
        let authority = base.drop { $0 != "/" }.dropFirst(2).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.isEmpty, !authority.contains("@") else { return nil }
        let asked = query.map { "\(Link.encoded($0.name))=\(Link.encoded($0.value))" }.joined(separator: "&")
        text = base + (asked.isEmpty ? "" : "?" + asked)
    }

    /// A text with everything but the unreserved characters of RFC 3986 as `%XX`; dots alone would climb, so they are encoded too.
    static func encoded(_ text: String) -> String {
        let isClimbing = text.utf8.allSatisfy { $0 == 0x2E }
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F, 0x7E: bytes.append(byte)
            case 0x2E where !isClimbing: bytes.append(byte)
            default: bytes += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
