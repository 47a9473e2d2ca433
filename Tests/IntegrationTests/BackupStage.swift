import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

/// A Postgres server with a table whose dump takes a while, and everything that a rollout's backup of it needs.
struct BackupStage: Sendable {
    let scratch: Scratch
    let cluster: PostgresCluster
    var server: PostgresServer { cluster.primary }
    /// The folder that backups go to.
    let store: String
    /// The passphrase's file.
    let key: String
    /// What the deploy action leaves.
    let deployed: String

    /// Opens it, plays, and takes it down.
    static func play(rows: Int = 1000, _ body: (BackupStage) async throws -> Void) async throws {
        let scratch = try Scratch("serin-gate")
        defer { scratch.remove() }
        let cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
        defer { cluster.stop() }
        // It makes backups and restores beside the live database, and is no superuser.
        try await cluster.primary.sql(
            "CREATE ROLE keeper LOGIN CREATEDB; GRANT pg_read_all_data, pg_monitor, pg_signal_backend TO keeper")
        try await cluster.primary.sql("CREATE DATABASE shop OWNER keeper")
        try await cluster.primary.sql(
            "CREATE TABLE orders AS SELECT n AS id, md5(n::text) || md5((n * 7)::text) AS note FROM generate_series(1, \(rows)) n; "
                + "ALTER TABLE orders ADD PRIMARY KEY (id)", user: "keeper", database: "shop")
        let key = try scratch.write("key", "0123456789 a passphrase of a team\n", mode: 0o600)
        try await body(
            BackupStage(
                scratch: scratch, cluster: cluster, store: scratch.file("store"), key: key, deployed: scratch.file("deployed")))
    }

    var url: String { server.url(user: "keeper", database: "shop") }
    var environment: [String: String] { ["DATABASE_URL": url] }
    /// The state folder of the scenes.
    var state: String { scratch.file("state") }

    /// A backup plan.
    func plan(_ more: String = "", destination: String = "") throws -> String {
        try scratch.write(
            "plan.yaml",
            """
            version: 1
            target: shop
            source: {postgres: {url_env: DATABASE_URL}}
            destinations: {local: {folder: {path: \(store)\(destination)}}}
            encryption: {key_file: \(key)}
            \(more)

            """)
    }

    /// A rollout's policy with these lines and a deploy action that leaves a list of the backups.
    func policy(_ backup: String, more: String = "") throws -> PolicyText {
        var policy = PolicyText()
        let list = "\(try Scene.program()) --state \(state) backup list -o json > \(deployed)"
        policy.more = """
            \(backup)
            deploy: {run: [/bin/sh, -c, "\(list)"]}
            \(more)
            """
        return policy
    }

    /// The short form.
    var shortForm: String { "backup: {before: always, to: [\"file://\(store)\"], key_file: \(key)}" }

    /// Whether the deploy action ran.
    var isDeployed: Bool { access(deployed, F_OK) == 0 }

    /// The whole catalogue, failed ones too.
    func records(_ scene: Scene) async throws -> [JSONValue] {
        let listed = try await scene.serin("backup", "list", "--all", "-o", "json")
        guard listed.termination == .exited(0) else { throw Failure(.invalid, "cannot list: \(listed.text)") }
        let bytes = listed.output.prefix { $0 != 0x0A }
        return try JSONValue(parsing: bytes)["backups"]?.items ?? []
    }

    /// Waits until the dump has begun to read the table, and stops it there.
    func freezeDump() async throws {
        try await waitUntil("the dump of the table", within: .seconds(60)) { !server.processes("COPY").isEmpty }
        server.freeze("COPY")
        try await waitUntil("a dump that stands still") { !server.processes("COPY").isEmpty }
    }
}
