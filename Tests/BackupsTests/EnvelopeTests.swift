import Glibc
import SerinBackups
import SerinCatalogue
import SerinCompression
import SerinCrypto
import SerinModel
import Testbed
import Testing

/// Objects as they are written and read, and as stock tools see them.
@Suite struct EnvelopeTests {
    @Test(arguments: EnvelopeProfile.allCases, EnvelopeCompression.allCases)
    func whatWasWrittenReadsBack(_ profile: EnvelopeProfile, _ compression: EnvelopeCompression) throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        for count in [0, 1, 15, 16, 17, 1 << 20, (1 << 20) + 1, 3_000_000] {
            let plain = EnvelopeFixture.sample(count)
            let facts = try fixture.write(plain, to: "object\(count)", profile, compression)
            let stored = try fixture.bytes("object\(count)")
            #expect(facts.plainBytes == count)
            #expect(facts.plainSHA256 == Hexadecimal.text(of: try SHA256.digest(plain)))
            #expect(facts.storedBytes == stored.count)
            #expect(facts.storedSHA256 == Hexadecimal.text(of: try SHA256.digest(stored)))
            let result = fixture.read("object\(count)", facts)
            #expect(result.failure == nil)
            #expect(EnvelopeFixture.same(result.bytes, plain))
        }
    }

    @Test func stockOpensslAndZstdReadTheDefaultProfile() async throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        let plain = EnvelopeFixture.sample(2_000_000)
        let facts = try fixture.write(plain, to: "object", .enc1)
        let decrypt = "openssl enc -d -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -pass file:key -in object"
        #expect(try await fixture.run("\(decrypt) | zstd -dc") == plain)
        // The MAC by hand, from the key file and the record alone.
        let salt = try #require(facts.salt)
        let script = """
            p=$(head -n1 key | tr -d '\\n' | od -An -tx1 -v | tr -d ' \\n')
            root=$(openssl kdf -binary -keylen 32 -kdfopt digest:SHA256 -kdfopt hexpass:$p -kdfopt iter:10000 \
              -kdfopt hexsalt:$(printf serin-mac | od -An -tx1 | tr -d ' \\n')\(salt) PBKDF2 | od -An -tx1 -v | tr -d ' \\n')
            mac=$(openssl kdf -binary -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:$root -kdfopt hexsalt:\(salt) \
              -kdfopt info:serin-mac HKDF | od -An -tx1 -v | tr -d ' \\n')
            openssl dgst -sha256 -mac HMAC -macopt hexkey:$mac -r object | cut -d' ' -f1
            """
        #expect(String(decoding: try await fixture.run(script), as: UTF8.self) == "\(facts.mac ?? "")\n")
        #expect(try await fixture.run("sha256sum key | cut -c1-16") == Array("\(fixture.keyFile.id)\n".utf8))
    }

    @Test(arguments: [("rsa:3072", ""), ("ec", "-pkeyopt ec_paramgen_curve:P-256")])
    func eachRecipientOpensTheObjectHereAndWithStockOpenssl(_ kind: String, _ options: String) async throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        for name in ["ops", "glass", "other"] {
            _ = try await fixture.run(
                "openssl req -x509 -newkey \(kind) \(options) -nodes -keyout \(name).key -out \(name).pem -subj /CN=\(name) -days 2"
            )
        }
        let recipients = [
            try readCertificate(fixture.scratch.file("ops.pem")), try readCertificate(fixture.scratch.file("glass.pem")),
        ]
        let plain = EnvelopeFixture.sample(300_000)
        for profile in [EnvelopeProfile.enc1, .gcm1] {
            let facts = try fixture.write(plain, to: "\(profile)", profile, key: .recipients(recipients))
            #expect(facts.keyIDs == (try recipients.map { try $0.keyID() }))
            for name in ["ops", "glass"] {
                let result = fixture.read("\(profile)", facts, identities: [try identity(fixture, name)])
                #expect(result.failure == nil)
                #expect(EnvelopeFixture.same(result.bytes, plain))
            }
            let refused = fixture.read(
                "\(profile)", facts, identities: [try identity(fixture, "other"), .keyFile(fixture.keyFile)])
            #expect(refused.failure?.reason == .wrongKey)
            #expect(refused.bytes.isEmpty)
            guard profile == .enc1 else { continue }
            try fixture.replace("wrapped.pem", Array((facts.wrappedKey ?? "").utf8))
            for name in ["ops", "glass"] {
                let script = """
                    openssl cms -decrypt -inform PEM -in wrapped.pem -recip \(name).pem -inkey \(name).key -out data.\(name)
                    openssl enc -d -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -pass file:data.\(name) -in enc1 | zstd -dc
                    """
                #expect(try await fixture.run(script) == plain)
            }
            let fingerprint =
                "openssl x509 -in ops.pem -noout -fingerprint -sha256 | cut -d= -f2 | tr -d : | cut -c1-16 | tr A-F a-f"
            #expect(try await fixture.run(fingerprint) == Array("\(facts.keyIDs[0])\n".utf8))
        }
    }

    private func identity(_ fixture: EnvelopeFixture, _ name: String) throws -> EnvelopeIdentity {
        try .recipient(certificate: fixture.scratch.file("\(name).pem"), privateKey: fixture.scratch.file("\(name).key"))
    }

    @Test func whatStockOpensslWroteIsRead() async throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        let plain = EnvelopeFixture.sample(400_000)
        try fixture.replace("plain", plain)
        let cases: [(String, SaltedCBC.Derivation)] = [
            ("-pbkdf2 -iter 20000 -md sha256", .pbkdf2(iterations: 20_000)), ("-pbkdf2", .pbkdf2(iterations: 10_000)),
            ("", .legacy(.sha256)), ("-md md5", .legacy(.md5)),
        ]
        for (options, derivation) in cases {
            _ = try await fixture.run(
                "gzip -c plain | openssl enc -aes-256-cbc -salt \(options) -pass file:key -out foreign 2>/dev/null")
            var bytes: [UInt8] = []
            try ForeignObject(fixture.scratch.file("foreign"), derivation, compression: .gzip)
                .read(key: fixture.keyFile, limit: plain.count) { bytes += $0 }
            #expect(bytes == plain)
            #expect(throws: EnvelopeFailure.self) {
                try ForeignObject(fixture.scratch.file("foreign"), derivation, compression: .gzip)
                    .read(key: fixture.keyFile, limit: plain.count - 1) { _ in }
            }
        }
    }

    @Test func anotherKeyFileOpensNothing() throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        var content = Array("a different passphrase".utf8)
        let other = try KeyFile(content: Secret(wiping: &content), name: "other")
        for profile in [EnvelopeProfile.enc1, .gcm1] {
            let facts = try fixture.write([1, 2, 3], to: "\(profile)", profile)
            #expect(fixture.read("\(profile)", facts, identities: [.keyFile(other)]).failure?.reason == .wrongKey)
            #expect(fixture.read("\(profile)", facts, identities: []).failure?.reason == .wrongKey)
            // A key that claims the name on record.
            var renamed = facts
            renamed.keyIDs = [other.id]
            let result = fixture.read("\(profile)", renamed, identities: [.keyFile(other)])
            #expect(result.failure?.reason == .damaged)
            #expect(result.bytes.isEmpty)
        }
    }

    @Test func twoObjectsOfOneKeyShareNothing() throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        for profile in [EnvelopeProfile.enc1, .gcm1] {
            let first = try fixture.write([1, 2, 3], to: "\(profile)1", profile)
            let second = try fixture.write([1, 2, 3], to: "\(profile)2", profile)
            #expect(first.salt != second.salt)
            #expect(first.storedSHA256 != second.storedSHA256)
            // One object under the record of the other.
            #expect(fixture.read("\(profile)2", first).bytes.isEmpty)
            #expect(fixture.read("\(profile)2", first).failure?.reason == .damaged)
        }
    }

    @Test func profileAndKeyMustFit() throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        for (profile, key) in [
            (EnvelopeProfile.none, EnvelopeKey.keyFile(fixture.keyFile)), (.enc1, .unencrypted), (.gcm1, .unencrypted),
            (.enc1, .recipients([])),
        ] {
            let failure = #expect(throws: EnvelopeFailure.self) { try fixture.write([1], to: "x", profile, key: key) }
            #expect(failure?.reason == .unusable)
        }
        let few = EnvelopeSettings(.enc1, iterations: 1000)
        #expect(throws: EnvelopeFailure.self) { try EnvelopeSealing(few, key: .keyFile(fixture.keyFile)) }
    }

    @Test func aKeyFileMustBePrivateAndLongEnough() throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        let text = "long enough for a passphrase\n"
        for (content, mode) in [
            (text, 0o644), (text, 0o620), ("short\n", 0o600), ("", 0o600), ("a\0b long enough to be\n", 0o600),
        ] {
            let path = try fixture.scratch.write("k\(mode)\(content.utf8.count)", content, mode: UInt32(mode))
            chmod(path, mode_t(mode))
            let failure = #expect(throws: EnvelopeFailure.self) { try KeyFile(path: path) }
            #expect(failure?.reason == .unusable)
            #expect(failure?.description.contains("long enough for") == false)
        }
        #expect(throws: EnvelopeFailure.self) { try KeyFile(path: fixture.scratch.file("none")) }
        // A pipe that nobody writes to is not waited for.
        #expect(mkfifo(fixture.scratch.file("pipe"), 0o600) == 0)
        let pipe = #expect(throws: EnvelopeFailure.self) { try KeyFile(path: fixture.scratch.file("pipe")) }
        #expect(pipe?.description.contains("no regular file") == true, "\(String(describing: pipe))")
        #expect(!"\(fixture.keyFile)".contains("passphrase of a team"))
    }
}
