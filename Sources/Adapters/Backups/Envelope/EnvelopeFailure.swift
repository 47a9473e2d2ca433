internal import Glibc
internal import SerinCompression
internal import SerinCrypto
public import SerinModel

/// Why an object could not be written or read: a reason to decide by, and the words for people.
public struct EnvelopeFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// What to decide by.
    public enum Reason: String, Sendable, Hashable {
        /// The disk, the quota or the limit on file sizes is full.
        case noSpace
        /// The system refused a file for another cause.
        case file
        /// An object of this name exists; nothing was changed.
        case exists
        /// The bytes, or the facts about them, are not what was written.
        case damaged
        /// None of the given keys opens the object.
        case wrongKey
        /// A key, certificate or setting cannot be used at all.
        case unusable
        /// Who gave or took the plain bytes failed.
        case stream
        /// A library refused what it should be able to do.
        case library
    }

    /// What to decide by.
    public var reason: Reason
    /// The words and the class.
    public var failure: Failure

    /// A failure with its reason.
    public init(_ reason: Reason, _ kind: FailureClass, _ message: String, hint: String? = nil) {
        self.reason = reason
        failure = Failure(kind, message, hint: hint)
    }

    /// The words.
    public var description: String { failure.description }

    init(stream failure: Failure) {
        reason = .stream
        self.failure = failure
    }

    /// What the system said about a file.
    init(_ doing: String, _ path: String, errno code: Int32) {
        let reason: Reason = [ENOSPC, EDQUOT, EFBIG].contains(code) ? .noSpace : code == EEXIST ? .exists : .file
        let kind: FailureClass =
            [EACCES, EPERM, EROFS].contains(code)
            ? .denied : reason == .exists ? .conflict : code == ENOENT ? .invalid : .transient
        self.init(
            reason, kind, "cannot \(doing) \(path): \(String(cString: strerror(code)))",
            hint: reason == .noSpace ? "make room, or choose another destination" : nil)
    }

    init(_ error: CryptoError) {
        switch error.reason {
        case .library: self.init(.library, .transient, "\(error)")
        case .notAuthentic, .truncated, .malformed: self.init(.damaged, .invalid, "\(error)")
        case .unusableKey: self.init(.unusable, .invalid, "\(error)")
        }
    }

    init(_ error: CompressionError) {
        switch error {
        case .truncated, .corrupt, .tooLarge, .needsTooMuchMemory: self.init(.damaged, .invalid, "\(error)")
        case .library: self.init(.library, .transient, "\(error)")
        case .sink(let failure): self.init(stream: failure)
        }
    }
}

/// Runs a computation and gives its error as a failure of the envelope.
func crypto<Value>(_ body: () throws(CryptoError) -> Value) throws(EnvelopeFailure) -> Value {
    do throws(CryptoError) { return try body() } catch { throw EnvelopeFailure(error) }
}
