import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

/// A Postgres server with a table whose dump takes a while, and everything that a rollout's backup of it needs.
struct GateStage: Sendable {
    let scratch: Scratch
    let cluster: PostgresCluster
    var server: PostgresServer { cluster.primary }
    /// The folder that backups go to.
    let store: String
    /// The passphrase's file.
    let key: String
    /// What the deploy action leaves.
    let deployed: String
    /// The line that backups reach the server over when their first dump is to be held; nil for the server's own port.
    var line: CutLine?

    /// Opens it, plays, and takes it down. With `holdsDump`, the first dump stands still in the middle until its client ends.
    static func play(holdsDump: Bool = false, _ body: (GateStage) async throws -> Void) async throws {
        let scratch = try Scratch("serin-gate")
        defer { scratch.remove() }
        let cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
        defer { cluster.stop() }
        // More than a megabyte at once is sent by nothing but the table, and a held one is larger than all buffers on the way.
        let rows = holdsDump ? 300_000 : 1000
        let line = holdsDump ? try CutLine(to: cluster.primary.port, .falls, after: 1 << 20) : nil
        defer { line?.stop() }
        // It makes backups and restores beside the live database, and is no superuser.
        try await cluster.primary.sql(
            "CREATE ROLE keeper LOGIN CREATEDB; GRANT pg_read_all_data, pg_monitor, pg_signal_backend TO keeper")
        try await cluster.primary.sql("CREATE DATABASE shop OWNER keeper")
        try await cluster.primary.sql(
            "CREATE TABLE orders AS SELECT n AS id, md5(n::text) || md5((n * 7)::text) AS note FROM generate_series(1, \(rows)) n; "
                + "ALTER TABLE orders ADD PRIMARY KEY (id)", user: "keeper", database: "shop")
        let key = try scratch.write("key", "0123456789 a passphrase of a team\n", mode: 0o600)
        try await body(
            GateStage(
                scratch: scratch, cluster: cluster, store: scratch.file("store"), key: key, deployed: scratch.file("deployed"),
                line: line))
    }

    var url: String {
        let url = server.url(user: "keeper", database: "shop")
        guard let line else { return url }
        return url.replacing(":\(server.port)/", with: ":\(line.port)/")
    }
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

    /// Waits until the first dump stands still.
    func awaitHeldDump() async throws {
        try await waitUntil("a dump that stands still", within: .seconds(120)) { line?.cuts == 1 }
        #expect(!server.processes("COPY").isEmpty, "it is the table that is held")
    }
}
