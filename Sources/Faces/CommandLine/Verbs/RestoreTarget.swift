internal import SerinBackups
internal import SerinCatalogue
internal import SerinModel

extension PointInTimeRestore.Target {
    /// What `--to` accepts.
    static let help =
        "a time like 2026-11-21T13:27:38Z or 2026-11-21T14:27:38.5+01:00, a position like 16/B374D848, name:RESTORE_POINT, "
        + "xid:NUMBER, or latest"

    /// Reads what stands behind `--to`. A time needs its zone: at night nobody knows which one was meant.
    init?(argument text: String) {
        if text == "latest" {
            self = .latest
        } else if let name = RestoreText.rest(of: text, behind: "name:"), !name.isEmpty, name.utf8.count <= 63 {
            self = .name(name)
        } else if let number = RestoreText.rest(of: text, behind: "xid:").flatMap({ UInt64($0) }), number > 2 {
            self = .transaction(number)
        } else if let position = LogPosition(RestoreText.rest(of: text, behind: "lsn:") ?? text) {
            self = .position(position)
        } else if let moment = RestoreText.moment(text) {
            self = .time(moment)
        } else {
            return nil
        }
    }
}

/// Reading of arguments of restores.
enum RestoreText {
    static func rest(of text: String, behind mark: String) -> String? {
        text.hasPrefix(mark) ? String(text.dropFirst(mark.count)) : nil
    }

    /// `2026-11-21T13:27:38.123Z` or with a distance to UTC in place of `Z`; a space may stand for the `T`.
    static func moment(_ text: String) -> Instant? {
        let words = text.split(maxSplits: 1) { $0 == "T" || $0 == " " }.map(String.init)
        guard words.count == 2, let sign = words[1].lastIndex(where: { "Z+-".contains($0) }) else { return nil }
        let zone = words[1][sign...]
        var shift = Duration.zero
        if zone != "Z" {
            let parts = zone.dropFirst().split(separator: ":")
            guard parts.count <= 2, let hours = parts.first.flatMap({ Int64($0) }), hours <= 14,
                let minutes = parts.count == 2 ? Int64(parts[1]) : 0, minutes < 60
            else { return nil }
            shift = .milliseconds((hours * 60 + minutes) * 60_000 * (zone.hasPrefix("-") ? -1 : 1))
        }
        return Instant(postgres: "\(words[0]) \(words[1][..<sign])").map { $0 - shift }
    }
}
