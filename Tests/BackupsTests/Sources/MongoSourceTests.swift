import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import Testbed
import Testing

/// MongoDB with programs that stand in for its own, and archives made here by the published description of their format.
@Suite struct MongoSourceTests {
    /// A binary document of texts and one flag.
    private static func document(_ texts: [(String, String)], isEnd: Bool? = nil) -> [UInt8] {
        func number(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
        var body: [UInt8] = []
        for (name, text) in texts { body += [2] + Array(name.utf8) + [0] + number(text.utf8.count + 1) + Array(text.utf8) + [0] }
        if let isEnd {
            body += [8] + Array("EOF".utf8) + [0, isEnd ? 1 : 0] + [0x12] + Array("CRC".utf8) + [UInt8](repeating: 0, count: 9)
        }
        return number(body.count + 5) + body + [0]
    }

    private static let end: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF]

    private static func head(_ name: String, isEnd: Bool) -> [UInt8] {
        let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
        return document([("db", parts[0]), ("collection", parts[1])], isEnd: isEnd)
    }

    /// An archive in pieces: the prelude, then each collection's documents and their end, in two blocks.
    static func pieces(_ names: [String], views: [String] = []) -> [[UInt8]] {
        var prelude = [0x6D, 0xE2, 0x99, 0x81] + document([("version", "0.1"), ("server_version", "7.0.1")])
        for name in names + views {
            let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
            let metadata = views.contains(name) ? #"{"type":"view","options":{"viewOn":"a"}}"# : #"{"type":"collection"}"#
            prelude += document([("db", parts[0]), ("collection", parts[1]), ("metadata", metadata)])
        }
        var pieces = [prelude + end]
        for name in names {
            pieces.append(head(name, isEnd: false) + document([("text", "a document")]) + document([]) + end)
            pieces.append(head(name, isEnd: true) + end)
        }
        return pieces
    }

    static let server = ["admin.system.version"]
    static let shop = server + ["shop.orders", "shop.lines"]

    /// Stands in for `mongodump`: what it writes is in `live`, and of the server that is restored to in `other`.
    private func stand(_ fixture: SourceFixture) throws {
        try fixture.stand(
            in: "mongodump",
            """
            if [ "$1" = --version ]; then echo "mongodump version: 100.9.4"; exit 0; fi
            echo "$@" > \(fixture.scratch.file("said"))
            cat "${1#--config=}" >> \(fixture.scratch.file("said")); stat -c %a "${1#--config=}" >> \(fixture.scratch.file("said"))
            if grep -q other "${1#--config=}"; then cat \(fixture.scratch.file("other")); else cat \(fixture.scratch.file("live")); fi
            """)
        try fixture.stand(
            in: "mongorestore",
            "[ \"$1\" = --version ] && { echo 100.9.4; exit 0; }; cat > \(fixture.scratch.file("restored"))")
    }

    private func put(_ bytes: [UInt8], _ fixture: SourceFixture, as name: String = "live") {
        let file = open(fixture.scratch.file(name), O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        _ = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        close(file)
    }

    private func source(_ fixture: SourceFixture) throws -> MongoBackupSource {
        try MongoBackupSource(
            url: "mongodb://app:hunter2@db:27017/?ssl=true", database: "shop", environment: fixture.environment)
    }

    @Test func mongoIsToldItsAddressInAFileAndItsArchiveMustEnd() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let source = try source(fixture)
        #expect(!source.name.contains("hunter2"))
        try stand(fixture)
        let pieces = Self.pieces(Self.shop, views: ["shop.totals"])
        put(Array(pieces.joined()), fixture)
        let (bytes, product) = try await fixture.produce(source)
        #expect(product.tool.version == "100.9.4")
        let lines = try await fixture.run("cat said").split(separator: "\n")
        #expect(lines.first?.contains("hunter2") == false && lines.first?.contains("--db=shop") == true)
        #expect(lines.contains("uri: 'mongodb://app:hunter2@db:27017/?ssl=true'") && lines.last == "600")
        let found = try await fixture.examine(source, bytes, product)
        #expect(found.passed && found.checks.first?.detail == "3 collections, each with its end; of no single moment")

        // Every place at which it may be cut, those between two blocks as well: it ends there as a whole one does.
        var length = 0
        for piece in pieces.dropLast() {
            length += piece.count
            let cut = try await fixture.examine(source, Array(bytes.prefix(length)), product)
            #expect(!cut.passed, "cut after \(length)")
            #expect(cut.checks.first?.detail.contains("has no end of") == true, "\(cut.checks)")
        }
        for length in stride(from: 0, to: bytes.count, by: 7) {
            #expect(try await !fixture.examine(source, Array(bytes.prefix(length)), product).passed, "cut after \(length)")
        }
        let more = try await fixture.examine(source, bytes + Self.end, product)
        #expect(!more.passed)

        // It exits 0 with half an archive, and with junk.
        put(Array(pieces.dropLast().joined()), fixture)
        let half = await fixture.failure { _ = try await fixture.produce(source) }
        #expect(half?.contains("the archive has no end of shop.lines") == true, "\(half ?? "")")
        put(Array("junk".utf8), fixture)
        let junk = await fixture.failure { _ = try await fixture.produce(source) }
        #expect(junk?.contains("does not begin like an archive") == true)
        #expect(try await fixture.leftovers.isEmpty)
    }

