import FoundationEssentials
import SerinBackups
import SerinCatalogue
import SerinModel
import Testbed
import Testing

/// The mirror in a real Postgres, asked with the statements that owners of projects have.
@Suite(.serialized) struct CatalogueMirrorTests {
    /// Backups of three types and ages as seen from now; one of another project, one that failed, one that was deleted.
    private func sample() throws -> (state: CatalogueState, expiries: [BackupID: Instant]) {
        let now = Instant(millisecondsSince1970: Int64(Date().timeIntervalSince1970 * 1000))
        let day = Duration.hours(24)
        func ago(_ days: Int64) -> Instant { now - .hours(24 * days) }
        var state = CatalogueState()
        for events in [
            // In the order in which they were begun.
            [
                Sample.event(7, .begun(Sample.order(7, at: ago(50)))),
                Sample.event(7, .failed(Failure(.transient, "it's cut"))),
            ],
            try Sample.available(1, at: ago(40), size: 10), try Sample.available(2, at: ago(20), size: 20),
            try Sample.available(8, at: ago(9)), try Sample.available(5, kind: .logs, at: ago(3), size: 50),
            try Sample.available(6, at: ago(3), project: "other"), try Sample.available(3, at: ago(2), size: 30),
            try Sample.available(4, kind: .files, at: ago(1), size: 40),
            [
                Sample.event(8, at: now, .deleting(destination: "bucket", reason: "expired")),
                Sample.event(8, at: now, .deleted(destination: "bucket")),
            ],
        ] {
            for event in events { try state.apply(event) }
        }
        return (state, [Sample.id(1): now - day, Sample.id(2): now + day, Sample.id(3): now + .hours(24 * 28)])
    }

    private func jobs() throws -> [BackupJob] {
        var job = BackupJob(
            id: Sample.id(100), type: "export_backup", project: "shop", target: "checkout", createdAt: Sample.start,
            createdBy: .uid(1000))
        try job.apply(.failed("no space left on 'device'"), at: Sample.start + .seconds(1))
        return [job]
    }

