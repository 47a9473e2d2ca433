import FoundationEssentials
import Glibc
import SerinCatalogue
import SerinModel
import SerinPorts
import SerinProcesses
import SerinSQLite
import Testbed
import Testing

@testable import SerinCommandLine

/// A database, a place to store to, and the blocks of docs/RUNBOOKS.md to run on them.
struct Runbook: Sendable {
    /// One block that is run.
    struct Block: Sendable {
        var section: String
        var title: String
        var text: String
    }

    let scratch: Scratch
    let cluster: PostgresCluster
    /// What is set for every block besides the usual.
    var variables: [String: String] = [:]
    /// The folder that stands for the state folder of the page.
    var state: String
    /// What stands for the moment of the page.
    var moment = "2026-11-21T09:59:30Z"
    var server: PostgresServer { cluster.primary }

    /// Made of the plan's own lines for destinations and encryption.
    static func open(
        destinations: String = "{local: {folder: {path: /var/backups/serin}}}",
        encryption: String = "{key_file: /etc/serin/backup.key}", source: String = "globals: false"
    ) async throws -> Runbook {
        let scratch = try Scratch("serin-runbook")
        let archive = scratch.file("archive")
        try #require(mkdir(archive, 0o755) == 0)
        if geteuid() == 0, let account = getpwnam("postgres") { chown(archive, account.pointee.pw_uid, account.pointee.pw_gid) }
        // The server's user may not look into the folder of the sources.
        let archiver = try scratch.write(
            "archive-wal.sh", try file("examples/postgres/archive-wal.sh"), mode: 0o755)
        chmod(archiver, 0o755)
        let cluster = try await PostgresCluster.start(
            in: scratch, withReplica: false,
            settings: [
                "archive_mode": "on", "archive_command": "\(archiver) %p \(archive)/%f", "archive_timeout": "300",
                "full_page_writes": "on",
            ])
        var book = Runbook(scratch: scratch, cluster: cluster, state: scratch.file("state"))
        try await book.server.sql(
            "CREATE ROLE keeper LOGIN; GRANT pg_read_all_data TO keeper; CREATE ROLE app_owner; CREATE ROLE restorer LOGIN CREATEDB"
        )
        try await book.server.sql(
            "GRANT app_owner TO restorer; CREATE ROLE swapper LOGIN CREATEDB; GRANT restorer, pg_signal_backend TO swapper")
        try await book.server.sql("CREATE DATABASE checkout OWNER swapper")
        try await book.live(
            """
            GRANT CREATE ON SCHEMA public TO app_owner; GRANT CONNECT ON DATABASE checkout TO restorer; SET ROLE app_owner;
            CREATE TABLE public.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text NOT NULL,
                created_at timestamptz NOT NULL DEFAULT now());
            CREATE TABLE public.lines (order_id bigint REFERENCES public.orders, line int, PRIMARY KEY (order_id, line));
            INSERT INTO public.orders (note) SELECT md5(n::text) FROM generate_series(1, 500) n;
            INSERT INTO public.lines SELECT id, 1 FROM public.orders WHERE id % 2 = 0
            """)
        for folder in ["bin", "etc", "etc/backups", "desk"] {
            try FileManager.default.createDirectory(atPath: scratch.file(folder), withIntermediateDirectories: true)
        }
        symlink(try Scene.program(), scratch.file("bin/serin"))
        try scratch.write("etc/backup.key", "ZYt4n2m1vQ3xJ8p0cK7sW5rE9uB6aT+L/hD1gF2iO3w=\n", mode: 0o600)
        try scratch.write("etc/integrity.sql", "SELECT id FROM public.orders WHERE note = ''")
        book.variables = [
            "DATABASE_URL": book.server.url(user: "keeper", database: "checkout"),
            "RESTORE_URL": book.server.url(user: "restorer", database: "checkout"),
            "SWAP_URL": book.server.url(user: "swapper", database: "checkout"), "ADMIN_URL": book.server.url(),
        ]
        try scratch.write("etc/backups/checkout.yaml", book.placed(plan(destinations, encryption, source)))
        try scratch.write(
            "etc/backups/cluster.yaml",
            book.placed(
                """
                version: 1
                target: main-cluster
                source: {postgres_physical: {url_env: ADMIN_URL, basebackup: true, archive: "\(archive)"}}
                destinations: {local: {folder: {path: /var/backups/serin}}}
                encryption: {key_file: /etc/serin/backup.key}
                retention: {keep_all: 30d, point_in_time: 14d}
                """))
        return book
    }

