import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

/// The verbs of migrations with everything real: the program, the tools, the server. And what is left when the program is killed.
@Suite(.serialized) struct MigrationCommandTests {
    /// A server, a folder of SQL, and the program's state.
    private struct Shop {
        let scratch: Scratch
        let cluster: PostgresCluster
        var folder: String { scratch.file("migrations") }

        init() async throws {
            scratch = try Scratch("serin-migrate")
            cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try write("1_orders", "CREATE TABLE orders (id bigint PRIMARY KEY, amount numeric NOT NULL);", "DROP TABLE orders;")
            try write("2_cents", "ALTER TABLE orders ADD COLUMN cents bigint;", "ALTER TABLE orders DROP COLUMN cents;")
        }

        func write(_ name: String, _ up: String, _ down: String) throws {
            try scratch.write("migrations/\(name).up.sql", up)
            try scratch.write("migrations/\(name).down.sql", down)
        }

        var environment: [String: String] {
            [
                "SERIN_STATE": scratch.file("state"), "PATH": "/usr/bin:/bin", "SHOP": cluster.primary.url(), "HOME": "/tmp",
            ]
        }

        func arguments(_ verb: String, _ more: [String]) -> [String] {
            ["migrate", verb] + more + ["--url-env", "SHOP"] + (verb == "backfill" ? [] : ["--sql", folder])
        }

        func serin(_ verb: String, _ more: String...) async throws -> (status: Termination, text: String) {
            let done = try await Program(
                Scene.program(), arguments(verb, more), environment: environment, deadline: .minutes(2)
            ).run()
            return (done.termination, done.text)
        }

        func start(_ verb: String, _ more: String...) throws -> ServerProcess {
            try ServerProcess(Scene.program(), arguments(verb, more), environment: environment, log: scratch.file("serin.log"))
        }

        func sql(_ text: String) async throws -> String { try await cluster.primary.sql(text) }

        func close() {
            cluster.stop()
            scratch.remove()
        }
    }

