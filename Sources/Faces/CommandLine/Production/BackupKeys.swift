internal import Glibc
internal import SerinBackups
internal import SerinCrypto
internal import SerinModel
internal import SerinPolicies

/// The keys of a plan: what encrypts, what opens, and what authenticates manifests.
struct BackupKeys {
    let key: EnvelopeKey
    let identities: [EnvelopeIdentity]
    /// Of the passphrase where there is one, so that a new machine needs nothing else to believe what is stored; otherwise random, in
    /// a file beside the catalogue, of which a copy belongs to the keys of the recipients.
    let manifest: Secret
    /// The keys of manifests that were used before.
    let formerManifests: [Secret]

    init(_ plan: BackupPlan, _ options: BackupWorkOptions, _ secrets: Secrets, manifestKeyFile: String) throws(Failure) {
        do throws(EnvelopeFailure) {
            var formerManifests: [Secret] = []
            var identities = try options.identities.map { (pair) throws(EnvelopeFailure) in
                try EnvelopeIdentity.recipient(certificate: pair.certificate, privateKey: pair.key)
            }
            switch plan.encryption.key {
            case .passphrase(let reference):
                let file: KeyFile
                if case .file(let path) = reference {
                    file = try KeyFile(path: path)
                } else {
                    var bytes = Array((try Self.text(reference, secrets)).utf8)
                    file = try KeyFile(content: Secret(wiping: &bytes), name: "of the plan")
                }
                key = .keyFile(file)
                identities.append(.keyFile(file))
                manifest = try Self.derived(from: file.passphrase)
                // What was made before the plan had a passphrase.
                if access(manifestKeyFile, F_OK) == 0 { formerManifests.append(try KeyFile(path: manifestKeyFile).passphrase) }
            case .recipients(let paths):
                key = .recipients(try paths.map { (path) throws(EnvelopeFailure) in try readCertificate(path) })
                manifest = try Self.kept(manifestKeyFile, makes: options.makesKey)
            case .none:
                key = .unencrypted
                manifest = try Self.kept(manifestKeyFile, makes: options.makesKey)
            }
            for path in plan.encryption.formerKeyFiles {
                let file = try KeyFile(path: path)
                identities.append(.keyFile(file))
                formerManifests.append(try Self.derived(from: file.passphrase))
            }
            self.identities = identities
            self.formerManifests = formerManifests
        } catch { throw error.failure }
    }

    private static func text(_ reference: SecretReference, _ secrets: Secrets) throws(EnvelopeFailure) -> String {
        do throws(Failure) { return try secrets.read(reference) } catch {
            throw EnvelopeFailure(.unusable, error.kind, error.message, hint: error.hint)
        }
    }

    /// As slow to try passphrases on as the encryption itself.
    private static func derived(from passphrase: Secret) throws(EnvelopeFailure) -> Secret {
        do throws(CryptoError) {
            return try KeyDerivation.pbkdf2(passphrase, salt: Array("serin-manifest".utf8), iterations: 600_000, count: 32)
        } catch { throw EnvelopeFailure(.library, .transient, "the key of the manifests cannot be derived: \(error)") }
    }

    /// The first line of a file that is made when it is missing.
    private static func kept(_ path: String, makes: Bool) throws(EnvelopeFailure) -> Secret {
        guard makes || access(path, F_OK) == 0 else {
            throw EnvelopeFailure(
                .file, .denied, "there is no key of the manifests in \(path), and a new one would believe none of them",
                hint: "put the file manifest.key of the machine that made the backups there, mode 600")
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor >= 0 {
            defer { close(descriptor) }
            let bytes: [UInt8]
            do throws(CryptoError) { bytes = Array(Hexadecimal.text(of: try randomBytes(32)).utf8) + [0x0A] } catch {
                throw EnvelopeFailure(.library, .transient, "the key of the manifests cannot be made: \(error)")
            }
            guard write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
                unlink(path)
                throw EnvelopeFailure(.file, .denied, "cannot write the key of the manifests to \(path)")
            }
        } else if errno != EEXIST {
            throw EnvelopeFailure(
                .file, .denied, "cannot make the key of the manifests in \(path): \(String(cString: strerror(errno)))")
        }
        return try KeyFile(path: path).passphrase
    }
}
