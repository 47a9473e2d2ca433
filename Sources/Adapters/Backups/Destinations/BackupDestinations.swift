public import SerinModel
public import SerinPolicies

/// One kind of destination: what its settings may be, and how it is made from them.
public struct DestinationDefinition: Sendable {
    /// Makes the destination. Fails on settings that it can never work with; contacts nothing.
    public typealias Maker = @Sendable (DriverSettings, DestinationEnvironment) throws(Failure) -> any BackupDestination

    /// Its name and settings.
    public var schema: DriverSchema
    /// Makes the destination.
    public var make: Maker

    /// A kind of destination.
    public init(schema: DriverSchema, make: @escaping Maker) {
        self.schema = schema
        self.make = make
    }
}

/// The places that backups can be stored at. A new one is one file and one line in `all`.
public enum BackupDestinations {
    /// Every kind, in the order in which they are shown.
    public static let all: [DestinationDefinition] = [
        LocalFolder.definition,
        ObjectStore.s3,
        ObjectStore.googleCloud,
        AzureBlob.definition,
        TelegramChat.definition,
        CommandDestination.definition,
    ]

    /// What the settings of each kind may be.
    public static var schemas: [DriverSchema] { all.map(\.schema) }

    /// Makes the destination that the settings name. Fails with `invalid` when there is none or its settings cannot work.
    public static func make(
        _ settings: DriverSettings, environment: DestinationEnvironment
    ) throws(Failure) -> any BackupDestination {
        guard let definition = all.first(where: { $0.schema.name == settings.driver }) else {
            let names = all.map(\.schema.name).joined(separator: ", ")
            throw Failure(.invalid, "no destination of the kind '\(settings.driver)'", hint: "expected one of \(names)")
        }
        return try definition.make(settings, environment)
    }
}

extension DriverValues {
    /// A number of bytes such as `100GiB`; nil when it is not given.
    func bytes(_ key: String) throws(Failure) -> Int64? {
        guard let text = self[key] else { return nil }
        guard let count = byteCount(parsing: text) else {
            throw Failure(.invalid, "setting '\(key)': expected a number of bytes such as 100GiB, found '\(text)'")
        }
        return count
    }

    /// A choice that is `yes` or `no`.
    func isOn(_ key: String) -> Bool { self[key] == "yes" }
}
