public import SerinMigrations
public import SerinModel
public import SerinPolicies

/// The migrations that a place on the command line holds.
public struct GivenMigrations: Sendable, Hashable {
    /// In the order in which they are applied.
    public var scripts: [MigrationScript]
    /// The last revisions, as the tool names them; empty when it has no such notion.
    public var heads: [String]
    /// Whether a way back is expected.
    public var wantsWayBack: Bool

    /// Migrations.
    public init(scripts: [MigrationScript], heads: [String] = [], wantsWayBack: Bool = true) {
        self.scripts = scripts
        self.heads = heads
        self.wantsWayBack = wantsWayBack
    }

    /// The most of a file that is read, in bytes.
    private static let limit = 32 << 20

    /// A file of plain SQL, or standard input: one revision, the way forward alone.
    static func plainFile(_ path: String) async throws(Failure) -> GivenMigrations {
        let bytes = try await contents(path)
        let file = path == "-" ? PolicySource.standardInput : path
        var text = SerinMigrations.MigrationText(file: file, sql: bytes, wrapping: .separate)
        // What is piped in is what a tool writes: alembic upgrade head --sql.
        text.holdsRecord = path == "-"
        let script = MigrationScript(revision: file, name: "", up: .text(text), down: .missing)
        return GivenMigrations(scripts: [script], wantsWayBack: false)
    }

    private static func contents(_ path: String) async throws(Failure) -> [UInt8] {
        let bytes: [UInt8]
        do throws(GivenFile.Fault) { bytes = try await GivenFile.bytes(of: path, limit: limit) } catch {
            throw Failure(
                .invalid, "cannot read the migrations in \(path): \(error.words)", hint: "\(LintPlaceArgument.help)")
        }
        guard bytes.count <= limit else {
            throw Failure(
                .invalid, "\(path) is longer than \(limit >> 20) MiB, the most that is read", hint: "is this the right file?")
        }
        return bytes
    }
}

/// Reads migrations without a database.
public struct MigrationReading: Sendable {
    /// Asks a tool; the revision up to which nothing need be asked for, and the time that programs may take together.
    public var read:
        @Sendable (MigrationPolicy, _ applied: String?, _ deadline: Duration) async throws(Failure) -> GivenMigrations

    /// A way to read.
    public init(
        read:
            @escaping @Sendable (MigrationPolicy, _ applied: String?, _ deadline: Duration) async throws(Failure) ->
            GivenMigrations
    ) {
        self.read = read
    }
}
