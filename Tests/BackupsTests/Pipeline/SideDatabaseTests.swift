import FoundationEssentials
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import Testbed
import Testing

@testable import SerinBackups

/// What restores and swaps leave at a real server.
@Suite(.serialized) struct SideDatabaseTests {
    @Test func theSameBackupIsRestoredTwiceUnderTwoNames() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let first = try await scene.restore(record.id, source)
        let second = try await scene.restore(record.id, source)
        let third = try await scene.restore(record.id, source, tables: ["app.orders"])
        #expect(second.name == first.name + "_2" && third.name == first.name + "_3")
        let list = try await scene.sides().list()
        #expect(list.map(\.name) == [first.name, second.name, third.name])
        #expect(list.map(\.known?.role) == [.restored, .restored, .tables])
        #expect(list.allSatisfy { ($0.size ?? 0) > 1_000_000 && $0.sessions == 0 })

        // One that is used stays; the live one, and what nobody made here, are never dropped.
        let session = try scene.server.session("\\! sleep 60\n", user: "restorer", database: second.name)
        try await waitUntil("a session") { try await scene.sides().entry(second.name)?.sessions == 1 }
        let used = await #expect(throws: Failure.self) { try await scene.sides().drop(second.name, by: BackupScene.principal) }
        #expect(used?.kind == .conflict)
        session.stop()
        try await waitUntil("its end") { try await scene.sides().entry(second.name)?.sessions == 0 }
        for name in ["shop", "postgres", "template1", "nothing"] {
            let refused = await #expect(throws: Failure.self) { try await scene.sides().drop(name, by: BackupScene.principal) }
            #expect(refused?.kind == .denied)
        }
        try await scene.sides().drop(second.name, by: BackupScene.principal)
        #expect(try await scene.sides().list().map(\.name) == [first.name, third.name])

