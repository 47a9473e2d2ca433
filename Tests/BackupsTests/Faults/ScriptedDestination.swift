import Glibc
import SerinBackups
import SerinCatalogue
import SerinLocks
import SerinModel
import SerinPolicies
import Testbed

/// A destination that does what a test says in the place of single verbs, and else what the one behind it does.
struct ScriptedDestination: BackupDestination {
    typealias Put = @Sendable (_ upload: Upload, _ inner: any BackupDestination) async throws(Failure) -> StoredObject
    typealias Get =
        @Sendable (_ key: ObjectKey, _ path: String?, _ inner: any BackupDestination) async throws(Failure) -> FetchedObject?
    typealias Look = @Sendable (_ key: ObjectKey, _ inner: any BackupDestination) async throws(Failure) -> StoredObject?

    let inner: any BackupDestination
    /// Before every verb; what it throws is the verb's failure.
    var before: @Sendable (_ verb: String) throws(Failure) -> Void = { _ throws(Failure) in }
    var onPut: Put = { (upload, inner) async throws(Failure) in try await inner.put(upload) }
    /// Nil goes on to the destination behind.
    var onGet: Get = { _, _, _ async throws(Failure) in nil }
    var onHead: Look = { (key, inner) async throws(Failure) in try await inner.head(key, version: nil) }

    var name: String { inner.name }
    var traits: DestinationTraits { inner.traits }

    func probe() async throws(Failure) -> DestinationFacts {
        try before("probe")
        return try await inner.probe()
    }

    func put(_ upload: Upload) async throws(Failure) -> StoredObject {
        try before("put")
        return try await onPut(upload, inner)
    }

    func head(_ key: ObjectKey, version: String?) async throws(Failure) -> StoredObject? {
        try before("head")
        return try await onHead(key, inner)
    }

    func get(_ key: ObjectKey, version: String?, to path: String?, limit: Int64) async throws(Failure) -> FetchedObject {
        try before("get")
        if let answer = try await onGet(key, path, inner) { return answer }
        return try await inner.get(key, version: version, to: path, limit: limit)
    }

    func list(prefix: String, limit: Int) async throws(Failure) -> Listing {
        try before("list")
        return try await inner.list(prefix: prefix, limit: limit)
    }

    func delete(_ key: ObjectKey, version: String?) async throws(Failure) {
        try before("delete")
        try await inner.delete(key, version: version)
    }

    func pending() async throws(Failure) -> [PendingUpload] {
        try before("pending")
        return try await inner.pending()
    }

    func abort(_ upload: PendingUpload) async throws(Failure) {
        try before("abort")
        try await inner.abort(upload)
    }

    func replace(_ key: ObjectKey, with bytes: [UInt8]) async throws(Failure) -> StoredObject {
        try before("replace")
        return try await inner.replace(key, with: bytes)
    }
}

/// A switch that several threads look at.
final class Switch: Sendable {
    private let state: Locked<Bool>
    init(_ isOn: Bool = false) { state = Locked(isOn) }
    var isOn: Bool { state.withLock { $0 } }
    func set(_ isOn: Bool) { state.withLock { $0 = isOn } }
}
