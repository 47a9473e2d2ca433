public import SerinModel

/// A manifest as it was read from a destination, with the digest of its bytes.
public struct FoundManifest: Sendable, Hashable {
    /// Its own key.
    public var key: ObjectKey
    /// SHA-256 of its bytes, in hexadecimal.
    public var sha256: String
    /// What it says.
    public var manifest: Manifest

    /// A manifest that was read.
    public init(key: ObjectKey, sha256: String, manifest: Manifest) {
        self.key = key
        self.sha256 = sha256
        self.manifest = manifest
    }
}

/// What a destination really holds, as far as it says and its manifests prove.
public struct DestinationContents: Sendable, Hashable {
    /// The destination's name in the plan.
    public var destination: String
    /// Its objects, manifests among them.
    public var objects: [StoredObject]
    /// The manifests that could be read and believed.
    public var manifests: [FoundManifest]
    /// The manifests that could not, with why.
    public var unreadable: [UnreadableManifest]
    /// What uploads left that never finished, and that no backup which is being made accounts for.
    public var unfinished: [UnfinishedUpload] = []

    /// Contents.
    public init(
        destination: String, objects: [StoredObject], manifests: [FoundManifest], unreadable: [UnreadableManifest] = []
    ) {
        self.destination = destination
        self.objects = objects
        self.manifests = manifests
        self.unreadable = unreadable
    }
}

/// A manifest that could not be read or believed.
public struct UnreadableManifest: Sendable, Hashable, Codable {
    /// Its key.
    public var key: ObjectKey
    /// Why.
    public var reason: String

    /// What could not be read.
    public init(key: ObjectKey, reason: String) {
        self.key = key
        self.reason = reason
    }
}

/// What an upload left that never finished: parts that cost room and are no object.
public struct UnfinishedUpload: Sendable, Hashable {
    /// The key it was for, or the destination's own name for it.
    public var name: String
    /// When it was begun, by the destination's clock; nil when it does not say.
    public var started: Instant?

    /// What was left.
    public init(name: String, started: Instant?) {
        self.name = name
        self.started = started
    }
}

/// One thing in which the catalogue and a destination do not agree, or a destination's manifests among themselves.
public enum CatalogueDifference: Sendable, Hashable {
    /// An object of a live backup is not there.
    case missing(BackupID, ObjectKey)
    /// The object has another size.
    case size(BackupID, ObjectKey, expected: Int64, found: Int64)
    /// The object is there in another version.
    case version(BackupID, ObjectKey, expected: String, found: String?)
    /// The lock that was promised is not there, or ends earlier.
    case lock(BackupID, ObjectKey, expected: ObjectLock, found: ObjectLock?)
    /// The backup is there, but not its manifest.
    case withoutManifest(BackupID, ObjectKey)
    /// The manifest says otherwise than the catalogue.
    case otherManifest(BackupID, ObjectKey)
    /// A backup with a good manifest is not in the catalogue: `import` makes it known.
    case unknownBackup(BackupID, ObjectKey)
    /// An object belongs to no backup that is known here or from a manifest.
    case unknownObject(ObjectKey)
    /// An object of a deleted backup is there.
    case undead(BackupID, ObjectKey)
    /// The tool that keeps the bytes of a backup no longer has it; only its receipt is left.
    case expired(BackupID)
    /// An object is left of a damaged copy in whose place another one came; it goes with that one.
    case leftover(BackupID, ObjectKey)
    /// An upload that never finished left something.
    case unfinished(UnfinishedUpload)
    /// A manifest cannot be read or believed.
    case unreadable(UnreadableManifest)
    /// Manifests are missing between two numbers of a target's chain; explained when as many backups were deleted there.
    case gap(target: String, after: Int64, before: Int64, isExplained: Bool)
    /// A manifest does not follow the one before it, or two have the same number.
    case broken(target: String, ObjectKey)
    /// The newest backup that is known has no manifest there, but an older one has: someone may have put an older state back.
    case rolledBack(target: String, known: BackupID, found: BackupID)

