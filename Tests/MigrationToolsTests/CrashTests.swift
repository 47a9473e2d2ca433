import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

@testable import SerinMigrationTools

/// Every party is killed in the middle, and the next run ends where the first one should have.
@Suite(.serialized, .server) struct CrashTests {
    private func scene(_ kind: ToolKind) async throws -> MigrationScene {
        let scene = try await #require(MigrationServer.current).scene(kind, count: 2)
        try await scene.up()
        try await scene.sql("INSERT INTO orders SELECT n, 'a' || n, n FROM generate_series(1, 1000) n")
        try kind.add(ToolKind.revisions[2], to: scene.folder)
        return scene
    }

    /// A transaction that a concurrent build of an index has to wait for.
    private func holdBack(_ scene: MigrationScene) async throws -> ServerProcess {
        let holder = try scene.server.session(
            "BEGIN; UPDATE orders SET amount = 0 WHERE id = 1; \\! sleep 600\n", database: scene.database)
        try await waitUntil("the writer holds its row", within: .seconds(90)) {
            try await scene.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = '\(scene.database)'")
                == "1"
        }
        return holder
    }

    private func awaitBuild(_ scene: MigrationScene) async throws {
        try await waitUntil("the index is being built", within: .seconds(90)) {
            try await scene.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE UNIQUE INDEX%' AND wait_event_type = 'Lock' AND datname = '\(scene.database)'"
            ) == "1"
        }
    }

    /// The processes that a run started, by the mark in their environment.
    private func programs(_ scene: MigrationScene) -> [Int32] {
        let mark = "SERIN_MIGRATION=127.0.0.1:\(scene.server.port)/\(scene.database)"
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return all.compactMap { Int32($0) }.filter { pid in
            let variables = FileManager.default.contents(atPath: "/proc/\(pid)/environ") ?? Data()
            return String(decoding: variables, as: UTF8.self).split(separator: "\0").contains { $0 == mark }
        }
    }

    @Test(arguments: ToolKind.some(.commands, of: [.alembic, .commands])) func theToolIsKilledWhileAnIndexIsBuilt(kind: ToolKind)
        async throws
    {
        var tuned = try await scene(kind)
        tuned.options.orphanPatience = .milliseconds(300)
        let scene = tuned
        let holder = try await holdBack(scene)
        defer { holder.stop(signal: SIGKILL) }
        async let failing = scene.failure { try await scene.up() }
        try await awaitBuild(scene)
        let found = programs(scene)
        #expect(!found.isEmpty)
        for pid in found { kill(pid, SIGKILL) }
        let failed = try await failing
        #expect(failed.stage == .revision)
        #expect(failed.failure.message.contains("signal 9"), "\(failed)")
        #expect(try await scene.sessions() == 0)
        #expect(try await scene.place() == "0002")
        // The index is dropped once the transaction is gone that might look at it.
        holder.stop(signal: SIGKILL)
        #expect(try await scene.up().after.place == "0003")
        #expect(try await scene.invalidIndexes() == "0")
    }

    @Test(arguments: ToolKind.some(.pairs)) func theServersProcessIsKilledWhileAnIndexIsBuilt(kind: ToolKind) async throws {
        let scene = try await scene(kind)
        let holder = try await holdBack(scene)
        defer { holder.stop(signal: SIGKILL) }
        async let failing = scene.failure { try await scene.up() }
        try await awaitBuild(scene)
        let backend = try await scene.sql(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'serin-mig-%' AND datname = '\(scene.database)' LIMIT 1"
        )
        kill(try #require(Int32(backend)), SIGKILL)
        let failed = try await failing
        #expect([.revision, .preflight].contains(failed.stage))
        try await waitUntil("the server is back", within: .seconds(90)) {
            do { return try await scene.sql("SELECT 1") == "1" } catch { return false }
        }
        #expect(try await scene.up().after.place == "0003")
        #expect(try await scene.invalidIndexes() == "0")
    }

    /// The controller is gone without a trace of its own: only its notes, the tool's session, and what that session does are left.
    @Test(arguments: ToolKind.some(.pairs, .marked, of: [.alembic, .pairs, .marked]))
    func anIndexThatWasFinishedWithoutAnyoneIsBuiltAgain(kind: ToolKind)
        async throws
    {
        let scene = try await scene(kind)
        try await beginAndDie(scene)
        try await scene.sql("CREATE UNIQUE INDEX CONCURRENTLY orders_email_key ON orders (email)")
        if kind == .pairs { try await scene.sql("UPDATE schema_migrations SET version = 3, dirty = true") }
        let report = try await scene.up()
        #expect(report.after.place == "0003")
        #expect(report.notes.contains { $0.contains("dropped the") || $0.contains("dropped index") }, "\(report.notes)")
        #expect(try await scene.sql("SELECT count(*) FROM pg_indexes WHERE indexname = 'orders_email_key'") == "1")
    }

    @Test(arguments: ToolKind.some(.pairs, of: [.alembic, .pairs, .marked])) func aStepThatWasDoneButNotNotedIsNotDoneTwice(
        kind: ToolKind
    )
        async throws
    {
        let scene = try await scene(kind)
        let report = try await scene.up()
        try await scene.sql(
            "UPDATE serin.migration_steps SET state = 'running', schema_after = NULL WHERE id = (SELECT max(id) FROM serin.migration_steps)"
        )
        let again = try await scene.up()
        #expect(again.steps.isEmpty)
        #expect(again.after.place == "0003")
        #expect(
            try await scene.sql("SELECT schema_after FROM serin.migration_steps ORDER BY id DESC LIMIT 1") == report.schemaAfter)
    }

    @Test(arguments: ToolKind.some(.pairs, of: [.alembic, .pairs])) func aSessionThatOutlivedItsControllerIsEnded(kind: ToolKind)
        async throws
    {
        var scene = try await scene(kind)
        scene.options.orphanPatience = .milliseconds(300)
        try await beginAndDie(scene)
        let orphan = try scene.server.session(
            "SET application_name = 'serin-mig-old'; BEGIN; LOCK TABLE orders; SELECT pg_sleep(600);\n", database: scene.database)
        try await waitUntil("the orphan sleeps", within: .seconds(90)) {
            try await scene.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = '\(scene.database)'") == "1"
        }
        let report = try await scene.up()
        #expect(report.notes.contains { $0.contains("ended session") }, "\(report.notes)")
        #expect(report.after.place == "0003")
        try await waitUntil("the orphan is gone", within: .seconds(90)) { !orphan.isRunning }
    }

    @Test(arguments: ToolKind.some(.pairs, of: [.alembic, .pairs])) func whatWasCommittedInPartIsNamedAndNotRepeated(
        kind: ToolKind
    ) async throws {
        let scene = try await scene(kind)
        try await beginAndDie(scene)
        try await scene.sql("ALTER TABLE orders ADD COLUMN half int")
        let failed = try await scene.failure { try await scene.up() }
        #expect(failed.stage == .preflight)
        #expect(failed.failure.message.contains("+ column public.orders.half integer"), "\(failed)")
        try await scene.sql("ALTER TABLE orders DROP COLUMN half")
        #expect(try await scene.up().after.place == "0003")
    }

    @Test(arguments: ToolKind.some(.pairs, of: [.alembic, .pairs])) func aSchemaThatSomeoneChangedIsRefusedUntilItIsAccepted(
        kind: ToolKind
    )
        async throws
    {
        var scene = try await scene(kind)
        try await scene.sql("ALTER TABLE orders ALTER COLUMN amount TYPE numeric(14, 2)")
        let failed = try await scene.failure { try await scene.up() }
        #expect(failed.stage == .preflight)
        #expect(failed.failure.message.contains("numeric(14,2)"), "\(failed)")
        let drift = try #require(try await scene.migrations().inspect(deadline: .seconds(30)).drift)
        #expect(drift.count == 2)
        scene.options.acceptsSchema = true
        #expect(try await scene.up().after.place == "0003")
        scene.options.acceptsSchema = false
        #expect(try await scene.migrations().inspect(deadline: .seconds(30)).drift == [])
    }

    @Test(arguments: ToolKind.some(.pairs, .marked, of: [.alembic, .pairs, .marked]))
    func aFileThatWasChangedAfterItWasAppliedIsTold(
        kind: ToolKind
    ) async throws {
        var scene = try await scene(kind)
        let folder = scene.folder + (kind == .alembic ? "/versions" : "")
        let file = try #require(
            FileManager.default.contentsOfDirectory(atPath: folder).sorted().first {
                $0.hasPrefix("0002") && !$0.hasSuffix(".down.sql")
            })
        let handle = try #require(fopen("\(folder)/\(file)", "a"))
        fputs(kind == .alembic ? "\n# changed\n" : "\n-- changed\n", handle)
        fclose(handle)
        let found = try await scene.migrations().inspect(withScripts: false, deadline: .seconds(60))
        #expect(found.problems.contains { $0.message.contains("changed after it was applied: 0002") }, "\(found.problems)")
        let failed = try await scene.failure { try await scene.up() }
        #expect(failed.stage == .preflight && failed.failure.kind == .conflict)
        #expect(failed.failure.message.contains("0002"), "\(failed)")
        #expect(try await scene.place() == "0002")
        scene.options.acceptsEdited = true
        #expect(try await scene.up().notes.contains { $0.contains("taken as they are") })
        scene.options.acceptsEdited = false
        #expect(try await scene.down(to: "0001").after.place == "0001")
    }

    @Test func whatIsNotCommittedIsWarnedOfAndTheCommitIsNoted() async throws {
        let scene = try await #require(MigrationServer.current).scene(.pairs, count: 1)
        func git(_ words: String...) async throws -> String {
            let done = try await Program(
                "git", ["-C", scene.folder, "-c", "user.name=a", "-c", "user.email=a@example.org"] + words,
                environment: ["PATH": "/usr/bin:/bin", "HOME": "/nonexistent"], deadline: .seconds(30)
            ).run()
            #expect(done.termination == .exited(0), "\(done.text)")
            return done.text
        }
        _ = try await git("init", "-q")
        _ = try await git("add", ".")
        _ = try await git("commit", "-q", "-m", "first")
        #expect(try await scene.up().notes == [])
        let commit = try await git("rev-parse", "HEAD").prefix(40)
        #expect(try await scene.sql("SELECT commit FROM serin.migration_steps") == commit)
        try ToolKind.pairs.add(ToolKind.revisions[1], to: scene.folder)
        let warnings = try await scene.migrations().inspect(deadline: .seconds(30)).warnings
        #expect(warnings.contains { $0.contains("not committed: 0002_note.down.sql, 0002_note.up.sql") }, "\(warnings)")
        #expect(try await scene.up().notes.contains { $0.contains("not committed") })
    }

    /// Notes what a controller notes before it begins the third revision, and nothing more.
    private func beginAndDie(_ scene: MigrationScene) async throws {
        let database = try MigrationDatabase(url: scene.url)
        let tables = try scene.migrations().tool.ownTables
        try await onOwnThread { (_) throws(Failure) in
            let session = try database.connect()
            guard let second = RevisionID("0002"), let third = RevisionID("0003") else { return }
            _ = try StepRecords(session).begin(
                RevisionStep(direction: .up, revision: third, from: second, to: third), run: "dead", by: .serin, tool: "test",
                SchemaSnapshot(session, without: tables))
        }
    }
}
