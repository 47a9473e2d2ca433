import SerinBackups
import SerinCatalogue
import SerinLocks
import SerinModel
import Testbed
import Testing

@Suite struct AzureBlobTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch("serin-azure") }

    private func container(_ store: StandInBlobs) throws -> any BackupDestination {
        try makeDestination(
            "azure",
            [
                "account": "acc", "container": "c", "endpoint": store.url, "plain_http": "yes", "key_env": "K",
                "part_size": "64KiB",
            ], secrets: ["K": "c2VjcmV0LXZhbHVl"])
    }

    @Test func aContainerKeepsToTheContract() async throws {
        defer { scratch.remove() }
        let store = try StandInBlobs()
        defer { store.stop() }
        var contract = DestinationContract(destination: try container(store), scratch: scratch)
        contract.longSize = 200_000
        try await contract.check()
        let facts = try await contract.destination.probe()
        #expect(facts.isWritable && facts.publicAccess == false && facts.versioning == false && facts.objectLock == nil)
        #expect(try await contract.destination.list(prefix: "serin-probe", limit: 9).objects == [])
    }

    @Test func aLockIsSentAndLookedAt() async throws {
        defer { scratch.remove() }
        let store = try StandInBlobs()
        defer { store.stop() }
        let contract = DestinationContract(destination: try container(store), scratch: scratch)
        var upload = try contract.makeUpload("object", contract.bytes(10))
        upload.lock = ObjectLock(mode: .compliance, until: Instant(millisecondsSince1970: 1_900_000_000_000))
        #expect(try await contract.destination.put(upload).lock == upload.lock)
    }

    @Test func blocksOfAKilledUploadArePendingUntilAborted() async throws {
        defer { scratch.remove() }
        let store = try StandInBlobs()
        defer { store.stop() }
        store.state.withLock { $0.blocks["half"] = ["x": [1, 2, 3]] }
        let destination = try container(store)
        let pending = try await destination.pending()
        #expect(pending.map(\.key?.description) == ["half"])
        for upload in pending { try await destination.abort(upload) }
        #expect(try await destination.pending() == [])
        #expect(store.state.withLock { $0.blobs.isEmpty && $0.blocks.isEmpty })
    }
}
