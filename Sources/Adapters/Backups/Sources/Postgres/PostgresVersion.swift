/// A version of a Postgres program or server.
struct PostgresVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    let major: Int
    let minor: Int

    init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// The first version in what a program prints for `--version`: `pg_dump (PostgreSQL) 15.20 (Debian …)`.
    init?(printed text: String) {
        for word in text.split(whereSeparator: { $0 == " " || $0.isNewline }) {
            let parts = word.split(separator: ".", omittingEmptySubsequences: false)
            let digits = parts.map { $0.prefix { ("0"..."9").contains($0) } }
            guard parts.count <= 3, let first = digits.first, let major = Int(first), major >= 9 else { continue }
            self.init(major: major, minor: digits.count > 1 ? Int(digits[1]) ?? 0 : 0)
            return
        }
        return nil
    }

    /// A server's version number: 150020.
    init(number: Int) { self.init(major: number / 10_000, minor: number % 10_000) }

    var description: String { "\(major).\(minor)" }

    /// Whether `pg_restore` and `psql` of this version are free of the known ways in which a dump runs code of its author
    /// (CVE-2025-8714, CVE-2026-18408, CVE-2026-116314). Versions before 14 are no longer mended.
    var isTrustedWithDumps: Bool {
        switch major {
        case 14: minor >= 25
        case 15: minor >= 20
        case 16: minor >= 16
        case 17: minor >= 12
        case 18: minor >= 7
        default: major > 18
        }
    }

    static func < (left: PostgresVersion, right: PostgresVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }
}
