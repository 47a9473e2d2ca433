internal import Glibc
internal import SerinAPI
internal import SerinAccess
internal import SerinCrypto
internal import SerinModel
internal import SerinRecords
internal import SerinSQLite

/// The key by which a state folder signs what it states: Ed25519, made at the first use, in a file for its owner alone.
struct SigningKey: Sendable {
    private let seed: Secret
    /// The public key, 64 hexadecimal digits.
    let publicKey: String

    /// Reads the key of a state folder, and makes it when there is none.
    init(of state: StateRoot) throws(Failure) {
        let path = state.path + "/signing.key"
        if try contents(ofFile: path, limit: 100) == nil { try Self.make(path) }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & 0o077 == 0 else {
            throw Failure(.denied, "cannot use \(path): others than its owner may read it", hint: "chmod 600 \(path)")
        }
        var text = try contents(ofFile: path, limit: 100) ?? []
        defer { _ = Secret(wiping: &text) }
        guard var bytes = Hexadecimal.bytes(of: String(decoding: text.prefix(64), as: UTF8.self)), bytes.count == 32 else {
            throw Failure(.invalid, "cannot use \(path): its first line is not 64 hexadecimal digits")
        }
        seed = Secret(wiping: &bytes)
        do throws(CryptoError) { publicKey = Hexadecimal.text(of: try Ed25519.publicKey(ofSeed: seed)) } catch {
            throw Failure(.invalid, "cannot use \(path): \(error)")
        }
    }

    /// The public key of a state folder, 32 bytes. One that has none yet is not given one.
    static func publicKey(of state: StateRoot) throws(Failure) -> [UInt8] {
        let path = state.path + "/signing.key"
        guard try contents(ofFile: path, limit: 100) != nil, let key = Hexadecimal.bytes(of: try SigningKey(of: state).publicKey)
        else { throw Failure(.invalid, "there is no \(path)", hint: "name the public key by --key") }
        return key
    }

    private static func make(_ path: String) throws(Failure) {
        var text: [UInt8]
        do throws(CryptoError) { text = Array(Hexadecimal.text(of: try randomBytes(32)).utf8) + [0x0A] } catch {
            throw Failure(.transient, "cannot make \(path): \(error)")
        }
        defer { _ = Secret(wiping: &text) }
        // Whole or not at all, and never over another one's.
        let partial = "\(path).\(getpid())"
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Failure(.denied, "cannot make \(path): \(String(cString: strerror(errno)))") }
        defer {
            close(descriptor)
            unlink(partial)
        }
        guard giveToOwner(descriptor, of: String(path.dropLast("/signing.key".count))),
            write(descriptor, text, text.count) == text.count, fsync(descriptor) == 0,
            link(partial, path) == 0 || errno == EEXIST
        else { throw Failure(.transient, "cannot make \(path): \(String(cString: strerror(errno)))") }
    }

    /// The signature over bytes, 128 hexadecimal digits.
    func signature(over bytes: [UInt8]) throws(Failure) -> String {
        do throws(CryptoError) { return Hexadecimal.text(of: try Ed25519.signature(of: bytes, seed: seed)) } catch {
            throw Failure(.transient, "cannot sign: \(error)")
        }
    }

    /// Signs with the key of a state folder, which is made at the first use.
    static func signer(of state: StateRoot) -> CheckpointAPI.Signer {
        { text throws(Failure) in
            let key = try SigningKey(of: state)
            guard let number = Hexadecimal.bytes(of: key.publicKey),
                let value = Hexadecimal.bytes(of: try key.signature(over: text))
            else { throw Failure(.unknown, "a signature is no hexadecimal") }
            return (number, value)
        }
    }

    /// The signature over a statement.
    func signature(over statement: ConfigurationStatement) throws(Failure) -> ConfigurationSignature {
        ConfigurationSignature(key: publicKey, value: try signature(over: try Self.bytes(of: statement)))
    }

    /// Whether a signature is over this statement, by the key that it names.
    static func isValid(_ signature: ConfigurationSignature, of statement: ConfigurationStatement) -> Bool {
        guard let key = Hexadecimal.bytes(of: signature.key), let value = Hexadecimal.bytes(of: signature.value),
            let bytes = try? bytes(of: statement)
        else { return false }
        // A signature that cannot be checked is none.
        return (try? Ed25519.isValid(value, of: bytes, publicKey: key)) ?? false
    }

    private static func bytes(of statement: ConfigurationStatement) throws(Failure) -> [UInt8] {
        do throws(RecordError) { return try CanonicalEncoder.bytes(of: statement) } catch {
            throw Failure(.invalid, "cannot write the statement: \(error)")
        }
    }
}
