import FoundationEssentials
import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import Testbed
import Testing

/// What counts as verified on a machine that cannot open what it makes.
@Suite(.serialized) struct ProofTests {
    @Test func whatNoKeyHereOpensStaysAvailableUntilAKeyHasReadItOrThePlanTakesTheStoredBytes() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let owner = try await TestCertificate(in: scene.scratch, name: "owner")
        var settings = scene.settings
        settings.key = .recipients([try readCertificate(owner.certificate)])
        let source = try scene.source()
        func verify(_ id: BackupID, _ proof: VerifyPolicy.Proof, _ identities: [EnvelopeIdentity]) async throws -> BackupState? {
            let verifier = BackupVerifier(
                settings, policy: VerifyPolicy(proof: proof), identities: identities, catalogue: scene.catalogue,
                now: BackupScene.now)
            let outcome = try await verifier.verify(id, source: source, by: BackupScene.principal)
            #expect(outcome.result.passed)
            #expect(identities.isEmpty == outcome.warnings.contains { $0.contains("no key at hand opens it") })
            return try await scene.record(id)?.state
        }
        let first = try await scene.backUp(source, settings).record.id
        #expect(try await verify(first, .contents, []) == .available)
        #expect(try await scene.record(first)?.verification?.shortfall?.contains("no key at hand") == true)
        let identity = try EnvelopeIdentity.recipient(certificate: owner.certificate, privateKey: owner.key)
        #expect(try await verify(first, .contents, [identity]) == .verified)
        #expect(try await verify(first, .contents, []) == .verified, "what a key has read stays verified")
        let second = try await scene.backUp(source, settings).record.id
        #expect(try await verify(second, .storedBytes, []) == .verified)
    }

    @Test func aNewKeyCondemnsNothingAndAFormerOneStillProvesWhatItMade() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = try scene.source()
        let id = try await scene.backUp(source).record.id
        let other = try KeyFile(path: try scene.scratch.write("other", "a new passphrase of the team\n", mode: 0o600))
        var settings = scene.settings
        settings.manifestKey = other.passphrase
        func verify(_ identities: [EnvelopeIdentity]) async throws -> BackupVerifier.Outcome {
            try await BackupVerifier(settings, identities: identities, catalogue: scene.catalogue, now: BackupScene.now)
                .verify(id, source: source, by: BackupScene.principal)
        }
        let unopened = try await verify([.keyFile(other)])
        #expect(unopened.result.passed && !unopened.result.isProof, "\(unopened.result.checks)")
        #expect(unopened.warnings.contains { $0.contains("sealed with the key") }, "\(unopened.warnings)")
        #expect(try await scene.record(id)?.state == .available)
        let opened = try await verify([.keyFile(scene.keyFile)])
        #expect(opened.result.passed && opened.result.shortfall?.contains("sealed with the key") == true)
        settings.formerManifestKeys = [scene.settings.manifestKey]
        #expect(try await verify([.keyFile(other), .keyFile(scene.keyFile)]).result.isProof)
        #expect(try await scene.record(id)?.state == .verified)
    }

    @Test func aBackupThatWasFoundBadIsReadAgainWhenItIsNamed() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let path = "\(scene.store)/\(try #require(record.copies.first).key)"
        let bytes = try Data(contentsOf: URL(filePath: path))
        func rewrite(_ bytes: Data) throws {
            unlink(path)
            try bytes.write(to: URL(filePath: path))
        }
        try rewrite(Data(bytes.dropLast(9)))
        #expect(try await !scene.verifier.verify(record.id, source: source, by: BackupScene.principal).result.passed)
        #expect(try await scene.record(record.id)?.state == .quarantined)
        try rewrite(bytes)
        #expect(try await scene.verifier.verify(record.id, source: source, by: BackupScene.principal).result.isProof)
        #expect(try await scene.record(record.id)?.state == .verified)
    }

    @Test func aKeyThatIsNotTheCertificatesCondemnsNoBackup() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let owner = try await TestCertificate(in: scene.scratch, name: "owner")
        let other = try await TestCertificate(in: scene.scratch, name: "other")
        var settings = scene.settings
        settings.key = .recipients([try readCertificate(owner.certificate)])
        let source = try scene.source()
        let id = try await scene.backUp(source, settings).record.id
        let mixed = try EnvelopeIdentity.recipient(certificate: owner.certificate, privateKey: other.key)
        let verifier = BackupVerifier(settings, identities: [mixed], catalogue: scene.catalogue, now: BackupScene.now)
        let failure = await #expect(throws: Failure.self) {
            _ = try await verifier.verify(id, source: source, by: BackupScene.principal)
        }
        #expect(failure?.message.contains("does not open") == true)
        #expect(try await scene.record(id)?.state == .available)
    }
}
