import FoundationEssentials
import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinProcesses
import Testbed
import Testing

/// Backups that Serin made, read with the two programs of `examples/reading`, openssl and Postgres' own, as docs/reading-backups.md tells.
@Suite(.serialized) struct ReadingWithoutSerinTests {
    private static let folder = #filePath.components(upTo: "/Tests/") + "/examples/reading"

    /// Runs a script in a folder; its status and what it printed.
    private func run(_ script: String, in folder: String) async throws -> (status: Termination, text: String) {
        let done = try await Program(
            "/bin/bash", ["-o", "pipefail", "-e", "-c", script],
            environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C", "HERE": Self.folder], directory: folder,
            deadline: .seconds(60)
        ).run()
        return (done.termination, done.text)
    }

    @Test func aBackupIsRestoredByHand() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        for profile in [EnvelopeProfile.enc1, .gcm1] {
            for toRecipients in [false, true] { try await restore(scene, profile, toRecipients: toRecipients) }
        }
    }

    @Test func whatIsMissingOnTheCommandLineIsSaid() async throws {
        for arguments in ["", "object", "object manifest key more"] {
            let done = try await run("$HERE/enc1.sh \(arguments)", in: "/tmp")
            #expect(done.status == .exited(2) && done.text.contains("usage: enc1.sh OBJECT MANIFEST KEY"), "\(done)")
        }
    }

    @Test func aKeyFileWithACarriageReturnIsReadAsItWasWritten() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try scene.scratch.write("key", "0123456789 a passphrase\r\nand more\r\n", mode: 0o600)
        for profile in [EnvelopeProfile.enc1, .gcm1] {
            var settings = scene.settings
            settings.envelope = EnvelopeSettings(profile, level: 1, iterations: 10_000)
            settings.key = .keyFile(try KeyFile(path: scene.scratch.file("key")))
            let record = try await scene.backUp(try scene.source(), settings).record
            let object = "\(scene.store)/\(try #require(record.copies.first).key)"
            let open =
                profile == .enc1
                ? "$HERE/enc1.sh '\(object)' '\(object).manifest.json' key" : "$HERE/gcm1.py '\(object)' key | zstd -dc"
            let done = try await run("\(open) >dump; pg_restore --list dump", in: scene.scratch.path)
            #expect(done.status == .exited(0), "\(profile): \(done.text)")
        }
    }

    private func restore(_ scene: BackupScene, _ profile: EnvelopeProfile, toRecipients: Bool) async throws {
        var settings = scene.settings
        settings.envelope = EnvelopeSettings(profile, level: 1, iterations: 10_000)
        if toRecipients {
            for name in ["ops", "glass"] {
                let made = try await run(
                    "openssl req -x509 -newkey rsa:3072 -nodes -keyout \(name).key -out \(name).pem -subj /CN=\(name) -days 2 2>/dev/null",
                    in: scene.scratch.path)
                #expect(made.status == .exited(0))
            }
            settings.key = .recipients([
                try readCertificate(scene.scratch.file("ops.pem")), try readCertificate(scene.scratch.file("glass.pem")),
            ])
        }
        let record = try await scene.backUp(try scene.source(), settings).record
        let object = "\(scene.store)/\(try #require(record.copies.first).key)"
        let file = toRecipients ? "data.key" : "key"
        let open =
            profile == .enc1
            ? "$HERE/enc1.sh '\(object)' '\(object).manifest.json' \(file)" : "$HERE/gcm1.py '\(object)' \(file) | zstd -dc"
        let key =
            toRecipients
            ? """
            sed 's/.*"wrappedKey":"\\([^"]*\\)".*/\\1/; s/\\\\n/\\n/g; s/\\\\//g' '\(object).manifest.json' >wrapped.pem
            openssl cms -decrypt -inform PEM -in wrapped.pem -recip glass.pem -inkey glass.key -out \(file)
            """ : ":"
        let script = """
            \(key)
            \(open) >dump
            export PGHOST=127.0.0.1 PGPORT=\(scene.server.port) PGUSER=restorer
            dropdb --if-exists byhand
            createdb byhand
            pg_restore --exit-on-error --dbname=byhand dump
            """
        let done = try await run(script, in: scene.scratch.path)
        #expect(done.status == .exited(0), "\(done.text)")
        #expect(try await scene.content("byhand") == scene.content("shop"))
        // What was changed is refused, and of enc1 not a byte is given.
        try await refuses(scene, object, profile, open)
        let wrong = "echo 9876543210 another passphrase >other; \(open.replacing(" \(file)", with: " other")) >out"
        #expect(try await run(wrong, in: scene.scratch.path).status != .exited(0))
    }

    private func refuses(_ scene: BackupScene, _ object: String, _ profile: EnvelopeProfile, _ open: String) async throws {
        let good = Array(try Data(contentsOf: URL(filePath: object)))
        let chunk = (1 << 20) + 16
        var flipped = good
        for place in 0..<4 { flipped[good.count / 2 + place] ^= 0xFF }
        var damages = [("flipped", flipped), ("cut", Array(good.dropLast(5))), ("longer", good + [0])]
        if profile == .gcm1, good.count > 48 + 2 * chunk {
            damages.append(("cut between chunks", Array(good.prefix(48 + chunk))))
            let first = good[48..<(48 + chunk)]
            let second = good[(48 + chunk)..<(48 + 2 * chunk)]
            damages.append(("swapped chunks", Array(good.prefix(48) + second + first) + good.dropFirst(48 + 2 * chunk)))
        }
        for (name, bytes) in damages {
            chmod(object, 0o600)
            try Data(bytes).write(to: URL(filePath: object))
            let done = try await run("\(open) >out", in: scene.scratch.path)
            #expect(done.status != .exited(0), "\(profile) \(name)")
            if profile == .enc1 { #expect(FileManager.default.contents(atPath: scene.scratch.file("out"))?.isEmpty == true) }
        }
        try Data(good).write(to: URL(filePath: object))
    }
}
