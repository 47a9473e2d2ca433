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

    /// Reads a folder.
    ///
    /// - Throws: `invalid` when it cannot be read, holds both customs, or a number twice.
    init(_ path: String) throws(Failure) {
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".sql") }.sorted() } catch {
            throw Failure(.invalid, "cannot read the folder of migrations \(path)", hint: "name a folder of .sql files")
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
        case .marked: (version.up, version.down) = sides(of: bytes, path)
        }
        found[number] = version
    }

    /// Takes a file of both directions apart at its marks.
    private static func sides(of bytes: [UInt8], _ path: String) -> (up: Side?, down: Side?) {
        var sides: [String: Side] = [:]
        var present: String?
        var line = 0
        for text in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
            line += 1
            let words = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace).map(String.init)
            if words.count >= 2, words[0] == "--", ["migrate:up", "migrate:down"].contains(words[1]) {
                present = words[1]
                sides[words[1]] = Side(
                    file: path, line: line + 1, sql: [], isOutsideTransaction: words.contains("transaction:false"))
            } else if let present {
                sides[present]?.sql += text + [0x0A]
            }
        }
        return (sides["migrate:up"], sides["migrate:down"])
    }

    /// The version of a number that a table has.
    func version(_ number: UInt64) -> Version? { versions.first { $0.number == number } }
}

extension FolderFiles.Side {
    /// Whether there is anything but white space and comments.
    var isEmpty: Bool { SQLStatements(sql).words.isEmpty }
}
