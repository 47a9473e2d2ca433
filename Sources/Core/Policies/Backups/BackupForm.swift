internal import SerinModel

/// The forms of values that only backup plans have.
enum BackupForm: Sendable, Hashable {
    /// How many, or for how long: `7` or `14d`.
    case keep
    /// Times of the calendar.
    case cron
    /// A time zone.
    case zone
    /// Hours of the day or week.
    case window
    /// Days or hours without backups.
    case blackout
    /// The exact name of a schema or column.
    case identifier
    /// The exact name of a table, with or without its schema.
    case table
    /// A mail address.
    case mail

    var expectation: String {
        switch self {
        case .keep: "a number of backups from 1 to 10000, or a time with a unit, like 14d"
        case .cron: "times like \"0 2 * * *\" or \"first sun 10:00\""
        case .zone: "a time zone like UTC, +02:00 or Europe/Berlin"
        case .window: "hours like \"02:00-05:00\" or \"sat,sun 22:00-04:00\""
        case .blackout: "days like 2026-12-24..2026-12-26, or hours like \"sat 00:00-24:00\""
        case .identifier: "an exact name of letters, digits, '_' and '-', at most 63, without patterns"
        case .table: "the exact name of a table like orders or public.orders, without patterns"
        case .mail: "a mail address like ops@example.com"
        }
    }

    var example: String {
        switch self {
        case .keep: "14d"
        case .cron: "\"0 2 * * *\""
        case .zone: "UTC"
        case .window: "\"02:00-05:00\""
        case .blackout: "2026-12-24..2026-12-26"
        case .identifier: "public"
        case .table: "public.orders"
        case .mail: "ops@example.com"
        }
    }

    /// The pattern of its texts for the JSON Schema; what it cannot say, the parser does.
    var pattern: String {
        switch self {
        case .keep: "^[0-9]{1,9}(\\.[0-9]{1,3})?[hd]$"
        case .cron: "^[0-9A-Za-z*/,:-]+( +[0-9A-Za-z*/,:-]+){2,4}$"
        case .zone: "^(UTC|Z|[+-][0-9]{2}:[0-9]{2}|[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*)$"
        case .window: "^([A-Za-z,-]+ +)?[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$"
        case .blackout:
            "^([0-9]{4}-[0-9]{2}-[0-9]{2}(\\.\\.[0-9]{4}-[0-9]{2}-[0-9]{2})?|([A-Za-z,-]+ +)?[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2})$"
        case .identifier: "^[A-Za-z_][A-Za-z0-9_-]{0,62}$"
        case .table: "^([A-Za-z_][A-Za-z0-9_-]{0,62}\\.)?[A-Za-z_][A-Za-z0-9_-]{0,62}$"
        case .mail: "^[!-?A-~]+@[A-Za-z0-9.-]+$"
        }
    }

    func read(_ text: String, type: ScalarForm.PlainType, mark: Mark) -> ReadScalar? {
        var scalar = ReadScalar(text: text, mark: mark)
        if self == .keep, type == .number {
            guard let count = Int(text), (1...10_000).contains(count) else { return nil }
            scalar.number = Double(count)
            return scalar
        }
        guard type == .text else { return nil }
        if self == .keep {
            guard let age = Duration(policyText: text), age >= .hours(1), text.hasSuffix("d") || text.hasSuffix("h") else {
                return nil
            }
            scalar.duration = age
            return scalar
        }
        return complaint(about: text) == nil ? scalar : nil
    }

    /// What is wrong with a text; nil when it has the form.
    func complaint(about text: String) -> String? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Array($0.utf8) }
        let isFine: Bool
        switch self {
        case .keep: isFine = false
        case .cron: return reason { () throws(ScheduleError) in _ = try CronExpression(text) }
        case .window: return reason { () throws(ScheduleError) in _ = try DayWindow(text) }
        case .blackout: return reason { () throws(ScheduleError) in _ = try Blackout(text) }
        case .zone:
            let first = text.utf8.first ?? 0
            isFine =
                fixedZoneOffset(text) != nil
                || (isLetter(first) && parts.allSatisfy { !$0.isEmpty && $0.allSatisfy { isNameByte($0) || $0 == 0x2B } })
        case .identifier: isFine = isIdentifier(text[...])
        case .table:
            let names = text.split(separator: ".", omittingEmptySubsequences: false)
            isFine = names.count <= 2 && names.allSatisfy(isIdentifier)
        case .mail:
            let names = text.split(separator: "@", omittingEmptySubsequences: false)
            isFine =
                names.count == 2 && names.allSatisfy { !$0.isEmpty } && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
                && (names.last ?? "").utf8.allSatisfy { isLetter($0) || isDigit($0) || $0 == 0x2E || $0 == 0x2D }
        }
        return isFine ? nil : "expected \(expectation), found '\(shown(text))'"
    }

    private func reason(_ attempt: () throws(ScheduleError) -> Void) -> String? {
        do {
            try attempt()
            return nil
        } catch {
            return error.description
        }
    }

    private func isIdentifier(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 63 else { return false }
        return (isLetter(first) || first == 0x5F) && text.utf8.allSatisfy(isNameByte)
    }
}

private func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
private func isNameByte(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) || byte == 0x5F || byte == 0x2D }
