internal import SerinCatalogue
internal import SerinCrypto
internal import SerinModel

private let manifestName = Array("backup_manifest".utf8)
private let labelName = Array("backup_label".utf8)

/// Hashes every file of a base backup while its archive passes and compares them with the backup's own manifest: what
/// `pg_verifybackup` does, without the room to unpack it. Write-ahead log is not in the manifest.
final class BaseBackupHashes {
    private var digest: SHA256Stream?
    private var name: [UInt8] = []
    private var size = 0
    private var found: [[UInt8]: (size: Int, sha256: String)] = [:]
    private var kept: [[UInt8]: [UInt8]] = [manifestName: [], labelName: []]

    func take(_ name: [UInt8], _ bytes: UnsafeRawBufferPointer) throws(Failure) {
        do throws(CryptoError) {
            if bytes.count == 0 {
                try close()
                self.name = name
                digest = name.starts(with: "pg_wal/".utf8) ? nil : try SHA256Stream()
                size = 0
                return
            }
            size += bytes.count
            kept[name]?.append(contentsOf: bytes)
            try digest?.update(bytes)
        } catch { throw Failure(.transient, "cannot hash \(shown(name)): \(error)") }
    }

    private func close() throws(CryptoError) {
        guard let digest else { return }
        found[name] = (size, Hexadecimal.text(of: try digest.finish()))
        self.digest = nil
    }

    /// Compares everything that passed with the manifest that was among it.
    func judge(_ product: SourceProduct) throws(Failure) -> [BackupCheck] {
        do throws(CryptoError) { try close() } catch { throw Failure(.transient, "cannot hash \(shown(name)): \(error)") }
        let manifest = kept[manifestName] ?? []
        let base: BaseManifest
        let files: [JSONValue]
        do {
            base = try BaseManifest(label: String(decoding: kept[labelName] ?? [], as: UTF8.self), manifest: manifest)
            try checkOwnDigest(manifest)
            guard let listed = try JSONValue(parsing: manifest, byteLimit: 1 << 30)["Files"]?.items, !listed.isEmpty else {
                throw Failure(.invalid, "it lists no files")
            }
            files = listed
        } catch { return [BackupCheck("base backup manifest", passed: false, detail: "\(error)")] }
        var faults: [String] = []
        var expected: Set<[UInt8]> = [manifestName]
        for file in files {
            guard let path = self.path(file) else {
                faults.append("a file without a name")
                continue
            }
            expected.insert(path)
            guard let actual = found[path] else {
                faults.append("\(shown(path)) is missing")
                continue
            }
            if Int64(actual.size) != file["Size"]?.integer { faults.append("\(shown(path)) has \(actual.size) bytes") }
            if file["Checksum-Algorithm"]?.text != "SHA256" || file["Checksum"]?.text != actual.sha256 {
                faults.append("\(shown(path)) has another SHA-256")
            }
        }
        faults += found.keys.filter { !expected.contains($0) }.map { shown($0) }.sorted().map { "\($0) is not in the manifest" }
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

    private func path(_ file: JSONValue) -> [UInt8]? {
        if let path = file["Path"]?.text { return Array(path.utf8) }
        return file["Encoded-Path"]?.text.flatMap { Hexadecimal.bytes(of: $0) }
    }

    /// The manifest's last line holds the SHA-256 of everything before it.
    private func checkOwnDigest(_ manifest: [UInt8]) throws(Failure) {
        let mark = Array("\"Manifest-Checksum\"".utf8)
        guard manifest.count > mark.count,
            let start = (0...(manifest.count - mark.count)).last(where: { manifest[$0..<($0 + mark.count)].elementsEqual(mark) })
        else { throw Failure(.invalid, "it holds no digest of itself") }
        let line = String(decoding: manifest[start...], as: UTF8.self)
        guard
            line.parts(at: "\"").contains(Substring(Hexadecimal.text(of: SHA256.digestOrEmpty(Array(manifest[..<start])))))
        else { throw Failure(.invalid, "its own digest is another") }
    }
}
