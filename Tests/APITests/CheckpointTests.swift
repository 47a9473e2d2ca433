import FakeController
import SerinAPI
import SerinController
import SerinCrypto
import SerinLocks
import SerinModel
import SerinRecords
import SerinRollouts
import Testing

/// Signed checkpoints and proofs over the API, checked as RFC 9162 says and not by what made them.
@Suite struct CheckpointTests {
    private let fake = FakeOperations()
    private let seed: Secret
    private let key: [UInt8]
    private let router: Router

    init() throws {
        var bytes = [UInt8](repeating: 7, count: 32)
        let seed = Secret(wiping: &bytes)
        let key = try Ed25519.publicKey(ofSeed: seed)
        self.seed = seed
        self.key = key
        let api = CheckpointAPI(fake) { text throws(Failure) in
            do throws(CryptoError) { return (key, try Ed25519.signature(of: text, seed: seed)) } catch {
                throw Failure(.unknown, "\(error)")
            }
        }
        router = Router(api.routes, authenticator: Viewer())
    }

    private struct Viewer: Authenticator {
        func identify(_: Request) -> Identity? {
            Identity(.token("t"), roles: [.viewer], scopes: [], isPerson: true, how: .token)
        }
    }

    private func ask(_ path: String, _ query: [Request.Pair] = []) async -> Response {
        await router.respond(to: Request(method: "GET", path: "/v1/rollouts/checkout" + path, query: query))
    }

    private func fill(_ count: Int64) throws {
        let id = RolloutStatus.sample().id
        let opening = Draft(rollout: nil, at: .init(millisecondsSince1970: 0), record: .opened(epoch: 1, engine: engineVersion))
        let rest = (1..<count).map {
            Draft(rollout: id, at: .init(millisecondsSince1970: $0), record: .clockJumped(milliseconds: $0))
        }
        let entries = try Chain(digest: SHA256.digestOrEmpty).link([opening] + rest, after: nil, epoch: 1)
        fake.state.withLock { $0.entries = entries }
    }

    /// The verification of RFC 9162, section 2.1.3.2.
    private func root(of leaf: [UInt8], at index: Int64, in size: Int64, _ path: [[UInt8]]) throws -> [UInt8]? {
        var (place, last, hash) = (index, size - 1, try SHA256.digest([0] + leaf))
        for sibling in path {
            if last == 0 { return nil }
            if place & 1 == 1 || place == last {
                hash = try SHA256.digest([1] + sibling + hash)
                while place & 1 == 0, place != 0 { (place, last) = (place >> 1, last >> 1) }
            } else {
                hash = try SHA256.digest([1] + hash + sibling)
            }
            (place, last) = (place >> 1, last >> 1)
        }
        return last == 0 ? hash : nil
    }

    @Test func aCheckpointIsASignedNoteThatIsReadBack() async throws {
        try fill(5)
        let response = await ask("/checkpoints/latest")
        let text = String(decoding: response.bytes ?? [], as: UTF8.self)
        let note = try #require(CheckpointNote(text))
        #expect(note.head.size == 5 && note.service.description == "checkout")
        #expect(note.isSigned(by: key) && !note.isSigned(by: [UInt8](repeating: 9, count: 32)))
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(
            lines.count == 6 && lines[0] == "serin.dev/journal/checkout" && lines[1] == "5" && lines[3] == "" && lines[5] == "")
        // By hand, from the published form of signed notes.
        let words = try #require(lines[4].split(separator: " ").last)
        let signature = try #require(Base64.bytes(of: words))
        let number = try SHA256.digest(Array("serin.dev/journal/checkout\n".utf8) + [1] + key).prefix(4)
        #expect(Array(signature.prefix(4)) == Array(number))
        let signed = lines[..<3].joined(separator: "\n") + "\n"
        #expect(try Ed25519.isValid(Array(signature.dropFirst(4)), of: Array(signed.utf8), publicKey: key))
        #expect(CheckpointNote(text.replacing("\n5\n", with: "\n4\n"))?.isSigned(by: key) == false)
        for wrong in [
            "", "x\n5\n", text.replacing("\n5\n", with: "\n05\n"), text.replacing("serin.dev/journal", with: "elsewhere"),
        ] {
            #expect(CheckpointNote(wrong) == nil)
        }
        let document = try JSONValue(parsing: await ask("/checkpoints/latest", [.init("format", "json")]).bytes ?? [])
        #expect(document["note"]?.text == text && document["key"]?.text == Hexadecimal.text(of: key))
    }

    /// Around the size of what is kept of old entries, too.
    @Test(arguments: [1, 2, 7, 255, 256, 257, 600] as [Int64])
    func aProofLeadsFromTheEntryToTheSignedRoot(size: Int64) async throws {
        try fill(size)
        for sequence in [2, 3, size / 2, 256, 257, size] where sequence > 1 && sequence <= size {
            let document = try JSONValue(parsing: await ask("/proof/\(sequence)").bytes ?? [])
            let note = try #require(CheckpointNote(document["checkpoint"]?.text ?? ""))
            let hash = try #require(Hexadecimal.bytes(of: document["entry"]?["hash"]?.text ?? ""))
            let path = (document["path"]?.items ?? []).compactMap { Hexadecimal.bytes(of: $0.text ?? "") }
            #expect(document["index"]?.integer == sequence - 1 && note.isSigned(by: key))
            #expect(try root(of: hash, at: sequence - 1, in: size, path) == note.head.root, "entry \(sequence) of \(size)")
            #expect(try root(of: hash, at: sequence - 1, in: size, path.reversed()) != note.head.root || path.count < 2)
        }
        #expect(await ask("/proof/1").status == 404, "the first entry is no rollout's")
        #expect(await ask("/proof/\(size + 1)").status == 404)
        #expect(await ask("/proof/0").status == 404)
    }

    @Test func theTreeGrowsWithTheJournal() async throws {
        try fill(300)
        _ = await ask("/checkpoints/latest")
        let entries = fake.state.withLock { $0.entries }
        try fill(700)
        #expect(fake.state.withLock { Array($0.entries.prefix(300)) } == entries)
        var whole = MerkleTree(digest: SHA256.digestOrEmpty)
        for entry in fake.state.withLock({ $0.entries }) { whole.append(entry.hash) }
        let text = String(decoding: await ask("/checkpoints/latest").bytes ?? [], as: UTF8.self)
        #expect(CheckpointNote(text)?.head == whole.head)
    }

    @Test func nothingIsSignedOfAJournalThatWasChanged() async throws {
        try fill(20)
        fake.state.withLock { $0.entries[7].at = .init(millisecondsSince1970: 1) }
        let refused = await ask("/checkpoints/latest")
        #expect(refused.status == 503)
        #expect(String(decoding: refused.bytes ?? [], as: UTF8.self).contains("entry 8"))
    }

    @Test func anEntryThatWasChangedAfterItWasReadIsNotProved() async throws {
        try fill(600)
        _ = await ask("/checkpoints/latest")
        fake.state.withLock { $0.entries[40].hash[0] ^= 1 }
        #expect(await ask("/proof/42").status == 503)
        #expect(await ask("/proof/300").status == 200)
    }
}
