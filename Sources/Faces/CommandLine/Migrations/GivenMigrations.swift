internal import Glibc
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
    static func plainFile(_ path: String) throws(Failure) -> GivenMigrations {
        let bytes = try contents(path)
        let file = path == "-" ? PolicySource.standardInput : path
        let script = MigrationScript(
            revision: file, name: "", up: .text(SerinMigrations.MigrationText(file: file, sql: bytes, wrapping: .separate)), down: .missing)
        return GivenMigrations(scripts: [script], wantsWayBack: false)
    }

    private static func contents(_ path: String) throws(Failure) -> [UInt8] {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path, errno) }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= limit {
            let count = read(descriptor, &buffer, buffer.count)
            if count == 0 { return bytes }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw unreadable(path, errno)
            }
            bytes += buffer.prefix(count)
        }
        throw Failure(
            .invalid, "\(path) is longer than \(limit >> 20) MiB, the most that is read", hint: "is this the right file?")
    }

    private static func unreadable(_ path: String, _ code: Int32) -> Failure {
        Failure(
            .invalid, "cannot read the migrations in \(path): \(String(cString: strerror(code)))",
            hint: "\(LintPlaceArgument.help)")
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
