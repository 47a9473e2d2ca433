import Glibc
import SerinBackups
import SerinCatalogue
import SerinCrypto
import SerinModel
import SerinPolicies
import SerinTransport
import Testbed
import Testing

/// What every destination keeps to; run against each of them.
struct DestinationContract {
    let destination: any BackupDestination
    let scratch: Scratch
    /// How long a long object is, in bytes: more than two parts where there are parts.
    var longSize = 11 << 20

    func check() async throws {
        try await aFileIsStoredConfirmedReadAndDeleted()
        try await anEmptyAndALongFileAreStored()
        try await aSecondPutOfAKeyIsAConflictAndTheSameBytesAreNot()
        try await aMissingObjectIsNilAndReadingItIsInvalid()
        try await listingIsSortedLimitedAndKnowsPrefixes()
        try await aPointerIsReplaced()
        try await aDownloadIsLimitedAndLeavesNoFileWhenItFails()
        try await whatIsNotTheDescribedFileIsRefused()
        try await nothingIsLeftPending()
    }

    private func aFileIsStoredConfirmedReadAndDeleted() async throws {
        let upload = try makeUpload("contract/a b+c=u.dump", bytes(70_000))
        let stored = try await destination.put(upload)
        #expect(stored.size == 70_000 && stored.key == upload.key)
        let confirmed = try await destination.confirm(stored, sha256: upload.sha256)
        #expect(confirmed.sha256 == upload.sha256)
        let path = scratch.file("fetched")
        unlink(path)
        let fetched = try await destination.get(upload.key, version: stored.version, to: path, limit: 70_000)
        #expect(fetched == FetchedObject(size: 70_000, sha256: upload.sha256))
        #expect(try contents(path) == bytes(70_000))
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        try await destination.delete(upload.key, version: stored.version)
        #expect(try await destination.head(upload.key, version: nil) == nil)
        try await destination.delete(upload.key, version: stored.version)
    }

    private func anEmptyAndALongFileAreStored() async throws {
        for (key, size) in [("contract/empty", 0), ("contract/long", longSize)] {
            let upload = try makeUpload(key, bytes(size))
            let stored = try await destination.put(upload)
            _ = try await destination.confirm(stored, sha256: upload.sha256)
            try await destination.delete(upload.key, version: stored.version)
        }
    }

    private func aSecondPutOfAKeyIsAConflictAndTheSameBytesAreNot() async throws {
        let first = try makeUpload("contract/once", bytes(1000))
        let stored = try await destination.put(first)
        #expect(try await destination.put(first).key == stored.key, "repeated after an answer that was lost")
        let second = try makeUpload("contract/once", bytes(1001))
        #expect(await failure { () throws(Failure) in _ = try await destination.put(second) }?.kind == .conflict)
        _ = try await destination.confirm(stored, sha256: first.sha256)
        try await destination.delete(first.key, version: stored.version)
    }

    private func aMissingObjectIsNilAndReadingItIsInvalid() async throws {
        let key = try #require(ObjectKey("contract/none/at/all"))
        #expect(try await destination.head(key, version: nil) == nil)
        let missing = await failure { () throws(Failure) in _ = try await destination.get(key, version: nil, to: nil, limit: 1) }
        #expect(missing?.kind == .invalid)
        #expect(missing?.message == "there is no contract/none/at/all at \(destination.name)")
    }

