/// Why a cryptographic computation gave no result. Says nothing about keys or plain text.
public struct CryptoError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of refusal it was.
    public enum Reason: Sendable, Hashable {
        /// The library refused what cannot fail by its inputs: out of memory, or a broken installation.
        case library
        /// The bytes are not what was written, or the key is another one; the two cannot be told apart.
        case notAuthentic
        /// The bytes end too early.
        case truncated
        /// The bytes are not of the format at all.
        case malformed
        /// A key or certificate cannot be used, with what is wrong.
        case unusableKey(String)
    }

    /// What was to be computed.
    public var operation: String
    /// Why it was not.
    public var reason: Reason

    init(operation: String, _ reason: Reason = .library) {
        self.operation = operation
        self.reason = reason
    }

    /// The words.
    public var description: String {
        switch reason {
        case .library: "OpenSSL could not compute \(operation)"
        case .notAuthentic: "\(operation): the bytes were changed, or the key is another one"
        case .truncated: "\(operation): the bytes end too early"
        case .malformed: "\(operation): the bytes are not of this format"
        case .unusableKey(let why): "\(operation): \(why)"
        }
    }
}
