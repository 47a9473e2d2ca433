public import SerinModel
public import SerinPolicies
public import SerinPorts

/// One kind of load balancer: what its settings may be, and how its driver is made from them.
public struct DriverDefinition: Sendable {
    /// Makes the driver. Fails on settings that it can never work with; contacts nothing.
    public typealias Maker = @Sendable (DriverSettings, TrafficEnvironment) throws(Failure) -> any Traffic

    /// Its name and settings.
    public var schema: DriverSchema
    /// Makes the driver.
    public var make: Maker

    /// A kind of load balancer.
    public init(schema: DriverSchema, make: @escaping Maker) {
        self.schema = schema
        self.make = make
    }
}

/// The load balancers that can be driven. A new one is one file and one line in `all`.
public enum TrafficDrivers {
    /// Every driver, in the order in which they are shown.
    public static let all: [DriverDefinition] = [
        HAProxyMap.definition,
        EnvoyRuntime.definition,
        HTTPBalancer.definition,
    ]

    /// What the settings of each driver may be.
    public static var schemas: [DriverSchema] { all.map(\.schema) }

    /// Makes the driver that the settings name. Fails with `invalid` when there is none or its settings cannot work.
    public static func make(_ settings: DriverSettings, environment: TrafficEnvironment) throws(Failure) -> any Traffic {
        guard let definition = all.first(where: { $0.schema.name == settings.driver }) else {
            let names = all.map(\.schema.name).joined(separator: ", ")
            throw Failure(.invalid, "no driver for the load balancer '\(settings.driver)'", hint: "expected one of \(names)")
        }
        return try definition.make(settings, environment)
    }
}
