import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import Testbed
import Testing

@Suite struct LocalFolderTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch("serin-folder") }

    private func folder(_ settings: [String: String] = [:]) throws -> any BackupDestination {
        try makeDestination("folder", ["path": scratch.file("root")].merging(settings) { $1 })
    }

    @Test func aFolderKeepsToTheContract() async throws {
        defer { scratch.remove() }
        let destination = try folder()
        try await DestinationContract(destination: destination, scratch: scratch).check()
        let facts = try await destination.probe()
        #expect(facts.isWritable && (facts.freeBytes ?? 0) > 0 && facts.versioning == false)
        #expect(destination.name == "file://" + scratch.file("root"))
    }

    @Test func foldersAndObjectsAreForThisUserOnly() async throws {
        defer { scratch.remove() }
        let destination = try folder()
        let contract = DestinationContract(destination: destination, scratch: scratch)
        _ = try await destination.put(try contract.makeUpload("a/b/object", contract.bytes(10)))
        for (path, mode) in [("root", 0o700), ("root/a", 0o700), ("root/a/b", 0o700), ("root/a/b/object", 0o600)] {
            var status = stat()
            #expect(stat(scratch.file(path), &status) == 0)
            #expect(status.st_mode & 0o777 == mode_t(mode), "\(path)")
        }
    }

    @Test func aQuotaIsKeptAndReported() async throws {
        defer { scratch.remove() }
        let destination = try folder(["quota": "10kB"])
        let contract = DestinationContract(destination: destination, scratch: scratch)
        let first = try await destination.put(try contract.makeUpload("one", contract.bytes(6000)))
        #expect(try await destination.probe().freeBytes == 4000)
        let upload = try contract.makeUpload("two", contract.bytes(4001))
        let refused = await failure { () throws(Failure) in _ = try await destination.put(upload) }
        #expect(refused?.kind == .denied)
        #expect(refused?.message.contains("4001 bytes, and 6000 of its quota of 10000 are taken") == true)
        try await destination.delete(first.key, version: nil)
        _ = try await destination.put(upload)
    }

    @Test func symbolicLinksAreRefusedWhereverTheyStand() async throws {
        defer { scratch.remove() }
        let destination = try folder()
        let contract = DestinationContract(destination: destination, scratch: scratch)
        _ = try await destination.put(try contract.makeUpload("real/object", contract.bytes(10)))
        let outside = try scratch.write("outside", "secret")
        mkdir(scratch.file("elsewhere"), 0o700)
        symlink(outside, scratch.file("root/link"))
        symlink(scratch.file("elsewhere"), scratch.file("root/folder"))
        let link = try #require(ObjectKey("link"))
        #expect(
            await failure { () throws(Failure) in _ = try await destination.get(link, version: nil, to: nil, limit: 99) }?.kind
                == .invalid)
        let upload = try contract.makeUpload("folder/x", contract.bytes(10))
        #expect(await failure { () throws(Failure) in _ = try await destination.put(upload) }?.kind == .invalid)
        #expect(access(scratch.file("elsewhere/x"), F_OK) != 0)
        #expect(try await destination.list(prefix: "", limit: 100).objects.map(\.key.description) == ["real/object"])
        unlink(scratch.file("root/link"))
        let moved = try makeDestination("folder", ["path": scratch.file("root/folder")])
        #expect(await failure { () throws(Failure) in _ = try await moved.put(upload) }?.kind == .invalid)
    }

    @Test func whatAKilledUploadLeavesIsPendingUntilItIsAborted() async throws {
        defer { scratch.remove() }
        let destination = try folder()
        let contract = DestinationContract(destination: destination, scratch: scratch)
        _ = try await destination.put(try contract.makeUpload("a/object", contract.bytes(10)))
        try scratch.write("root/a/.serin-put-0123", "half of it")
        let pending = try await destination.pending()
        #expect(pending.map(\.reference) == ["a/.serin-put-0123"])
        #expect(try await destination.list(prefix: "", limit: 100).foreign == [])
        for upload in pending { try await destination.abort(upload) }
        #expect(try await destination.pending() == [])
        let evil = PendingUpload(key: nil, reference: "../.serin-put-x", started: nil)
        #expect(await failure { () throws(Failure) in try await destination.abort(evil) }?.kind == .invalid)
        let object = PendingUpload(key: nil, reference: "a/object", started: nil)
        #expect(await failure { () throws(Failure) in try await destination.abort(object) }?.kind == .invalid)
    }

    @Test func anUploadUnderWayCannotBeAborted() async throws {
        defer { scratch.remove() }
        let destination = try folder()
        _ = try await destination.probe()
        let path = try scratch.write("root/.serin-put-busy", "half")
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        flock(descriptor, LOCK_EX)
        let upload = try #require(try await destination.pending().first)
        #expect(await failure { () throws(Failure) in try await destination.abort(upload) }?.kind == .conflict)
    }

    @Test func aFileThatChangedSinceItWasDescribedIsNotStored() async throws {
        defer { scratch.remove() }
        let destination = try folder()
        let contract = DestinationContract(destination: destination, scratch: scratch)
        // A folder with nothing in it would say nothing about what it holds.
        _ = try await destination.put(try contract.makeUpload("other", contract.bytes(10)))
        var upload = try contract.makeUpload("object", contract.bytes(100))
        upload.sha256 = String(repeating: "0", count: 64)
        #expect(await failure { () throws(Failure) in _ = try await destination.put(upload) }?.kind == .invalid)
        #expect(try await destination.head(upload.key, version: nil) == nil)
        #expect(try await destination.pending() == [])
    }

    @Test func changedAndTruncatedObjectsAreNotConfirmed() async throws {
        defer { scratch.remove() }
        let destination = try folder()
        let contract = DestinationContract(destination: destination, scratch: scratch)
        let upload = try contract.makeUpload("object", contract.bytes(1000))
        let stored = try await destination.put(upload)
        let descriptor = open(scratch.file("root/object"), O_WRONLY)
        pwrite(descriptor, "abcd", 4, 500)
        #expect(
            await failure { () throws(Failure) in _ = try await destination.confirm(stored, sha256: upload.sha256) }?.kind
                == .invalid)
        ftruncate(descriptor, 999)
        close(descriptor)
        #expect(
            await failure { () throws(Failure) in _ = try await destination.confirm(stored, sha256: upload.sha256) }?.message
                .contains("999 bytes long where 1000") == true)
        unlink(scratch.file("root/object"))
        // With nothing at all in it, it may be the place under a disk: the object is not called gone.
        let empty = await failure { () throws(Failure) in _ = try await destination.confirm(stored, sha256: upload.sha256) }
        #expect(empty?.kind == .transient && empty?.hint?.contains("disk mounted") == true, "\(String(describing: empty))")
        rmdir(scratch.file("root"))
        let none = await failure { () throws(Failure) in _ = try await destination.head(upload.key, version: nil) }
        #expect(
            none?.kind == .transient && none?.message == "there is no folder \(scratch.file("root"))",
            "\(String(describing: none))")
        _ = try await destination.put(try contract.makeUpload("other", contract.bytes(10)))
        #expect(
            await failure { () throws(Failure) in _ = try await destination.confirm(stored, sha256: upload.sha256) }?.message
                .contains("there is no such object") == true)
    }

    @Test(.enabled(if: geteuid() == 0, "only root may mount a small disk")) func aFullDiskIsDeniedAndLeavesNothing() async throws
    {
        defer { scratch.remove() }
        mkdir(scratch.file("root"), 0o700)
        try #require(mount("tmpfs", scratch.file("root"), "tmpfs", 0, "size=256k") == 0)
        defer { umount2(scratch.file("root"), 2) }  // MNT_DETACH
        let destination = try folder()
        let contract = DestinationContract(destination: destination, scratch: scratch)
        let first = try contract.makeUpload("first", contract.bytes(100_000))
        let stored = try await destination.put(first)
        let upload = try contract.makeUpload("second", contract.bytes(300_000))
        let refused = await failure { () throws(Failure) in _ = try await destination.put(upload) }
        #expect(refused?.kind == .denied && refused?.message.contains("No space left on device") == true)
        #expect(try await destination.pending() == [])
        #expect(try await destination.head(upload.key, version: nil) == nil)
        _ = try await destination.confirm(stored, sha256: first.sha256)
    }
}