    private func listingIsSortedLimitedAndKnowsPrefixes() async throws {
        var stored: [StoredObject] = []
        for name in ["list/b", "list/a", "list/a/x", "lists"] where name != "list/a" || !destination.name.hasPrefix("file:") {
            stored.append(try await destination.put(try makeUpload(name, bytes(10))))
        }
        let keys = try await destination.list(prefix: "list/", limit: 1000).objects.map(\.key.description)
        #expect(keys == (destination.name.hasPrefix("file:") ? ["list/a/x", "list/b"] : ["list/a", "list/a/x", "list/b"]))
        #expect(
            await failure { () throws(Failure) in _ = try await destination.list(prefix: "list", limit: 2) }?.kind == .invalid)
        for object in stored { try await destination.delete(object.key, version: object.version) }
        #expect(try await destination.list(prefix: "list", limit: 1000).objects == [])
    }

    private func aPointerIsReplaced() async throws {
        let key = try #require(ObjectKey("contract/latest"))
        for text in ["first", "second one"] {
            _ = try await destination.replace(key, with: Array(text.utf8))
            let read = try await destination.read(key)
            #expect(read == Array(text.utf8))
        }
        try await destination.delete(key, version: nil)
    }

    private func aDownloadIsLimitedAndLeavesNoFileWhenItFails() async throws {
        let stored = try await destination.put(try makeUpload("contract/limited", bytes(5000)))
        let path = scratch.file("limited")
        let refused = await failure { () throws(Failure) in
            _ = try await destination.get(stored.key, version: stored.version, to: path, limit: 4999)
        }
        #expect(refused?.kind == .invalid)
        #expect(access(path, F_OK) != 0)
        try await destination.delete(stored.key, version: stored.version)
    }

    private func whatIsNotTheDescribedFileIsRefused() async throws {
        var upload = try makeUpload("contract/other", bytes(100))
        upload.metadata = ["name": "two\nlines"]
        #expect(await failure { () throws(Failure) in _ = try await destination.put(upload) }?.kind == .invalid)
        upload.metadata = [:]
        upload.sha256 = "none"
        #expect(await failure { () throws(Failure) in _ = try await destination.put(upload) }?.kind == .invalid)
        if !destination.traits.locks {
            upload = try makeUpload("contract/other", bytes(100))
            upload.lock = ObjectLock(mode: .compliance, until: Instant(millisecondsSince1970: 4_000_000_000_000))
            #expect(await failure { () throws(Failure) in _ = try await destination.put(upload) }?.kind == .invalid)
        }
        #expect(try await destination.head(upload.key, version: nil) == nil)
    }

    private func nothingIsLeftPending() async throws {
        #expect(try await destination.pending() == [])
    }

    // MARK: what tests are made of

    func makeUpload(_ key: String, _ bytes: [UInt8]) throws -> Upload {
        let name = "upload-\(bytes.count)-\(key.replacing("/", with: "_"))"
        let path = scratch.file(name)
        unlink(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        defer { close(descriptor) }
        #expect(write(descriptor, bytes, bytes.count) == bytes.count)
        return Upload(
            file: path, key: try #require(ObjectKey(key)), size: Int64(bytes.count),
            sha256: Hexadecimal.text(of: try SHA256.digest(bytes)), isEncrypted: true)
    }

    /// Bytes that differ from place to place, the same each time.
    func bytes(_ count: Int) -> [UInt8] { randomBytes(count, seed: 42) }
}

/// The failure that something ends with; nil when it succeeds.
func failure(_ body: () async throws(Failure) -> Void) async -> Failure? {
    do throws(Failure) {
        try await body()
        return nil
    } catch {
        return error
    }
}

/// The bytes of a file.
func contents(_ path: String) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    try #require(descriptor >= 0)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count <= 0 { return bytes }
        bytes += buffer[0..<count]
    }
}

/// A destination with settings, whose secrets stand in a table, and whose repetitions do not wait.
func makeDestination(
    _ driver: String, _ settings: [String: String], secrets: [String: String] = [:], retries: RetryPolicy? = nil,
    now: @escaping @Sendable () -> Instant = { MotoServer.now }
) throws -> any BackupDestination {
    let environment = DestinationEnvironment(
        transport: try Transport(),
        retries: retries ?? RetryPolicy(attempts: 4, base: .milliseconds(10), longest: .milliseconds(50)),
        now: now
    ) { reference throws(Failure) in
        guard case .environment(let name) = reference, let value = secrets[name] else {
            throw Failure(.denied, "no secret \(reference)")
        }
        return value
    }
    return try BackupDestinations.make(DriverSettings(driver: driver, settings: settings), environment: environment)
}
