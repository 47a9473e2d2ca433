internal import Glibc
internal import SerinCatalogue
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses

/// A folder of this machine, with an optional quota.
///
/// An object is written under a temporary name, synced, and then linked to its own: the link fails when the name is taken, and after a
/// crash there is the whole object or none. Folders are for this user only, and no symbolic link is ever followed below the root.
struct LocalFolder: BackupDestination {
    static let definition = DestinationDefinition(schema: schema) { settings throws(Failure) in
        let folder = try LocalFolder(settings)
        return DestinationDefinition.Prepared(traits: folder.traits) { _ in folder }
    }

    private static let schema = DriverSchema(
        name: "folder", help: "a folder of this machine",
        fields: [
            DriverSchema.Field("path", .path, help: "the folder; it is made when it is missing"),
            DriverSchema.Field(
                "quota", .bytes, help: "the most bytes that all objects may take together, such as 100GiB", isRequired: false),
        ])

    let name: String
    let traits = DestinationTraits(isOffsite: false)
    private let tree: FolderTree
    private let quota: Int64?

    init(_ settings: DriverSettings) throws(Failure) {
        let values = try DriverValues(settings, schema: Self.schema)
        let path = try values.required("path")
        guard !path.parts(at: "/").contains("..") else {
            throw Failure(.invalid, "setting 'path': '\(path)' leads upwards", hint: "write the folder that is meant")
        }
        tree = FolderTree(root: path)
        quota = values.bytes("quota")
        name = "file://" + tree.root
    }

