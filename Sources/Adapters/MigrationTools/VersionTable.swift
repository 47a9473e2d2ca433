internal import SerinDatabase
internal import SerinModel

/// The table in which golang-migrate or dbmate keep where a database is.
struct VersionTable {
    /// What it says.
    struct State {
        /// The applied versions; the one present one where only that is kept.
        var versions: [UInt64]
        /// The version that is marked as half done.
        var dirty: UInt64?
    }

    private let custom: FolderFiles.Custom
    private let session: Connection
    private let name: String

    init(_ table: String, _ custom: FolderFiles.Custom, _ session: Connection) {
        self.custom = custom
        self.session = session
        let parts = table.split(separator: ".").map { sqlName(String($0)) }
        // Serin's own sessions look nowhere by themselves.
        name = parts.count > 1 ? parts.joined(separator: ".") : "public." + (parts.first ?? "schema_migrations")
    }

    /// What the table says; nil when there is none.
    func read() throws(Failure) -> State? {
        guard try session.value("SELECT to_regclass(\(sqlText(name)))") != nil else { return nil }
        let dirty = custom == .pairs ? "dirty" : "false"
        var state = State(versions: [])
        for row in try session.rows("SELECT version::text, \(dirty) FROM \(name)") {
            guard let version = row.first?.flatMap({ UInt64($0) }) else {
                throw Failure(.invalid, "\(name) holds a version that is no number")
            }
            if row.last == "t" { state.dirty = version } else { state.versions.append(version) }
        }
        return state
    }

    func create() throws(Failure) {
        guard try session.value("SELECT to_regclass(\(sqlText(name)))") == nil else { return }
        let columns =
            switch custom {
            case .pairs: "version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL"
            case .marked: "version varchar(128) PRIMARY KEY"
            }
        _ = try session.rows("CREATE TABLE IF NOT EXISTS \(name) (\(columns))")
    }

    /// The statements that note a finished step.
    ///
    /// - Parameter target: The version that the database is then at; nil is none.
    func note(of version: FolderFiles.Version, _ direction: Direction, target: UInt64?) -> String {
        switch (custom, direction) {
        case (.pairs, _):
            "DELETE FROM \(name)" + (target.map { "; INSERT INTO \(name) (version, dirty) VALUES (\($0), false)" } ?? "")
        case (.marked, .up): "INSERT INTO \(name) (version) VALUES ('\(version.id)')"
        case (.marked, .down): "DELETE FROM \(name) WHERE version = '\(version.id)'"
        }
    }

    /// Notes that a step begins that no transaction can hold; dbmate's table cannot say that.
    func mark(_ version: UInt64) throws(Failure) {
        guard custom == .pairs else { return }
        _ = try session.rows(
            "BEGIN; DELETE FROM \(name); INSERT INTO \(name) (version, dirty) VALUES (\(version), true); COMMIT")
    }

    /// Takes such a note back.
    func unmark(previous: UInt64?) throws(Failure) {
        _ = try session.rows(
            "BEGIN; DELETE FROM \(name); "
                + (previous.map { "INSERT INTO \(name) (version, dirty) VALUES (\($0), false); " } ?? "") + "COMMIT")
    }
}
