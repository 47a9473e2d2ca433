import Glibc
import SerinBackups
import SerinCatalogue
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import Testbed
import Testing

/// The servers of the rounds, and what all of them share.
struct RoundTripCourse: Sendable {
    private let scene: BackupScene
    private let scale: Int
    private let moto: MotoServer
    private let load: ServerProcess
    private let places: [RoundTripDraw.Place: any BackupDestination]
    private let recipients: EnvelopeKey
    private let identity: EnvelopeIdentity

    init(scale: Int) async throws {
        let scene = try await BackupScene.start()
        self.scene = scene
        self.scale = scale
        if scale > 1 {
            try await scene.run(
                "pgbench", ["--initialize", "--quiet", "--scale=\(scale)", "--foreign-keys", "shop"], deadline: .minutes(20))
        }
        for lane in 1...2 {
            try await scene.server.sql("CREATE ROLE keeper\(lane) LOGIN; GRANT pg_read_all_data TO keeper\(lane)")
        }
        moto = try await MotoServer(scratch: scene.scratch)
        try await moto.makeBucket("backups", locks: false)
        let script = try scene.scratch.write("store.sh", CommandDestinationTests.script, mode: 0o755)
        mkdir(scene.scratch.file("objects"), 0o700)
        var verbs = [
            "label": "own", "secret_env": "S", "timeout": "20s",
            "list": "\(script) list \(scene.scratch.file("objects")) {{prefix}}",
        ]
        for verb in ["put", "head", "get", "delete", "replace"] {
            verbs[verb] = "\(script) \(verb) \(scene.scratch.file("objects")) {{key}} {{file}}"
        }
        places = [
            .folder: try scene.folder(scene.store), .bucket: try ObjectStoreTests.bucket(moto, "backups"),
            .program: try makeDestination("command", verbs, secrets: ["S": "hush"]),
        ]
        let files = (scene.scratch.file("ops.pem"), scene.scratch.file("ops.key"))
        runNow(
            "openssl",
            [
                "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-keyout", files.1, "-out", files.0, "-subj", "/CN=ops", "-days",
                "2",
            ])
        chmod(files.1, 0o600)
        recipients = .recipients([try readCertificate(files.0)])
        identity = try .recipient(certificate: files.0, privateKey: files.1)
        let more = try scene.scratch.write(
            "orders.sql",
            """
            \\set n random(1, 20000)
            UPDATE app.orders SET note = md5(note), raw = NULL WHERE id = :n;
            INSERT INTO app.orders (note, total) VALUES ('new \\n line', :n / 7.0);
            DELETE FROM app.lines WHERE order_id = :n;

            """)
        // Enough to change every table between any two looks, and bounded in rate and time.
        load = try ServerProcess(
            "/usr/lib/postgresql/15/bin/pgbench",
            [
                "-n", "-c", "2", "-R", "20", "-T", "7200", "-b", "tpcb-like@2", "-f", "\(more)@1", "-h", "127.0.0.1", "-p",
                "\(scene.server.port)", "-U", "restorer", "shop",
            ], log: scene.scratch.file("load.log"))
        let server = scene.server
        try await waitUntil("load (\(load.logTail()))") {
            try await server.sql("SELECT count(*) > 5 FROM pgbench_history", database: "shop") == "t"
        }
    }

    func end() {
        load.stop()
        moto.stop()
        scene.end()
    }

    private static let all = [
        "app.\"odd \"\"name\"", "app.alembic_version", "app.lines", "app.orders", "public.pgbench_accounts",
        "public.pgbench_branches",
        "public.pgbench_history", "public.pgbench_tellers",
    ]

    private func tables(_ draw: RoundTripDraw) -> (dump: (inout PostgresDumpSource) -> Void, compared: [String]) {
        switch draw.tables {
        case .whole: ({ _ in }, RoundTripCourse.all)
        case .app: ({ $0.schemas = ["app"] }, RoundTripCourse.all.filter { $0.hasPrefix("app.") })
        case .one: ({ $0.tables = ["public.pgbench_branches"] }, ["public.pgbench_branches"])
        case .some:
            (
                { $0.tables = ["public.pgbench_branches", "public.pgbench_tellers"] },
                ["public.pgbench_branches", "public.pgbench_tellers"]
            )
        }
    }

    func play(_ draw: RoundTripDraw, lane: Int, _ comment: Comment) async throws {
        var settings = scene.settings
        guard let target = ServiceName("shop-\(lane)"), let destination = places[draw.place] else { return }
        settings.target = target
        settings.envelope = EnvelopeSettings(
            draw.profile, compression: draw.compression, level: draw.level, iterations: 10_000)
        settings.key = draw.profile == .none ? .unencrypted : draw.hasRecipients ? recipients : .keyFile(scene.keyFile)
        settings.places = [BackupPlace("\(draw.place)", destination)]
        let (dump, compared) = tables(draw)
        let inner = try scene.source(draw.format, user: "keeper\(lane)", deadline: .seconds(60 * Int64(scale)), dump)
        let digest = SnapshotDigest(server: scene.server, tables: compared)
        let wanted = Locked<Result<String, Failure>?>(nil)
        let source = MeddledSource(inner: inner, after: 0) {
            do throws(Failure) {
                let text = try digest.ofOpenSnapshot(role: "keeper\(lane)", in: "shop")
                wanted.withLock { $0 = .success(text) }
            } catch { wanted.withLock { $0 = .failure(error) } }
        }
        let result = try await scene.backUp(source, settings)
        #expect(result.record.state == .available, comment)
        let restored = try await BackupRestore(
            settings, scene.restoreSettings(), identities: [.keyFile(scene.keyFile), identity], catalogue: scene.catalogue,
            holder: BackupScene.holder, now: BackupScene.now
        ).restore(result.record.id, source: source, permit: scene.permit(result.record.id, .beside))
        #expect(restored.passed, "\(comment): \(restored.checks.filter { !$0.passed })")
        let expected = try #require(wanted.withLock { $0 }, comment).get()
        let found = try await digest.now(in: restored.name)
        #expect(found == expected && !found.isEmpty, comment)
        try await scene.server.sql("DROP DATABASE \(restored.name) WITH (FORCE)")
    }

    /// After all rounds: every backup is there, nothing else is, and nobody is left at the server.
    func expectOrder(rounds: Int) async throws {
        let state = try await scene.catalogue.state()
        #expect(state.records.count == rounds && state.records.allSatisfy { $0.state == .available })
        #expect(scene.leftovers.isEmpty, "\(scene.leftovers)")
        #expect(try await scene.catalogue.leases().isEmpty)
        #expect(try await places[.bucket]?.pending().isEmpty == true)
        #expect(
            try await scene.server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'serin-%'") == "0")
        #expect(try await scene.server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE '%restore%'") == "0")
        // The load went on all the time.
        #expect(load.isRunning, "\(load.logTail())")
    }
}
