import Glibc
import SerinBackups
import SerinCatalogue
import SerinCrypto
import SerinModel
import SerinProcesses
import Testbed

/// Keys and files for the tests of the envelope.
struct EnvelopeFixture {
    let scratch: Scratch
    let keyFile: KeyFile

    init() throws {
        scratch = try Scratch("serin-envelope")
        keyFile = try KeyFile(path: try scratch.write("key", "0123456789 a passphrase of a team\nnot this line\n", mode: 0o600))
    }

    /// Half noise, half something that compresses.
    static func sample(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        seed == 1 && count <= usual.count ? Array(usual[..<count]) : made(count, seed)
    }

    private static let usual = made(3_000_000, 1)

    private static func made(_ count: Int, _ seed: UInt64) -> [UInt8] {
        words(count, seed) { at, random in at & 4096 == 0 ? random : UInt64(at / 64 & 255) &* 0x0101_0101_0101_0101 }
    }

    /// Writes an object in pieces and gives its facts. The fewest rounds allowed, for speed.
    func write(
        _ plain: [UInt8], to name: String, _ profile: EnvelopeProfile, _ compression: EnvelopeCompression = .zstd,
        key: EnvelopeKey? = nil, piece: Int = 100_000
    ) throws -> EnvelopeFacts {
        let usual: EnvelopeKey = profile == .none ? .unencrypted : .keyFile(keyFile)
        let settings = EnvelopeSettings(profile, compression: compression, iterations: 10_000)
        let writer = try EnvelopeWriter(scratch.file(name), settings, key: key ?? usual)
        for start in stride(from: 0, to: plain.count, by: piece) {
            try Array(plain[start..<min(start + piece, plain.count)]).withUnsafeBytes { try writer.write($0) }
        }
        return try writer.finish()
    }

    /// What came of reading: the bytes that were given, and the failure, if any.
    func read(
        _ name: String, _ facts: EnvelopeFacts, identities: [EnvelopeIdentity]? = nil
    ) -> (bytes: [UInt8], failure: EnvelopeFailure?) {
        let collected = Collected()
        do throws(EnvelopeFailure) {
            try EnvelopeReader(facts, identities: identities ?? [.keyFile(keyFile)]).read(scratch.file(name)) {
                collected.add($0)
            }
            return (collected.bytes, nil)
        } catch { return (collected.bytes, error) }
    }

    /// Bytes that come in pieces, each copied in one go: an array that takes them one by one is slow without optimisation.
    private final class Collected {
        private var buffer: UnsafeMutableRawBufferPointer
        private var count = 0

        init() { buffer = .allocate(byteCount: 1 << 22, alignment: 1) }

        deinit { buffer.deallocate() }

        func add(_ piece: UnsafeRawBufferPointer) {
            if count + piece.count > buffer.count {
                let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * (count + piece.count), alignment: 1)
                larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                buffer.deallocate()
                buffer = larger
            }
            UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyMemory(from: piece)
            count += piece.count
        }

        var bytes: [UInt8] {
            [UInt8](unsafeUninitializedCapacity: count) { target, filled in
                UnsafeMutableRawBufferPointer(target).copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                filled = count
            }
        }
    }

    /// Whether bytes begin with others; compared in one go.
    static func begins(_ whole: [UInt8], with part: [UInt8]) -> Bool {
        part.count <= whole.count && (part.isEmpty || memcmp(whole, part, part.count) == 0)
    }

    static func same(_ left: [UInt8], _ right: [UInt8]) -> Bool { left.count == right.count && begins(left, with: right) }

    /// Runs a tool in the scratch folder; its output.
    func run(_ script: String) async throws -> [UInt8] {
        let done = try await Program(
            "/bin/bash", ["-o", "pipefail", "-e", "-c", script], environment: ["PATH": "/usr/bin:/bin:/usr/sbin:/sbin"],
            directory: scratch.path, deadline: .seconds(60), outputLimit: 1 << 25
        ).run()
        guard done.termination == .exited(0) else { throw Failure(.invalid, "\(script): \(done.termination): \(done.text)") }
        return done.output
    }

    /// The bytes of a file of the scratch folder.
    func bytes(_ name: String) throws -> [UInt8] {
        let descriptor = open(scratch.file(name), O_RDONLY)
        guard descriptor >= 0 else { throw Failure(.invalid, "no file \(name)") }
        defer { close(descriptor) }
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return result }
            result += buffer.prefix(count)
        }
    }

    /// Replaces a file of the scratch folder.
    func replace(_ name: String, _ bytes: [UInt8]) throws {
        let descriptor = open(scratch.file(name), O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(descriptor) }
        guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw Failure(.transient, "cannot write \(name)")
        }
    }
}

/// Bytes that no compression makes shorter.
func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] { words(count, seed) { _, random in random } }

/// Bytes, eight at a time: one at a time they are most of what a test without optimisation does.
private func words(_ count: Int, _ seed: UInt64, _ word: (_ at: Int, _ random: UInt64) -> UInt64) -> [UInt8] {
    var generator = SplitMix(seed: seed)
    return [UInt8](unsafeUninitializedCapacity: count + 8) { buffer, filled in
        let raw = UnsafeMutableRawBufferPointer(buffer)
        var at = 0
        while at < count {
            raw.storeBytes(of: word(at, generator.next()), toByteOffset: at, as: UInt64.self)
            at += 8
        }
        filled = count
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
