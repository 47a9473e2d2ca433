import SerinCrypto
import Testing

@Suite struct ChunkedGCMTests {
    private let header = ChunkedGCM.Header(iterations: 7, salt: Array(0..<32))
    private let key = secret(Array(100..<132))

    /// Computed with another implementation of HKDF and AES-GCM from the description of the format.
    @Test func aKnownObjectComesOutAsDescribed() throws {
        let sealed = try seal([Array("hello".utf8)])
        #expect(Hexadecimal.text(of: header.bytes).hasPrefix("7365726e67636d31" + "00100000" + "00000007" + "000102"))
        #expect(Hexadecimal.text(of: sealed[0]) == "f4f83daab76255f22faace58c1936fa0fde890757e")
    }

    @Test func chunksOpenInTheirOrderOnly() throws {
        let full = [UInt8](repeating: 3, count: ChunkedGCM.chunkByteCount)
        let sealed = try seal([full, full, [1, 2, 3]])
        #expect(try open(sealed) == [full, full, [1, 2, 3]])
        #expect(reason { try open([sealed[1], sealed[0], sealed[2]]) } == .notAuthentic)
        #expect(reason { try open([sealed[0], sealed[0], sealed[2]]) } == .notAuthentic)
        #expect(reason { try open([sealed[0], sealed[2]]) } == .notAuthentic)
        #expect(reason { try open([sealed[0], sealed[1]]) } == .notAuthentic)
        #expect(reason { try open([sealed[0], sealed[1], Array(sealed[2].dropLast())]) } == .notAuthentic)
        #expect(reason { try open([sealed[0], sealed[1], Array(sealed[2].prefix(15))]) } == .truncated)
        #expect(reason { try open([sealed[0], sealed[1], try seal([[]])[0]]) } == .malformed)
    }

    @Test func anotherKeyOrHeaderOpensNothing() throws {
        let sealed = try seal([[9, 9]])
        #expect(reason { try open(sealed, key: secret(Array(101..<133))) } == .notAuthentic)
        #expect(reason { try open(sealed, header: ChunkedGCM.Header(iterations: 8, salt: header.salt)) } == .notAuthentic)
        #expect(reason { try open(sealed, header: ChunkedGCM.Header(iterations: 7, salt: Array(1...32))) } == .notAuthentic)
    }

    @Test func nothingComesAfterTheLastChunk() throws {
        let cipher = try ChunkedGCM.Cipher(key, header: header, isEncrypting: true)
        var room = [UInt8](repeating: 0, count: 100)
        _ = try room.withUnsafeMutableBytes {
            try cipher.seal(UnsafeRawBufferPointer(start: nil, count: 0), isLast: true, into: $0)
        }
        #expect(throws: CryptoError.self) {
            try room.withUnsafeMutableBytes {
                try cipher.seal(UnsafeRawBufferPointer(start: nil, count: 0), isLast: true, into: $0)
            }
        }
    }

    @Test func aHeaderReadsBackAndIsRefusedWhenItIsNone() throws {
        #expect(try ChunkedGCM.Header(header.bytes) == header)
        for index in 0..<12 {
            var bytes = header.bytes
            bytes[index] ^= 1
            #expect(throws: CryptoError.self) { try ChunkedGCM.Header(bytes) }
        }
        #expect(throws: CryptoError.self) { try ChunkedGCM.Header(Array(header.bytes.dropLast())) }
    }

    private func seal(_ chunks: [[UInt8]]) throws -> [[UInt8]] {
        let cipher = try ChunkedGCM.Cipher(key, header: header, isEncrypting: true)
        return try chunks.enumerated().map { index, chunk in
            var room = [UInt8](repeating: 0, count: chunk.count + 16)
            let count = try room.withUnsafeMutableBytes { room in
                try chunk.withUnsafeBytes { try cipher.seal($0, isLast: index == chunks.count - 1, into: room) }
            }
            #expect(count == room.count)
            return room
        }
    }

    private func open(_ chunks: [[UInt8]], key: Secret? = nil, header: ChunkedGCM.Header? = nil) throws -> [[UInt8]] {
        let cipher = try ChunkedGCM.Cipher(key ?? self.key, header: header ?? self.header, isEncrypting: false)
        return try chunks.enumerated().map { index, chunk in
            var room = [UInt8](repeating: 0, count: chunk.count)
            let count = try room.withUnsafeMutableBytes { room in
                try chunk.withUnsafeBytes { try cipher.open($0, isLast: index == chunks.count - 1, into: room) }
            }
            return Array(room.prefix(count))
        }
    }

    private func reason(_ body: () throws -> [[UInt8]]) -> CryptoError.Reason? {
        do {
            _ = try body()
            return nil
        } catch let error as CryptoError { return error.reason } catch { return .library }
    }
}
