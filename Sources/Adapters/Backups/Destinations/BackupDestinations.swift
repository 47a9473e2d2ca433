public import SerinModel
public import SerinPolicies

/// One kind of destination: what its settings may be, and how it is made from them.
public struct DestinationDefinition: Sendable {
    /// A destination whose settings can work.
    public struct Prepared: Sendable {
        /// What it can do.
        public var traits: DestinationTraits
        /// Makes it; contacts nothing.
        public var make: @Sendable (DestinationEnvironment) -> any BackupDestination
    }

    /// Its name and settings.
    public var schema: DriverSchema
    /// Reads the settings. Fails on those that it can never work with.
    public var prepare: @Sendable (DriverSettings) throws(Failure) -> Prepared
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

    /// What a plan may say of each kind.
    public static var schemas: [DestinationSchema] {
        all.map { definition in
            DestinationSchema(driver: definition.schema) { settings throws(Failure) in try definition.prepare(settings).traits }
        }
    }

    /// Makes the destination that the settings name. Fails with `invalid` when there is none or its settings cannot work.
    public static func make(
        _ settings: DriverSettings, environment: DestinationEnvironment
    ) throws(Failure) -> any BackupDestination {
        guard let definition = all.first(where: { $0.schema.name == settings.driver }) else {
            let names = all.map(\.schema.name).joined(separator: ", ")
            throw Failure(.invalid, "no destination of the kind '\(settings.driver)'", hint: "expected one of \(names)")
        }
        return try definition.prepare(settings).make(environment)
    }
}
