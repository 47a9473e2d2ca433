internal import SerinCatalogue
internal import SerinCrypto
internal import SerinModel
internal import SerinPolicies
internal import SerinTransport

/// A bucket of S3, of a store that speaks its protocol, or of Google Cloud Storage by its XML API.
struct ObjectStore: BackupDestination {
    let name: String
    var traits: DestinationTraits { settings.traits }
    let settings: ObjectStoreSettings
    let environment: DestinationEnvironment
    var dialect: ObjectStoreDialect { settings.dialect }

    init(_ settings: ObjectStoreSettings, environment: DestinationEnvironment) {
        self.settings = settings
        self.environment = environment
        name = "\(settings.dialect.urlScheme)://\(settings.bucket)" + (settings.prefix.isEmpty ? "" : "/" + settings.prefix)
    }

    func head(_ key: ObjectKey, version: String?) async throws(Failure) -> StoredObject? {
        try await environment.retries.run { _ throws(Failure) in
            let answer = try await send("HEAD", key, query: versionQuery(version))
            if answer.status == 404 {
                try await expectBucket()
                return nil
            }
            // A delete marker asked for by its version.
            if answer.status == 405 { return nil }
            guard answer.failureClass(ofWrite: true) == nil else {
                throw refusal("HEAD", key, await reason(for: answer, key, version))
            }
            return try object(key, answer)
        }
    }

    /// The answer to a look has no body, so what is behind a refusal is asked for once more by reading one byte. An answer that says no
    /// more than the first does not take its place.
    private func reason(for answer: HTTPResponse, _ key: ObjectKey, _ version: String?) async -> HTTPResponse {
        // What passes is asked again anyway.
        guard let kind = answer.failureClass(ofWrite: true), kind == .denied || kind == .invalid else { return answer }
        do throws(Failure) {
            let told = try await send(
                "GET", key, query: versionQuery(version), headers: [HTTPHeader("Range", "bytes=0-0")],
                download: Download(path: nil, limit: 1 << 20))
            return told.status == answer.status ? told : answer
        } catch { return answer }
    }

    /// Where there is no bucket every object is answered as missing, which says nothing about those that were stored.
    private func expectBucket() async throws(Failure) {
        let answer = try await send("GET", nil, query: [HTTPHeader("list-type", "2"), HTTPHeader("max-keys", "1")])
        guard answer.status != 404 else { throw refusal("GET", nil, answer) }
    }

    func get(_ key: ObjectKey, version: String?, to path: String?, limit: Int64) async throws(Failure) -> FetchedObject {
        try await environment.retries.run { _ throws(Failure) in
            do throws(Failure) {
                let answer = try await send(
                    "GET", key, query: versionQuery(version), download: Download(path: path, limit: limit))
                if answer.status == 404 || answer.status == 405 { throw missing(key, version) }
                guard answer.failureClass(ofWrite: true) == nil, let downloaded = answer.downloaded else {
                    throw refusal("GET", key, answer)
                }
                return FetchedObject(size: downloaded.byteCount, sha256: Hexadecimal.text(of: downloaded.sha256))
            } catch {
                if let path { removeFile(path) }
                throw error
            }
        }
    }

    func list(prefix: String, limit: Int) async throws(Failure) -> Listing {
        var objects: [StoredObject] = []
        var foreign: [String] = []
        var token: String?
        repeat {
            var query = [HTTPHeader("list-type", "2"), HTTPHeader("prefix", settings.full(prefix))]
            if let token { query.append(HTTPHeader("continuation-token", token)) }
            let page = ListedPage(bucket: try await document("GET", nil, query: query), key: settings.key(of:))
            objects += page.objects
            foreign += page.foreign
            guard objects.count <= limit else {
                throw Failure(.invalid, "there are more than \(limit) objects at \(name) that begin with '\(prefix)'")
            }
            // What is not listed would count as lost.
            guard !page.isCutOff else {
                throw Failure(.invalid, "\(name) lists a part only, and does not say how to ask for the rest")
            }
            guard page.next != token || page.next == nil else {
                throw Failure(.invalid, "\(name) lists the same page again and again")
            }
            token = page.next
        } while token != nil
        return Listing(objects: objects, foreign: foreign)
    }

    func delete(_ key: ObjectKey, version: String?) async throws(Failure) {
        // Without a version only a marker would be written over the object, which would stay.
        guard let version = try await (version == nil ? head(key, version: nil)?.version : version) else {
            return try await deleteNamed(key, version: nil)
        }
        try await deleteNamed(key, version: version)
    }

    private func deleteNamed(_ key: ObjectKey, version: String?) async throws(Failure) {
        try await environment.retries.run { _ throws(Failure) in
            let answer = try await send("DELETE", key, query: versionQuery(version))
            guard answer.failureClass(ofWrite: true) == nil || answer.status == 404 else { throw refusal("DELETE", key, answer) }
        }
        if try await head(key, version: version) != nil {
            throw Failure(.transient, "\(key) is still at \(name) after it was deleted")
        }
    }

    func replace(_ key: ObjectKey, with bytes: [UInt8]) async throws(Failure) -> StoredObject {
        let digest = try digest(of: bytes)
        let stored = try await environment.retries.run { _ throws(Failure) in
            let answer = try await send(
                "PUT", key, headers: storageHeaders(digest: digest) + checksum(digest), body: [.bytes(bytes)], digest: digest)
            guard answer.failureClass(ofWrite: true) == nil else { throw refusal("PUT", key, answer) }
            return answer.header(dialect.prefix + dialect.versionHeader)
        }
        guard let found = try await head(key, version: version(stored)), found.size == Int64(bytes.count) else {
            throw Failure(.invalid, "\(key) at \(name) is not what was written")
        }
        return found
    }

    /// What the headers of an answer say of an object.
    func object(_ key: ObjectKey, _ answer: HTTPResponse) throws(Failure) -> StoredObject {
        guard let size = answer.header("Content-Length").flatMap({ Int64($0) }) else {
            throw Failure(.invalid, "\(name) does not say how long \(key) is")
        }
        let prefix = dialect.prefix
        var stored = StoredObject(key: key, size: size)
        stored.version = version(answer.header(prefix + dialect.versionHeader))
        stored.etag = answer.header("ETag")
        stored.sha256 = answer.header(prefix + "meta-serin-sha256")
        stored.storageClass = answer.header(prefix + "storage-class")
        stored.encryption = answer.header(dialect.encryptionHeader)
        stored.modified = answer.header("Last-Modified").flatMap { moment(http: $0) }
        if let mode = answer.header(prefix + "object-lock-mode").flatMap({ LockMode(rawValue: $0.lowercased()) }),
            let until = answer.header(prefix + "object-lock-retain-until-date").flatMap({ moment(rfc3339: $0) })
        {
            stored.lock = ObjectLock(mode: mode, until: until)
        }
        return stored
    }

    /// A version that a bucket without versions calls `null` is none.
    func version(_ text: String?) -> String? { text == "null" ? nil : text }

    func versionQuery(_ version: String?) -> [HTTPHeader] { version.map { [HTTPHeader(dialect.versionParameter, $0)] } ?? [] }
}
