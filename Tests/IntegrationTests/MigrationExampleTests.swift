import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

/// The worked examples of examples/migrations, word for word, by the program and on a real server. Django is the real one. Prisma,
/// TypeORM and Flyway come from registries that the tests do not reach: what plays them keeps their tables as they document them.
@Suite(.serialized) struct MigrationExampleTests {
    enum Example: String, CaseIterable, CustomTestStringConvertible {
        case django
        case prisma
        case typeorm
        case flyway

        var testDescription: String { rawValue }
        var revisions: [String] {
            switch self {
            case .django: ["0001_orders", "0002_note"]
            case .prisma: ["20260101000000_orders", "20260102000000_note"]
            case .typeorm: ["Orders1700000000001", "Note1700000000002"]
            case .flyway: ["1", "2"]
            }
        }
    }

    /// An application with its migrations, the example's script among its files.
    private struct Application {
        let example: Example
        let scratch: Scratch
        let cluster: PostgresCluster
        let policy: String
        private let environment: [String: String]

        init(_ example: Example) async throws {
            self.example = example
            scratch = try Scratch("serin-example")
            cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
            let (scratch, examples) = (scratch, "\(packageRoot)/examples/migrations/\(example)")
            func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
            try scratch.write("\(example).sh", try text("\(examples).sh"), mode: 0o755)
            let rules = try text("\(examples).yaml").replacing("/srv/app", with: scratch.path)
                .replacing("migrations:\n", with: "migrations:\n  lock_timeout: 500ms\n  lock_tries: 100\n")
            policy = try scratch.write(
                "policy.yaml",
                """
                version: 1
                service: shop
                environment: demo
                traffic: {haproxy: {socket: /nowhere/admin.sock, map: /nowhere/weights.map, key: shop}, steps: [10]}
                prometheus: {url: "http://127.0.0.1:9", canary: {version: "{{version}}"}, control: {version: "{{previous}}"}}
                signals: {errors: {counter: http_requests_total, bad: {code: "5.."}}}
                \(rules)
                """)
            try FileManager.default.createDirectory(atPath: scratch.file("bin"), withIntermediateDirectories: true)
            let tools = "\(packageRoot)/Tests/MigrationToolsTests/Fixtures/standins/registry-tools.py"
            for name in ["npx", "flyway"] { symlink(tools, scratch.file("bin/\(name)")) }
            environment = [
                "SERIN_STATE": scratch.file("state"), "PATH": "\(scratch.file("bin")):/usr/bin:/bin", "HOME": "/tmp",
                "DATABASE_URL": cluster.primary.url(), "DJANGO_SETTINGS_MODULE": "settings",
            ]
            if example == .django {
                _ = try toolPath("alembic")
                symlink("\(packageRoot)/build/tools/venv", scratch.file("venv"))
                try writeProject()
            }
            try add(1, "CREATE TABLE orders (id bigint PRIMARY KEY)", "DROP TABLE orders")
        }