    /// Whether something is wrong, and not only unusual.
    public var isFault: Bool {
        switch self {
        case .missing, .size, .version, .lock, .withoutManifest, .otherManifest, .unreadable, .broken, .rolledBack: true
        case .gap(_, _, _, let isExplained): !isExplained
        case .unknownBackup, .unknownObject, .undead, .expired, .leftover, .unfinished: false
        }
    }
}

/// The catalogue compared with what one destination holds.
public struct CatalogueCheck: Sendable, Hashable {
    /// The destination's name in the plan.
    public let destination: String
    /// How many copies were compared.
    public private(set) var compared = 0
    /// What does not agree.
    public private(set) var differences: [CatalogueDifference] = []

    /// Whether nothing is wrong.
    public var passed: Bool { !differences.contains(where: \.isFault) }

    /// Compares.
    ///
    /// - Parameter target: Whose backups; nil for all. Destinations of two plans may have one name.
    public init(_ state: CatalogueState, of target: String? = nil, against contents: DestinationContents) {
        destination = contents.destination
        var objects: [ObjectKey: [StoredObject]] = [:]
        for object in contents.objects { objects[object.key, default: []].append(object) }
        var known = Set(contents.manifests.map(\.key) + contents.unreadable.map(\.key))
        var left: Set<ObjectKey> = []
        let manifests = Dictionary(grouping: contents.manifests, by: \.manifest.order.id)
        for record in state.records where target == nil || record.order.target == target {
            guard let copy = record.copy(at: destination) else { continue }
            known.formUnion(copy.keys)
            for key in copy.formers?.flatMap(\.keys) ?? [] where objects[key] != nil && left.insert(key).inserted {
                differences.append(copy.state == .deleted ? .undead(record.id, key) : .leftover(record.id, key))
            }
            // Beside a copy that was found damaged its manifest may stay.
            let found = manifests[record.id] ?? []
            compare(record, copy, objects, found.first { $0.manifest.copy.key == copy.key } ?? found.first)
        }
        for found in contents.manifests where state[found.manifest.order.id]?.copy(at: destination) == nil {
            known.formUnion(found.manifest.copy.keys)
            differences.append(.unknownBackup(found.manifest.order.id, found.manifest.copy.key))
        }
        known.formUnion(left)
        for object in contents.objects where !known.contains(object.key) { differences.append(.unknownObject(object.key)) }
        // What stands beside a copy that was given up says nothing of what is there.
        differences += contents.unreadable.filter { !left.contains($0.key) }.map { .unreadable($0) }
        differences += contents.unfinished.map { .unfinished($0) }
        checkChains(state, contents.manifests)
    }

    private mutating func compare(
        _ record: BackupRecord, _ copy: BackupCopy, _ objects: [ObjectKey: [StoredObject]], _ found: FoundManifest?
    ) {
        switch copy.state {
        case .deleted:
            if objects[copy.key] != nil { differences.append(.undead(record.id, copy.key)) }
            return
        case .deleting, .damaged: return
        case .stored, .confirmed, .verified: compared += 1
        }
        let parts = copy.parts.map { (ObjectKey($0.key) ?? copy.key, $0.size) }
        for (key, size) in parts.isEmpty ? [(copy.key, record.size ?? 0)] : parts {
            compare(record.id, copy, key, size: size, objects[key] ?? [])
        }
        guard let found else { return differences.append(.withoutManifest(record.id, copy.key)) }
        // The data key may have been wrapped anew since the manifest was written.
        var facts = found.manifest.facts
        facts.envelope.keyIDs = record.facts?.envelope.keyIDs ?? []
        facts.envelope.wrappedKey = record.facts?.envelope.wrappedKey
        if found.manifest.order != record.order || facts != record.facts || found.manifest.copy.key != copy.key {
            differences.append(.otherManifest(record.id, copy.key))
        }
    }