        // Tables alone never go live.
        let tables = try await scene.restore(record.id, source)
        var disguised = tables
        disguised.name = third.name
        let refused = await #expect(throws: Failure.self) {
            _ = try await scene.swap(scene.restoreSettings()).swap(disguised, permit: scene.permit(record.id))
        }
        #expect(refused?.message.contains("some tables") == true)
    }

    @Test func aReplacedDatabaseGoesWhenItsTimeIsOverAndTheLiveOneNever() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        var policy = RestorePolicy()
        policy.keepReplaced = .hours(24)
        let settings = scene.restoreSettings(policy)
        let restored = try await scene.restore(record.id, source, settings)
        let swap = scene.swap(settings)
        let outcome = try await swap.swap(restored, permit: scene.permit(record.id))
        let sides = scene.sides(settings)
        let now = BackupScene.now()
        #expect(outcome.keepUntil.map { $0 > now && $0 < now + .hours(25) } == true)
        #expect(try await sides.dropDue(at: now, by: BackupScene.principal).dropped.isEmpty)
        #expect(try await sides.lastReplaced()?.name == outcome.replaced)

        // Taken back: what was noted as replaced is the live one, and its time does not matter any more.
        let undone = try await swap.undo(outcome.replaced, permit: scene.permit(record.id))
        let later = now + .hours(48)
        let used = try scene.server.session("\\! sleep 60\n", user: "restorer", database: undone.replaced)
        try await waitUntil("a session") { try await sides.entry(undone.replaced)?.sessions == 1 }
        let kept = try await sides.dropDue(at: later, by: BackupScene.principal)
        #expect(kept.dropped.isEmpty && kept.failures.map(\.name) == [undone.replaced])
        used.stop()
        try await waitUntil("its end") { try await sides.entry(undone.replaced)?.sessions == 0 }
        let pruned = try await sides.dropDue(at: later, by: BackupScene.principal)
        #expect(pruned.dropped.map(\.name) == [undone.replaced] && pruned.failures.isEmpty)
        #expect(try await scene.server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop%'") == "1")
        #expect(try await scene.server.sql("SELECT count(*) FROM app.orders", database: "shop") == "20000")
        #expect(try await sides.dropDue(at: later, by: BackupScene.principal).dropped.isEmpty)

        // Somebody gave another database the noted name.
        let again = try await scene.restore(record.id, source, settings)
        let second = try await swap.swap(again, permit: scene.permit(record.id))
        try await scene.server.sql("ALTER DATABASE \(second.replaced) RENAME TO precious")
        try await scene.server.sql("CREATE DATABASE \(second.replaced) OWNER restorer")
        #expect(try await sides.dropDue(at: later, by: BackupScene.principal).dropped.isEmpty)
        #expect(try await sides.entry(second.replaced)?.known == nil)
    }

    @Test func whatWasStoppedIsStartedAgainEvenWhenItCouldNotBeStoppedWhole() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let log = scene.scratch.file("hooks")
        var policy = RestorePolicy()
        policy.quiesce = BackupHook(run: ["/bin/sh", "-c", "echo quiesce >> \(log); exit 3"])
        policy.resume = BackupHook(run: ["/bin/sh", "-c", "echo resume >> \(log)"])
        let restored = try await scene.restore(record.id, source, scene.restoreSettings(policy))
        let failure = await #expect(throws: Failure.self) {
            _ = try await scene.swap(scene.restoreSettings(policy)).swap(restored, permit: scene.permit(record.id))
        }
        #expect(failure?.message.contains("quiesce failed") == true)
        #expect(String(decoding: try Data(contentsOf: URL(filePath: log)), as: UTF8.self) == "quiesce\nresume\n")
        // Both fail: both are said.
        policy.resume = BackupHook(run: ["/bin/sh", "-c", "exit 4"])
        let both = await #expect(throws: Failure.self) {
            _ = try await scene.swap(scene.restoreSettings(policy)).swap(restored, permit: scene.permit(record.id))
        }
        #expect(both?.message.contains("start by hand what was stopped") == true)
        #expect(try await scene.server.sql("SELECT count(*) FROM app.orders", database: "shop") == "20000")
        #expect(
            try await scene.server.sql("SELECT bool_and(datallowconn) FROM pg_database WHERE datname LIKE 'shop%'") == "t")
    }

    @Test func whoWasErasedSinceIsErasedAgain() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let source = try scene.source()
        func erase(_ subject: String, _ at: Instant) async throws {
            try await scene.catalogue.note(
                AuditNote(at: at, by: BackupScene.principal, topic: Erasure.topic, target: "shop", text: subject))
        }
        try await erase("5", BackupScene.now() - .hours(1))
        let record = try await scene.backUp(source).record
        try await erase("77", BackupScene.now())
        try await erase("it's 78", BackupScene.now())
        let unprepared = try await scene.restore(record.id, source)
        #expect(unprepared.checks.filter { !$0.passed }.map(\.name) == [Erasure.check])
        #expect(!unprepared.passed)
        let tables = await #expect(throws: Failure.self) {
            _ = try await scene.restore(record.id, source, tables: ["app.orders"])
        }
        #expect(tables?.kind == .denied, "a table by itself would bring them back")
        var settings = scene.restoreSettings()
        settings.erasure = """
            DELETE FROM app.lines WHERE order_id = substring(current_setting('serin.subject') FROM '[0-9]+')::bigint;
            DELETE FROM app.orders WHERE id = substring(current_setting('serin.subject') FROM '[0-9]+')::bigint;
            """
        let restored = try await scene.restore(record.id, source, settings)
        #expect(restored.passed, "\(restored.checks)")
        #expect(
            try await scene.server.sql(
                "SELECT count(*), count(*) FILTER (WHERE id IN (5, 77, 78)) FROM app.orders", database: restored.name)
                == "19997|0", "also who was noted before the backup: the application may not have done it yet")
        let report = try #require(restored.checks.first { $0.name == Erasure.check }).detail
        #expect(report.contains("app.orders 20000 to 19997 rows"), "\(report)")
        // Looked at again before it goes live, it is not blamed for the rows that were taken out.
        let again = try await BackupRestore(
            scene.settings, settings, identities: [.keyFile(scene.keyFile)], catalogue: scene.catalogue,
            holder: BackupScene.holder, now: BackupScene.now
        ).inspect(restored.name, permit: scene.permit(record.id))
        #expect(again.passed, "\(again.checks)")
        #expect(!report.contains("78"))

        // Who is erased once it was restored does not come back by a swap either, nor by taking one back.
        func rows(_ database: String) async throws -> String {
            try await scene.server.sql("SELECT count(*) FROM app.orders WHERE id IN (5, 77, 78, 80, 81)", database: database)
        }
        try await erase("80", BackupScene.now())
        let permit = scene.permit(record.id)
        for name in [unprepared.name, restored.name] {
            var looked = again
            looked.name = name
            let denied = await #expect(throws: Failure.self) {
                _ = try await scene.swap(scene.restoreSettings()).swap(looked, permit: permit)
            }
            #expect(
                denied?.kind == .denied && denied?.message.contains("people who were erased") == true,
                "\(String(describing: denied))")
        }
        let outcome = try await scene.swap(settings).swap(again, permit: permit)
        #expect(outcome.remarks.contains { $0.contains("1 subjects were erased again") }, "\(outcome.remarks)")
        #expect(try await rows("shop") == "1")
        try await erase("81", BackupScene.now())
        let refused = await #expect(throws: Failure.self) {
            _ = try await scene.swap(scene.restoreSettings()).undo(outcome.replaced, permit: permit)
        }
        #expect(refused?.kind == .denied)
        #expect(try await rows(outcome.replaced) == "5")
        _ = try await scene.swap(settings).undo(outcome.replaced, permit: permit)
        #expect(try await rows("shop") == "0")
    }

    @Test func anErasureThatTakesTooMuchIsUndoneAndNothingGoesLiveBesideOne() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql(
            """
            CREATE TABLE people (id int PRIMARY KEY, name text); INSERT INTO people SELECT n, 'name' FROM generate_series(1, 10) n;
            CREATE TABLE resets (id int REFERENCES people ON DELETE CASCADE); INSERT INTO resets VALUES (5)
            """, user: "restorer", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        // Tables that were restored when nobody was erased yet.
        let single = try await scene.restore(record.id, source, tables: ["public.people"])
        try await scene.catalogue.note(
            AuditNote(
                at: BackupScene.now() - .hours(100), by: BackupScene.principal, topic: Erasure.topic, target: "shop", text: "5"))
        func settings(_ statement: String, _ most: Double = 0.5) -> RestoreSettings {
            var policy = RestorePolicy()
            policy.maximumErased = most
            var settings = scene.restoreSettings(policy)
            settings.erasure = statement
            return settings
        }
        let right = "DELETE FROM people WHERE id = current_setting('serin.subject')::int"
        for (statement, most, words) in [
            ("DELETE FROM people", 0.5, "10 of 10 rows of public.people"),
            ("UPDATE people SET name = ''", 0.5, "10 of 10 rows of public.people"),
            ("TRUNCATE people CASCADE", 0.5, "restore.max_erased: 100%"),
            ("BEGIN; \(right); COMMIT", 0.5, "leave BEGIN and COMMIT out"), (right, 0.5, ""), ("DELETE FROM people", 1, ""),
        ] {
            let restored = try await scene.restore(record.id, source, settings(statement, most))
            let check = try #require(restored.checks.first { $0.name == Erasure.check })
            #expect(check.passed == words.isEmpty && check.detail.contains(words), "\(statement): \(check)")
            let left = try await scene.server.sql("SELECT count(*) FROM people", database: restored.name)
            #expect(left == (words.isEmpty ? (most == 1 ? "0" : "9") : words.contains("COMMIT") ? "9" : "10"), "\(statement)")
        }
        // The note is older than the backup, and the person may still be in it.
        let again = await #expect(throws: Failure.self) {
            _ = try await scene.restore(record.id, source, settings(right), tables: ["public.people"])
        }
        #expect(again?.kind == .denied && again?.hint?.contains("serin backup merge") == true, "\(String(describing: again))")
        try await scene.server.sql("DELETE FROM people WHERE id IN (5, 6)", database: "shop")
        func merge(_ name: String, _ settings: RestoreSettings) async throws -> TableMerge.Plan {
            try await TableMerge(
                settings, target: "shop", catalogue: scene.catalogue, holder: BackupScene.holder, now: BackupScene.now
            ).merge("public.people", from: name, permit: scene.permit(record.id, .beside)).plan
        }
        let refused = await #expect(throws: Failure.self) { _ = try await merge(single.name, settings(right)) }
        #expect(refused?.kind == .denied && refused?.message.contains("were erased") == true, "\(String(describing: refused))")
        // Whom a restore could not erase, a merge erases before it counts.
        let unprepared = try await scene.restore(record.id, source)
        #expect(!unprepared.passed)
        let denied = await #expect(throws: Failure.self) { _ = try await merge(unprepared.name, scene.restoreSettings()) }
        #expect(denied?.kind == .denied && denied?.message.contains("people who were erased") == true)
        let plan = try await merge(unprepared.name, settings(right))
        #expect(plan.missing == 1 && plan.remarks.first?.contains("public.people 10 to 9 rows") == true, "\(plan)")
        #expect(try await merge(unprepared.name, settings(right)).remarks.isEmpty)
    }

    @Test func aMergeLeavesASchemaOfItsNameThatIsNotItsOwn() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql("CREATE TABLE t (id int PRIMARY KEY)", user: "restorer", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let restored = try await scene.restore(record.id, source)
        func merge() async throws -> TableMerge.Plan {
            try await TableMerge(
                scene.restoreSettings(), target: "shop", catalogue: scene.catalogue, holder: BackupScene.holder,
                now: BackupScene.now
            ).merge("public.t", from: restored.name, permit: scene.permit(record.id, .beside)).plan
        }
        let name = restored.name
        for (made, hint) in [
            ("CREATE SCHEMA \(name) AUTHORIZATION restorer", "ALTER SCHEMA \"\(name)\" RENAME TO"),
            (
                "CREATE SCHEMA \(name); COMMENT ON SCHEMA \(name) IS '\(TableMerge.mark)'",
                "as postgres, DROP SCHEMA \"\(name)\" CASCADE"
            ),
        ] {
            try await scene.server.sql(made, database: "shop")
            let failure = await #expect(throws: Failure.self) { _ = try await merge() }
            #expect(failure?.kind == .conflict && failure?.hint?.contains(hint) == true, "\(String(describing: failure))")
            #expect(
                try await scene.server.sql("SELECT count(*) FROM pg_namespace WHERE nspname = '\(name)'", database: "shop") == "1"
            )
            try await scene.server.sql("DROP SCHEMA \(name)", database: "shop")
        }
        #expect(try await merge().missing == 0)
    }

    @Test func aMergeLeavesOutRowsWhoseParentsAreGoneAndNamesThem() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql(
            """
            CREATE TABLE people (id int PRIMARY KEY);
            CREATE TABLE notes (id int PRIMARY KEY, person int REFERENCES people, answers int REFERENCES notes);
            INSERT INTO people VALUES (1), (2);
            INSERT INTO notes VALUES (1, 1, NULL), (2, 2, NULL), (3, 1, 2), (4, 1, 1), (5, NULL, 3), (6, 1, NULL)
            """, user: "restorer", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let restored = try await scene.restore(record.id, source)
        try await scene.server.sql("DELETE FROM notes WHERE id < 6; DELETE FROM people WHERE id = 2", database: "shop")
        let merge = TableMerge(
            scene.restoreSettings(), target: "shop", catalogue: scene.catalogue, holder: BackupScene.holder, now: BackupScene.now)
        let plan = try await merge.merge("public.notes", from: restored.name, permit: scene.permit(record.id, .beside)).plan
        #expect(plan.missing == 5 && plan.conflicting == 0 && plan.orphaned == 3 && plan.added == 2)
        // What answers a note that stays out stays out too.
        #expect(plan.orphans == ["id=2", "id=3", "id=5"])
        let done = try await merge.merge(
            "public.notes", from: restored.name, agreed: plan.added, permit: scene.permit(record.id, .merge))
        #expect(done.merged?.added == 2)
        let ids = "SELECT string_agg(id::text, ',' ORDER BY id) FROM notes"
        #expect(try await scene.server.sql(ids, database: "shop") == "1,4,6")
        // With their parents the rest comes as well.
        _ = try await merge.merge("public.people", from: restored.name, agreed: 1, permit: scene.permit(record.id, .merge))
        _ = try await merge.merge("public.notes", from: restored.name, agreed: 3, permit: scene.permit(record.id, .merge))
        #expect(try await scene.server.sql(ids, database: "shop") == "1,2,3,4,5,6")
    }

    @Test func anErasureCountsOnceWhatItDoesNotTouch() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql(
            """
            CREATE TABLE people (id int); INSERT INTO people SELECT generate_series(1, 10); CREATE TABLE still (id int);
            INSERT INTO still VALUES (1); CREATE TABLE gone (id int); INSERT INTO gone SELECT generate_series(1, 3);
            CREATE TABLE emptied (id int); INSERT INTO emptied SELECT generate_series(1, 4)
            """, user: "restorer", database: "shop")
        func scans(_ table: String) async throws -> Int {
            Int(
                try await scene.server.sql(
                    "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = '\(table)'", database: "shop")) ?? 0
        }
        var policy = RestorePolicy()
        policy.maximumErased = 1
        var settings = scene.restoreSettings(policy)
        settings.erasure =
            "DELETE FROM people WHERE id = current_setting('serin.subject')::int; DROP TABLE IF EXISTS gone; TRUNCATE emptied"
        let (before, work) = (try await scans("still"), settings)
        let check = try await onOwnThread { _ throws(Failure) in try RestoreServer(work).erase(["7"], in: "shop") }
        #expect(check.passed, "\(check)")
        for words in ["public.people 10 to 9 rows", "public.gone 3 to 0 rows", "public.emptied 4 to 0 rows"] {
            #expect(check.detail.contains(words), "\(check)")
        }
        #expect(!check.detail.contains("still"), "\(check)")
        // The server tells it once the session has ended.
        try await waitUntil("the numbers of the session") { try await scans("still") > before }
        #expect(try await scans("still") == before + 1)
    }

    @Test func whatIsHalfMadeIsRefusedWithWhatRemovesIt() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let restored = try await scene.restore(record.id, source)
        try await scene.server.sql("CREATE DATABASE shop_half OWNER restorer")
        let number = try await scene.server.sql("SELECT oid FROM pg_database WHERE datname = 'shop_half'")
        let half = SideDatabase(
            name: "shop_half", number: number, live: "shop", role: .making, backup: record.id, at: BackupScene.now())
        try await scene.catalogue.note(try half.note(of: "shop", at: BackupScene.now(), by: BackupScene.principal))
        var disguised = restored
        disguised.name = "shop_half"
        let (settings, permit) = (scene.restoreSettings(), scene.permit(record.id))
        for attempt in ["swap", "inspect", "merge"] {
            let refused = await #expect(throws: Failure.self) {
                switch attempt {
                case "swap": _ = try await scene.swap(settings).swap(disguised, permit: permit)
                case "inspect":
                    _ = try await BackupRestore(
                        scene.settings, settings, identities: [], catalogue: scene.catalogue, holder: BackupScene.holder,
                        now: BackupScene.now
                    ).inspect("shop_half", permit: permit)
                default:
                    _ = try await TableMerge(
                        settings, target: "shop", catalogue: scene.catalogue, holder: BackupScene.holder, now: BackupScene.now
                    ).merge("public.t", from: "shop_half", permit: permit)
                }
            }
            #expect(
                refused?.message.contains("half made") == true && refused?.hint?.contains("restored drop") == true,
                "\(attempt): \(String(describing: refused))")
        }
        try await scene.sides().drop("shop_half", by: BackupScene.principal)
    }

    @Test func aMaskedDatabaseIsMaskedOrGoneAndNeverGoesLive() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        func restore(_ sql: String?) async throws -> RestoredDatabase {
            var policy = RestorePolicy()
            policy.mask = sql.map { BackupHook(run: ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-c", $0]) }
            return try await BackupRestore(
                scene.settings, scene.restoreSettings(policy), identities: [.keyFile(scene.keyFile)],
                catalogue: scene.catalogue, holder: BackupScene.holder, now: BackupScene.now
            ).restore(record.id, source: source, isMasked: true, permit: scene.permit(record.id, .beside))
        }
        let unsaid = await #expect(throws: Failure.self) { _ = try await restore(nil) }
        #expect(unsaid?.kind == .denied)
        let failed = await #expect(throws: Failure.self) { _ = try await restore("UPDATE app.nothing SET x = 1") }
        #expect(failed?.message.contains("was dropped") == true)
        #expect(try await scene.sides().list().isEmpty)
        let masked = try await restore("UPDATE app.orders SET note = 'masked'")
        #expect(masked.passed, "\(masked.checks)")
        #expect(
            try await scene.server.sql("SELECT count(*) FROM app.orders WHERE note <> 'masked'", database: masked.name) == "0")
        let refused = await #expect(throws: Failure.self) {
            _ = try await scene.swap(scene.restoreSettings()).swap(masked, permit: scene.permit(record.id))
        }
        #expect(refused?.message.contains("masked") == true)
    }

    @Test func aQueryThatIsMuchSlowerThanUsualFailsTheRestore() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)", user: "restorer", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        func restore(_ seconds: Double) async throws -> BackupCheck? {
            var policy = RestorePolicy()
            policy.checks.timed = [.init(name: "listing", sql: "SELECT pg_sleep(\(seconds)), id FROM public.t")]
            return try await scene.restore(record.id, source, scene.restoreSettings(policy)).checks
                .first { $0.name == "timed listing" }
        }
        let first = try #require(try await restore(0.01))
        #expect(first.passed && first.detail.hasSuffix("the first time"))
        let slow = try #require(try await restore(0.4))
        #expect(!slow.passed && slow.detail.contains("usually"))
        // What failed is no baseline for the next.
        #expect(try await restore(0.4)?.passed == false)
        #expect(try await restore(0.01)?.passed == true)
    }
}