        /// A revision as the tool has it.
        func add(_ number: Int, _ up: String, _ down: String) throws {
            let revision = example.revisions[number - 1]
            func write(_ path: String, _ text: String) throws {
                let folder = scratch.file(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try scratch.write(path, text)
            }
            switch example {
            case .django:
                let operation =
                    number == 1
                    ? #"migrations.CreateModel("Order", [("id", models.BigIntegerField(primary_key=True))], {"db_table": "orders"})"#
                    : #"migrations.AddField("Order", "note", models.TextField(null=True))"#
                let parents = number == 1 ? "" : #"("shop", "\#(example.revisions[0])")"#
                try write(
                    "shop/migrations/\(revision).py",
                    """
                    from django.db import migrations, models


                    class Migration(migrations.Migration):
                        dependencies = [\(parents)]
                        operations = [\(operation)]

                    """)
            case .prisma:
                try write("prisma/migrations/\(revision)/migration.sql", up + ";\n")
                try write("prisma/migrations/\(revision)/down.sql", down + ";\n")
            case .typeorm:
                let name = revision.prefix { !$0.isNumber }
                try write(
                    "src/migrations/\(revision.dropFirst(name.count))-\(name).ts",
                    """
                    import { MigrationInterface, QueryRunner } from "typeorm"
                    export class \(revision) implements MigrationInterface {
                        public async up(queryRunner: QueryRunner): Promise<void> { await queryRunner.query(`\(up)`) }
                        public async down(queryRunner: QueryRunner): Promise<void> { await queryRunner.query(`\(down)`) }
                    }

                    """)
            case .flyway: try write("db/migration/V\(revision)__a__step.sql", up + ";\n")
            }
        }

        private func writeProject() throws {
            try FileManager.default.createDirectory(atPath: scratch.file("shop/migrations"), withIntermediateDirectories: true)
            for file in ["shop/__init__.py", "shop/migrations/__init__.py"] { try scratch.write(file, "") }
            try scratch.write(
                "manage.py",
                """
                import sys

                from django.core.management import execute_from_command_line

                execute_from_command_line(sys.argv)

                """)
            try scratch.write(
                "settings.py",
                """
                import os

                SECRET_KEY = "of a test"
                INSTALLED_APPS = ["shop"]
                DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"]}}

                """)
        }

        private func words(_ verb: String, _ more: [String]) -> [String] {
            ["migrate", verb, policy] + more + (["up", "down"].contains(verb) ? ["--without-backup", "nothing is in it"] : [])
        }

        func serin(_ verb: String, _ more: [String] = []) async throws -> Completion {
            try await Program(Scene.program(), words(verb, more), environment: environment, deadline: .minutes(3)).run()
        }

        func start(_ verb: String) throws -> ServerProcess {
            try ServerProcess(Scene.program(), words(verb, []), environment: environment, log: scratch.file("serin.log"))
        }

        var log: String {
            FileManager.default.contents(atPath: scratch.file("serin.log")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        }

        /// Runs the script itself, with a database that does not answer or without the programs that it asks.
        func script(_ words: [String], answers: Bool, path: String? = nil) async throws -> Completion {
            let port = answers ? cluster.primary.port : 1
            let more = [
                "PGHOST": "127.0.0.1", "PGPORT": "\(port)", "PGUSER": "postgres", "PGDATABASE": "postgres", "PGOPTIONS": "",
            ]
            return try await Program(
                "/bin/sh", [scratch.file("\(example).sh")] + words,
                environment: environment.merging(more.merging(path.map { ["PATH": $0] } ?? [:]) { $1 }) { $1 },
                deadline: .minutes(1)
            ).run()
        }

        func sql(_ text: String) async throws -> String { try await cluster.primary.sql(text) }

        func close() {
            cluster.stop()
            scratch.remove()
        }
    }

    @Test(arguments: Example.allCases) func theExampleGoesForwardWaitsForItsLockAndComesBack(_ example: Example) async throws {
        let application = try await Application(example)
        defer { application.close() }
        let columns = "SELECT string_agg(column_name, ' ' ORDER BY 1) FROM information_schema.columns WHERE table_name = 'orders'"
        let first = try await application.serin("up")
        #expect(first.termination == .exited(0), "\(first.text)")
        try await expectNoGuesses(application)
        try application.add(2, "ALTER TABLE orders ADD COLUMN note text", "ALTER TABLE orders DROP COLUMN note")
        let plan = try await application.serin("plan")
        #expect(plan.termination == .exited(example == .typeorm ? 7 : 0), "\(plan.text)")
        #expect(plan.text.contains("from \(example.revisions[0]) to \(example.revisions[1])"), "\(plan.text)")
        if example == .typeorm {
            // Nobody can read what it will do, so people are asked about everything but an empty database.
            let refused = try await application.serin("up")
            #expect(refused.termination == .exited(7) && refused.text.contains("unclassified"), "\(refused.text)")
            for (verb, more) in [("down", ["--to", "base"]), ("up", [])] {
                let done = try await application.serin(verb, more)
                #expect(done.termination == .exited(0), "\(verb): \(done.text)")
            }
        } else {
            try await goForwardBehindAHolder(application)
        }
        #expect(try await application.sql(columns) == "id note")
        let status = try await application.serin("status")
        #expect(status.termination == .exited(0), "\(status.text)")
        if example == .prisma {
            #expect(try await application.sql("SELECT count(rolled_back_at) > 0 FROM _prisma_migrations") == "t")
        }
        let down = try await application.serin("down", ["--to", example.revisions[0]])
        guard example != .flyway else {
            #expect(down.termination != .exited(0) && down.text.contains("there is no way back"), "\(down.text)")
            return
        }
        #expect(down.termination == .exited(0), "\(down.text)")
        #expect(try await application.sql(columns) == "id")
        let base = try await application.serin("down", ["--to", "base"])
        #expect(base.termination == .exited(0), "\(base.text)")
        let again = try await application.serin("up")
        #expect(again.termination == .exited(0), "\(again.text)")
        #expect(try await application.sql(columns) == "id note")
    }

    /// A database that does not answer is not one before its first revision, and files that are not there are not a release without any.
    private func expectNoGuesses(_ application: Application) async throws {
        let here = try await application.script(["current"], answers: true)
        #expect(here.termination == .exited(0) && here.text.hasPrefix(application.example.revisions[0]), "\(here.text)")
        let questions: [[String]] =
            switch application.example {
            case .django, .flyway: [["current"], ["sql"]]
            case .prisma: [["current"], ["sql"], ["up", "x"], ["down", "base"]]
            case .typeorm: [["current"], ["down", "base"]]
            }
        for words in questions {
            let lost = try await application.script(words, answers: false)
            #expect(lost.termination != .exited(0), "\(words): \(lost.text)")
        }
        guard application.example != .django else { return }
        // Neither psql nor the tool is there.
        let bare = application.scratch.file("bare")
        try FileManager.default.createDirectory(atPath: bare, withIntermediateDirectories: true)
        for name in ["dirname", "sed", "sort", "tail", "ls", "cat", "grep", "expr"] {
            symlink("/usr/bin/\(name)", "\(bare)/\(name)")
        }
        let lost = try await application.script(["current"], answers: true, path: bare)
        #expect(lost.termination != .exited(0), "\(lost.text)")
    }

    /// Somebody holds the table: the limits reach the tool, and what it left of its try does not disturb the next one.
    private func goForwardBehindAHolder(_ application: Application) async throws {
        let holder = try application.cluster.primary.session("BEGIN; LOCK TABLE orders;\nSELECT pg_sleep(600);\n")
        defer { holder.stop(signal: SIGKILL) }
        let held =
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'orders'::regclass"
        try await waitUntil("the table is held") { try await application.sql(held) == "1" }
        let run = try application.start("up")
        defer { run.stop(signal: SIGKILL) }
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'serin-mig-%'"
        for count in ["1", "0"] {
            try await waitUntil("\(count) statements wait: \(application.log)", within: .minutes(3)) {
                guard run.isRunning else { return true }
                return try await application.sql(waiting) == count
            }
        }
        #expect(run.isRunning, "\(application.log)")
        _ = try await application.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        try await waitUntil("the end: \(application.log)", within: .minutes(3)) { !run.isRunning }
        #expect(run.exitStatus == 0, "\(application.log)")
        #expect(application.log.contains("at \(application.example.revisions[1])"), "\(application.log)")
    }
}
