internal import SerinCrypto
public import SerinModel
public import SerinRecords

/// A signed checkpoint of a service's journal: a note of the form of C2SP `tlog-checkpoint`.
///
///     serin.dev/journal/checkout
///     4711
///     <root of the Merkle tree, base64>
///
///     — serin.dev/journal/checkout <4 bytes that name the key, then the signature by Ed25519, base64>
public struct CheckpointNote: Sendable, Hashable, CustomStringConvertible {
    /// Whose journal it is of.
    public var service: ServiceName
    /// The journal's size and root.
    public var head: TreeHead
    /// Its lines with a signature, as they stand there.
    private var signatures: [String] = []

    private static let prefix = "serin.dev/journal/"
    /// The longest note that is read, in bytes.
    public static let byteLimit = 64 << 10

    /// What is signed.
    private var text: String { "\(origin)\n\(head.size)\n\(Base64.text(of: head.root))\n" }
    private var origin: String { Self.prefix + service.description }

    /// A note, signed.
    ///
    /// - Parameters:
    ///   - key: The public key, 32 bytes.
    ///   - sign: Signs bytes by Ed25519.
    init(
        of service: ServiceName, _ head: TreeHead, key: [UInt8], sign: ([UInt8]) throws(Failure) -> [UInt8]
    ) throws(Failure) {
        self.service = service
        self.head = head
        let signature = try sign(Array(text.utf8))
        signatures = ["— \(origin) \(Base64.text(of: Self.number(of: key, origin) + signature))"]
    }

    /// The whole note.
    public var description: String { text + "\n" + signatures.map { $0 + "\n" }.joined() }

    /// Reads a note; nil when it is none of a journal.
    public init?(_ note: String) {
        let parts = note.textLines(keepingEmpty: true)
        guard note.utf8.count <= Self.byteLimit, parts.count >= 5, parts[0].hasPrefix(Self.prefix), parts[3].isEmpty,
            let service = ServiceName(String(parts[0].dropFirst(Self.prefix.count))), let size = Int64(parts[1]), size >= 0,
            String(size) == parts[1], let root = Base64.bytes(of: parts[2]), root.count == 32
        else { return nil }
        self.service = service
        head = TreeHead(size: size, root: root)
        signatures = parts[4...].filter { !$0.isEmpty }.map(String.init)
    }

    /// Whether one of its signatures is by a key, of 32 bytes. Signatures by others, such as witnesses, do not matter.
    public func isSigned(by key: [UInt8]) -> Bool {
        signatures.contains { line in
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            guard words.count == 3, words[0] == "—", words[1] == origin, let bytes = Base64.bytes(of: words[2]),
                bytes.count == 4 + Ed25519.signatureByteCount, Array(bytes.prefix(4)) == Self.number(of: key, origin)
            else { return false }
            // A signature that cannot be checked is none.
            return (try? Ed25519.isValid(Array(bytes.dropFirst(4)), of: Array(text.utf8), publicKey: key)) ?? false
        }
    }

    /// The four bytes by which a note names a key.
    private static func number(of key: [UInt8], _ name: String) -> [UInt8] {
        Array(SHA256.digestOrEmpty(Array(name.utf8) + [0x0A, 1] + key).prefix(4))
    }
}
