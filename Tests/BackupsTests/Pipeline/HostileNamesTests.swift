import FoundationEssentials
import Glibc
import SerinCatalogue
import SerinDatabase
import SerinModel
import SerinPolicies
import SerinProcesses
import Testbed
import Testing

@testable import SerinBackups

/// Names that Swift sees as other Characters than Postgres and a shell do: a mark with an accent behind it or a sign of Arabic before
/// it is one Character, and so are CR and LF.
@Suite(.serialized) struct HostileNamesTests {
    static let hostile: [String] = ["\"", "'", "\\", "`", "$", "%", ";"].flatMap { mark in
        [
            "a\(mark)b", "a\(mark)\u{0301}b", "a\u{0600}\(mark)b", "\u{0600}\(mark)\u{0301}", "a\r\n\(mark)\r\n",
            "a\(mark)\u{200D}\(mark)",
            "\(mark)\(mark)\u{0301}--", "e\u{0301}\(mark)\u{e9}",
        ]
    }

    @Test func whatIsQuotedComesBackAsItWasFromPostgres() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let url = scene.server.url(user: "restorer", database: "shop")
        try await onOwnThread { _ throws(Failure) in
            let purpose = SessionPurpose(applicationName: "test", setUp: "SELECT 1", deniedHint: "")
            let session: Connection
            do throws(DatabaseError) {
                session = try Connection(url, name: "postgres", purpose: purpose, limit: timeLimit(.seconds(10)))
            } catch { throw error.failure }
            for setting in ["on", "off"] {
                _ = try session.rows("SET standard_conforming_strings = \(setting); SET escape_string_warning = off")
                for text in Self.hostile {
                    #expect(try session.value("SELECT \(sqlText(text))").map { Array($0.utf8) } == Array(text.utf8), "\(text)")
                    _ = try session.rows("CREATE TEMP TABLE \(sqlName(text)) ()")
                    let name = try session.value("SELECT relname FROM pg_class ORDER BY oid DESC LIMIT 1")
                    #expect(name.map { Array($0.utf8) } == Array(text.utf8), "\(text)")
                    _ = try session.rows("DROP TABLE \(sqlName(text))")
                }
            }
            // It would be cut there.
            #expect(throws: Failure.self) { _ = try session.rows("SELECT 1 -- \0") }
        }
        for text in Self.hostile {
            #expect(
                ConnectionText.option("dbname", of: "dbname=" + ConnectionText.quoted(text)).map { $0.isExactly(text) } == true)
            let server = RecoveryServer(data: "", place: "/" + text, pid: 0, role: text)
            let url = server.url(database: text)
            for (keyword, value) in [("host", "/" + text), ("user", text), ("dbname", text)] {
                #expect(ConnectionText.option(keyword, of: url).map { $0.isExactly(value) } == true, "\(url)")
            }
        }
    }

    @Test func whatIsQuotedComesBackAsItWasFromAShellAndFromSettings() async throws {
        let words = Self.hostile.map { shellWord($0) }.joined(separator: " ")
        let said = try await Program(
            "/bin/sh", ["-c", "printf '%s\\001' \(words)"], environment: [:], deadline: .seconds(10), outputLimit: 1 << 16
        ).run()
        #expect(said.text.utf8.elementsEqual(Self.hostile.map { $0 + "\u{1}" }.joined().utf8), "\(said.text)")
        // The server reads its own file.
        let scratch = try Scratch("serin-quotes")
        defer { scratch.remove() }
        try scratch.write("postgresql.auto.conf", "")
        for text in Self.hostile where !text.has("\n") {
            let file = try scratch.write("server.conf", "restore_command = \(RecoveryServer.quoted(text))\n")
            let shown = try await Program(
                "/usr/lib/postgresql/15/bin/postgres",
                ["-C", "restore_command", "-c", "config_file=\(file)", "-D", scratch.path],
                environment: [:], deadline: .seconds(10)
            ).run()
            #expect(shown.text.utf8.elementsEqual((text + "\n").utf8), "\(text): \(shown.text)")
        }
        #expect(RecoveryServer.quoted("a\r\n'") == "'a\\r\\n'''")
        #expect(ClickHouseBackupSource.name("a`\u{301}\\").isExactly("`a\\`\u{301}\\\\`"))
        #expect(ClickHouseBackupSource.literal("\u{600}'\u{301}\0").isExactly("'\u{600}\\'\u{301}\\0'"))
    }

    @Test func namesOfTablesAndRolesAreNeverRunWhateverStandsBesideTheirQuotes() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        // A name has 63 bytes, so the place is short.
        let proof = "/tmp/s\(getpid())"
        defer { unlink(proof) }
        let role = "a\u{600}\";copy(select/**/1)to/**/program'id>\(proof)'--"
        let call = "x\"\u{301};commit;select low.f()--"
        let write = "x\u{600}\";copy(select 1)to program'id>\(proof)'--"
        func quoted(_ name: String) -> String { name.doubling("\"") }
        try await scene.server.sql(
            """
            CREATE ROLE lowly; CREATE ROLE \(quoted(role)); CREATE SCHEMA low AUTHORIZATION lowly;
            GRANT ALL ON SCHEMA low TO \(quoted(role)); SET ROLE lowly;
            CREATE TABLE low.loot (who text); GRANT ALL ON low.loot TO public; GRANT USAGE ON SCHEMA low TO public;
            CREATE FUNCTION low.f() RETURNS int LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO low.loot SELECT current_user; RETURN 1; END $$;
            CREATE TABLE low.\(quoted(call)) (a int); CREATE TABLE low.\(quoted(write)) (a int);
            CREATE TABLE low.x (a int); CREATE TABLE low."x\u{600}" (a int); CREATE TABLE low.own (a int);
            CREATE TABLE low.\(quoted("\u{301}t")) (a int); INSERT INTO low.\(quoted("\u{301}t")) VALUES (1);
            CREATE TABLE low."\u{e9}" (a int); CREATE TABLE low."e\u{301}" (a int); INSERT INTO low."e\u{301}" VALUES (1), (2);
            RESET ROLE; ALTER TABLE low.own OWNER TO \(quoted(role))
            """, database: "shop")
        // As a superuser, so that what would run could do anything.
        for format in [PostgresDumpSource.Format.plain, .custom] {
            let source = try scene.source(format, user: "postgres")
            let record = try await scene.backUp(source).record
            #expect(try await scene.server.sql("SELECT count(*) FROM low.loot", database: "shop") == "0")
            #expect(access(proof, F_OK) != 0)
            guard format == .custom else { continue }
            let drill = BackupDrill(
                scene.settings,
                BackupDrill.Settings(DrillPolicy(.cron(try CronExpression("0 2 * * *"))), folder: scene.scratch.path),
                identities: [.keyFile(scene.keyFile)], catalogue: scene.catalogue, now: BackupScene.now)
            let report = try await drill.run(source, backup: record.id, by: BackupScene.principal)
            #expect(report.result.passed, "\(report.result.checks)")
            #expect(access(proof, F_OK) != 0)
        }
    }

    @Test func tablesAreFoundInTheContentsWhateverTheirOwnersAreCalled() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql(
            """
            CREATE ROLE "app owner"; GRANT CREATE ON SCHEMA public TO "app owner";
            CREATE TABLE "a table" (id int); INSERT INTO "a table" VALUES (1); ALTER TABLE "a table" OWNER TO "app owner";
            CREATE TABLE "x\ny" (id int); CREATE TABLE "x\r\nz" (id int); ALTER TABLE "x\r\nz" OWNER TO "app owner"
            """, database: "shop")
        for format in [PostgresDumpSource.Format.custom, .directory, .plain] {
            let record = try await scene.backUp(try scene.source(format)).record
            #expect(record.state.isRestorable)
        }
        // What is not there is still missed.
        let contents = TableOfContents("; a comment\n219; 1259 16390 TABLE DATA public a table app owner\n")
        var product = SourceProduct(tool: ToolFacts(name: "pg_dump", version: "15", format: "custom"))
        product.rows = RowManifest(tables: [RowManifest.Table(schema: "public", table: "a table", count: 1)])
        #expect(!contents.check(against: product).passed)
        product.server = SourceFacts(version: "15")
        product.server?.owners = [DumpOwner(role: "app owner")]
        #expect(contents.check(against: product).passed)
        product.rows = RowManifest(tables: [RowManifest.Table(schema: "public", table: "a", count: 1)])
        #expect(!contents.check(against: product).passed)
    }

    @Test func theRolesOfARehearsalAreMadeAndNobodyInItMayMakeMore() async throws {
        let scratch = try Scratch("serin-drills")
        defer { scratch.remove() }
        let parent = scratch.path
        let statements = [
            "COPY (SELECT 1) TO PROGRAM 'true'", "GRANT pg_execute_server_program TO rehearsal", "CREATE ROLE another",
            "SELECT public.make_role('another', true)",
        ]
        let found = try await onOwnThread { (stop) throws(Failure) in
            let server = try IsolatedServer(in: parent, major: 0, toolFolders: [], stop: stop)
            defer { server.destroy() }
            try server.makeRoles(owners: ["\u{e9}", "e\u{301}", "rehearsal"], grantees: ["\u{e9}", "postgres", "x\"\u{301}"])
            let client = try PostgresClient(
                server.url(user: "rehearsal", database: "postgres"),
                SourceEnvironment(toolFolders: [], scratch: parent, deadline: .seconds(20)))
            let session = try client.session(RestoreServer.purpose)
            let made = try session.rows(
                """
                SELECT rolname, pg_has_role('rehearsal', oid, 'MEMBER') FROM pg_roles
                WHERE rolname !~ '^(pg_|postgres|rehearsal$)' ORDER BY rolname COLLATE "C"
                """)
            let mighty = try session.rows("SELECT rolname FROM pg_roles WHERE rolsuper OR rolcreaterole")
            var done: [String] = []
            for statement in statements {
                do throws(Failure) {
                    _ = try session.rows(statement)
                    done.append(statement)
                } catch { continue }
            }
            return (made: made, mighty: mighty, done: done)
        }
        #expect(found.made.map { "\($0[0] ?? "")=\($0[1] ?? "")" } == ["e\u{301}=t", "x\"\u{301}=f", "\u{e9}=t"])
        #expect(found.mighty == [["postgres"]])
        #expect(found.done == [])
        // One that the server has is never granted.
        await #expect(throws: Failure.self) {
            try await onOwnThread { (stop) throws(Failure) in
                let server = try IsolatedServer(in: parent, major: 0, toolFolders: [], stop: stop)
                defer { server.destroy() }
                try server.makeRoles(owners: ["pg_execute_server_program"], grantees: [])
            }
        }
    }
}
