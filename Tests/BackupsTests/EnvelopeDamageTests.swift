import Glibc
import SerinBackups
import SerinCatalogue
import SerinCrypto
import SerinModel
import Testbed
import Testing

/// Whatever is done to a stored object or its record is found, and before what was changed is given to anyone.
@Suite struct EnvelopeDamageTests {
    private static let chunk = ChunkedGCM.chunkByteCount + ChunkedGCM.tagByteCount

    @Test(arguments: [EnvelopeProfile.enc1, .none])
    func aChangedObjectGivesNotOneByte(_ profile: EnvelopeProfile) throws {
        try damage(profile, byteCount: 40_000, rounds: 300) { plain, result, what in
            #expect(result.bytes.isEmpty, "\(what)")
        }
    }

    /// Not compressed, so that what is given can be compared with what was written, chunk by chunk.
    @Test func aChangedChunkIsNeverGiven() throws {
        try damage(.gcm1, byteCount: 3 * ChunkedGCM.chunkByteCount + 5000, rounds: 60) { plain, result, what in
            #expect(EnvelopeFixture.begins(plain, with: result.bytes), "\(what)")
            #expect(result.bytes.count.isMultiple(of: ChunkedGCM.chunkByteCount) || result.bytes.count == plain.count, "\(what)")
        }
    }

    @Test(arguments: [EnvelopeProfile.enc1, .gcm1])
    func aChangedRecordGivesNotOneByte(_ profile: EnvelopeProfile) throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        let facts = try fixture.write(EnvelopeFixture.sample(100_000), to: "object", profile)
        let zeros = String(repeating: "0", count: 64)
        let edits: [(inout EnvelopeFacts) -> Void] = [
            { $0.profile = profile == .enc1 ? .gcm1 : .enc1 }, { $0.compression = .gzip }, { $0.compression = .none },
            { $0.plainBytes += 1 }, { $0.plainBytes = -1 }, { $0.plainSHA256 = zeros }, { $0.storedBytes -= 1 },
            { $0.storedSHA256 = zeros }, { $0.mac = zeros }, { $0.mac = profile == .enc1 ? nil : zeros },
            { $0.iterations = 10_001 }, { $0.iterations = nil }, { $0.iterations = 2_000_000_000 }, { $0.iterations = 1 },
            { $0.salt = nil }, { $0.salt = "00" }, { $0.salt = String(($0.salt ?? "").reversed()) }, { $0.seal = nil },
            { $0.seal = zeros }, { $0.keyIDs = [] }, { $0.wrappedKey = "-----BEGIN CMS-----" },
        ]
        for (index, edit) in edits.enumerated() {
            var changed = facts
            edit(&changed)
            let result = fixture.read("object", changed)
            #expect(result.failure?.reason == .damaged || result.failure?.reason == .wrongKey, "edit \(index)")
            #expect(result.bytes.isEmpty, "edit \(index)")
        }
        #expect(fixture.read("object", facts).failure == nil)
    }

    @Test func encryptedToPlainIsNoWayAround() throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        var facts = try fixture.write([1, 2, 3], to: "object", .enc1, EnvelopeCompression.none)
        facts.profile = .none
        #expect(fixture.read("object", facts).failure?.reason == .damaged)
    }

    private func damage(
        _ profile: EnvelopeProfile, byteCount: Int, rounds: Int,
        _ check: (_ plain: [UInt8], _ result: (bytes: [UInt8], failure: EnvelopeFailure?), _ what: String) -> Void
    ) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var generator = SplitMix(seed: seed)
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        let plain = EnvelopeFixture.sample(byteCount, seed: seed)
        let facts = try fixture.write(plain, to: "object", profile, EnvelopeCompression.none)
        let stored = try fixture.bytes("object")
        for round in 0..<rounds {
            let (bytes, what) = change(stored, round, profile, &generator)
            guard !EnvelopeFixture.same(bytes, stored) else { continue }
            try fixture.replace("object", bytes)
            let result = fixture.read("object", facts)
            #expect(result.failure?.reason == .damaged, "seed \(seed) round \(round): \(what)")
            check(plain, result, "seed \(seed) round \(round): \(what)")
        }
    }

    /// Goes round all kinds of change; where it strikes is random, or one of the boundaries.
    private func change(
        _ stored: [UInt8], _ round: Int, _ profile: EnvelopeProfile, _ generator: inout SplitMix
    ) -> ([UInt8], String) {
        let header = profile == .gcm1 ? ChunkedGCM.Header.byteCount : profile == .enc1 ? SaltedCBC.headerByteCount : 0
        let unit = profile == .gcm1 ? Self.chunk : 16
        var edges = [
            0, 1, header, header + 1, header + unit, header + unit - 1, header + unit - 16, stored.count - 1, stored.count - 16,
        ]
        edges += stride(from: header, to: stored.count, by: max(unit, stored.count / 8 / unit * unit))
        edges = edges.filter { (0..<stored.count).contains($0) }
        let isAtEdge = Bool.random(using: &generator)
        let place =
            isAtEdge ? edges.randomElement(using: &generator) ?? 0 : Int.random(in: 0..<stored.count, using: &generator)
        var bytes = stored
        switch round % 7 {
        case 0:
            bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            return (bytes, "flip at \(place)")
        case 1: return (Array(bytes.prefix(place)), "cut at \(place)")
        case 2:
            if header > 0 { bytes[Int.random(in: 0..<header, using: &generator)] &+= 1 } else { bytes[0] &+= 1 }
            return (bytes, "header")
        case 3: return (bytes + [UInt8](repeating: 0, count: Int.random(in: 1...40, using: &generator)), "appended")
        case 4, 5:
            let units = (stored.count - header) / unit
            let first = header + unit * Int.random(in: 0..<units, using: &generator)
            let second = header + unit * Int.random(in: 0..<units, using: &generator)
            bytes.replaceSubrange(second..<(second + unit), with: stored[first..<(first + unit)])
            if round % 7 == 4 {
                bytes.replaceSubrange(first..<(first + unit), with: stored[second..<(second + unit)])
                return (bytes, "swap of \(first) and \(second)")
            }
            return (bytes, "\(first) over \(second)")
        default:
            let units = (stored.count - header) / unit
            let first = header + unit * Int.random(in: 0..<units, using: &generator)
            bytes.insert(contentsOf: stored[first..<(first + unit)], at: first)
            return (bytes, "\(first) twice")
        }
    }
}
