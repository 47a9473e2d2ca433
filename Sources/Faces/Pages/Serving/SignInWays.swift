public import SerinAPI

/// What a browser brings back from an issuer at which somebody signed in.
public struct SignInReturn: Sendable, Hashable {
    /// What the browser was given when it was led there; empty when it shows none.
    public var binding: String
    /// `state` of the answer.
    public var state: String
    /// `code` of the answer.
    public var code: String?
    /// `iss` of the answer (RFC 9207).
    public var issuer: String?
    /// `error` of the answer.
    public var error: String?

    /// What came back.
    public init(binding: String, state: String, code: String?, issuer: String?, error: String?) {
        self.binding = binding
        self.state = state
        self.code = code
        self.issuer = issuer
        self.error = error
    }
}

/// The issuers of identity tokens at which people can sign in.
public struct SignInWays: Sendable {
    /// Their names.
    public var names: @Sendable () -> [String]
    /// Says where the browser is led, and what it must show when it comes back, by the issuer's name, the address to come back to and
    /// where to go on.
    public var begin:
        @Sendable (_ name: String, _ redirect: String, _ target: String) async throws(Problem) -> (
            address: String, binding: String
        )
    /// Gives the token of who came back, and where to go on.
    public var finish: @Sendable (_ name: String, _ back: SignInReturn) async throws(Problem) -> (token: String, target: String)

    /// Ways to sign in.
    public init(
        names: @escaping @Sendable () -> [String],
        begin: @escaping @Sendable (String, String, String) async throws(Problem) -> (address: String, binding: String),
        finish: @escaping @Sendable (String, SignInReturn) async throws(Problem) -> (token: String, target: String)
    ) {
        self.names = names
        self.begin = begin
        self.finish = finish
    }

    /// None: people sign in with tokens alone.
    public static let none = SignInWays(
        names: { [] },
        begin: { name, _, _ throws(Problem) in throw Problem(.notFound, "nobody signs in at '\(name)'") },
        finish: { name, _ throws(Problem) in throw Problem(.notFound, "nobody signs in at '\(name)'") })
}
