internal import SerinCatalogue
internal import SerinCrypto
internal import SerinModel
internal import SerinProcesses
internal import SerinTransport

/// Uploads: whole or in parts, write-once, and looked at again before they count.
extension ObjectStore {
    /// The most parts an object may have; S3 allows 10 000.
    static let partLimit: Int64 = 9_000

    func put(_ upload: Upload) async throws(Failure) -> StoredObject {
        try refuseUnfit(upload)
        let inParts = dialect.hasParts && upload.size > settings.partSize
        let stored = inParts ? try await putParts(upload) : try await putWhole(upload)
        guard let found = try await head(upload.key, version: stored.version) else {
            throw Failure(.invalid, "cannot store \(upload.key) at \(name): it was accepted, but there is no such object")
        }
        if let etag = stored.etag, let now = found.etag, etag != now {
            throw Failure(
                .invalid, "cannot store \(upload.key) at \(name): its ETag is \(now) where the upload was given \(etag)")
        }
        guard found.size == upload.size else {
            throw Failure(
                .invalid, "cannot store \(upload.key) at \(name): \(found.size) bytes are there where \(upload.size) were sent")
        }
        guard let lock = upload.lock, found.lock?.covers(lock) != true else { return found }
        return try await addLock(lock, to: found)
    }

    /// Some stores drop the lock that is asked for with the upload: asks for it alone, and looks again.
    private func addLock(_ lock: ObjectLock, to stored: StoredObject) async throws(Failure) -> StoredObject {
        let body = Array(
            "<Retention><Mode>\(lock.mode.rawValue.uppercased())</Mode><RetainUntilDate>\(lock.until)</RetainUntilDate></Retention>"
                .utf8)
        let sum = try digest(of: body)
        let query = [HTTPHeader("retention", "")] + versionQuery(stored.version)
        try await environment.retries.run { _ throws(Failure) in
            let answer = try await send(
                "PUT", stored.key, query: query, headers: checksum(sum) + [HTTPHeader("Content-Type", "application/xml")],
                body: [.bytes(body)], digest: sum)
            guard answer.failureClass(ofWrite: true) == nil else { throw refusal("lock", stored.key, answer) }
        }
        guard let found = try await head(stored.key, version: stored.version) else { throw missing(stored.key, stored.version) }
        try checkLock(found, lock)
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

    private func putWhole(_ upload: Upload) async throws(Failure) -> StoredObject {
        try await environment.retries.run { attempt throws(Failure) in
            if attempt > 0, let found = try await settled(upload) { return found }
            let answer = try await send(
                "PUT", upload.key,
                headers: [dialect.writeOnce] + objectHeaders(upload) + checksum(upload.sha256),
                body: [.file(path: upload.file, offset: 0, count: upload.size)], digest: upload.sha256)
            if answer.status == 412, let found = try await settled(upload) { return found }
            guard answer.failureClass(ofWrite: true) == nil else { throw refusal("PUT", upload.key, answer) }
            return accepted(upload, answer)
        }
    }

    private func accepted(_ upload: Upload, _ answer: HTTPResponse) -> StoredObject {
        StoredObject(
            key: upload.key, size: upload.size, version: version(answer.header(dialect.prefix + dialect.versionHeader)),
            etag: answer.header("ETag"))
    }

    private func putParts(_ upload: Upload) async throws(Failure) -> StoredObject {
        // Parts cost time and money before the write-once condition is looked at, at the very end.
        if let found = try await settled(upload) { return found }
        let headers = objectHeaders(upload) + (dialect.hasParts ? [HTTPHeader("x-amz-checksum-algorithm", "SHA256")] : [])
        let begun = try await document("POST", upload.key, query: [HTTPHeader("uploads", "")], headers: headers)
        guard let id = begun["UploadId"]?.text, !id.isEmpty else {
            throw Failure(.invalid, "cannot store \(upload.key) at \(name): the answer names no upload")
        }
        let keys = try await keys()
        do throws(Failure) {
            var parts: [(etag: String, digest: String)] = []
            let size = max(settings.partSize, (upload.size + Self.partLimit - 1) / Self.partLimit)
            var offset: Int64 = 0
            while offset < upload.size {
                parts.append(try await putPart(upload, id, parts.count + 1, offset, min(size, upload.size - offset)))
                offset += size
            }
            return try await complete(upload, id, parts)
        } catch {
            await dropParts(upload.key, id, keys)
            throw error
        }
    }

    private func putPart(
        _ upload: Upload, _ id: String, _ number: Int, _ offset: Int64, _ count: Int64
    ) async throws(Failure) -> (etag: String, digest: String) {
        let sum = try await onOwnThread { _ throws(Failure) in try digest(of: upload.file, offset: offset, count: count) }
        let query = [HTTPHeader("partNumber", "\(number)"), HTTPHeader("uploadId", id)]
        return try await environment.retries.run { _ throws(Failure) in
            let answer = try await send(
                "PUT", upload.key, query: query, headers: [HTTPHeader("x-amz-checksum-sha256", base64(hexadecimal: sum))],
                body: [.file(path: upload.file, offset: offset, count: count)], digest: sum)
            guard answer.failureClass(ofWrite: true) == nil else { throw refusal("PUT part \(number) of", upload.key, answer) }
            guard let etag = answer.header("ETag") else {
                throw Failure(.invalid, "\(name) gave part \(number) of \(upload.key) no ETag")
            }
            return (etag, sum)
        }
    }

    private func complete(
        _ upload: Upload, _ id: String, _ parts: [(etag: String, digest: String)]
    ) async throws(Failure) -> StoredObject {
        let list = parts.enumerated().map { index, part in
            "<Part><PartNumber>\(index + 1)</PartNumber><ETag>\(escaped(part.etag))</ETag>"
                + "<ChecksumSHA256>\(base64(hexadecimal: part.digest))</ChecksumSHA256></Part>"
        }
        let body = Array("<CompleteMultipartUpload>\(list.joined())</CompleteMultipartUpload>".utf8)
        let sum = try digest(of: body)
        return try await environment.retries.run { attempt throws(Failure) in
            if attempt > 0, let found = try await settled(upload) { return found }
            let answer = try await send(
                "POST", upload.key, query: [HTTPHeader("uploadId", id)],
                headers: [dialect.writeOnce, HTTPHeader("Content-Type", "application/xml")], body: [.bytes(body)], digest: sum)
            if answer.status == 412, let found = try await settled(upload) { return found }
            guard answer.failureClass(ofWrite: true) == nil else { throw refusal("complete", upload.key, answer) }
            let root = try root("complete", upload.key, answer)
            var stored = accepted(upload, answer)
            stored.etag = root["ETag"]?.text ?? stored.etag
            return stored
        }
    }

    /// Removes the parts of an upload that failed, also when the caller gave up. What it cannot remove, `pending` still names.
    private func dropParts(_ key: ObjectKey, _ id: String, _ keys: SigningKeys) async {
        // A request that cannot even be made leaves the parts to `pending`.
        guard let request = try? request("DELETE", key, query: [HTTPHeader("uploadId", id)], keys: keys) else { return }
        await withCheckedContinuation { continuation in
            environment.transport.start(request) { _ in continuation.resume() }
        }
    }

    func pending() async throws(Failure) -> [PendingUpload] {
        guard dialect.hasParts else { return [] }
        var found: [PendingUpload] = []
        var marker: [HTTPHeader] = []
        while true {
            let query = [HTTPHeader("uploads", ""), HTTPHeader("prefix", settings.full(""))] + marker
            let page = UploadPage(try await document("GET", nil, query: query), key: settings.key(of:))
            found += page.uploads
            guard let place = page.next, found.count < 10_000 else { return found }
            let next = [HTTPHeader("key-marker", place.key), HTTPHeader("upload-id-marker", place.upload)]
            guard next != marker else { throw Failure(.invalid, "\(name) lists the same page again and again") }
            marker = next
        }
    }

    func abort(_ upload: PendingUpload) async throws(Failure) {
        guard dialect.hasParts, let key = upload.key else { return }
        try await environment.retries.run { _ throws(Failure) in
            let answer = try await send("DELETE", key, query: [HTTPHeader("uploadId", upload.reference)])
            guard answer.failureClass(ofWrite: true) == nil || answer.status == 404 else {
                throw refusal("abort the upload of", key, answer)
            }
        }
        if try await pending().contains(where: { $0.reference == upload.reference }) {
            throw Failure(.transient, "the upload \(upload.reference) of \(key) is still at \(name) after it was aborted")
        }
    }

    /// The headers of every object: its hash, and what the settings ask for.
    func storageHeaders(digest: String) -> [HTTPHeader] {
        [HTTPHeader("Content-Type", "application/octet-stream"), HTTPHeader(dialect.prefix + "meta-serin-sha256", digest)]
            + settings.headers
    }

    private func objectHeaders(_ upload: Upload) -> [HTTPHeader] {
        var headers = storageHeaders(digest: upload.sha256)
        headers += upload.metadata.sorted { $0.key < $1.key }.map { HTTPHeader(dialect.prefix + "meta-" + $0.key, $0.value) }
        if let lock = upload.lock {
            headers.append(HTTPHeader(dialect.prefix + "object-lock-mode", lock.mode.rawValue.uppercased()))
            headers.append(HTTPHeader(dialect.prefix + "object-lock-retain-until-date", lock.until.description))
        }
        return headers
    }

    /// A checksum, which S3 demands with locks. Google checks the hash that is signed.
    func checksum(_ digest: String) -> [HTTPHeader] {
        guard dialect.hasParts else { return [] }
        return [
            HTTPHeader("x-amz-sdk-checksum-algorithm", "SHA256"),
            HTTPHeader("x-amz-checksum-sha256", base64(hexadecimal: digest)),
        ]
    }

    private func base64(hexadecimal text: String) -> String { Base64.text(of: Hexadecimal.bytes(of: text) ?? []) }

    private func escaped(_ text: String) -> String {
        text.rewriting { $0 == "&" ? "&amp;" : $0 == "<" ? "&lt;" : $0 == ">" ? "&gt;" : nil }
    }
}
