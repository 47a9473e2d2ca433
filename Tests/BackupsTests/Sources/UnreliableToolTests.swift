import Glibc
import SerinBackups
import SerinCatalogue
import SerinLocks
import SerinModel
import SerinPolicies
import SerinProcesses
import SerinTransport
import Testbed
import Testing

/// Tools that lie, hang, shout and will not die; programs that stand in for MongoDB's and ClickHouse's.
@Suite struct UnreliableToolTests {
    private func command(_ fixture: SourceFixture, _ script: String, verify: String? = nil, restore: [String]? = nil) throws
        -> CommandBackupSource
    {
        try fixture.stand(in: "dump", script)
        if let verify { try fixture.stand(in: "check", verify) }
        return try CommandBackupSource(
            CommandSource(
                run: [fixture.scratch.file("tools/dump")], verify: verify.map { _ in [fixture.scratch.file("tools/check")] },
                restore: restore), environment: fixture.environment)
    }

    @Test func aCommandsStatusDecides() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let good = try command(
            fixture, "echo data", verify: "test \"$(cat)\" = data", restore: ["/bin/sh", "-c", "cat > \"$0\"", "{{folder}}/it"])
        let (bytes, product) = try await fixture.produce(good)
        #expect(bytes == Array("data\n".utf8))
        let found = try await fixture.examine(good, bytes, product)
        #expect(found.passed)
        let junk = try await fixture.examine(good, Array("junk".utf8), product)
        #expect(!junk.passed)
        let restored = try await fixture.restore(good, bytes, product, .folder(fixture.folder("back")))
        #expect(restored.passed)
        #expect(try await fixture.run("cat back/it") == "data")

