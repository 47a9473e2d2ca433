import SerinCompression
import SerinModel
import SerinProcesses
import Testing

/// The streams alone and against the stock command lines.
@Suite struct CompressionTests {
    static let formats: [CompressionFormat] = [.zstd, .gzip]

    private static let sample: [UInt8] = {
        var state: UInt32 = 1
        return (0..<900_000).map { index in
            state = state &* 1_664_525 &+ 1_013_904_223
            return index.isMultiple(of: 3) ? UInt8(state >> 24) : UInt8(truncatingIfNeeded: index / 100)
        }
    }()

    @Test(arguments: formats, [0, 1, 131_072, 900_000]) func whatWasWrittenReadsBack(_ format: CompressionFormat, _ count: Int)
        throws
    {
        let plain = Array(Self.sample.prefix(count))
        for piece in [1 << 20, 65_537] where piece < 1 << 20 || count > 0 {
            let packed = try compress(plain, format, piece: piece)
            #expect(try decompress(packed, format, piece: piece) == plain)
        }
        #expect(try decompress(try compress(plain, format, piece: 1 << 20), format, piece: 7) == plain)
    }

    @Test(arguments: formats) func theStockToolReadsIt(_ format: CompressionFormat) async throws {
        let packed = try compress(Self.sample, format, piece: 50_000)
        #expect(try await run(format, ["-d", "-c"], packed) == Self.sample)
    }

    @Test(arguments: formats, [["-1"], ["-9"]]) func itReadsTheStockTool(_ format: CompressionFormat, _ options: [String])
        async throws
    {
        let packed = try await run(format, options + ["-c"], Self.sample)
        #expect(try decompress(packed, format, piece: 10_000) == Self.sample)
    }

    @Test(arguments: formats) func framesOneAfterAnotherReadAsOne(_ format: CompressionFormat) throws {
        let one = try compress([1, 2, 3], format, piece: 10)
        #expect(try decompress(one + one, format, piece: 5) == [1, 2, 3, 1, 2, 3])
    }

    @Test(arguments: formats) func everyTruncationIsFound(_ format: CompressionFormat) throws {
        let packed = try compress(Array(Self.sample.prefix(3000)), format, piece: 3000)
        for count in 0..<packed.count {
            #expect(throws: CompressionError.truncated) { try decompress(Array(packed.prefix(count)), format, piece: 1000) }
        }
        let two = packed + packed
        for count in (packed.count + 1)..<(packed.count + 30) {
            #expect(throws: CompressionError.truncated) { try decompress(Array(two.prefix(count)), format, piece: 1000) }
        }
    }

    @Test(arguments: formats) func aFlippedByteOfTheContentIsFound(_ format: CompressionFormat) throws {
        let packed = try compress(Array(Self.sample.prefix(3000)), format, piece: 3000)
        // Behind the header of either format, which holds a time and other things that change nothing.
        for index in stride(from: 12, to: packed.count, by: 5) {
            var bad = packed
            bad[index] ^= 0x10
            #expect(throws: CompressionError.self) { try decompress(bad, format, piece: 1000) }
        }
    }

    @Test(arguments: formats) func junkBehindTheEndIsFound(_ format: CompressionFormat) throws {
        let packed = try compress([1, 2, 3], format, piece: 10)
        #expect(throws: CompressionError.self) { try decompress(packed + Array("some junk behind".utf8), format, piece: 100) }
        #expect(throws: CompressionError.self) { try decompress(Array("no frame at all, only text".utf8), format, piece: 100) }
    }

    @Test(arguments: formats) func aBombStopsAtTheLimit(_ format: CompressionFormat) throws {
        let packed = try compress([UInt8](repeating: 0, count: 50_000_000), format, piece: 1 << 20)
        #expect(packed.count < 300_000)
        let decompressor = try Decompressor(format, limit: 1_000_000)
        var count = 0
        #expect(throws: CompressionError.tooLarge(limit: 1_000_000)) {
            try packed.withUnsafeBytes { try decompressor.write($0) { count += $0.count } }
        }
        #expect(count <= 1_000_000)
    }

    @Test func aWindowThatNeedsMuchMemoryIsRefused() async throws {
        let packed = try await run(.zstd, ["--ultra", "--long=27", "-c"], Self.sample)
        #expect(throws: CompressionError.needsTooMuchMemory) { try decompress(packed, .zstd, piece: 1000) }
    }

    @Test(arguments: formats, [0, 10]) func levelsOutOfRangeAreRefused(_ format: CompressionFormat, _ level: Int) {
        #expect(throws: CompressionError.self) { try Compressor(format, level: level) }
    }

    @Test(arguments: formats) func theFailureOfWhoTakesTheBytesComesBack(_ format: CompressionFormat) throws {
        let full = Failure(.transient, "no room")
        let compressor = try Compressor(format, level: 3)
        #expect(throws: CompressionError.sink(full)) {
            try Self.sample.withUnsafeBytes { bytes in
                try compressor.write(bytes) { (_) throws(Failure) in throw full }
                try compressor.finish { (_) throws(Failure) in throw full }
            }
        }
    }

    private func compress(_ bytes: [UInt8], _ format: CompressionFormat, piece: Int) throws -> [UInt8] {
        let compressor = try Compressor(format, level: 3)
        var result: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: piece) {
            try Array(bytes[start..<min(start + piece, bytes.count)]).withUnsafeBytes {
                try compressor.write($0) { result += $0 }
            }
        }
        try compressor.finish { result += $0 }
        return result
    }

    private func decompress(_ bytes: [UInt8], _ format: CompressionFormat, piece: Int) throws -> [UInt8] {
        let decompressor = try Decompressor(format, limit: 1 << 24)
        var result: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: piece) {
            try Array(bytes[start..<min(start + piece, bytes.count)]).withUnsafeBytes {
                try decompressor.write($0) { result += $0 }
            }
        }
        try decompressor.finish()
        return result
    }

    private func run(
        _ format: CompressionFormat, _ options: [String], _ input: [UInt8]
    ) async throws -> [UInt8] {
        let done = try await Program(
            format == .zstd ? "zstd" : "gzip", options, environment: ["PATH": "/usr/bin:/bin"], input: input,
            deadline: .seconds(60), outputLimit: 1 << 24
        ).run()
        #expect(done.termination == .exited(0))
        return done.output
    }
}
