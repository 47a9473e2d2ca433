internal import SerinCatalogue
internal import SerinCrypto
internal import SerinModel
internal import SerinPolicies
internal import SerinTransport

/// A container of Azure's Blob service. Long objects go in blocks, which count only once their list is written.
struct AzureBlob: BackupDestination {
    static let definition = DestinationDefinition(schema: schema) { settings throws(Failure) in
        let settings = try Settings(DriverValues(settings, schema: schema))
        return DestinationDefinition.Prepared(traits: settings.traits) { AzureBlob(settings, $0) }
    }

    private static let schema = DriverSchema(
        name: "azure", help: "a container of Azure's Blob service",
        fields: [
            DriverSchema.Field("account", .name, help: "the storage account"),
            DriverSchema.Field("container", .name, help: "the container"),
            DriverSchema.Field("prefix", .text, help: "what stands before every key", isRequired: false),
            DriverSchema.Field("endpoint", .url, help: "another address than Azure's own", isRequired: false),
            DriverSchema.Field(
                "tier", .name, help: "the access tier: Hot, Cool or Cold; not Archive, as what is stored is read back",
                isRequired: false),
            DriverSchema.Field(
                "part_size", .bytes, help: "longer objects go in blocks of this size", isRequired: false, fallback: "64MiB"),
            DriverSchema.Field("max_object", .bytes, help: "the longest object stored", isRequired: false),
        ] + DriverValues.secretFields("key", help: "the account's key")
            + DriverValues.secretFields("sas", help: "a shared access signature, in place of the key") + HTTPPlace.fields)

    /// The settings of a container, checked.
    private struct Settings: Sendable {
        let account: String
        let container: String
        /// What stands before every key; with a slash behind.
        let prefix: String
        let name: String
        let place: HTTPPlace
        let key: AzureExchange.Key
        let partSize: Int64
        let tier: String?
        let traits: DestinationTraits

        init(_ values: DriverValues) throws(Failure) {
            account = try values.required("account")
            container = try values.required("container")
            let text = values["prefix"] ?? ""
            guard text.isEmpty || ObjectKey(text) != nil else {
                throw Failure(.invalid, "setting 'prefix': '\(text)' \(ObjectKey.defect(in: text) ?? "is no key")")
            }
            prefix = text.isEmpty ? "" : text + "/"
            name = "azure://\(account)/\(container)" + (text.isEmpty ? "" : "/" + text)
            partSize = values.bytes("part_size") ?? (64 << 20)
            guard (1...4000 << 20).contains(partSize) else { throw Failure(.invalid, "setting 'part_size': at most 4000MiB") }
            tier = values["tier"]
            guard tier != "Archive" else {
                throw Failure(
                    .invalid, "setting 'tier': what is stored is read back at once, and an archive takes hours for that",
                    hint: "use Hot, Cool or Cold, and let a rule of the container archive later what need not be read again")
            }
            guard tier.map({ ["Hot", "Cool", "Cold"].contains($0) }) ?? true else {
                throw Failure(.invalid, "setting 'tier': expected one of Hot, Cool, Cold")
            }
            place = try HTTPPlace(values["endpoint"] ?? "https://\(account).blob.core.windows.net", values)
            switch (try values.secret("key"), try values.secret("sas")) {
            case (let shared?, nil): key = .shared(shared)
            case (nil, let access?): key = .access(access)
            case _: throw Failure(.invalid, "a container needs either key_… or sas_…")
            }
            traits = DestinationTraits(
                isOffsite: !place.isLoopback, locks: true, keepsVersions: true,
                // The most blocks that an object may have.
                objectLimit: values.bytes("max_object") ?? partSize * 50_000, readingLimit: place.mostPerExchange)
        }
    }

    private let settings: Settings
    private let exchange: AzureExchange
    private let environment: DestinationEnvironment
    var name: String { settings.name }
    var traits: DestinationTraits { settings.traits }
    private var prefix: String { settings.prefix }
    private var partSize: Int64 { settings.partSize }

    private init(_ settings: Settings, _ environment: DestinationEnvironment) {
        self.settings = settings
        self.environment = environment
        exchange = AzureExchange(
            place: settings.place, account: settings.account, container: settings.container, key: settings.key,
            environment: environment, name: settings.name)
    }

