public import SerinCompression
public import SerinCrypto

/// A file that `openssl enc -aes-256-cbc -salt` wrote without any MAC. Whether it was changed cannot be told, so whoever reads one
/// has to say so to people; it is never written.
public struct ForeignObject {
    /// Its path.
    public var path: String
    /// How its key was derived.
    public var derivation: SaltedCBC.Derivation
    /// How it was compressed before; nil is not at all.
    public var compression: CompressionFormat?

    /// A file with how it was made.
    public init(_ path: String, _ derivation: SaltedCBC.Derivation, compression: CompressionFormat?) {
        self.path = path
        self.derivation = derivation
        self.compression = compression
    }

    /// Gives the plain bytes, at most `limit`. A wrong key is found only by the padding, and by the compression where there is
    /// one: bytes may have been given by then.
    public func read(key: KeyFile, limit: Int, to sink: ByteSink) throws(EnvelopeFailure) {
        let opening = try EnvelopeOpening(
            SaltedOpening(key.passphrase, derivation, salt: nil), compression, .atMost(limit))
        try InputFile(path).read { (bytes) throws(EnvelopeFailure) in try opening.write(bytes, to: sink) }
        try opening.finish(to: sink)
    }
}
