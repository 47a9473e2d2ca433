import FoundationEssentials
import Glibc
import SerinBackups
import SerinCatalogue
import SerinCrypto
import SerinModel
import SerinPolicies
import SerinPorts
import Testbed
import Testing

/// Backups that are given out as files.
@Suite(.serialized) struct BackupExportTests {
    private func export(_ scene: BackupScene, key: KeyFile? = nil) -> BackupExport {
        BackupExport(
            scene.settings, identities: [.keyFile(key ?? scene.keyFile)], catalogue: scene.catalogue, now: BackupScene.now)
    }

    private func contents(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }

    @Test func whatWasBackedUpIsGivenOutOnceAndOnlyWhole() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let text = String(repeating: "rows and rows\n", count: 5000)
        let source = TextSource(text: text, inner: try scene.source(.plain))
        let record = try await scene.backUp(source).record
        let file = scene.scratch.file("orders.sql")
        func write(_ export: BackupExport, isStored: Bool = false) async throws -> BackupExport.Exported {
            try await export.write(
                record.id, to: file, isStored: isStored, reason: "for the auditors", by: BackupScene.principal)
        }
        // Another key, and a damaged copy: no name appears.
        let other = try KeyFile(path: try scene.scratch.write("other", "9876543210 another passphrase\n", mode: 0o600))
        await #expect(throws: Failure.self) { _ = try await write(export(scene, key: other)) }
        let path = "\(scene.store)/\(try #require(record.copies.first).key)"
        let good = try contents(path)
        chmod(path, 0o600)
        for isStored in [false, true] {
            try Data(good.dropLast(3) + [0, 0, 0]).write(to: URL(filePath: path))
            await #expect(throws: Failure.self) { _ = try await write(export(scene), isStored: isStored) }
            try Data(good).write(to: URL(filePath: path))
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: scene.scratch.path).allSatisfy { !$0.contains("orders") })

        let done = try await write(export(scene))
        #expect(done.files == [file] && done.bytes == Int64(text.utf8.count) && done.destination == "local")
        #expect(try contents(file) == Array(text.utf8))
        var status = stat()
        #expect(stat(file, &status) == 0 && status.st_mode & 0o777 == 0o600)
        await #expect(throws: Failure.self) { _ = try await write(export(scene)) }
        #expect(try contents(file) == Array(text.utf8))
        let notes = try await scene.catalogue.notes(BackupExport.topic, of: "shop")
        #expect(notes.allSatisfy { $0.backup == record.id && $0.text.contains(file) })
        // One asks, one tells how it ended; what is refused because of the name is none.
        #expect(
            notes.map { $0.text.split(separator: " ").first } == [
                "asked", "not", "asked", "not", "asked", "not", "asked", "exported",
            ])
        #expect(notes.last { $0.text.hasPrefix("asked") }?.text.hasSuffix("because: for the auditors") == true)
        #expect(notes.last?.text.contains("\(text.utf8.count) bytes with SHA-256 \(done.sha256)") == true)
        #expect(try await scene.record(record.id)?.holds == [])
        // The threads that read it let it go when they end.
        try await waitUntil("the fetched copy is gone") { scene.leftovers.isEmpty }
    }

    @Test func whatStandsInTheWayIsSaidBeforeAnythingIsNotedOrRead() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let text = String(repeating: "0123456789abcdef", count: 1 << 17)
        let record = try await scene.backUp(TextSource(text: text, inner: try scene.source(.plain))).record
        let export = export(scene)
        func refusal(_ file: String, isStored: Bool = false) async -> String {
            do {
                _ = try await export.write(record.id, to: file, isStored: isStored, reason: "a try", by: BackupScene.principal)
                return "written"
            } catch { return "\(error)" }
        }
        let path = scene.scratch.path
        #expect(await refusal("orders.dump").contains("no absolute path"))
        #expect(await refusal("\(path)/").contains("names no file"))
        #expect(await refusal("\(path)/none/orders.dump").contains("there is no folder \(path)/none"))
        #expect(await refusal(scene.store).contains("there is such a folder already"))
        #expect(await refusal("\(path)/\(String(repeating: "x", count: 250))").contains("cannot write"))
        symlink("\(path)/nowhere", "\(path)/link")
        #expect(await refusal("\(path)/link").contains("there is such a file already"))
        _ = try scene.scratch.write("taken.manifest.json", "mine")
        #expect(await refusal("\(path)/taken", isStored: true).contains("taken.manifest.json: there is such a file"))
        if SmallDisk.isPossible {
            let disk = try await SmallDisk(scene.scratch, "small", megabytes: 1)
            defer { disk.remove() }
            #expect(await refusal("\(disk.path)/orders.dump").contains("the export needs 2.0 MiB there"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path).isEmpty)
        }
        #expect(try await scene.catalogue.notes(BackupExport.topic, of: "shop").isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: path).allSatisfy { !$0.contains(".partial") })
        #expect(access("\(path)/taken", F_OK) != 0 && access("\(path)/nowhere", F_OK) != 0)
    }

    @Test func anOlderKeyIsNamedWhereThePlanHasIt() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let record = try await scene.backUp(TextSource(text: "rows\n", inner: try scene.source(.plain))).record
        var settings = scene.settings
        var key = Array("another key of the manifests".utf8)
        settings.manifestKey = Secret(wiping: &key)
        let other = try KeyFile(path: try scene.scratch.write("other", "9876543210 another passphrase\n", mode: 0o600))
        let export = BackupExport(settings, identities: [.keyFile(other)], catalogue: scene.catalogue, now: BackupScene.now)
        // Neither has to fetch a copy to know.
        unlink("\(scene.store)/\(try #require(record.copies.first).key)")
        for isStored in [false, true] {
            let failure = await #expect(throws: Failure.self) {
                _ = try await export.write(
                    record.id, to: scene.scratch.file("out"), isStored: isStored, reason: "yearly", by: BackupScene.principal)
            }
            #expect(failure?.hint?.contains("encryption.former_key_files") == true, "\(String(describing: failure))")
        }
    }

    @Test func whatIsStoredIsGivenOutWithItsManifest() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let record = try await scene.backUp(TextSource(text: "rows\n", inner: try scene.source(.plain))).record
        let file = scene.scratch.file("archive")
        let export = BackupExport(scene.settings, identities: [], catalogue: scene.catalogue, now: BackupScene.now)
        let done = try await export.write(record.id, to: file, isStored: true, reason: "yearly", by: BackupScene.principal)
        #expect(done.files == [file, file + ".manifest.json"])
        let stored = "\(scene.store)/\(try #require(record.copies.first).key)"
        #expect(try contents(file) == contents(stored))
        #expect(try contents(file + ".manifest.json") == contents(stored + ".manifest.json"))
        unlink(file)
        await #expect(throws: Failure.self, "the manifest's name is taken") {
            _ = try await export.write(record.id, to: file, isStored: true, reason: "yearly", by: BackupScene.principal)
        }
        #expect(access(file, F_OK) != 0)
    }
}