    @Test func mongoIsRestoredIntoAServerThatIsSeenToBeEmpty() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let source = try source(fixture)
        try stand(fixture)
        put(Array(Self.pieces(Self.shop).joined()), fixture)
        let (bytes, product) = try await fixture.produce(source)
        func restore() async -> String? {
            await fixture.failure {
                _ = try await fixture.restore(source, bytes, product, .server(url: "mongodb://restorer:hunter3@other"))
            }
        }
        // One that holds something, also where only the beginning of what it says is read; one that says nothing.
        put(Self.pieces(Self.shop)[0], fixture, as: "other")
        let full = await restore()
        #expect(full?.contains("is not empty: it holds 2 collections, shop.orders, shop.lines") == true, "\(full ?? "")")
        put([], fixture, as: "other")
        let silent = await restore()
        #expect(silent?.contains("whether mongodb other:27017 is empty is not known") == true, "\(silent ?? "")")
        #expect(access(fixture.scratch.file("restored"), F_OK) != 0, "nothing was written")
        #expect(full?.contains("hunter3") == false && silent?.contains("hunter3") == false)

        put(Array(Self.pieces(Self.server).joined()), fixture, as: "other")
        #expect(await restore() == nil)
        #expect(try await fixture.run("cmp live restored && echo same") == "same")
        #expect(try await fixture.leftovers.isEmpty)
    }

    @Test(arguments: [
        ("mongodb://a:27017/", "mongodb://u:p@A./?x=1", "a:27017"),
        ("mongodb://h1,h2:27018/shop?replicaSet=r", "mongodb://u@h3,h2:27018", "h2:27018"),
        ("mongodb://localhost", "mongodb://127.0.0.1:27017", "localhost:27017"),
        ("mongodb://[::1]", "mongodb://127.0.0.9/", "localhost:27017"),
        ("mongodb://0.0.0.0:27018", "mongodb://LOCALHOST:27018", "localhost:27018"),
        ("mongodb://%2Ftmp%2Fmongodb-27018.sock", "mongodb://[::ffff:127.0.0.1]:27018", "localhost:27018"),
        ("mongodb+srv://shop.example.net/", "mongodb+srv://u:p@SHOP.example.net", "shop.example.net"),
        ("mongodb+srv://shop.example.net/", "mongodb://shop-01.example.net:27017", "shop-01.example.net:27017"),
        ("mongodb://a", "mongodb://a:27018", nil), ("mongodb://a,b", "mongodb://c,d", nil),
        ("mongodb+srv://shop.example.net/", "mongodb+srv://spare.example.net", nil),
        ("mongodb+srv://shop.example.net/", "mongodb://shop.example.org", nil), ("mongodb://10.0.0.1", "mongodb://10.0.0.2", nil),
    ])
    func aServerThatBothAddressesNameIsFound(one: String, other: String, shared: String?) throws {
        #expect(try MongoAddress(one).shared(with: MongoAddress(other)) == shared)
        #expect((try MongoAddress(other).shared(with: MongoAddress(one)) == nil) == (shared == nil))
    }
}
