internal import FoundationEssentials
internal import SerinModel

/// A folder of plain SQL, in one of two customs that are told apart by the names of the files.
struct FolderFiles: Sendable {
    /// How files and the table of versions look.
    enum Custom: Sendable, Hashable {
        /// `12_name.up.sql` and `12_name.down.sql`; the table has the one version and whether it is half done (golang-migrate).
        case pairs
        /// `12_name.sql` with `-- migrate:up` and `-- migrate:down` in it; the table has every version (dbmate).
        case marked
    }

    /// One direction of a version.
    struct Side: Sendable {
        var file: String
        /// The line on which the SQL starts, from 1.
        var line: Int
        var sql: [UInt8]
        /// Whether the file says `transaction:false`.
        var isOutsideTransaction: Bool
    }

    /// One version.
    struct Version: Sendable {
        var id: RevisionID
        var number: UInt64
        var name: String
        var up: Side?
        var down: Side?
    }

    let custom: Custom
    /// In the order of their numbers.
    let versions: [Version]

    /// The names of a folder's entries.
    static func entries(of path: String) throws(Failure) -> [String] {
        do { return try FileManager.default.contentsOfDirectory(atPath: path).sorted() } catch {
            throw Failure(.invalid, "cannot read the folder of migrations \(path)", hint: "name a folder of .sql files")
        }
    }

    /// Reads a folder.
    ///
    /// - Throws: `invalid` when it cannot be read, holds both customs, or a number twice.
    init(_ path: String) throws(Failure) {
        let entries = try FolderFiles.entries(of: path)
        let names = entries.filter { $0.hasSuffix(".sql") }
        if let other = FolderFiles.unread(entries, in: path) {
            throw Failure(
                .invalid, "\(path)/\(other) looks like a migration, and is not read",
                hint: "files of the folder itself that end in .sql are revisions; keep anything else elsewhere")
        }
        let paired = names.filter { $0.hasSuffix(".up.sql") || $0.hasSuffix(".down.sql") }
        guard paired.isEmpty || paired.count == names.count else {
            let other = names.first { !paired.contains($0) } ?? ""
            throw Failure(
                .invalid, "\(path) holds both \(paired[0]) and \(other)",
                hint: "either all files end in .up.sql and .down.sql, or none")
        }
        custom = paired.isEmpty ? .marked : .pairs
        var found: [UInt64: Version] = [:]
        for name in names { try FolderFiles.add(name, in: path, custom, to: &found) }
        versions = found.values.sorted { $0.number < $1.number }
    }

    /// Something in a folder that people may take for one of its migrations, and that none is.
    private static func unread(_ entries: [String], in path: String) -> String? {
        for entry in entries where !entry.hasPrefix(".") {
            if entry.hasSuffix(".sql") { continue }
            if entry.lowercased().hasSuffix(".sql") { return entry }
            let inside = (try? FileManager.default.contentsOfDirectory(atPath: "\(path)/\(entry)")) ?? []  // none of a file
            if let file = inside.sorted().first(where: { $0.lowercased().hasSuffix(".sql") }) { return "\(entry)/\(file)" }
        }
        return nil
    }

    private static func add(_ file: String, in folder: String, _ custom: Custom, to found: inout [UInt64: Version])
        throws(Failure)
    {
        let digits = file.prefix { $0.isASCII && $0.isNumber }
        guard let number = UInt64(digits), let id = RevisionID(String(digits)) else {
            throw Failure(.invalid, "\(folder)/\(file) does not begin with a number", hint: "such as 0001_orders.up.sql")
        }
        let path = "\(folder)/\(file)"
        guard let bytes = FileManager.default.contents(atPath: path).map({ Array($0) }) else {
            throw Failure(.invalid, "cannot read \(path)")
        }
        let endings = custom == .pairs ? [".up.sql", ".down.sql"] : [".sql"]
        let ending = endings.first { file.hasSuffix($0) } ?? ""
        let name = String(file.dropFirst(digits.count).dropLast(ending.count).drop { $0 == "_" })
        var version = found[number] ?? Version(id: id, number: number, name: name)
        guard version.name == name, version.id == id, custom == .pairs || found[number] == nil else {
            throw Failure(
                .invalid, "two versions of \(folder) have the number \(number): \(version.name) and \(name)",
                hint: "two heads: give one of them a later number")
        }
        switch custom {
        case .pairs:
            let side = Side(file: path, line: 1, sql: bytes, isOutsideTransaction: false)
            if ending == ".up.sql" { version.up = side } else { version.down = side }
        case .marked: (version.up, version.down) = try sides(of: bytes, path)
        }
        found[number] = version
    }