    func probe() async throws(Failure) -> DestinationFacts {
        let probe = try ProbeObject(at: environment.now())
        let stored = try await replace(probe.key, with: probe.bytes)
        guard try await read(probe.key, version: stored.version) == probe.bytes else {
            throw Failure(.invalid, "what was written to \(probe.key) at \(name) reads back differently")
        }
        await probe.remove(stored, from: self)
        var facts = DestinationFacts(isWritable: true)
        facts.versioning = stored.version != nil
        let answer = try await environment.retries.run { _ throws(Failure) in
            try await exchange.send("HEAD", nil, query: [HTTPHeader("restype", "container")])
        }
        guard answer.failureClass(ofWrite: true) == nil else {
            facts.remarks.append(exchange.refusal("HEAD", "the container", answer).message)
            return facts
        }
        facts.publicAccess = answer.header("x-ms-blob-public-access") != nil
        facts.objectLock = answer.header("x-ms-immutable-storage-with-versioning-enabled").map { $0 == "true" }
        facts.defaultEncryption = answer.header("x-ms-default-encryption-scope")
        return facts
    }

    func put(_ upload: Upload) async throws(Failure) -> StoredObject {
        try refuseUnfit(upload)
        if let found = try await settled(upload) { return found }
        let etag = upload.size > partSize ? try await putBlocks(upload) : try await putWhole(upload)
        guard let found = try await head(upload.key, version: nil) else {
            throw Failure(.invalid, "cannot store \(upload.key) at \(name): it was accepted, but there is no such object")
        }
        guard found.size == upload.size, etag == nil || found.etag == etag else {
            throw Failure(.invalid, "cannot store \(upload.key) at \(name): another object is there than was sent")
        }
        if let lock = upload.lock { try checkLock(found, lock) }
        return found
    }

    /// The object that an earlier try left, when it is what was to be stored; a conflict when the key holds another.
    private func settled(_ upload: Upload) async throws(Failure) -> StoredObject? {
        guard let found = try await head(upload.key, version: nil) else { return nil }
        guard found.size == upload.size, found.sha256 == upload.sha256 else {
            throw Failure(.conflict, "cannot store \(upload.key) at \(name): the key holds another object of \(found.size) bytes")
        }
        return found
    }

    private func putWhole(_ upload: Upload) async throws(Failure) -> String? {
        try await write(
            upload, headers: [HTTPHeader("x-ms-blob-type", "BlockBlob")], query: [],
            body: [.file(path: upload.file, offset: 0, count: upload.size)])
    }

    private func putBlocks(_ upload: Upload) async throws(Failure) -> String? {
        var list = ""
        var offset: Int64 = 0
        var number = 0
        while offset < upload.size {
            let count = min(partSize, upload.size - offset)
            // Names must be equally long.
            let block = Base64.text(of: Array(String("\(100_000 + number)").utf8))
            let piece = BodyPiece.file(path: upload.file, offset: offset, count: count)
            try await environment.retries.run { _ throws(Failure) in
                let answer = try await exchange.send(
                    "PUT", prefix + upload.key.description, query: [HTTPHeader("comp", "block"), HTTPHeader("blockid", block)],
                    body: [piece])
                guard answer.failureClass(ofWrite: true) == nil else {
                    throw exchange.refusal("PUT a block of", "\(upload.key)", answer)
                }
            }
            list += "<Latest>\(block)</Latest>"
            offset += count
            number += 1
        }
        return try await write(
            upload, headers: [], query: [HTTPHeader("comp", "blocklist")],
            body: [.bytes(Array("<BlockList>\(list)</BlockList>".utf8))])
    }

    /// The write that makes the object; its ETag, when the answer was not lost.
    private func write(
        _ upload: Upload, headers: [HTTPHeader], query: [HTTPHeader], body: [BodyPiece]
    ) async throws(Failure) -> String? {
        let all = headers + [HTTPHeader("If-None-Match", "*")] + objectHeaders(upload)
        return try await environment.retries.run { attempt throws(Failure) in
            if attempt > 0, let found = try await settled(upload) { return found.etag }
            let answer = try await exchange.send("PUT", prefix + upload.key.description, query: query, headers: all, body: body)
            if [409, 412].contains(answer.status), let found = try await settled(upload) { return found.etag }
            guard answer.failureClass(ofWrite: true) == nil else { throw exchange.refusal("PUT", "\(upload.key)", answer) }
            return answer.header("ETag")
        }
    }

