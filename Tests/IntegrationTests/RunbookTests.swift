import FoundationEssentials
import Glibc
import SerinModel
import SerinTransport
import Testbed
import Testing

/// docs/RUNBOOKS.md, run as it stands there: on a real Postgres, with the real program.
@Suite(.serialized) struct RunbookTests {
    /// Every titled block belongs to a section that one of these tests follows.
    static let followed = [
        "", "Before anything happens", "Backup", "A backup failed", "Restore", "Corruption", "Point in time",
        "Accidental deletion", "Migrations", "Ransomware",
        "A lost machine or site", "A lost key", "Without Serin",
    ]

    @Test func everyBlockWithATitleIsRunByATest() throws {
        let blocks = try Runbook.blocks()
        #expect(Set(blocks.map(\.section)) == Set(Self.followed))
        #expect(blocks.count > 30)
        #expect(Set(blocks.map { "\($0.section) \($0.title)" }).count == blocks.count)
    }

    @Test func beforeAnythingHappens() async throws {
        let book = try await Runbook.open()
        defer { book.end() }
        let said = try await book.follow("Before anything happens")
        #expect(said["rehearse"]?.contains(": passed") == true, "\(said["rehearse"] ?? "")")
        #expect(said["look at the newest"]?.contains("verified") == true)
    }

    @Test func aBackupByHand() async throws {
        let book = try await Runbook.open()
        defer { book.end() }
        try await book.follow("Backup")
        let page = try await book.run("serin backup show latest")
        #expect(page.contains("import of the price list") && page.contains("until the audit is over"), "\(page)")
        #expect(page.contains("before-import") && page.contains("verified"))
    }

    @Test func aBackupThatFailed() async throws {
        let book = try await Runbook.open(
            destinations:
                "{local: {folder: {path: /var/backups/serin}}, other: {folder: {path: /etc/serin/other}, required: false}}")
        defer { book.end() }
        // A file stands where the other folder should be.
        let place = try book.scratch.write("etc/other", "in the way")
        try await book.run("serin backup create /etc/serin/backups/checkout.yaml")
        let said = try await book.follow("A backup failed", before: ["again": { unlink(place) }])
        #expect(said["what failed"]?.contains("warning") == true, "\(said["what failed"] ?? "")")
        #expect(try await book.run("find /etc/serin/other -name '*.backup' | wc -l").trimmingCount == 2)
    }

    @Test func aRestoreAndItsUndoing() async throws {
        let book = try await Runbook.open()
        defer { book.end() }
        try await book.run("serin backup create /etc/serin/backups/checkout.yaml")
        try await book.live("INSERT INTO public.orders (note) VALUES ('after the backup')")
        let said = try await book.follow(
            "Restore",
            before: [
                "take it back": {
                    let count = try await book.live("SELECT count(*) FROM public.orders")
                    #expect(count == "500", "the backup is live")
                }
            ])
        #expect(said["look"]?.contains("500") == true)
        #expect(try await book.live("SELECT count(*) FROM public.orders") == "501", "the replaced one is live again")
        let databases = try await book.server.sql(
            "SELECT string_agg(datname, ' ') FROM pg_database WHERE datname LIKE 'checkout%'")
        #expect(databases == "checkout", "nothing is left")
    }

    @Test func dataThatIsWrongSinceAMoment() async throws {
        let book = try await Runbook.open()
        defer { book.end() }
        try await book.run("serin backup create /etc/serin/backups/checkout.yaml")
        let said = try await book.follow("Corruption")
        #expect(said["the last good one"]?.contains("checkout-db of project checkout") == true)
        #expect(try await book.run("serin backup show latest").contains("corruption, incident 8"))
    }

    @Test func aMomentBeforeEverythingWasDeleted() async throws {
        var book = try await Runbook.open()
        defer { book.end() }
        try await book.run("serin backup create /etc/serin/backups/cluster.yaml")
        try await book.live("INSERT INTO public.orders (note) VALUES ('after the base backup')")
        book.moment = try await book.live(
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
        // sleeps: a commit behind the moment is told apart by its milliseconds.
        try await Task.sleep(for: .milliseconds(50))
        try await book.live("DELETE FROM public.lines; DELETE FROM public.orders")
        let live = book.server
        let archive = book.scratch.file("archive")
        let closed = try await book.live("SELECT pg_walfile_name(pg_current_wal_lsn())")
        let said = try await book.follow(
            "Point in time",
            before: [
                "when was it deleted": {
                    try await waitUntil("archiving of \(closed)") { access("\(archive)/\(closed)", F_OK) == 0 }
                },
                "carry rows over by hand": {
                    let count = try await live.sql("SELECT count(*) FROM public.orders", database: "checkout")
                    #expect(count == "0", "the live one was not touched")
                },
            ])
        let found = said["when was it deleted"] ?? ""
        #expect(found.contains("the largest is transaction") && found.contains("--to 20"), "\(found)")
        #expect(said["look at the recovered one"]?.contains("501") == true, "\(said["look at the recovered one"] ?? "")")
        #expect(try await book.live("SELECT count(*) FROM public.orders") == "501", "carried over by hand")
    }

    @Test func rowsThatWereDeleted() async throws {
        let book = try await Runbook.open()
        defer { book.end() }
        try await book.run("serin backup create /etc/serin/backups/checkout.yaml")
        let before = try await book.live("SELECT md5(string_agg(id || note, ',' ORDER BY id)) FROM public.orders WHERE id <= 500")
        try await book.live(
            "DELETE FROM public.orders WHERE id % 2 = 1 AND id <= 100; INSERT INTO public.orders (note) VALUES ('newer')")
        let said = try await book.follow(
            "Accidental deletion")
        #expect(said["count what is missing"]?.contains("50 rows would come back") == true, "\(said)")
        let after = try await book.live("SELECT md5(string_agg(id || note, ',' ORDER BY id)) FROM public.orders WHERE id <= 500")
        #expect(after == before)
        #expect(try await book.live("SELECT count(*) FROM public.orders") == "501", "the newer row stays")
    }

    @Test func aSchemaThatGoesForwardAndBack() async throws {
        let book = try await Runbook.open()
        defer { book.end() }
        try await book.run("mkdir -p /etc/serin/migrations")
        for (name, text) in [
            ("1_vouchers.up", "CREATE TABLE vouchers (id bigint PRIMARY KEY);"), ("1_vouchers.down", "DROP TABLE vouchers;"),
            ("2_worth.up", "ALTER TABLE vouchers ADD COLUMN worth bigint;"),
            ("2_worth.down", "ALTER TABLE vouchers DROP COLUMN worth;"),
        ] { try book.scratch.write("etc/migrations/\(name).sql", text) }
        let said = try await book.follow("Migrations")
        #expect(said["look at the revisions"]?.contains("from base to 2") == true, "\(said)")
        #expect(
            try await book.live(
                "SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 'vouchers'::regclass AND attnum > 0 AND NOT attisdropped"
            )
                == "id")
    }

