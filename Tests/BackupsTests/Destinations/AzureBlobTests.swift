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

    @Test func aContainerWithVersionsKeepsToTheContractAndNothingIsLeft() async throws {
        defer { scratch.remove() }
        let store = try StandInBlobs()
        defer { store.stop() }
        store.state.withLock { $0.hasVersions = true }
        var contract = DestinationContract(destination: try container(store), scratch: scratch)
        contract.longSize = 200_000
        try await contract.check()
        #expect(try await contract.destination.probe().versioning == true)
        store.state.withLock { $0.blocks["half"] = ["x": [1, 2, 3]] }
        for upload in try await contract.destination.pending() { try await contract.destination.abort(upload) }
        let left: [String] = store.state.withLock { state in
            state.previous.keys.filter { state.previous[$0]?.isEmpty == false } + Array(state.blobs.keys)
        }
        #expect(left == ["contract/latest"], "the version that a pointer replaced")
        #expect(store.state.withLock { $0.blocks.isEmpty })
    }

    @Test func aPreviousVersionIsDeletedAndTheCurrentOneStays() async throws {
        defer { scratch.remove() }
        let store = try StandInBlobs()
        defer { store.stop() }
        store.state.withLock { $0.hasVersions = true }
        let destination = try container(store)
        let key = try #require(ObjectKey("pointer"))
        let first = try await destination.replace(key, with: [1])
        let second = try await destination.replace(key, with: [2])
        try await destination.delete(key, version: first.version)
        #expect(try await destination.head(key, version: first.version) == nil)
        #expect(try await destination.head(key, version: nil) == second)
    }

    @Test func aLockedObjectIsRefusedAndNotHidden() async throws {
        defer { scratch.remove() }
        let store = try StandInBlobs()
        defer { store.stop() }
        store.state.withLock { $0.hasVersions = true }
        let destination = try container(store)
        let contract = DestinationContract(destination: destination, scratch: scratch)
        var upload = try contract.makeUpload("object", contract.bytes(10))
        upload.lock = ObjectLock(mode: .governance, until: Instant(millisecondsSince1970: 4_000_000_000_000))
        let stored = try await destination.put(upload)
        for version in [stored.version, nil] {
            let refused = await failure { () throws(Failure) in try await destination.delete(upload.key, version: version) }
            #expect(refused?.kind == .denied && refused?.message.contains("is locked until") == true)
        }
        #expect(try await destination.head(upload.key, version: nil) == stored)
    }

    @Test func aMissingContainerIsNoMissingObject() async throws {
        defer { scratch.remove() }
        let store = try StandInBlobs()
        defer { store.stop() }
        let destination = try container(store)
        let key = try #require(ObjectKey("object"))
        _ = try await destination.replace(key, with: [1])
        store.state.withLock { $0.hasContainer = false }
        let looked = await failure { () throws(Failure) in _ = try await destination.head(key, version: nil) }
        #expect(looked?.message.contains("404 ContainerNotFound") == true)
        let deleted = await failure { () throws(Failure) in try await destination.delete(key, version: nil) }
        #expect(deleted?.message.contains("404 ContainerNotFound") == true)
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