    private func objectHeaders(_ upload: Upload) -> [HTTPHeader] {
        // Names of metadata must be identifiers.
        var headers = upload.metadata.sorted { $0.key < $1.key }.map {
            HTTPHeader("x-ms-meta-" + $0.key.rewriting("-", as: "_"), $0.value)
        }
        headers.append(HTTPHeader("x-ms-meta-serin_sha256", upload.sha256))
        if let tier = settings.tier { headers.append(HTTPHeader("x-ms-access-tier", tier)) }
        if let lock = upload.lock {
            headers.append(HTTPHeader("x-ms-immutability-policy-until-date", httpDate(lock.until)))
            headers.append(HTTPHeader("x-ms-immutability-policy-mode", lock.mode == .compliance ? "Locked" : "Unlocked"))
        }
        return headers
    }

    func head(_ key: ObjectKey, version: String?) async throws(Failure) -> StoredObject? {
        guard let answer = try await look(key, version) else { return nil }
        guard let size = answer.header("Content-Length").flatMap({ Int64($0) }) else {
            throw exchange.refusal("HEAD", "\(key)", answer)
        }
        var stored = StoredObject(key: key, size: size)
        stored.version = answer.header("x-ms-version-id")
        stored.etag = answer.header("ETag")
        stored.sha256 = answer.header("x-ms-meta-serin_sha256")
        stored.storageClass = answer.header("x-ms-access-tier")
        stored.encryption = answer.header("x-ms-encryption-scope")
        stored.modified = answer.header("Last-Modified").flatMap { moment(http: $0) }
        stored.lock = lock(answer)
        return stored
    }

    /// What the service says of an object; nil when there is none.
    private func look(_ key: ObjectKey, _ version: String?) async throws(Failure) -> HTTPResponse? {
        try await environment.retries.run { _ throws(Failure) in
            let answer = try await exchange.send("HEAD", prefix + key.description, query: versionQuery(version))
            if answer.status == 404 {
                try await expectContainer(answer)
                return nil
            }
            guard answer.failureClass(ofWrite: true) == nil else { throw exchange.refusal("HEAD", "\(key)", answer) }
            return answer
        }
    }

    private func lock(_ answer: HTTPResponse) -> ObjectLock? {
        guard let mode = answer.header("x-ms-immutability-policy-mode"),
            let until = answer.header("x-ms-immutability-policy-until-date").flatMap({ moment(http: $0) })
        else { return nil }
        return ObjectLock(mode: mode.lowercased() == "locked" ? .compliance : .governance, until: until)
    }

    /// Where there is no container every object is answered as missing, which says nothing about those that were stored.
    private func expectContainer(_ answer: HTTPResponse) async throws(Failure) {
        if answer.header("x-ms-error-code") == "BlobNotFound" { return }
        let query = [HTTPHeader("restype", "container"), HTTPHeader("comp", "list"), HTTPHeader("maxresults", "1")]
        let found = try await exchange.send("GET", nil, query: query)
        guard found.status != 404 else { throw exchange.refusal("list", "the container", found) }
    }

    func get(_ key: ObjectKey, version: String?, to path: String?, limit: Int64) async throws(Failure) -> FetchedObject {
        try await environment.retries.run { _ throws(Failure) in
            do throws(Failure) {
                let answer = try await exchange.send(
                    "GET", prefix + key.description, query: versionQuery(version), download: Download(path: path, limit: limit))
                if answer.status == 404 { throw missing(key, version) }
                guard answer.failureClass(ofWrite: true) == nil, let downloaded = answer.downloaded else {
                    throw exchange.refusal("GET", "\(key)", answer)
                }
                return FetchedObject(size: downloaded.byteCount, sha256: Hexadecimal.text(of: downloaded.sha256))
            } catch {
                if let path { removeFile(path) }
                throw error
            }
        }
    }

    func list(prefix start: String, limit: Int) async throws(Failure) -> Listing {
        try await list(start, limit, uncommitted: false)
    }

    private func list(_ start: String, _ limit: Int, uncommitted: Bool) async throws(Failure) -> Listing {
        var objects: [StoredObject] = []
        var foreign: [String] = []
        var marker: String?
        repeat {
            var query = [HTTPHeader("restype", "container"), HTTPHeader("comp", "list"), HTTPHeader("prefix", prefix + start)]
            if uncommitted { query.append(HTTPHeader("include", "uncommittedblobs")) }
            if let marker { query.append(HTTPHeader("marker", marker)) }
            let page = try await environment.retries.run { _ throws(Failure) in
                let answer = try await exchange.send("GET", nil, query: query)
                guard answer.failureClass(ofWrite: true) == nil, let root = XMLElement.root(of: answer.body) else {
                    throw exchange.refusal("list", "'\(start)'", answer)
                }
                return root
            }
            let prefix = prefix
            let listed = ListedPage(container: page) { full in
                full.hasPrefix(prefix) ? ObjectKey(String(full.dropFirst(prefix.count))) : nil
            }
            objects += listed.objects
            foreign += listed.foreign
            guard objects.count <= limit else {
                throw Failure(.invalid, "there are more than \(limit) objects at \(name) that begin with '\(start)'")
            }
            guard listed.next != marker || listed.next == nil else {
                throw Failure(.invalid, "\(name) lists the same page again and again")
            }
            marker = listed.next
        } while marker != nil
        return Listing(objects: objects, foreign: foreign)
    }

