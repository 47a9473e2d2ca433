/// A medium that shows text, and what text must be changed to so that it shows as it is: label values and reasons are written by
/// strangers, and may try to mention everyone, to link or to command a terminal.
public enum Medium: Sendable, Hashable, CaseIterable {
    /// Slack's text with `mrkdwn` off: `&`, `<` and `>` stand for control sequences.
    case slack
    /// Telegram's text without a parse mode: only `@name` and `/command` mean anything.
    case telegram
    /// Discord's Markdown.
    case discord
    /// Teams' plain text and text runs.
    case teams
    /// Mattermost's Markdown, where `@all` is a mention even in plain words.
    case mattermost
    /// Markdown of GitHub and GitLab, in descriptions that are shown as text.
    case forge
    /// Text alone: e-mail, JSON, PagerDuty.
    case plain

    /// The most characters that a message takes. Slack cuts above 4,000, Telegram and Discord refuse (4,096 and 2,000), Mattermost
    /// refuses above 16,383, Teams above 28 KB of message.
    var limit: Int {
        switch self {
        case .slack: 3_500
        // Counted in UTF-16, of which a character can take several.
        case .telegram: 3_500
        case .discord: 1_800
        case .teams: 6_000
        case .mattermost: 12_000
        case .forge: 140
        case .plain: 20_000
        }
    }

    /// The text, cut to what the medium takes and escaped for it.
    public func text(_ text: String, limit: Int? = nil) -> String {
        let bound = min(limit ?? self.limit, self.limit)
        return cut(escaped(visible(text, lines: self != .forge)), to: bound)
    }

    private func escaped(_ text: String) -> String {
        switch self {
        case .slack:
            return replacing(text) { $0 == "&" ? "&amp;" : $0 == "<" ? "&lt;" : $0 == ">" ? "&gt;" : nil }
        case .telegram, .forge: return replacing(text) { $0 == "@" ? "@\u{2060}" : nil }
        case .mattermost:
            return replacing(text) { $0 == "@" ? "@\u{200B}" : Medium.markdown.contains($0) ? "\\\($0)" : nil }
        case .discord: return replacing(text) { $0 == "@" ? "@\u{200B}" : Medium.markdown.contains($0) ? "\\\($0)" : nil }
        case .teams, .plain: return text
        }
    }

    /// What begins markup anywhere in a text. `-`, `.` and digits do so only at the start of a line and are harmless.
    private static let markdown = Set("\\`*_~|[]()<>#!".unicodeScalars)

    private func replacing(_ text: String, _ change: (Unicode.Scalar) -> String?) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if let changed = change(scalar) { result.append(contentsOf: changed.unicodeScalars) } else { result.append(scalar) }
        }
        return String(result)
    }

    /// Cuts at the end, never between a `\` or `&` and what it escapes.
    private func cut(_ text: String, to limit: Int) -> String {
        // One character may hold thousands of combining marks: what is counted is units of UTF-16, as the media do.
        guard text.utf16.count > limit else { return text }
        var kept = String.UnicodeScalarView()
        var count = 0
        for scalar in text.unicodeScalars {
            count += UTF16.width(scalar)
            if count > limit - 1 { break }
            kept.append(scalar)
        }
        if self == .slack, let start = kept.lastIndex(of: "&"), !kept[start...].contains(";") {
            kept.removeSubrange(start...)
        }
        if self == .discord || self == .mattermost {
            // An odd run of backslashes at the end would escape what follows.
            let run = kept.reversed().prefix { $0 == "\\" }.count
            if !run.isMultiple(of: 2) { kept.removeLast() }
        }
        return String(kept) + "…"
    }
}

/// The text without control characters (but line ends, when `lines`), without marks that turn the direction of writing, and with
/// `\n` alone for line ends.
func visible(_ text: String, lines: Bool) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        switch scalar.value {
        case 0x0A: result.append(lines ? "\n" : " ")
        case 0x09: result.append(" ")
        case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069, 0xFEFF: continue
        default: result.append(scalar)
        }
    }
    return String(result)
}
