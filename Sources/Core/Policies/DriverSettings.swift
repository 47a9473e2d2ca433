/// The settings of a driver, as validated against the driver's own fields.
public struct DriverSettings: Sendable, Hashable, Codable {
    /// One setting.
    public struct Setting: Sendable, Hashable, Codable {
        /// The key in the policy.
        public var key: String
        /// The text of its value.
        public var value: String
    }

    /// The driver's name, which is its key: under `traffic`, or in a destination of backups.
    public var driver: String
    /// The settings, sorted by key.
    public private(set) var settings: [Setting]

    /// Settings of a driver.
    public init(driver: String, settings: [String: String]) {
        self.driver = driver
        self.settings = settings.sorted { $0.key < $1.key }.map { Setting(key: $0.key, value: $0.value) }
    }

    /// The value of a setting; nil when it was not given and has no default.
    public subscript(key: String) -> String? { settings.first { $0.key == key }?.value }
}

/// What a driver's settings may be, declared by the driver itself so that a new one needs no change here.
public struct DriverSchema: Sendable, Hashable {
    /// What a setting's text must be.
    public enum Form: Sendable, Hashable {
        /// Any text.
        case text
        /// An `http://` or `https://` address without user or password.
        case url
        /// An absolute path of a file or socket.
        case path
        /// A name of letters, digits and `. _ -`.
        case name
        /// A time with a unit.
        case duration
        /// A JSON pointer (RFC 6901).
        case jsonPointer
        /// One of these words.
        case oneOf([String])
        /// A whole number in a range.
        case integer(ClosedRange<Int>)
        /// An amount of data with a unit.
        case bytes
        /// The name of an environment variable, file or credential that holds a secret; the key ends in `_env`, `_file` or `_cred`.
        case secret
    }

    /// One field.
    public struct Field: Sendable, Hashable {
        /// The key.
        public var key: String
        /// What its text must be.
        public var form: Form
        /// What it means, for the schema and for messages.
        public var help: String
        /// Whether it must be given.
        public var isRequired: Bool
        /// The value when it is not given.
        public var fallback: String?

        /// A field.
        public init(_ key: String, _ form: Form, help: String, isRequired: Bool = true, fallback: String? = nil) {
            self.key = key
            self.form = form
            self.help = help
            self.isRequired = isRequired
            self.fallback = fallback
        }
    }

    /// The driver's name, which is its key.
    public var name: String
    /// What it drives, for the schema.
    public var help: String
    /// Its fields.
    public var fields: [Field]
    /// The smallest difference between two weights that the balancer can hold, in basis points.
    public var granularity: Int

    /// A driver's schema.
    public init(name: String, help: String, fields: [Field], granularity: Int = 1) {
        self.name = name
        self.help = help
        self.fields = fields
        self.granularity = granularity
    }
}