    @Test func aFolderIsPlannedAppliedShownAndTakenBack() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        let plan = try await shop.serin("plan", "--show-sql")
        #expect(plan.status == .exited(0), "\(plan.text)")
        #expect(plan.text.contains("from base to 2") && plan.text.contains("ADD COLUMN cents"), "\(plan.text)")
        let up = try await shop.serin("up", "-o", "json", "-q")
        #expect(up.status == .exited(0), "\(up.text)")
        #expect(up.text.contains(#""after":["2"]"#) && up.text.contains(#""blocked_ms":0"#), "\(up.text)")
        let status = try await shop.serin("status")
        #expect(status.status == .exited(0), "\(status.text)")
        #expect(status.text.contains("as the last run left it"))
        _ = try await shop.sql("ALTER TABLE orders ADD COLUMN secretly int")
        let changed = try await shop.serin("status")
        #expect(changed.status == .exited(8))
        #expect(changed.text.contains("+ column public.orders.secretly integer"), "\(changed.text)")
        #expect(try await shop.serin("down", "--to", "1").status == .exited(7))
        #expect(try await shop.serin("down", "--to", "1", "--accept-schema").status == .exited(0))
        try shop.write("3_bad", "SELECT 1/0;", "")
        let failed = try await shop.serin("up")
        #expect(failed.status == .exited(1))
        #expect(failed.text.contains("division by zero"), "\(failed.text)")
        #expect(try await shop.serin("down", "--to", "7").status == .exited(2))
        #expect(try await shop.serin("down", "--to", "base").status == .exited(0))
        #expect(try await shop.sql("SELECT to_regclass('orders')") == "")
        #expect(try await shop.serin("up", "--lock-timeout", "soon").status == .exited(2))
        try shop.write("3_bad", "ALTER TABLE orders ADD COLUMN x int;", "ALTER TABLE orders DROP COLUMN x;")
        #expect(try await shop.serin("up").text.contains("nobody waited"))
        // A database at a revision that the release does not know, and a release with two heads.
        for file in ["3_bad.up.sql", "3_bad.down.sql"] { try FileManager.default.removeItem(atPath: "\(shop.folder)/\(file)") }
        let unknown = try await shop.serin("up")
        #expect(unknown.status == .exited(7) && unknown.text.contains("the release does not know"), "\(unknown.text)")
        let planned = try await shop.serin("plan")
        #expect(planned.status == .exited(7) && !planned.text.contains("nothing to do"), "\(planned.text)")
        #expect(planned.text.contains("nobody can tell what there is to do"), "\(planned.text)")
        let lost = try await shop.serin("status")
        #expect(lost.status == .exited(8) && lost.text.contains("pending   not known"), "\(lost.text)")
        try shop.write("3_one", "SELECT 1", "SELECT 1")
        try shop.write("3_two", "SELECT 1", "SELECT 1")
        let heads = try await shop.serin("up")
        #expect(heads.status != .exited(0) && heads.text.contains("two heads"), "\(heads.text)")
    }

    /// The time that a command was given is over, and Ctrl-C; and what a look says meanwhile.
    @Test func whoEndsAMigrationIsToldWhereTheDatabaseIs() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        #expect(try await shop.serin("up").status == .exited(0))
        try shop.write(
            "3_slow",
            "ALTER TABLE orders ADD COLUMN x int;\n-- serin: class additive because it only waits\nSELECT pg_sleep(600)",
            "ALTER TABLE orders DROP COLUMN x")
        let words = "3 was ended before it was done: nothing of it is left, and the database is at 2"
        let late = try await shop.serin("up", "--timeout", "4s")
        #expect(late.status == .exited(124), "\(late.text)")
        #expect(late.text.contains("given up after 4s") && late.text.contains(words), "\(late.text)")
        #expect(late.text.contains("the same command begins there again"), "\(late.text)")
        let afterwards = try await shop.serin("status")
        #expect(afterwards.status == .exited(8) && afterwards.text.contains("unfinished 3: \(words)"), "\(afterwards.text)")
        let run = try shop.start("up")
        try await waitUntil("it is at work") {
            try await shop.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
        }
        let beside = try await shop.serin("status")
        #expect(beside.status == .exited(0), "\(beside.text)")
        #expect(beside.text.contains("running   3 up, for ") && beside.text.contains("by uid:"), "\(beside.text)")
        #expect(beside.text.contains("database  2") && !beside.text.contains("unfinished"), "\(beside.text)")
        #expect(try await shop.serin("status", "-o", "json", "-q").text.contains(#""running":"3 up, for "#))
        run.signal(SIGINT)
        try await waitUntil("it has ended") { !run.isRunning }
        #expect(run.exitStatus == 130)
        #expect(run.logTail().contains("interrupted by SIGINT") && run.logTail().contains(words), "\(run.logTail())")
        #expect(try await shop.sql("SELECT version, dirty FROM schema_migrations") == "2|f")
        for verb in [["plan"], ["status"], ["down", "--to", "1"]] {
            let done = try await Program(
                Scene.program(), shop.arguments(verb[0], verb.dropFirst() + ["--timeout", "1ms"]), environment: shop.environment,
                deadline: .minutes(1)
            ).run()
            #expect(done.termination == .exited(124), "\(verb): \(done.text)")
        }
        #expect(try await shop.serin("status").text.contains("database  2"))
    }

    @Test func whatCannotBeMeantIsRefusedBeforeAnythingIsTouched() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        let file = shop.scratch.file("migrations/1_orders.up.sql")
        let config = try shop.scratch.write("alembic.ini", "[alembic]\nscript_location = .\n")
        let wrong: [(options: [String], words: String)] = [
            (["--sql", "nowhere"], "cannot read the folder of migrations nowhere"),
            (["--sql", file], "cannot read the folder of migrations \(file)"),
            (["--sql", shop.folder, "--to", "99"], "has no revision '99'"),
            (["--alembic", "nowhere.ini"], "nowhere.ini is not there"),
            (["--alembic", shop.folder], "\(shop.folder) is a folder"),
            (["--alembic", config, "--alembic-program", "/nowhere/alembic"], "/nowhere/alembic is no program"),
            (["--sql", shop.folder, "--url-env", "ODD"], "the connection string of the database to migrate cannot be read"),
            (["--sql", shop.folder, "--url-env", "UNSET"], "the environment variable UNSET is not set"),
        ]
        for (options, words) in wrong {
            for verb in ["up", "down"] where verb == "up" || !options.contains("--to") {
                var environment = shop.environment
                environment["ODD"] = "mysql://shop"
                let address = options.contains("--url-env") ? [] : ["--url-env", "SHOP"]
                let place = verb == "down" ? ["--to", "base"] : []
                let done = try await Program(
                    Scene.program(), ["migrate", verb] + options + address + place, environment: environment,
                    deadline: .minutes(1)
                ).run()
                #expect(done.termination == .exited(2) && done.text.contains(words), "\(verb) \(options): \(done.text)")
            }
        }
        #expect(try await shop.sql("SELECT to_regnamespace('serin')") == "")
    }

    @Test func aBackfillRunsStopsAtAHaltAndIsAGate() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        #expect(try await shop.serin("up").status == .exited(0))
        _ = try await shop.sql("INSERT INTO orders SELECT n, n FROM generate_series(1, 4000) n")
        let complete = ["cents", "--complete", "SELECT count(*) FROM orders WHERE cents IS NULL"]
        let statement = "UPDATE orders SET cents = amount * 100 WHERE {{range}} AND cents IS NULL"
        #expect(try await shop.serin("backfill", complete[0], complete[1], complete[2], "--check").status == .exited(8))
        try FileManager.default.createDirectory(atPath: shop.scratch.file("state/checkout"), withIntermediateDirectories: true)
        try shop.scratch.write("state/checkout/halt", "stop\n")
        let halted = try await shop.serin(
            "backfill", "cents", "--table", "orders", "--key", "id", "--statement", statement, "--service", "checkout")
        #expect(halted.status == .exited(4), "\(halted.text)")
        #expect(halted.text.contains("is halted"))
        let done = try await shop.serin(
            "backfill", complete[0], complete[1], complete[2], "--table", "orders", "--key", "id", "--statement", statement)
        #expect(done.status == .exited(0), "\(done.text)")
        #expect(try await shop.sql("SELECT count(*) FROM orders WHERE cents = amount * 100") == "4000")
    }

    /// What the program says of a trace, and that a killed one leaves nothing for longer than until the next.
    @Test func aTraceIsMeasuredShownAndLeavesNothing() async throws {
        let shop = try await Shop()
        defer { shop.close() }
        try shop.write(
            "3_hidden", "DO $$ BEGIN EXECUTE 'ALTER TABLE orders ADD COLUMN x int'; END $$;", "ALTER TABLE orders DROP COLUMN x;")
        func lint(_ more: String...) async throws -> (status: Termination, text: String) {
            let done = try await Program(
                Scene.program(), ["migrate", "lint", shop.folder, "--trace", "--scratch-env", "SHOP"] + more,
                environment: shop.environment, deadline: .minutes(2)
            ).run()
            return (done.termination, done.text)
        }
        let names = "SELECT count(*) FROM pg_database WHERE datname LIKE 'serin_trace_%'"
        let first = try await lint()
        #expect(first.text.contains("2 cents: expand, additive"), "\(first.text)")
        #expect(
            first.text.contains("locked public.orders ACCESS EXCLUSIVE; comes back")
                || first.text.contains("locked public.orders ACCESS EXCLUSIVE; back in"), "\(first.text)")
        #expect(first.text.contains("3 hidden: expand, additive (measured: it only adds)"), "\(first.text)")
        // Nobody could foretell the lock of what is hidden.
        #expect(first.status == .exited(7) && first.text.contains("ERROR T01"), "\(first.text)")
        #expect(try await shop.sql(names) == "0")
        #expect(try await shop.sql("SELECT to_regclass('orders')") == "")
        // Where it ran, and that nothing is left.
        let place = "\(shop.cluster.primary.port)/serin_trace_"
        #expect(
            first.text.contains("\(place)") && first.text.contains("dropped at the end; it begins with nothing"), "\(first.text)")
        #expect(first.text.contains("nothing is left of it"), "\(first.text)")
        try shop.write("3_hidden", "SELECT pg_sleep(600);", "SELECT 1;")
        let late = try await lint("--timeout", "5s")
        #expect(late.status == .exited(124), "\(late.text)")
        #expect(late.text.contains("given up after 5s") && !late.text.contains("T01"), "\(late.text)")
        #expect(late.text.contains("nothing is left of it"), "\(late.text)")
        #expect(try await shop.sql(names) == "0")
        let run = try ServerProcess(
            Scene.program(), ["migrate", "lint", shop.folder, "--trace", "--scratch-env", "SHOP"], environment: shop.environment,
            log: shop.scratch.file("trace.log"))
        try await waitUntil("it sleeps", within: .seconds(60)) {
            try await shop.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
        }
        run.stop(signal: SIGKILL)
        #expect(try await shop.sql(names) == "1")
        let said = try await shop.serin("status")
        #expect(said.text.contains("was left by a trace that was killed"), "\(said.text)")
        try shop.write("3_hidden", "ALTER TABLE orders ADD COLUMN x int;", "ALTER TABLE orders DROP COLUMN x;")
        let last = try await lint("-o", "json", "-q")
        #expect(last.status == .exited(0) && last.text.contains(#""comes_back":true"#), "\(last.text)")
        #expect(try await shop.sql(names) == "0")
    }

    /// Killed while a build waits, while the server sleeps inside a transaction, and right after it began.
    @Test(arguments: [
        "CREATE INDEX CONCURRENTLY orders_amount ON orders (amount)",
        "ALTER TABLE orders ADD COLUMN x int;\n-- serin: class additive because it only waits\nSELECT pg_sleep(3)",
    ])
    func killedInTheMiddleTheNextRunConverges(sql: String) async throws {
        let shop = try await Shop()
        defer { shop.close() }
        #expect(try await shop.serin("up").status == .exited(0))
        try shop.write("3_kill", sql, "SELECT 1")
        let holder = try shop.cluster.primary.session("BEGIN; INSERT INTO orders VALUES (1, 1); \\! sleep 600\n")
        defer { holder.stop(signal: SIGKILL) }
        let isConcurrent = sql.contains("CONCURRENTLY")
        if isConcurrent {
            try await waitUntil("the writer is there") {
                try await shop.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'") == "1"
            }
        } else {
            holder.stop(signal: SIGKILL)
        }
        let run = try shop.start("up")
        try await waitUntil("it is at work") {
            try await shop.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'serin-mig-%' AND state = 'active'") == "1"
        }
        run.stop(signal: SIGKILL)
        #expect(try await shop.sql("SELECT state FROM serin.migration_steps ORDER BY id DESC LIMIT 1") == "running")
        holder.stop(signal: SIGKILL)
        let again = try await shop.serin("up")
        #expect(again.status == .exited(0), "\(again.text)")
        #expect(again.text.contains("at 3"))
        #expect(try await shop.sql("SELECT version, dirty FROM schema_migrations") == "3|f")
        #expect(try await shop.sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == "0")
        #expect(try await shop.serin("status").status == .exited(0))
    }
}
