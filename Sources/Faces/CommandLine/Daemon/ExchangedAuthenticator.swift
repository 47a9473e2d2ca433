internal import SerinAPI
internal import SerinLocks

/// An authenticator in whose place another can be put while requests come.
final class ExchangedAuthenticator: Authenticator {
    private let present: Locked<any Authenticator>

    init(_ first: any Authenticator) { present = Locked(first) }

    /// Lets another one decide from now on.
    func exchange(for next: any Authenticator) { present.withLock { $0 = next } }

    func identify(_ request: Request) async throws(Problem) -> Identity? {
        try await present.withLock { $0 }.identify(request)
    }
}
