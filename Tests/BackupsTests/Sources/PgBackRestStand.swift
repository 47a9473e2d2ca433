import Glibc
import SerinBackups
import SerinModel
import SerinProcesses
import Testbed

/// A cluster whose log pgBackRest archives, with a stanza and a repository of its own.
struct PgBackRestStand {
    let fixture: SourceFixture
    let cluster: PostgresCluster
    let driver: PgBackRest
    /// The user that tools and servers run as when the tests run as root.
    let account: String?

    init() async throws {
        fixture = try SourceFixture()
        account = geteuid() == 0 ? "postgres" : nil
        for name in ["repository", "locks", "run"] {
            try PhysicalFixture.makeFolder(fixture.scratch.file(name), account, mode: 0o700)
        }
        let configuration = fixture.scratch.file("pgbackrest.conf")
        cluster = try await PostgresCluster.start(
            in: fixture.scratch, withReplica: false,
            settings: [
                "archive_mode": "on", "full_page_writes": "on",
                "archive_command": "pgbackrest --config=\(configuration) --stanza=main archive-push %p",
            ])
        try fixture.scratch.write(
            "pgbackrest.conf",
            """
            [global]
            repo1-path=\(fixture.scratch.file("repository"))
            repo1-retention-full=2
            lock-path=\(fixture.scratch.file("locks"))
            spool-path=\(fixture.scratch.file("spool"))
            start-fast=y
            archive-timeout=20
            [main]
            pg1-path=\(cluster.primary.data)
            pg1-port=\(cluster.primary.port)
            pg1-socket-path=\(fixture.scratch.file("postgres"))
            pg1-user=postgres

            """)
        let driver = try PgBackRest(stanza: "main", configuration: configuration, account: account, deadline: .minutes(2))
        self.driver = driver
        _ = try await onOwnThread { (stop) throws(Failure) in try driver.createStanza(stop: stop) }
    }

    func end() {
        cluster.stop()
        fixture.scratch.remove()
    }

    /// The server's time, a little after everything that was committed.
    func moment() async throws -> Instant {
        // sleeps: commits are told apart by their milliseconds.
        try await Task.sleep(for: .milliseconds(5))
        let text = try await cluster.primary.sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        // sleeps: as above.
        try await Task.sleep(for: .milliseconds(5))
        return Instant(millisecondsSince1970: Int64(text) ?? 0)
    }

    /// Waits until everything written so far is in the repository.
    func archive() async throws {
        try await cluster.primary.sql("CREATE TABLE IF NOT EXISTS last (i int)")
        let name = try await cluster.primary.sql("SELECT pg_walfile_name(pg_switch_wal())")
        try await waitUntil("archiving of \(name)") {
            try await cluster.primary.sql("SELECT last_archived_wal >= '\(name)' FROM pg_stat_archiver") == "t"
        }
    }
}
