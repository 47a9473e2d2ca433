import SerinCatalogue
import SerinCrypto
import SerinModel
import Testing

@Suite struct ManifestTests {
    let key: [UInt8] = Array("a key for tests".utf8)

    func authenticate(_ bytes: [UInt8]) -> String {
        // An empty code is no code: sealing and reading refuse it.
        (try? HMACSHA256.code(for: bytes, key: key)).map { Hexadecimal.text(of: $0) } ?? ""
    }

    func manifest(_ number: Int = 1, after earlier: Manifest? = nil) throws -> Manifest {
        let record = try record(order(number, moment("2026-03-01", 2)))
        let facts = try #require(record.facts)
        let previous = try earlier.map { Hexadecimal.text(of: try SHA256.digest(try $0.bytes())) } ?? Manifest.genesis
        return try Manifest(
            order: record.order, facts: facts, copy: record.copies[0], sequence: (earlier?.sequence ?? 0) + 1, previous: previous
        ).sealed(by: authenticate)
    }

    @Test func aManifestIsReadBackAndRegistersItsBackupAgain() throws {
        let manifest = try manifest()
        let read = try Manifest(reading: manifest.bytes(), authenticate: authenticate)
        #expect(read == manifest)
        let event = CatalogueEvent(backup: read.order.id, at: moment("2026-03-02"), by: .uid(7), .imported(read))
        let found = try CatalogueState(replaying: [event]).records[0]
        // Whatever the manifest says, its copy is usable only after it was read.
        #expect(found.state == .uploaded)
        #expect(found.copies.map(\.state) == [.stored])
    }

    @Test func numbersThatCannotBeAreRefused() throws {
        for change in [
            { $0.sequence = .max }, { $0.sequence = -1 }, { $0.facts.envelope.storedBytes = .max },
            { $0.facts.envelope.plainBytes = -1 },
        ] as [(inout Manifest) -> Void] {
            var manifest = try manifest()
            change(&manifest)
            let bytes = try manifest.sealed(by: authenticate).bytes()
            #expect(throws: ManifestError.self) { try Manifest(reading: bytes, authenticate: authenticate) }
        }
    }

    @Test func manifestsFormAChain() throws {
        let first = try manifest()
        let second = try manifest(2, after: first)
        let digest = Hexadecimal.text(of: try SHA256.digest(first.bytes()))
        #expect(second.follows(first, digest: digest))
        #expect(!second.follows(first, digest: Manifest.genesis))
        #expect(!first.follows(second, digest: digest))
    }

    @Test func noByteCanBeChangedOrLeftOut() throws {
        let bytes = try manifest().bytes()
        for length in stride(from: 0, to: bytes.count, by: 7) {
            #expect(throws: ManifestError.self) { try Manifest(reading: Array(bytes[..<length]), authenticate: authenticate) }
        }
        for place in stride(from: 0, to: bytes.count, by: 3) {
            var changed = bytes
            changed[place] ^= 1
            #expect(throws: ManifestError.self) { try Manifest(reading: changed, authenticate: authenticate) }
        }
        #expect(throws: ManifestError.self) { try Manifest(reading: bytes + [0x0A], authenticate: authenticate) }
    }

    @Test func anotherKeyAndAnotherVersionAreRefused() throws {
        let manifest = try manifest()
        let foreign = #expect(throws: ManifestError.self) {
            try Manifest(reading: manifest.bytes()) { _ in String(repeating: "0", count: 64) }
        }
        #expect(foreign?.isForeign == true)
        _ = try Manifest(
            reading: manifest.bytes(), authenticate: { _ in String(repeating: "0", count: 64) }, former: [authenticate])
        var later = manifest
        later.version = 2
        let bytes = try later.sealed(by: authenticate).bytes()
        let error = #expect(throws: ManifestError.self) { try Manifest(reading: bytes, authenticate: authenticate) }
        #expect(error?.description == "the manifest has version 2, and only version 1 is understood")
    }
}
