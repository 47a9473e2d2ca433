public import SerinModel
public import SerinPolicies
public import SerinTransport

/// What every load balancer's driver is given beside its own settings.
public struct TrafficEnvironment: Sendable {
    /// Reads the value of a secret when it is needed.
    public typealias SecretReader = @Sendable (SecretReference) async throws(Failure) -> String

    /// Performs HTTP exchanges.
    public var transport: Transport
    /// Reads secrets by reference.
    public var secret: SecretReader
    /// What `{{version}}` stands for in addresses and bodies.
    public var version: String?
    /// What `{{previous}}` stands for in addresses and bodies.
    public var previous: String?

    /// Everything a driver may use.
    public init(transport: Transport, version: String? = nil, previous: String? = nil, secret: @escaping SecretReader) {
        self.transport = transport
        self.version = version
        self.previous = previous
        self.secret = secret
    }
}
