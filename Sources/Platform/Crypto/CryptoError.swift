/// The cryptographic library refused a computation that cannot fail by its inputs: out of memory, or a broken installation.
public struct CryptoError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was to be computed.
    public var operation: String

    /// The words.
    public var description: String { "OpenSSL could not compute \(operation)" }
}