    private mutating func compare(
        _ id: BackupID, _ copy: BackupCopy, _ key: ObjectKey, size: Int64, _ found: [StoredObject]
    ) {
        let named = copy.parts.isEmpty ? copy.versionID : nil
        guard let object = found.first(where: { named == nil || $0.version == named }) ?? found.first else {
            return differences.append(.missing(id, key))
        }
        if let named, object.version != named {
            differences.append(.version(id, key, expected: named, found: object.version))
        }
        if object.size != size { differences.append(.size(id, key, expected: size, found: object.size)) }
        if let lock = copy.lock, object.lock.map({ !$0.covers(lock) }) ?? true {
            differences.append(.lock(id, key, expected: lock, found: object.lock))
        }
    }

    private mutating func checkChains(_ state: CatalogueState, _ manifests: [FoundManifest]) {
        let targets = Dictionary(grouping: manifests, by: \.manifest.order.target)
        for target in targets.keys.sorted() {
            let chain = ManifestChain(targets[target] ?? [])
            let own = state.records.filter { $0.order.target == target }.compactMap { $0.copy(at: destination) }
            let gone = own.reduce(0) { $0 + ($1.state == .deleted ? 1 : 0) + ($1.formers?.count ?? 0) }
            let missing = chain.gaps.reduce(0) { $0 + ($1.before - $1.after - 1) }
            differences += chain.broken.map { .broken(target: target, $0) }
            differences += chain.gaps.map {
                .gap(target: target, after: $0.after, before: $0.before, isExplained: missing <= Int64(gone))
            }
            let alive = state.history(BackupSelection(target: target)).first { record in
                record.copy(at: destination)?.state.isUsable ?? false
            }
            if let alive, let newest = chain.newest, !chain.manifests.contains(where: { $0.manifest.order.id == alive.id }),
                newest.manifest.order.createdAt < alive.createdAt
            {
                differences.append(.rolledBack(target: target, known: alive.id, found: newest.manifest.order.id))
            }
        }
    }
}

/// The manifests of one target at one destination in their order, and where they do not hold together.
public struct ManifestChain: Sendable, Hashable {
    /// Numbers between which others are missing.
    public struct Gap: Sendable, Hashable {
        /// The last one before; 0 when the first ones are missing.
        public var after: Int64
        /// The first one behind.
        public var before: Int64
    }

    /// The manifests by their numbers.
    public let manifests: [FoundManifest]
    /// What is missing between them.
    public private(set) var gaps: [Gap] = []
    /// Those that do not follow the one before, or share its number.
    public private(set) var broken: [ObjectKey] = []

    /// The one with the largest number.
    public var newest: FoundManifest? { manifests.last }

    /// A chain of manifests in any order.
    public init(_ manifests: [FoundManifest]) {
        self.manifests = manifests.sorted { ($0.manifest.sequence, $0.key) < ($1.manifest.sequence, $1.key) }
        var last: FoundManifest?
        for found in self.manifests {
            let number = found.manifest.sequence
            if number > (last?.manifest.sequence ?? 0) + 1 {
                gaps.append(Gap(after: last?.manifest.sequence ?? 0, before: number))
            } else if let last {
                if !found.manifest.follows(last.manifest, digest: last.sha256) { broken.append(found.key) }
            } else if number != 1 || found.manifest.previous != Manifest.genesis {
                broken.append(found.key)
            }
            last = found
        }
    }
}

extension Manifest {
    /// What a manifest's key ends with.
    public static let keySuffix = ".manifest.json"

    /// The key of the manifest beside an object; nil when it would be too long.
    public static func key(beside object: ObjectKey) -> ObjectKey? { object.appending(keySuffix) }
}

extension CatalogueState {
    /// The events that make the backups of some manifests known, the oldest first; what is known already is left out.
    public func imports(
        of contents: DestinationContents, at now: Instant, by principal: Principal
    ) -> [CatalogueEvent] {
        contents.manifests.filter { found in
            guard let record = self[found.manifest.order.id] else { return true }
            return record.isLive && record.copy(at: contents.destination) == nil
        }.sorted { ($0.manifest.order.createdAt, $0.key) < ($1.manifest.order.createdAt, $1.key) }
            .map { CatalogueEvent(backup: $0.manifest.order.id, at: now, by: principal, .imported($0.manifest)) }
    }
}