        let silent = try command(fixture, "exit 0")
        let nothing = await fixture.failure { _ = try await fixture.produce(silent) }
        #expect(nothing?.contains("wrote nothing") == true)
        let broken = try command(fixture, "echo part; echo reason >&2; exit 3")
        let failed = await fixture.failure { _ = try await fixture.produce(broken) }
        #expect(failed?.contains("status 3") == true && failed?.contains("reason") == true)
    }

    @Test func aCommandThatDoesNotAskForTheFolderIsNotRunForOne() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let live = fixture.scratch.file("live")
        let source = try command(fixture, "echo data", restore: ["/usr/bin/tee", live])
        let (bytes, product) = try await fixture.produce(source)
        let folder = fixture.folder("back")
        let refused = await fixture.failure { _ = try await fixture.restore(source, bytes, product, .folder(folder)) }
        #expect(refused?.contains("takes no {{folder}}") == true)
        #expect(access(live, F_OK) != 0)
        // For a server it finds the address in its environment.
        let server = try command(
            fixture, "echo data", restore: ["/bin/sh", "-c", "cat >/dev/null; echo \"$SERIN_TARGET_URL\" > \(live)"])
        _ = try await fixture.restore(server, bytes, product, .server(url: "http://127.0.0.1/"))
        #expect(try await fixture.run("cat live") == "http://127.0.0.1/")
    }

    @Test func aCommandThatHangsAndIgnoresTheSignalIsEnded() async throws {
        let fixture = try SourceFixture(stall: .milliseconds(300))
        defer { fixture.scratch.remove() }
        let source = try command(fixture, "trap '' TERM; echo $$; while :; do sleep 0.1; done")
        let hung = await fixture.failure { _ = try await fixture.produce(source) }
        #expect(hung?.contains("moved no byte") == true)
    }

    @Test func aCommandThatFloodsItsErrorsNeitherBlocksNorFills() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let source = try command(fixture, "head -c 3000000 /dev/zero | tr '\\0' e >&2; echo data")
        let (bytes, product) = try await fixture.produce(source)
        #expect(bytes == Array("data\n".utf8))
        #expect((product.evidence.first?.diagnostics.utf8.count ?? .max) < 20_000)
    }

    @Test func clickhouseBackupIsPackedAndRemoved() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let folder = fixture.folder("store")
        try fixture.stand(
            in: "clickhouse-backup",
            """
            case "$*" in
            --version) echo "Version: 2.5.20";;
            *" create "*) shift 2; [ "$1" = "--tables=shop.*" ] && shift; mkdir \(folder)/$1; echo rows > \(folder)/$1/data;;
            *" delete local "*) rm -r \(folder)/$4;;
            *) exit 2;;
            esac
            """)
        let source = try ClickHouseBackupSource(
            url: "/etc/clickhouse-backup/config.yml",
            ClickHouseSource(
                url: .environment("X"), tool: .clickhouseBackup, databases: ["shop"], folder: folder),
            of: try #require(ServiceName("shop")), transport: try Transport(), environment: fixture.environment)
        let (bytes, product) = try await fixture.produce(source)
        let found = try await fixture.examine(source, bytes, product)
        #expect(found.passed && found.checks.first?.detail == "1 files of 5 bytes")
        #expect(try await fixture.run("ls store").isEmpty && product.remarks.isEmpty)

        // What a run of the target left goes with the next one; what is another's stays.
        let random = String(repeating: "0a", count: 16)
        for name in ["serin-shop-\(random)", "serin-shop-b-\(random)", "theirs"] { _ = fixture.folder("store/\(name)") }
        _ = try await fixture.produce(source)
        #expect(try await fixture.run("ls store") == "serin-shop-b-\(random)\ntheirs")
        // What cannot be removed is said.
        try fixture.stand(
            in: "clickhouse-backup",
            """
            case "$*" in
            --version) echo "Version: 2.5.20";;
            *" create "*) mkdir \(folder)/$4; echo rows > \(folder)/$4/data;;
            *) exit 2;;
            esac
            """)
        let left = try await fixture.produce(source).product.remarks
        #expect(left.count == 1 && left.first?.contains("\(folder)/serin-shop-") == true, "\(left)")
        _ = try await fixture.run("rm -r store/*")

        // It reports success and leaves nothing.
        try fixture.stand(in: "clickhouse-backup", "[ \"$1\" = --version ] && echo 2.5.20; exit 0")
        let nothing = await fixture.failure { _ = try await fixture.produce(source) }
        #expect(nothing != nil)
    }

    @Test func clickhousesOwnStatementIsFollowedToItsEnd() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let folder = fixture.folder("store")
        let outcome = Locked("BACKUP_CREATED\t")
        let server = try ScriptedServer { request in
            let sql = request.text
            if sql == "SELECT version()" { return [.http(200, "24.8.4.13\n")] }
            if sql.hasPrefix("BACKUP DATABASE `shop` TO File('") {
                // The server writes into a folder of the name it was given.
                let name = sql.split(separator: "'")[1]
                mkdir("\(folder)/\(name)", 0o700)
                let file = open("\(folder)/\(name)/.backup", O_WRONLY | O_CREAT, 0o600)
                write(file, "rows", 4)
                close(file)
                return [.http(200, "\(name)\tCREATING_BACKUP\n")]
            }
            return [.http(200, outcome.withLock { $0 } + "\n")]
        }
        let source = try ClickHouseBackupSource(
            url: server.url.replacing("http://", with: "http://app:hunter2@"),
            ClickHouseSource(url: .environment("X"), databases: ["shop"], folder: folder),
            of: try #require(ServiceName("shop")), transport: try Transport(), environment: fixture.environment)
        #expect(!source.name.contains("hunter2"))
        let (bytes, product) = try await fixture.produce(source)
        #expect(product.server?.version == "24.8.4.13")
        let found = try await fixture.examine(source, bytes, product)
        #expect(found.checks.first?.detail == "1 files of 4 bytes")
        #expect(try await fixture.run("ls store").isEmpty)

        outcome.withLock { $0 = "BACKUP_FAILED\tno space left" }
        let failed = await fixture.failure { _ = try await fixture.produce(source) }
        #expect(failed?.contains("BACKUP_FAILED: no space left") == true)
        #expect(try await fixture.run("ls store").isEmpty)
    }

    /// As pgBackRest 2.45 answers to an account that may not read its repository, and as a server that has no such role.
    @Test func whoRunsPgBackRestAsAnotherThanItsRepositorysOwnerIsToldSo() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let unreadable = """
            [{"archive":[],"backup":[],"db":[],"name":"main","repo":[{"key":1,"status":{"code":99,"message":"[FileOpenError] unable \
            to load info file:\\nFileOpenError: unable to open file 'backup.info' for read: [13] Permission denied"}}],\
            "status":{"code":99,"message":"other"}}]
            """
        try fixture.scratch.write("answer", unreadable)
        let refusal = "FATAL:  Peer authentication failed for user \"postgres\""
        for script in ["cat \(fixture.scratch.file("answer"))", "echo '\(refusal)' >&2; exit 56"] {
            try fixture.stand(in: "pgbackrest", script)
            let driver = try PgBackRest(stanza: "main", folders: [fixture.scratch.file("tools")], deadline: .seconds(20))
            let failure = await #expect(throws: Failure.self) {
                _ = try await onOwnThread { (stop) throws(Failure) in try driver.backups(stop: stop) }
            }
            #expect(failure?.hint?.contains("as the owner of its repository") == true, "\(String(describing: failure))")
        }
    }

    /// The answers are pgBackRest 2.45's own, of a good repository and of one with a damaged file.
    @Test func aDamagedRepositoryIsFoundThoughPgBackRestExitsWithZero() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        func judge(_ text: String) async throws -> ConsumerFindings {
            try fixture.scratch.write("answer", text)
            try fixture.stand(in: "pgbackrest", "cat \(fixture.scratch.file("answer"))")
            let driver = try PgBackRest(
                stanza: "main", folders: [fixture.scratch.file("tools")], deadline: .seconds(20))
            return try await onOwnThread { (stop) throws(Failure) in try driver.verify(stop: stop) }
        }
        let good = try await judge(
            """
            stanza: main
            status: ok
              archiveId: 15-1, total WAL checked: 5, total valid WAL: 5
                missing: 0, checksum invalid: 0, size invalid: 0, other: 0
              backup: 20261121-135625F, status: valid, total files checked: 964, total valid files: 964
                missing: 0, checksum invalid: 0, size invalid: 0, other: 0

            """)
        #expect(good.passed && good.checks.first?.detail == "1 backups are valid")
        let bad = try await judge(
            """
            stanza: main
            status: error
              backup: 20261121-135625F, status: invalid, total files checked: 964, total valid files: 963
                checksum invalid: 1

            """)
        #expect(!bad.passed && bad.checks.first?.detail.contains("checksum invalid: 1") == true)
        let empty = try await judge("stanza: main\nstatus: ok\n    no archives or backups exist in the repo\n")
        #expect(!empty.passed)
        let silent = try await judge("")
        #expect(!silent.passed)
    }
}
