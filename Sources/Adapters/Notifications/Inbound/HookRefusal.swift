internal import SerinModel
internal import SerinTransport

/// Why a request on a hook is not believed. Every reason that has to do with who sent it is answered alike, so that a stranger
/// learns nothing from the answer.
public struct HookRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of refusal it is.
    public enum Reason: String, Sendable, Hashable, CaseIterable {
        /// Not a `POST`.
        case method
        /// A longer body than the channel ever sends.
        case tooLarge
        /// The body is compressed or otherwise encoded.
        case encoding
        /// What authenticates it is missing or has another form.
        case malformed
        /// It was signed too long ago, or in the future.
        case stale
        /// The signature or token is not the right one.
        case signature
    }

    /// The kind.
    public var reason: Reason
    /// What is wrong, for the log: never a header's value, never a part of the body.
    public var detail: String

    init(_ reason: Reason, _ detail: String) {
        self.reason = reason
        self.detail = detail
    }

    /// The kind and the detail.
    public var description: String { "\(reason.rawValue): \(detail)" }

    /// What the sender is told. Never 5xx: the same request will never be accepted.
    public var answer: HookAnswer {
        switch reason {
        case .method: HookAnswer(status: 405, headers: [HTTPHeader("Allow", "POST")])
        case .tooLarge: HookAnswer(status: 413)
        case .encoding: HookAnswer(status: 415)
        case .malformed, .stale, .signature: .json(.object(["title": .string("not authenticated")]), status: 401)
        }
    }
}