    @Test func objectsThatAnAttackerDeletedAndCovered() async throws {
        let scratch = try Scratch("serin-moto")
        defer { scratch.remove() }
        let moto = try await MotoServer(scratch: scratch)
        defer { moto.stop() }
        try await moto.makeBucket("vault", locks: true)
        var book = try await Runbook.open(
            destinations: """
                {bucket: {s3: {bucket: vault, endpoint: "\(moto.url)", access_key_env: AK, secret_key_env: SK, plain_http: yes},
                  lock: compliance, lock_days: 1}}
                """)
        defer { book.end() }
        book.variables["AK"] = moto.keys.accessKey
        book.variables["SK"] = moto.keys.secretKey
        try await book.run("serin backup create /etc/serin/backups/checkout.yaml")
        let listing = try await moto.send("GET", "/vault", query: [HTTPHeader("list-type", "2")])
        let keys = String(decoding: listing.body, as: UTF8.self).matches(of: /<Key>([^<]*\.backup)<\/Key>/).map { String($0.1) }
        try #require(keys.count == 1)
        // With the machine's own rights: a mark of deletion, then rubbish under the same key.
        for key in keys {
            #expect(try await moto.send("DELETE", "/vault/\(key)").status == 204)
            #expect(try await moto.send("PUT", "/vault/\(key)", body: Array("pay us".utf8)).status == 200)
        }
        let said = try await book.follow("Ransomware")
        #expect(said["what is left"]?.contains("exit 8") == true, "\(said["what is left"] ?? "")")
        #expect(said["restore from the bucket"]?.contains("500") == true)
    }

    @Test func aMachineThatIsGone() async throws {
        var book = try await Runbook.open(source: "globals: true")
        defer { book.end() }
        try await book.server.sql("CREATE ROLE app LOGIN")
        try await book.server.sql(
            "GRANT SELECT ON public.orders TO app", database: "checkout")
        try await book.run("serin backup create /etc/serin/backups/checkout.yaml")
        try await book.server.sql("DROP DATABASE checkout")
        try await book.server.sql("DROP ROLE app, app_owner")
        try await book.server.sql("CREATE DATABASE checkout OWNER swapper")
        book.state = book.scratch.file("new-state")
        let said = try await book.follow("A lost machine or site")
        #expect(said["make them known"]?.contains("uploaded") == true, "\(said["make them known"] ?? "")")
        #expect(said["restore there"]?.contains("500") == true)
        #expect(
            try await book.run(
                #"""
                psql "$RESTORE_URL" -At -c "\connect $RESTORED" -c "SELECT relowner::regrole FROM pg_class WHERE relname = 'lines'"
                """#
            ).contains("app_owner"))
    }

    @Test func aKeyThatIsGone() async throws {
        let book = try await Runbook.open(encryption: "{recipients: [/etc/serin/operations.pem, /etc/serin/vault.pem]}")
        defer { book.end() }
        for name in ["operations", "vault"] {
            try await book.run(
                """
                openssl req -x509 -newkey rsa:3072 -nodes -keyout /etc/serin/\(name).key -out /etc/serin/\(name).pem \
                  -subj /CN=\(name) -days 2
                """)
        }
        try await book.run("serin backup create /etc/serin/backups/checkout.yaml; rm /etc/serin/operations.key")
        let said = try await book.follow("A lost key")
        #expect(said["a backup for the new pair"]?.contains("is good") == true, "\(said["a backup for the new pair"] ?? "")")
    }

    @Test func nothingButTheObjectAndTheKey() async throws {
        let book = try await Runbook.open()
        defer { book.end() }
        try await book.run(
            "serin backup create /etc/serin/backups/checkout.yaml; rm -r /var/lib/serin; rm /etc/serin/backups/checkout.yaml")
        unlink(book.scratch.file("bin/serin"))
        let said = try await book.follow("Without Serin")
        for title in ["compare the digest", "compare the code"] {
            let lines = said[title]?.split(separator: "\n") ?? []
            #expect(lines.count == 2 && lines[0] == lines[1] && lines[0].count == 64, "\(title): \(lines)")
        }
        #expect(said["read the manifest"]?.contains("checkout-db of ") == true, "\(said["read the manifest"] ?? "")")
        #expect(said["restore by hand"]?.contains("500") == true)
    }
}

extension String {
    /// The number that a text is but for spaces.
    fileprivate var trimmingCount: Int? { Int(filter { !$0.isWhitespace }) }
}
