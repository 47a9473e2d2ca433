internal import SerinModel

extension WebToken {
    /// Its issuer, to find the settings by; not believed.
    var issuer: String? { claims["iss"]?.text }

    /// Its subject, once everything that it says of its place and time holds (RFC 8725, sections 3.8 to 3.11).
    func subject(for settings: IssuerSettings, at now: Instant) throws(CredentialError) -> String {
        guard issuer == settings.issuer else { throw .refused("a token of another issuer") }
        guard settings.types.contains(type ?? "jwt") else { throw .refused("a token of the type '\(type ?? "none")'") }
        let audiences: [String]
        switch claims["aud"] {
        case .string(let text): audiences = [text]
        case .array(let items): audiences = items.compactMap(\.text)
        default: throw .refused("a token without an audience")
        }
        guard audiences.contains(where: settings.audiences.contains) else {
            throw .refused(
                told: "the token is for another audience; ask your issuer for one of \(settings.audiences.sorted())",
                detail: "a token for another audience")
        }
        try checkTimes(settings, now)
        guard let subject = claims["sub"]?.text, (1...255).contains(subject.utf8.count),
            subject.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else { throw .refused("a token without a subject of 1 to 255 printable bytes") }
        return subject
    }

    private func checkTimes(_ settings: IssuerSettings, _ now: Instant) throws(CredentialError) {
        guard let ends = try moment("exp") else { throw .refused("a token that never ends") }
        guard now < ends + settings.skew else {
            throw .refused(told: "the token ended at \(ends); it is \(now) here", detail: "a token that ended at \(ends)")
        }
        if let begins = try moment("nbf"), begins > now + settings.skew {
            throw .refused("a token that begins at \(begins) only")
        }
        let issued = try moment("iat")
        if let issued, issued > now + settings.skew { throw .refused("a token of the future: made at \(issued)") }
        // Without a time of its making the life that is left counts.
        guard ends - (issued ?? now - settings.skew) <= settings.longestLife + (issued == nil ? settings.skew : .zero) else {
            throw .refused("a token that lives longer than \(settings.longestLife)")
        }
    }

    /// A time in seconds since 1970, whose fraction is dropped (RFC 7519, section 2). A claim that is none refuses the token.
    private func moment(_ name: String) throws(CredentialError) -> Instant? {
        guard let value = claims[name] else { return nil }
        guard case .number(let text) = value else { throw .refused("a token whose '\(name)' is no time") }
        let whole = text.prefix { $0 != "." }
        let fraction = text.dropFirst(whole.count + 1)
        guard (1...11).contains(whole.utf8.count), let seconds = Int64(whole), seconds >= 0,
            fraction.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { throw .refused("a token whose '\(name)' is no time") }
        return Instant(millisecondsSince1970: seconds * 1000)
    }
}
