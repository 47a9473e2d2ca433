import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinProcesses
import Testbed
import Testing

/// Snapshots and append-only files of real Redis servers.
@Suite(.serialized) struct RedisSourceTests {
    private static let password = "a-long-password"

    private func start(_ fixture: SourceFixture, appendOnly: Bool) async throws -> (server: ServerProcess, url: String) {
        let port = try freePort()
        let server = try ServerProcess(
            "redis-server",
            [
                "--port", "\(port)", "--bind", "127.0.0.1", "--dir", fixture.folder("redis"), "--save", "", "--appendonly",
                appendOnly ? "yes" : "no", "--requirepass", RedisSourceTests.password,
            ], log: fixture.scratch.file("redis.log"))
        try await waitUntil("start of redis (\(server.logTail()))") {
            await fixture.failure { _ = try await cli(fixture, port, "PING") } == nil
        }
        for key in ["one", "two", "three"] { _ = try await cli(fixture, port, "SET \(key) value") }
        return (server, "redis://:\(RedisSourceTests.password)@127.0.0.1:\(port)")
    }

    private func cli(_ fixture: SourceFixture, _ port: Int, _ command: String) async throws -> String {
        let answer = try await fixture.run(
            "REDISCLI_AUTH=\(RedisSourceTests.password) redis-cli -e -h 127.0.0.1 -p \(port) \(command)")
        return answer
    }

    @Test(arguments: RedisSource.Snapshot.allCases)
    func aSnapshotIsCheckedAndLoadedAgain(_ snapshot: RedisSource.Snapshot) async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let (server, url) = try await start(fixture, appendOnly: false)
        defer { server.stop() }
        let source = try RedisSnapshotSource(
            url: url, snapshot: snapshot, folder: fixture.scratch.file("redis"), environment: fixture.environment)
        let probe = try await fixture.probe(source)
        #expect(probe.remarks.contains { $0.contains("appendonly is no") })
        let (bytes, product) = try await fixture.produce(source)
        #expect(bytes.starts(with: Array("REDIS".utf8)))
        #expect(!product.evidence.contains { $0.command.contains { $0.contains(RedisSourceTests.password) } })
        let good = try await fixture.examine(source, bytes, product)
        #expect(good.passed, "\(good.checks)")
        var flipped = bytes
        flipped[bytes.count / 2] ^= 1
        let bad = try await fixture.examine(source, flipped, product)
        #expect(!bad.passed)
        let cut = try await fixture.examine(source, Array(bytes.dropLast(9)), product)
        #expect(!cut.passed)
        #expect(try await fixture.leftovers.isEmpty)

        // Loaded with append-only files off, which are then made from what was loaded.
        let folder = fixture.folder("back")
        let restored = try await fixture.restore(source, bytes, product, .folder(folder))
        #expect(restored.passed)
        let loaded = try await onOwnThread { (stop) throws(Failure) in
            try RestoredRedis.start(folder: folder, makesAppendOnlyFiles: true, deadline: .seconds(20), stop: stop)
        }
        #expect(loaded.keys == 3)
        loaded.end()
        #expect(access(folder + "/appendonlydir/appendonly.aof.manifest", F_OK) == 0)
    }

    @Test func appendOnlyFilesAreCopiedWhileTheyAreWritten() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let (server, url) = try await start(fixture, appendOnly: true)
        defer { server.stop() }
        let source = try RedisAppendOnlySource(
            url: url, folder: fixture.scratch.file("redis"), environment: fixture.environment)
        _ = try await fixture.probe(source)
        let port = url.split(separator: ":").last.flatMap { Int($0) } ?? 0
        async let load = cli(fixture, port, "--csv eval \"for i=1,20000 do redis.call('set', 'k'..i, i) end\" 0")
        let (bytes, product) = try await fixture.produce(source)
        _ = try await load
        let restored = try await fixture.restore(source, bytes, product, .folder(fixture.folder("back")))
        #expect(restored.passed, "\(restored.checks)")

        _ = try await cli(fixture, port, "CONFIG SET appendonly no")
        let refused = await fixture.failure { _ = try await fixture.produce(source) }
        #expect(refused?.contains("the server keeps none") == true)
        let optional = try RedisAppendOnlySource(
            url: url, folder: fixture.scratch.file("redis"), isRequired: false, environment: fixture.environment)
        let nothing = await #expect(throws: Failure.self) { _ = try await fixture.probe(optional) }
        #expect(nothing?.kind == .conflict, "copied where there is one: without one there is nothing to back up")
    }

    @Test func aSnapshotIsMadeOverTLSWithAnAuthorityOfOnesOwn() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        _ = try await fixture.run(
            """
            openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 2 2>/dev/null
            for name in server client; do
                openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj /CN=127.0.0.1 2>/dev/null
                openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $name.pem -days 2 2>/dev/null
            done
            """)
        func path(_ name: String) -> String { fixture.scratch.file(name) }
        let port = try freePort()
        let server = try ServerProcess(
            "redis-server",
            [
                "--port", "0", "--tls-port", "\(port)", "--bind", "127.0.0.1", "--dir", fixture.folder("redis"), "--save", "",
                "--tls-cert-file", path("server.pem"), "--tls-key-file", path("server.key"), "--tls-ca-cert-file", path("ca.pem"),
                "--requirepass", RedisSourceTests.password,
            ], log: path("redis.log"))
        defer { server.stop() }
        try await waitUntil("start of redis (\(server.logTail()))") { canConnect(port: port) }
        let files = "?cacert=\(path("ca.pem"))&cert=\(path("client.pem"))&key=\(path("client.key"))"
        func source(_ scheme: String, _ options: String) throws -> RedisSnapshotSource {
            try RedisSnapshotSource(
                url: "\(scheme)://:\(RedisSourceTests.password)@127.0.0.1:\(port)\(options)", snapshot: .rdb,
                environment: fixture.environment)
        }
        let good = try source("rediss", files)
        _ = try await fixture.probe(good)
        let (bytes, product) = try await fixture.produce(good)
        #expect(bytes.starts(with: Array("REDIS".utf8)))
        #expect(try await fixture.examine(good, bytes, product).passed)
        // Without the authority the server is not believed, without TLS nothing is said, without a certificate it refuses.
        for (scheme, options) in [("rediss", ""), ("redis", ""), ("rediss", "?cacert=\(path("ca.pem"))")] {
            let refused = await fixture.failure { _ = try await fixture.probe(try source(scheme, options)) }
            #expect(refused != nil && refused?.contains(RedisSourceTests.password) == false, "\(scheme) \(options)")
        }
        for odd in ["?insecure=/yes", "?cacert=relative"] {
            #expect(throws: Failure.self) { _ = try source("rediss", odd) }
        }
        #expect(throws: Failure.self) { _ = try source("redis", files) }
    }

    @Test func aWrongPasswordIsSaidWithoutIt() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let (server, url) = try await start(fixture, appendOnly: false)
        defer { server.stop() }
        let wrong = url.replacing(RedisSourceTests.password, with: "wrong-secret")
        let source = try RedisSnapshotSource(url: wrong, snapshot: .rdb, environment: fixture.environment)
        let refused = await fixture.failure { _ = try await fixture.probe(source) }
        #expect(refused != nil && refused?.contains("wrong-secret") == false, "\(refused ?? "")")
    }
}