    /// Mirrors the sample to a fresh server and asks it.
    private func mirrored(_ ask: (PostgresServer, CatalogueState) async throws -> Void) async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
        defer { cluster.stop() }
        let (state, expiries) = try sample()
        let mirror = CatalogueMirror(connection: cluster.primary.url(), name: "the mirror")
        let report = try await mirror.update(state, jobs: try jobs(), expiries: expiries)
        // Eight backups, each with its run as a job, and the job that was asked for.
        #expect(report.written == 17 && report.removed == 0, "\(report)")
        try await ask(cluster.primary, state)
    }

    @Test func theStatementsOfTheTablesRunUnchanged() async throws {
        try await mirrored { server, state in
            try await askHistory(server, state)
            try await askDates(server)
            try await askNumbers(server)
            try await askJobs(server)
        }
    }

    @Test func columnsAndIndexesHaveTheNamesThatOthersRelyOn() async throws {
        try await mirrored { server, _ in try await askShape(server) }
    }

    private func askHistory(_ server: PostgresServer, _ state: CatalogueState) async throws {
        let history = try await server.sql(
            """
            SELECT
              id,
              type,
              file_id,
              size,
              created_at,
              expires_at
            FROM control_plane.backups
            WHERE project_id = 'shop'
            ORDER BY created_at DESC;
            """)
        let lines = history.split(separator: "\n").map { $0.split(separator: "|").map(String.init) }
        #expect(lines.map { $0[0] } == [4, 3, 5, 2, 1].map { Sample.id($0).description })
        #expect(lines.first?[1] == "storage" && lines.first?[2] == "bucket:checkout/4.dump" && lines.first?[3] == "40")
        #expect(state.history(BackupSelection(project: "shop")).map(\.id.description) == lines.map { $0[0] })

        let databases = try await server.sql(
            """
            SELECT * FROM control_plane.backups
            WHERE project_id = 'shop'
              AND type = 'database'
            ORDER BY created_at DESC;
            """)
        #expect(databases.split(separator: "\n").count == 3 && databases.contains("before O'Reilly's \\ release"))

        let statistics = try await server.sql(
            """
            SELECT
              COUNT(*) as total_backups,
              SUM(size) as total_size,
              COUNT(*) FILTER (WHERE type = 'database') as database_count,
              COUNT(*) FILTER (WHERE type = 'storage') as storage_count,
              COUNT(*) FILTER (WHERE type = 'logs') as logs_count,
              MIN(created_at) as oldest_backup,
              MAX(created_at) as newest_backup
            FROM control_plane.backups
            WHERE project_id = 'shop';
            """)
        #expect(statistics.hasPrefix("5|150|3|1|1|"), "\(statistics)")
    }

    private func askDates(_ server: PostgresServer) async throws {
        let expiring = try await server.sql(
            """
            SELECT
              id,
              type,
              created_at,
              expires_at
            FROM control_plane.backups
            WHERE project_id = 'shop'
              AND expires_at <= NOW() + INTERVAL '7 days'
              AND expires_at > NOW();
            """)
        #expect(expiring.hasPrefix(Sample.id(2).description) && !expiring.contains("\n"), "\(expiring)")
        let expired = try await server.sql("SELECT * FROM control_plane.backups\nWHERE expires_at < NOW();")
        #expect(expired.hasPrefix(Sample.id(1).description) && !expired.contains("\n"), "\(expired)")
        let soon = try await server.sql(
            "SELECT * FROM control_plane.backups\nWHERE expires_at <= NOW() + INTERVAL '7 days'\n  AND expires_at > NOW();")
        #expect(soon.hasPrefix(Sample.id(2).description) && !soon.contains("\n"), "\(soon)")
    }

    private func askNumbers(_ server: PostgresServer) async throws {
        let ages = try await server.sql(
            """
            SELECT
              type,
              COUNT(*) FILTER (WHERE created_at > NOW() - INTERVAL '7 days') as last_7_days,
              COUNT(*) FILTER (WHERE created_at > NOW() - INTERVAL '30 days') as last_30_days,
              COUNT(*) as total
            FROM control_plane.backups
            WHERE project_id = 'shop'
            GROUP BY type;
            """)
        #expect(Set(ages.split(separator: "\n")) == ["database|1|2|3", "logs|1|1|1", "storage|1|1|1"])

        let integrity = try await server.sql(
            """
            SELECT
              type,
              COUNT(*) as count,
              SUM(size) as total_size,
              MIN(created_at) as oldest,
              MAX(created_at) as newest
            FROM control_plane.backups
            WHERE project_id = 'shop'
            GROUP BY type;
            """)
        #expect(integrity.contains("database|3|60|") && integrity.contains("storage|1|40|"), "\(integrity)")
    }

    private func askJobs(_ server: PostgresServer) async throws {
        let job = try await server.sql(
            "SELECT * FROM control_plane.jobs\nWHERE id = '\(Sample.id(100))'\nORDER BY created_at DESC;")
        #expect(job.contains("export_backup"))
        let failed = try await server.sql(
            """
            SELECT
              id,
              status,
              error_message,
              created_at,
              updated_at
            FROM control_plane.jobs
            WHERE type = 'export_backup'
              AND project_id = 'shop'
            ORDER BY created_at DESC;
            """)
        #expect(failed.contains("|failed|no space left on 'device'|"), "\(failed)")
        let tombstones = try await server.sql("SELECT id, deleted_reason FROM control_plane.backup_tombstones ORDER BY id")
        #expect(tombstones == "\(Sample.id(7))|\n\(Sample.id(8))|expired")
    }

    @Test func operationsAndChangesAreReadUnderBothNames() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
        defer { cluster.stop() }
        let server = cluster.primary
        // Tables of an earlier version are there already.
        try await server.sql(try #require(MirrorSchema.migrations.first).sql)
        var (first, second) = (Sample.order(1), Sample.order(2, at: Sample.start + .hours(1)))
        (first.planRevision, second.planRevision) = (String(repeating: "a", count: 64), String(repeating: "b", count: 64))
        let events = [
            Sample.event(1, .begun(first)), Sample.event(1, .failed(Failure(.transient, "it's cut"))),
            Sample.event(2, .begun(second)), Sample.event(2, .held(Hold(.legal, reason: "case 42"))),
        ]
        var state = CatalogueState()
        for event in events { try state.apply(event) }
        let note = AuditNote(
            at: Sample.start + .hours(2), by: .uid(1000), topic: "approval", target: "checkout", backup: Sample.id(2),
            text: "incident 7")
        let lines = events.map(CatalogueLine.event) + [.note(note)]
        let entries = lines.enumerated().map { CatalogueEntry(sequence: Int64($0.offset + 1), line: $0.element) }
        let mirror = CatalogueMirror(connection: server.url(), name: "the mirror")
        _ = try await mirror.update(state, jobs: [], entries: entries)
        let again = try await mirror.update(state, jobs: [], entries: entries)
        #expect(again.written == 0 && again.removed == 0)
        try await anothersIsLeftAlone(server, mirror)

        let logs = try await server.sql(
            "SELECT level, action, message FROM control_plane.project_logs WHERE project_id = 'shop' ORDER BY created_at, id")
        #expect(
            logs.split(separator: "\n") == [
                "info|begun|a backup of kind logical: before O'Reilly's \\ release", "error|failed|it's cut",
                "info|begun|a backup of kind logical: before O'Reilly's \\ release", "info|held|case 42",
                "info|approval|incident 7",
            ])
        let changes = try await server.sql(
            "SELECT change, changed_by FROM control_plane.config_change_history WHERE target = 'checkout' ORDER BY id")
        #expect(
            changes.split(separator: "\n") == [
                "plan: aaaaaaaaaaaa → bbbbbbbbbbbb|serin:controller", "hold for the law: case 42|serin:controller",
                "approval: incident 7|uid:1000",
            ])
    }

    /// A catalogue of another state folder has other entries under the same numbers.
    private func anothersIsLeftAlone(_ server: PostgresServer, _ mirror: CatalogueMirror) async throws {
        let before = try await server.sql("SELECT count(*), sum(id) FROM control_plane.audit_log")
        var other = CatalogueState()
        let begun = Sample.event(9, .begun(Sample.order(9)))
        try other.apply(begun)
        for entries in [[CatalogueEntry(sequence: 1, line: .event(begun))], []] {
            let refused = await #expect(throws: Failure.self) { try await mirror.update(other, jobs: [], entries: entries) }
            #expect(refused?.kind == .denied && refused?.message.contains("of another catalogue") == true, "\(entries)")
        }
        #expect(try await server.sql("SELECT count(*), sum(id) FROM control_plane.audit_log") == before)
        #expect(try await server.sql("SELECT count(*) FROM control_plane.backups WHERE id = '\(Sample.id(9))'") == "0")
    }

    @Test func tablesOfSomebodyElseAreRefusedInWords() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
        defer { cluster.stop() }
        try await cluster.primary.sql(
            """
            CREATE SCHEMA control_plane;
            CREATE TABLE control_plane.jobs (id uuid, project_id text, created_at timestamptz, status text)
            """)
        let mirror = CatalogueMirror(connection: cluster.primary.url(), name: "the mirror")
        let refused = await #expect(throws: Failure.self) { try await mirror.update(CatalogueState(), jobs: []) }
        #expect(refused?.message.contains("control_plane.jobs is not of this mirror") == true && refused?.hint != nil)
        // Nothing was begun beside it.
        #expect(try await cluster.primary.sql("SELECT to_regclass('control_plane.backups')") == "")
    }

    private func askShape(_ server: PostgresServer) async throws {
        let indexes = try await server.sql(
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'control_plane' AND indexname LIKE 'idx_backups%' ORDER BY 1")
        #expect(
            indexes.split(separator: "\n") == [
                "idx_backups_created_at", "idx_backups_expires_at", "idx_backups_project_created", "idx_backups_project_id",
                "idx_backups_type",
            ])
        let columns = try await server.sql(
            """
            SELECT column_name, data_type FROM information_schema.columns
            WHERE table_schema = 'control_plane' AND table_name = 'backups' ORDER BY ordinal_position LIMIT 7
            """)
        #expect(
            columns.split(separator: "\n") == [
                "id|uuid", "project_id|text", "type|text", "file_id|text", "size|bigint",
                "created_at|timestamp with time zone", "expires_at|timestamp with time zone",
            ])
    }

    @Test func aRunBringsWhatAnEarlierOneLeftOutAndOnlyThat() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
        defer { cluster.stop() }
        let server = cluster.primary
        var (state, expiries) = try sample()
        let mirror = CatalogueMirror(connection: server.url(), name: "the mirror")
        _ = try await mirror.update(state, jobs: [], expiries: expiries)
        let again = try await mirror.update(state, jobs: [], expiries: expiries)
        #expect(again.written == 0 && again.removed == 0, "nothing changed, so nothing is written")

        try await server.sql(
            "DELETE FROM control_plane.backups WHERE type = 'logs'; INSERT INTO control_plane.backups SELECT gen_random_uuid(), project_id, type, file_id, size, created_at, expires_at, created_by, purpose, label, target, kind, status, rollout_id, release_version, retention_class, legal_hold, locked_until, sha256_plain, sha256_stored, size_plain, compression, encryption, key_ids, copies, tool, server_version, system_identifier, timeline, lsn_start, lsn_stop, consistent_at, schema_revision, finished_at, verified_at, drilled_at, error_message, row_digest FROM control_plane.backups LIMIT 1"
        )
        let now = try #require(state[Sample.id(1)]).createdAt + .hours(24 * 45)
        try state.apply(Sample.event(1, at: now, .deleting(destination: "bucket", reason: "expired")))
        try state.apply(Sample.event(1, at: now, .deleted(destination: "bucket")))
        let repaired = try await mirror.update(state, jobs: [], expiries: expiries)
        #expect(repaired.written == 2 && repaired.removed == 2, "\(repaired)")
        #expect(try await server.sql("SELECT count(*) FROM control_plane.backups") == "5")
        #expect(try await server.sql("SELECT count(*) FROM control_plane.backup_tombstones") == "3")
    }

    @Test func aServerThatIsNotThereIsAFailureInWords() async throws {
        let mirror = CatalogueMirror(
            connection: "host=127.0.0.1 port=\(try freePort())", name: "the mirror", deadline: .seconds(5))
        let error = await #expect(throws: Failure.self) { try await mirror.update(CatalogueState(), jobs: []) }
        #expect(error?.message.contains("the mirror") == true)
    }

    @Test func theShippedFileIsTheOneThatIsRun() throws {
        let root = #filePath.components(separatedBy: "/Tests/")[0]
        for migration in MirrorSchema.migrations {
            let text = try String(contentsOfFile: "\(root)/examples/control-plane/\(migration.name)", encoding: .utf8)
            #expect(text == migration.sql)
        }
    }
}