    func probe() async throws(Failure) -> DestinationFacts {
        let tree = self.tree
        let quota = self.quota
        return try await onOwnThread { _ throws(Failure) in
            let root = try tree.openRoot(makes: true)
            defer { close(root) }
            let (descriptor, temporary) = try tree.makeTemporary(in: root)
            close(descriptor)
            unlinkat(root, temporary, 0)
            var status = statvfs()
            guard fstatvfs(root, &status) == 0 else {
                throw Failure(.transient, "cannot ask for the free space of \(tree.root): \(systemWords())")
            }
            var free = Int64(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
            if let quota { free = min(free, max(0, quota - (try tree.walk()).reduce(0) { $0 + $1.size })) }
            var facts = DestinationFacts(isWritable: true, freeBytes: free)
            facts.versioning = false
            facts.objectLock = false
            facts.deleteNeedsSecondFactor = false
            facts.publicAccess = false
            facts.lifecycleRules = 0
            return facts
        }
    }

    func put(_ upload: Upload) async throws(Failure) -> StoredObject {
        try refuseUnfit(upload)
        let tree = self.tree
        if let found = try await existing(upload) { return found }
        try await checkQuota(upload.size, for: upload.key)
        try await onOwnThread { _ throws(Failure) in
            let folder = try tree.openFolder(of: upload.key, makes: true)
            defer { close(folder) }
            let (descriptor, temporary) = try tree.makeTemporary(in: folder)
            defer {
                close(descriptor)
                unlinkat(folder, temporary, 0)
            }
            let source = open(upload.file, O_RDONLY | O_CLOEXEC)
            guard source >= 0 else { throw Failure(.invalid, "cannot open \(upload.file): \(systemWords())") }
            defer { close(source) }
            let copied = try copy(source, upload.file, to: descriptor, "\(upload.key) at \(name)", limit: upload.size)
            guard copied.size == upload.size, copied.sha256 == upload.sha256 else {
                throw Failure(
                    .invalid, "cannot store \(upload.file): it is not the file that was described (size or SHA-256 differ)")
            }
            guard fsync(descriptor) == 0 else {
                throw Failure(.transient, "cannot sync \(upload.key) at \(name): \(systemWords())")
            }
            guard linkat(folder, temporary, folder, tree.leaf(upload.key), 0) == 0 else {
                throw Failure(
                    errno == EEXIST ? .conflict : .transient, "cannot store \(upload.key) at \(name): \(systemWords())")
            }
            try tree.sync(folder)
        }
        guard let stored = try await head(upload.key, version: nil), stored.size == upload.size else {
            throw missing(upload.key, nil)
        }
        return stored
    }

    /// The object of a key that is taken already; a conflict when it is another one.
    private func existing(_ upload: Upload) async throws(Failure) -> StoredObject? {
        guard let found = try await lookUp(upload.key) else { return nil }
        if found.size == upload.size,
            try await get(upload.key, version: nil, to: nil, limit: found.size).sha256 == upload.sha256
        {
            return found
        }
        throw Failure(.conflict, "cannot store \(upload.key) at \(name): the key holds another object of \(found.size) bytes")
    }

    private func checkQuota(_ size: Int64, for key: ObjectKey) async throws(Failure) {
        guard let quota else { return }
        let tree = self.tree
        let used = try await onOwnThread { _ throws(Failure) in try tree.walk().reduce(0) { $0 + $1.size } }
        guard used + size <= quota else {
            throw Failure(
                .denied, "cannot store \(key) at \(name): \(size) bytes, and \(used) of its quota of \(quota) are taken",
                hint: "let retention remove what is old, or raise the quota")
        }
    }

    func head(_ key: ObjectKey, version: String?) async throws(Failure) -> StoredObject? {
        if let found = try await lookUp(key) { return found }
        try await expectContents()
        return nil
    }

    /// A folder that is missing or has nothing in it at all says nothing about what was stored there: its disk may not be mounted.
    private func expectContents() async throws(Failure) {
        let tree = self.tree
        guard try await onOwnThread({ _ throws(Failure) in try tree.isBare() }) else { return }
        guard access(tree.root, F_OK) == 0 else {
            throw Failure(
                .transient, "there is no folder \(tree.root)",
                hint: "the first backup makes it; if it was removed on purpose, make it and put any file into it")
        }
        throw Failure(
            .transient, "the folder \(tree.root) is empty, so that nothing is concluded from what is not in it",
            hint: "is its disk mounted? if it is meant to be empty, put any file into it")
    }

    private func lookUp(_ key: ObjectKey) async throws(Failure) -> StoredObject? {
        let tree = self.tree
        return try await onOwnThread { _ throws(Failure) in
            guard let descriptor = try tree.open(key) else { return nil }
            defer { close(descriptor) }
            return try tree.object(key, descriptor)
        }
    }

    func get(_ key: ObjectKey, version: String?, to path: String?, limit: Int64) async throws(Failure) -> FetchedObject {
        let tree = self.tree
        let found = try await onOwnThread { _ throws(Failure) -> FetchedObject? in
            guard let descriptor = try tree.open(key) else { return nil }
            defer { close(descriptor) }
            guard let path else { return try copy(descriptor, "\(key)", to: nil, "", limit: limit) }
            let target = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
            guard target >= 0 else { throw Failure(.transient, "cannot make \(path): \(systemWords())") }
            defer { close(target) }
            do throws(Failure) {
                return try copy(descriptor, "\(key)", to: target, path, limit: limit)
            } catch {
                removeFile(path)
                throw error
            }
        }
        guard let found else {
            try await expectContents()
            throw missing(key, version)
        }
        return found
    }

    func list(prefix: String, limit: Int) async throws(Failure) -> Listing {
        let tree = self.tree
        return try await onOwnThread { _ throws(Failure) in
            let files = try tree.walk().filter { !$0.isTemporary && $0.path.hasPrefix(prefix) }
            guard files.count <= limit else {
                throw Failure(.invalid, "there are more than \(limit) objects at \(name) that begin with '\(prefix)'")
            }
            return Listing(
                objects: files.compactMap { file in
                    ObjectKey(file.path).map { StoredObject(key: $0, size: file.size, modified: file.modified) }
                }, foreign: files.map(\.path).filter { ObjectKey($0) == nil })
        }
    }

    func delete(_ key: ObjectKey, version: String?) async throws(Failure) {
        let tree = self.tree
        guard try await lookUp(key) != nil else { return try await expectContents() }
        try await onOwnThread { _ throws(Failure) in try tree.remove(key) }
        if try await lookUp(key) != nil {
            throw Failure(.transient, "\(key) is still at \(name) after it was deleted")
        }
    }

    func pending() async throws(Failure) -> [PendingUpload] {
        let tree = self.tree
        return try await onOwnThread { _ throws(Failure) in
            try tree.walk().filter(\.isTemporary).map {
                PendingUpload(key: nil, reference: $0.path, started: $0.modified)
            }
        }
    }

    func abort(_ upload: PendingUpload) async throws(Failure) {
        let tree = self.tree
        try await onOwnThread { _ throws(Failure) in try tree.removeTemporary(upload.reference) }
    }

    func replace(_ key: ObjectKey, with bytes: [UInt8]) async throws(Failure) -> StoredObject {
        try await checkQuota(Int64(bytes.count), for: key)
        let tree = self.tree
        try await onOwnThread { _ throws(Failure) in
            let folder = try tree.openFolder(of: key, makes: true)
            defer { close(folder) }
            let (descriptor, temporary) = try tree.makeTemporary(in: folder)
            defer {
                close(descriptor)
                unlinkat(folder, temporary, 0)
            }
            try writeAll(descriptor, bytes, "\(key) at \(name)")
            guard fsync(descriptor) == 0, renameat(folder, temporary, folder, tree.leaf(key)) == 0 else {
                throw Failure(.transient, "cannot replace \(key) at \(name): \(systemWords())")
            }
            try tree.sync(folder)
        }
        guard let stored = try await head(key, version: nil) else { throw missing(key, nil) }
        return stored
    }
}