    /// Takes a file of both directions apart at its marks, which stand as dbmate wants them: at the beginning of a line, the way
    /// forward first, each once, and nothing but comments before them.
    private static func sides(of bytes: [UInt8], _ path: String) throws(Failure) -> (up: Side?, down: Side?) {
        var sides: [(mark: Mark, side: Side)] = []
        var before: [UInt8] = []
        var line = 0
        for text in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
            line += 1
            if let mark = Mark(text) {
                guard mark.isAtBegin, sides.count == (mark.isUp ? 0 : 1) else {
                    throw Failure(
                        .invalid, "\(path):\(line): the mark 'migrate:\(mark.isUp ? "up" : "down")' stands where none may be",
                        hint: "one '-- migrate:up' and behind it at most one '-- migrate:down', each at the beginning of a line")
                }
                sides.append(
                    (mark, Side(file: path, line: line + 1, sql: [], isOutsideTransaction: mark.isOutsideTransaction)))
            } else if sides.isEmpty {
                before += text + [0x0A]
            } else {
                sides[sides.count - 1].side.sql += text + [0x0A]
            }
        }
        guard SQLStatements(before).words.isEmpty else {
            throw Failure(
                .invalid, "\(path) has SQL in front of '-- migrate:up', which would never be run",
                hint: "put it behind the mark")
        }
        return (sides.first?.side, sides.dropFirst().first?.side)
    }

    /// A line that says which way the SQL behind it leads.
    private struct Mark {
        let isUp: Bool
        let isAtBegin: Bool
        let isOutsideTransaction: Bool

        /// Nil when the line is none.
        init?(_ line: ArraySlice<UInt8>) {
            let text = String(decoding: line, as: UTF8.self)
            let trimmed = text.drop(while: \.isWhitespace)
            guard trimmed.hasPrefix("--") else { return nil }
            let words = trimmed.dropFirst(2).split(whereSeparator: \.isWhitespace)
            guard let first = words.first, first == "migrate:up" || first == "migrate:down" else { return nil }
            isUp = first == "migrate:up"
            isAtBegin = text.hasPrefix("--")
            isOutsideTransaction = words.contains("transaction:false")
        }
    }

    /// The version of a number that a table has.
    func version(_ number: UInt64) -> Version? { versions.first { $0.number == number } }
}

extension FolderFiles.Side {
    /// Why it cannot be run as it is; nil when nothing speaks against it.
    var objection: Failure? {
        if let place = sql.firstIndex(of: 0) {
            return Failure(
                .invalid, "\(file) holds a NUL byte behind \(place) bytes: the server would not see the rest",
                hint: "take it out")
        }
        guard String(validating: sql, as: UTF8.self) != nil else {
            return Failure(
                .invalid, "\(file) is not UTF-8: other characters than it says would be stored",
                hint: "write it in UTF-8: iconv -f LATIN1 -t UTF-8")
        }
        let statements = SQLStatements(sql)
        if let statement = statements.givesUp {
            return Failure(
                .invalid, "\(file) has a \(statement): it would be noted as done, and is not",
                hint: "take it out; what may not be done belongs into another revision")
        }
        guard let statement = statements.leftOpen else { return nil }
        return Failure(
            .invalid, "\(file) has a \(statement) without a COMMIT: nothing behind it would stay",
            hint: "COMMIT at the end, or leave transactions to Serin")
    }

    /// Whether there is anything but white space and comments.
    var isEmpty: Bool { SQLStatements(sql).words.isEmpty }
}
