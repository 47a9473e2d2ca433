internal import SerinModel

/// Why a text has not the form that was expected, and what to write instead. Never repeats what may be a secret.
func refusal(of text: String, type: ScalarForm.PlainType, form: ScalarForm) -> (message: String, hint: String?) {
    let expected = "expected \(form.expectation)"
    if type == .null { return ("\(expected), found nothing", form.example.isEmpty ? nil : "write \(form.example)") }
    if case .url = form, hasUserInfo(text) {
        return (
            "an address must not hold a user or password",
            "take it out of the address; use 'basic: {username: …, password_env: …}' or 'bearer_env: …' where they are offered"
        )
    }
    if form.mayHoldSecret { return ("\(expected), found something else (not shown: it may be a secret)", nil) }
    let found = "\(expected), found '\(shown(text))'"
    if let unit = form.unit, isJSONNumber(text) {
        let other = if case .duration = form { " (or \(text)s, \(text)h)" } else { "" }
        return ("\(expected), found \(shown(text)) without a unit", "write \(text)\(unit)\(unit == "m" ? other : "")")
    }
    switch form {
    case .flag:
        return (found, "write true or false, without quotes")
    case .integer, .number, .quantile:
        return (found, type == .text && isJSONNumber(text) ? "remove the quotes" : nil)
    case .weight:
        return (found, type == .text && isJSONNumber(text) ? "remove the quotes" : nil)
    case .word(let words):
        return (found, closest(to: text, among: words).map { "did you mean '\($0)'?" })
    case .duration(let range):
        if let value = Duration(policyText: text) {
            return (found, value < range.lowerBound ? "at least \(range.lowerBound)" : "at most \(range.upperBound)")
        }
        return (found, "write \(form.example); units are ms, s, m, h and d")
    case .share, .perSecond, .bytes:
        return (found, "write \(form.example)")
    case .backup(let own):
        return own.complaint(about: text).map { ($0, own.example.isEmpty ? nil : "write \(own.example)") }
            ?? (found, own.example.isEmpty ? nil : "write \(own.example)")
    case .text, .anyText, .name, .signalName, .metric, .labelName, .url, .path, .address, .environmentName, .credentialName,
        .jsonPointer:
        switch type {
        case .number, .flag: return ("\(expected), found \(shown(text))", "put it into quotes: \"\(shown(text))\"")
        case .text, .null: return (found, nil)
        }
    }
}

/// A text as it may be printed: control characters replaced, clipped, and hidden when it may hold a secret.
func shown(_ text: String) -> String {
    if hasUserInfo(text) || inlineSecret(in: text, form: .anyText) != nil { return "(not shown: it may be a secret)" }
    let clean = text.unicodeScalars.prefix(60).map { $0.value < 0x20 || $0.value == 0x7F ? "?" : $0 }
    return String(String.UnicodeScalarView(clean)) + (text.unicodeScalars.count > 60 ? "…" : "")
}

/// Whether a text holds an address with a user or password: `://…@` before the path.
func hasUserInfo(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    let separator = Array("://".utf8)
    guard bytes.count > 3 else { return false }
    for start in 0...(bytes.count - 3) where bytes[start..<start + 3].elementsEqual(separator) {
        let authority = bytes[(start + 3)...].prefix { $0 > 0x20 && ![0x2F, 0x3F, 0x23].contains($0) }
        if authority.contains(0x40) { return true }
    }
    return false
}

/// Why a text that has its form must not stand in a policy: it carries a secret.
func inlineSecret(in text: String, form: ScalarForm) -> String? {
    switch form {
    case .text, .anyText, .url: break
    default: return nil
    }
    if hasUserInfo(text) { return "holds an address with a user or password, which never stand in a policy" }
    let lower = text.lowercased()
    for word in ["password", "passwd", "secret", "token", "api_key", "apikey", "api-key"] {
        for mark in ["=", "\": \"", "\":\""] where lower.contains(word + mark) {
            return "'\(word)' seems to be given a value here; a secret is never written into a policy"
        }
    }
    return nil
}