    /// The current version cannot be deleted by its name: without a name it becomes one that is no longer current, which can be.
    func delete(_ key: ObjectKey, version: String?) async throws(Failure) {
        let current = try await look(key, nil)
        let named = version ?? current?.header("x-ms-version-id")
        if let current, named == current.header("x-ms-version-id") {
            // One that is locked would be hidden by the first step and kept by the second.
            if let lock = lock(current), lock.until > environment.now() {
                throw Failure(.denied, "cannot DELETE \(key) at \(name): it is locked until \(lock.until)")
            }
            guard current.header("x-ms-legal-hold") != "true" else {
                throw Failure(.denied, "cannot DELETE \(key) at \(name): it is under legal hold")
            }
            let condition = current.header("ETag").map { [HTTPHeader("If-Match", $0)] } ?? []
            // When another object has come in its place in the meantime, the condition fails, and this version is not current.
            try await sendDelete(key, version: nil, condition, passing: named == nil ? [404] : [404, 412])
        }
        if let named { try await sendDelete(key, version: named, [], passing: [404]) }
        if try await look(key, named) != nil {
            throw Failure(.transient, "\(key) is still at \(name) after it was deleted")
        }
    }

    private func sendDelete(
        _ key: ObjectKey, version: String?, _ condition: [HTTPHeader], passing: Set<Int>
    ) async throws(Failure) {
        try await environment.retries.run { _ throws(Failure) in
            let answer = try await exchange.send(
                "DELETE", prefix + key.description, query: versionQuery(version), headers: condition)
            guard answer.failureClass(ofWrite: true) == nil || passing.contains(answer.status) else {
                throw exchange.refusal("DELETE", "\(key)", answer)
            }
        }
    }

    /// Names with blocks but no object. Azure itself drops such blocks after a week.
    func pending() async throws(Failure) -> [PendingUpload] {
        let committed = Set(try await list("", 1_000_000, uncommitted: false).objects.map(\.key))
        return try await list("", 1_000_000, uncommitted: true).objects.filter { !committed.contains($0.key) }.map {
            PendingUpload(key: $0.key, reference: $0.key.description, started: $0.modified)
        }
    }

    /// Blocks cannot be deleted: an object of none of them drops them, and is deleted then.
    func abort(_ upload: PendingUpload) async throws(Failure) {
        guard let key = upload.key else { return }
        let answer = try await exchange.send(
            "PUT", prefix + key.description, query: [HTTPHeader("comp", "blocklist")],
            headers: [HTTPHeader("If-None-Match", "*")],
            body: [.bytes(Array("<BlockList></BlockList>".utf8))])
        guard answer.failureClass(ofWrite: true) == nil else { throw exchange.refusal("abort the upload of", "\(key)", answer) }
        try await delete(key, version: answer.header("x-ms-version-id"))
    }

    func replace(_ key: ObjectKey, with bytes: [UInt8]) async throws(Failure) -> StoredObject {
        let headers = [
            HTTPHeader("x-ms-blob-type", "BlockBlob"), HTTPHeader("x-ms-meta-serin_sha256", try digest(of: bytes)),
        ]
        try await environment.retries.run { _ throws(Failure) in
            let answer = try await exchange.send("PUT", prefix + key.description, headers: headers, body: [.bytes(bytes)])
            guard answer.failureClass(ofWrite: true) == nil else { throw exchange.refusal("PUT", "\(key)", answer) }
        }
        guard let found = try await head(key, version: nil), found.size == Int64(bytes.count) else {
            throw Failure(.invalid, "\(key) at \(name) is not what was written")
        }
        return found
    }

    private func versionQuery(_ version: String?) -> [HTTPHeader] { version.map { [HTTPHeader("versionid", $0)] } ?? [] }
}