    private static func plan(_ destinations: String, _ encryption: String, _ source: String) -> String {
        """
        version: 1
        target: checkout-db
        project: checkout
        source: {postgres: {url_env: DATABASE_URL, \(source)}}
        destinations: \(destinations)
        encryption: \(encryption)
        retention: {keep_all: 30d}
        restore:
          url_env: RESTORE_URL
          swap_url_env: SWAP_URL
          approvals: 1
          checks:
            tables: [public.orders]
            recent: [{table: public.orders, column: created_at, within: 24h}]
            sql_file: /etc/serin/integrity.sql
        targets: {rpo: 24h, rto: 1h}
        """
    }

    func end() {
        cluster.stop()
        scratch.remove()
    }

    /// The page's folders, and its moment, become those of this test.
    func placed(_ text: String) -> String {
        text.replacing("/var/lib/postgresql", with: scratch.path).replacing("2026-11-21T09:59:30Z", with: moment).replacing(
            "/etc/serin", with: scratch.file("etc")
        ).replacing("/var/lib/serin", with: state)
            .replacing("/var/backups/serin", with: scratch.file("store"))
    }

    /// Asks the live database.
    @discardableResult func live(_ sql: String) async throws -> String {
        try await server.sql(sql, user: "swapper", database: "checkout")
    }

    /// Runs shell text as a block is run.
    ///
    /// - Returns: What it wrote.
    @discardableResult func run(
        _ text: String, _ what: String = "shell", _ more: [String: String] = [:]
    ) async throws -> String {
        // Each block sees what those before have set, as one shell would.
        let script = """
            set +e; source vars 2> /dev/null; set -euo pipefail
            \(placed(text))
            unset SUDO_UID; { declare -p; declare -f; } > vars
            """
        var environment = variables
        environment["PATH"] = "\(scratch.file("bin")):/usr/bin:/bin"
        environment["HOME"] = scratch.path
        environment["LC_ALL"] = "C.UTF-8"
        environment["SERIN_STATE"] = state
        environment.merge(more) { _, last in last }
        let done = try await Program(
            "/usr/bin/bash", ["-c", script], environment: environment, directory: scratch.file("desk"), deadline: .minutes(4)
        ).run()
        try #require(done.termination == .exited(0), "\(what): \(done.termination): \(done.text)")
        return done.text
    }

    /// Runs the blocks of a section, and what the test does before one of them.
    ///
    /// - Returns: What each block wrote, by its title.
    @discardableResult func follow(
        _ section: String, before: [String: @Sendable () async throws -> Void] = [:]
    ) async throws -> [String: String] {
        let page = try Runbook.blocks()
        let blocks = page.filter { $0.section == section }
        try #require(!blocks.isEmpty, "no section '\(section)'")
        var outputs: [String: String] = [:]
        for block in page.filter({ $0.title == "always first" }) + blocks {
            try await before[block.title]?()
            // A second person: whoever called sudo, as root's own programs see it.
            if geteuid() != 0, block.title.hasPrefix("approve") {
                try await approveBySecondPerson()
                continue
            }
            let caller = block.title.hasPrefix("approve") ? ["SUDO_UID": "4711"] : [:]
            outputs[block.title] = try await run(block.text, "\(section): \(block.title)", caller)
        }
        return outputs
    }

    /// A second person approves what waits, where the tests cannot act as two.
    private func approveBySecondPerson() async throws {
        let catalogue = try await SQLiteCatalogue.open(SQLiteCatalogue.path(under: state))
        let newest = try #require(try await catalogue.state().records.last)
        _ = try await ChangeApprovals.approve(
            ChangeSubject(newest), code: nil, reason: "incident 7", by: .uid(4711), in: catalogue, at: SystemClock().now())
        await catalogue.close()
    }

    /// A file of this package.
    static func file(_ path: String) throws -> String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return try String(contentsOfFile: "/\(root)/\(path)", encoding: .utf8)
    }

    /// Every block with a title.
    static func blocks() throws -> [Block] {
        let page = try file("docs/RUNBOOKS.md")
        var (blocks, section): ([Block], String) = ([], "")
        var open: (title: String, indent: Int, lines: [Substring])?
        for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
            let text = line.drop { $0 == " " }
            if let block = open {
                if text.hasPrefix("```") {
                    blocks.append(Block(section: section, title: block.title, text: block.lines.joined(separator: "\n")))
                    open = nil
                } else {
                    open?.lines.append(line.dropFirst(min(block.indent, line.prefix { $0 == " " }.count)))
                }
            } else if text.hasPrefix("## ") {
                section = String(text.dropFirst(3))
            } else if text.hasPrefix("```sh title=\"") {
                open = (String(text.dropFirst(13).dropLast()), line.count - text.count, [])
            }
        }
        return blocks
    }
}
