import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

extension Integration {
    /// A release that destroys data on a cluster whose backups are physical: the moment before its migration comes back.
    @Suite(.serialized, .enabled("needs root, to act as two users") { geteuid() == 0 }) struct PointInTimeRollouts {
        /// Where the cluster is archived to, and what else stands around a test.
        private func play(_ body: (Shop, Scene) async throws -> Void) async throws {
            let scratch = try Scratch("serin-pit")
            defer { scratch.remove() }
            let log = scratch.file("log")
            try #require(mkdir(log, 0o755) == 0)
            if let entry = getpwnam("postgres") { chown(log, entry.pointee.pw_uid, entry.pointee.pw_gid) }
            let cluster = try await PostgresCluster.start(
                in: scratch, withReplica: false,
                settings: [
                    "archive_mode": "on", "archive_command": "test ! -e \(log)/%f && cp %p \(log)/.%f && mv \(log)/.%f \(log)/%f",
                    "archive_timeout": "300", "full_page_writes": "on",
                ])
            defer { cluster.stop() }
            try await ShopServer.with(cluster) {
                try await Shop.play { shop in
                    let url = try shop.scratch.write("cluster", cluster.primary.url(database: shop.database), mode: 0o600)
                    let plan = FileManager.default.contents(atPath: shop.scratch.file("plan.yaml")) ?? Data()
                    try shop.scratch.write(
                        "plan.yaml",
                        String(decoding: plan, as: UTF8.self).replacing(
                            "{postgres: {url_env: SHOP}}",
                            with: "{postgres_physical: {url_file: \(url), basebackup: true, archive: \(log)}}"))
                    return try shop.destructive(approvals: 2, restoring: try restore(shop)) + ["restore_way: point_in_time"]
                } _: { shop, scene in
                    try await body(shop, scene)
                }
            }
        }

        /// The cluster is recovered beside the live one, and the one database put in the place of the live one.
        private func restore(_ shop: Shop) throws -> String {
            let (database, server) = (shop.database, shop.cluster.primary)
            return """
                [ "$SERIN_RESTORE" = pointInTime ]
                [ ! -e '\(shop.scratch.file("broken"))' ]
                place='\(shop.scratch.file("before"))'
                SERIN_STATE='\(shop.scratch.file("state"))' '\(try Scene.program())' backup restore \\
                    '\(shop.scratch.file("plan.yaml"))' "$SERIN_BACKUP" --into "$place" --keep-running
                ask() { psql -X -q -v ON_ERROR_STOP=1 '\(server.url())' -c "$1"; }
                pg_dump -h "$place/server" -U postgres --format=custom --file="$place/before.dump" \(database)
                pg_restore --create --schema-only -f - "$place/before.dump" |
                    sed -n 's/^\\(CREATE\\|ALTER\\|ALTER ROLE .* IN\\|REVOKE .* ON\\|GRANT .* ON\\) DATABASE \(database) /\\1 DATABASE before /p' |
                    psql -X -q -v ON_ERROR_STOP=1 '\(server.url())'
                pg_restore --exit-on-error --dbname='\(server.url(database: "before"))' "$place/before.dump"
                kill -INT "$(head -n 1 "$place/data/postmaster.pid")"
                ask 'ALTER DATABASE \(database) ALLOW_CONNECTIONS false'
                ask "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(database)'"
                ask 'ALTER DATABASE \(database) RENAME TO replaced'
                ask 'ALTER DATABASE before RENAME TO \(database)'
                """
        }

        private func approve(_ scene: Scene) async throws {
            let plan = try await scene.awaitedPlan()
            for answer in [
                try await scene.serin("approve", scene.service, "--plan", plan),
                try await scene.other("approve", scene.service, "--plan", plan),
            ] {
                #expect(answer.termination == .exited(0), "\(answer.text)")
            }
        }

        /// What belongs to the database itself, and to none of its tables, as it is now.
        private func ofDatabase(_ shop: Shop) async throws -> String {
            try await shop.sql(
                """
                SELECT pg_get_userbyid(datdba), datacl::text, datcollate, array_agg(s.setconfig::text ORDER BY s.setconfig::text)
                FROM pg_database d LEFT JOIN pg_db_role_setting s ON s.setdatabase = d.oid
                WHERE datname = current_database() GROUP BY 1, 2, 3
                """)
        }

        /// Gives the database rights and settings of its own.
        private func ownOfDatabase(_ shop: Shop) async throws -> String {
            try await shop.sql(
                "REVOKE CONNECT, TEMPORARY ON DATABASE \(shop.database) FROM PUBLIC; "
                    + "GRANT CONNECT ON DATABASE \(shop.database) TO app; "
                    + "ALTER DATABASE \(shop.database) SET search_path TO public, shared; "
                    + "ALTER ROLE app IN DATABASE \(shop.database) SET statement_timeout TO '55s'")
            return try await ofDatabase(shop)
        }

        /// The restore works, or fails at first, and a person begins it again.
        @Test(arguments: [true, false]) func s3s6TheMomentBeforeTheMigrationComesBackAsThePlanSaidBeforehand(_ works: Bool)
            async throws
        {
            try await play { shop, scene in
                try shop.add(
                    "0002_half", up: "DELETE FROM orders WHERE id % 2 = 0", down: "UPDATE orders SET amount = amount WHERE false")
                let own = try await ownOfDatabase(shop)
                let way = "restore the moment before the migration"
                let said = "→ \(way): everything that was written since the migration began ("
                let planned = try await scene.serin(
                    "plan", scene.policy, "--version", Stage.bad, "--previous", Stage.old)
                #expect(planned.termination == .exited(0) && planned.text.contains(said), "\(planned.text)")
                #expect(planned.text.contains("the policy wants it so; 2 different people must agree"), "\(planned.text)")
                let looked = try await scene.serin("migrate", "plan", scene.policy)
                #expect(looked.text.contains("on a rollback: \(said)"), "\(looked.text)")
                if !works { try shop.scratch.write("broken", "") }
                var run = try scene.start(scene.release(Stage.bad) + ["--socket-group", "nogroup"])
                defer { run.stop(signal: SIGKILL) }
                try await scene.awaitOutput("awaiting approval")
                try await scene.awaitOutput("on a rollback: \(said)")
                let before = shop.taken
                try await approve(scene)
                try await scene.awaitOutput("WRITES ARE FENCED; the restore waits for 2 different people", within: .minutes(5))
                let why = try await scene.serin("why", scene.service)
                #expect(why.text.contains(said + "at most "), "\(why.text)")
                let most = try #require(why.text.firstRange(of: said + "at most ").map { why.text[$0.upperBound...] })
                let told = try #require(Int(most.prefix { $0 != " " }.replacing(",", with: "")))
                let after = shop.taken
                #expect(try await shop.found(after).count < after.count, "the migration deletes some")
                try await approve(scene)
                if !works {
                    #expect(try await scene.end(of: run, within: .minutes(5)) == 6, "\(scene.output())")
                    #expect(scene.output().contains("serin rollback "), "\(scene.output())")
                    let mayWrite = "SELECT has_table_privilege('app', 'orders', 'INSERT')"
                    #expect(try await shop.sql(mayWrite) == "f")
                    #expect(await scene.weight() == 0)
                    unlink(shop.scratch.file("broken"))
                    run = try scene.start(scene.continuation + ["--socket-group", "nogroup"], log: "next.log")
                    try await waitUntil("a controller that takes the order", within: .minutes(3)) {
                        try await scene.serin("rollback", scene.service).termination == .exited(0)
                    }
                    try await scene.awaitOutput("the restore waits for 2 different people", log: "next.log", within: .minutes(3))
                    try await approve(scene)
                }
                let log = works ? "serin.log" : "next.log"
                #expect(try await scene.end(of: run, within: .minutes(5)) == 3, "\(scene.output(log))")
                let order = FileManager.default.contents(atPath: scene.file("order"))
                #expect(order.map { String(decoding: $0, as: UTF8.self) } == "pointInTime 0001 \n")
                // Everything as before the migration, and of what came later no more lost than was told.
                #expect(try await shop.sql("SELECT count(*) FROM orders WHERE id < 0") == "100")
                #expect(try await shop.found(before) == Set(before))
                let lost = Set(after).subtracting(try await shop.found(after))
                #expect(!lost.isEmpty && lost.count <= told, "\(lost.count) of \(told)")
                #expect(try await shop.sql("SELECT version FROM schema_migrations") == "1")
                #expect(try await ofDatabase(shop) == own)
                try await waitUntil("orders once writes are let in") { shop.acknowledged > after.count }
                #expect(await scene.weight() == 0)
                try await JournalProof(of: scene).check(scene)
                let verified = try await scene.serin("verify", scene.service)
                #expect(verified.termination == .exited(0), "\(verified.text)")
            }
        }
    }
}
