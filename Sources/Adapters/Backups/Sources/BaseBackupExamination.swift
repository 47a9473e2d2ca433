internal import SerinCatalogue
internal import SerinCrypto
internal import SerinModel

/// Hashes every file of a base backup while its archive passes and compares them with the backup's own manifest: what
/// `pg_verifybackup` does, without the room to unpack it. Write-ahead log is not in the manifest.
final class BaseBackupHashes {
    private var digest: SHA256Stream?
    private var name = ""
    private var size = 0
    private var found: [String: (size: Int, sha256: String)] = [:]
    private var kept: [String: [UInt8]] = ["backup_manifest": [], "backup_label": []]

    func take(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(Failure) {
        do throws(CryptoError) {
            if bytes.count == 0 {
                try close()
                self.name = name
                digest = name.hasPrefix("pg_wal/") ? nil : try SHA256Stream()
                size = 0
                return
            }
            size += bytes.count
            kept[name]?.append(contentsOf: bytes)
            try digest?.update(bytes)
        } catch { throw Failure(.transient, "cannot hash \(name): \(error)") }
    }

    private func close() throws(CryptoError) {
        guard let digest else { return }
        found[name] = (size, Hexadecimal.text(of: try digest.finish()))
        self.digest = nil
    }

    /// Compares everything that passed with the manifest that was among it.
    func judge(_ product: SourceProduct) throws(Failure) -> [BackupCheck] {
        do throws(CryptoError) { try close() } catch { throw Failure(.transient, "cannot hash \(name): \(error)") }
        let manifest = kept["backup_manifest"] ?? []
        let base: BaseManifest
        let files: [JSONValue]
        do {
            base = try BaseManifest(label: String(decoding: kept["backup_label"] ?? [], as: UTF8.self), manifest: manifest)
            try checkOwnDigest(manifest)
            guard let listed = try JSONValue(parsing: manifest, byteLimit: 1 << 30)["Files"]?.items, !listed.isEmpty else {
                throw Failure(.invalid, "it lists no files")
            }
            files = listed
        } catch { return [BackupCheck("base backup manifest", passed: false, detail: "\(error)")] }
        var faults: [String] = []
        var expected: Set<String> = ["backup_manifest"]
        for file in files {
            guard let path = self.path(file) else {
                faults.append("a file without a name")
                continue
            }
            expected.insert(path)
            guard let actual = found[path] else {
                faults.append("\(path) is missing")
                continue
            }
            if Int64(actual.size) != file["Size"]?.integer { faults.append("\(path) has \(actual.size) bytes") }
            if file["Checksum-Algorithm"]?.text != "SHA256" || file["Checksum"]?.text != actual.sha256 {
                faults.append("\(path) has another SHA-256")
            }
        }
        faults += found.keys.filter { !expected.contains($0) }.sorted().map { "\($0) is not in the manifest" }
        let detail = faults.isEmpty ? "\(files.count) files agree" : faults.prefix(5).joined(separator: ", ")
        var checks = [BackupCheck("base backup manifest", passed: faults.isEmpty, detail: detail)]
        if let server = product.server {
            let agrees = server.lsnStart == base.start && server.lsnStop == base.stop && server.timeline == base.timeline
            checks.append(
                BackupCheck("log positions", passed: agrees, detail: "\(base.start) to \(base.stop) on timeline \(base.timeline)")
            )
        }
        return checks
    }

    private func path(_ file: JSONValue) -> String? {
        if let path = file["Path"]?.text { return path }
        return file["Encoded-Path"]?.text.flatMap { Hexadecimal.bytes(of: $0) }.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The manifest's last line holds the SHA-256 of everything before it.
    private func checkOwnDigest(_ manifest: [UInt8]) throws(Failure) {
        let mark = Array("\"Manifest-Checksum\"".utf8)
        guard manifest.count > mark.count,
            let start = (0...(manifest.count - mark.count)).last(where: { manifest[$0..<($0 + mark.count)].elementsEqual(mark) })
        else { throw Failure(.invalid, "it holds no digest of itself") }
        let line = String(decoding: manifest[start...], as: UTF8.self)
        guard
            line.split(separator: "\"").contains(Substring(Hexadecimal.text(of: SHA256.digestOrEmpty(Array(manifest[..<start])))))
        else { throw Failure(.invalid, "its own digest is another") }
    }
}
