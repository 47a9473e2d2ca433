/// Where backups are stored.
public struct BackupDestination: Sendable, Hashable, Codable {
    /// What kind of place it is.
    public enum Place: Sendable, Hashable, Codable {
        /// A folder on this machine or a mounted one.
        case file(FileDestination)
        /// Amazon S3 or what speaks its language.
        case s3(S3Destination)
        /// Google Cloud Storage.
        case gcs(GCSDestination)
        /// Azure Blob Storage.
        case azure(AzureDestination)
        /// A Telegram chat.
        case telegram(TelegramDestination)
        /// The owner's programs.
        case command(CommandDestination)

        /// The key in a plan.
        public var word: String {
            switch self {
            case .file: "file"
            case .s3: "s3"
            case .gcs: "gcs"
            case .azure: "azure"
            case .telegram: "telegram"
            case .command: "command"
            }
        }
    }

    /// The least version of TLS that is spoken.
    public enum TLSVersion: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
        /// TLS 1.2.
        case v12 = "1.2"
        /// TLS 1.3.
        case v13 = "1.3"

        /// Older first.
        public static func < (left: TLSVersion, right: TLSVersion) -> Bool { left.rawValue < right.rawValue }
    }

    /// Its name in the plan, unique.
    public var name: String
    /// What kind of place it is.
    public var place: Place
    /// Whether a backup without this copy is a failed one. Others are copies that may come later.
    public var isRequired: Bool
    /// Whether it is away from the machine that is backed up.
    public var isOffsite: Bool
    /// What is kept here, where that differs from the plan's.
    public var retention: RetentionPlan?
    /// The least version of TLS.
    public var minimumTLS: TLSVersion
    /// The largest object that is stored here, in bytes; nil for any.
    public var maximumObject: Int64?
    /// The size from which a warning is raised, in bytes.
    public var warnSize: Int64?

    /// A destination.
    public init(
        name: String, place: Place, isRequired: Bool = true, isOffsite: Bool, retention: RetentionPlan? = nil,
        minimumTLS: TLSVersion = .v12, maximumObject: Int64? = nil, warnSize: Int64? = nil
    ) {
        self.name = name
        self.place = place
        self.isRequired = isRequired
        self.isOffsite = isOffsite
        self.retention = retention
        self.minimumTLS = minimumTLS
        self.maximumObject = maximumObject
        self.warnSize = warnSize
    }
}

/// `file:`
public struct FileDestination: Sendable, Hashable, Codable {
    /// The folder, absolute.
    public var path: String
    /// The most that backups may take there, in bytes; nil for all that is free.
    public var quota: Int64?

    /// A folder.
    public init(path: String, quota: Int64? = nil) {
        self.path = path
        self.quota = quota
    }
}

/// How a server encrypts what it stores, apart from the encryption before upload.
public enum ServerSideEncryption: Sendable, Hashable, Codable {
    /// As the bucket is set up.
    case none
    /// With the provider's keys (`AES256`).
    case aes256
    /// With a key of a key service (`aws:kms`); nil is the bucket's own key.
    case kms(keyID: String?)
}

/// How long objects cannot be deleted by anyone.
public struct LockPolicy: Sendable, Hashable, Codable {
    /// Who may lift it.
    public enum Mode: String, Sendable, Hashable, Codable, CaseIterable {
        /// Whoever has the right to.
        case governance
        /// Nobody.
        case compliance
    }

    /// Who may lift it.
    public var mode: Mode
    /// For how long, in whole days.
    public var days: Int

    /// A lock.
    public init(mode: Mode, days: Int) {
        self.mode = mode
        self.days = days
    }
}

/// `s3:`
public struct S3Destination: Sendable, Hashable, Codable {
    /// The bucket.
    public var bucket: String
    /// The region: `us-east-1`.
    public var region: String
    /// The address of a compatible server; nil is Amazon's own for the region.
    public var endpoint: String?
    /// What every key begins with, without slashes at its ends; empty for nothing.
    public var prefix: String
    /// Whether the bucket stands in the path instead of the host's name.
    public var pathStyle: Bool
    /// What the server does on its side.
    public var encryption: ServerSideEncryption
    /// For how long objects are locked; nil for no lock.
    public var lock: LockPolicy?
    /// The storage class: `STANDARD_IA`; nil for the bucket's.
    public var storageClass: String?
    /// The access key's id.
    public var accessKey: SecretReference
    /// The access key's secret.
    public var secretKey: SecretReference
    /// The session token of a passing identity.
    public var sessionToken: SecretReference?

    /// A bucket.
    public init(
        bucket: String, region: String, endpoint: String? = nil, prefix: String = "", pathStyle: Bool = false,
        encryption: ServerSideEncryption = .none, lock: LockPolicy? = nil, storageClass: String? = nil,
        accessKey: SecretReference, secretKey: SecretReference, sessionToken: SecretReference? = nil
    ) {
        self.bucket = bucket
        self.region = region
        self.endpoint = endpoint
        self.prefix = prefix
        self.pathStyle = pathStyle
        self.encryption = encryption
        self.lock = lock
        self.storageClass = storageClass
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
    }
}

/// `gcs:`
public struct GCSDestination: Sendable, Hashable, Codable {
    /// The bucket.
    public var bucket: String
    /// What every key begins with.
    public var prefix: String
    /// A compatible server; nil is Google's.
    public var endpoint: String?
    /// The service account's key file, or a token.
    public var credentials: SecretReference
    /// The storage class.
    public var storageClass: String?

    /// A bucket.
    public init(
        bucket: String, prefix: String = "", endpoint: String? = nil, credentials: SecretReference, storageClass: String? = nil
    ) {
        self.bucket = bucket
        self.prefix = prefix
        self.endpoint = endpoint
        self.credentials = credentials
        self.storageClass = storageClass
    }
}

/// `azure:`
public struct AzureDestination: Sendable, Hashable, Codable {
    /// The storage account.
    public var account: String
    /// The container.
    public var container: String
    /// What every key begins with.
    public var prefix: String
    /// A compatible server; nil is Azure's.
    public var endpoint: String?
    /// The account's key.
    public var key: SecretReference

    /// A container.
    public init(account: String, container: String, prefix: String = "", endpoint: String? = nil, key: SecretReference) {
        self.account = account
        self.container = container
        self.prefix = prefix
        self.endpoint = endpoint
        self.key = key
    }
}

/// `telegram:` parts of backups as documents in a chat.
public struct TelegramDestination: Sendable, Hashable, Codable {
    /// The chat.
    public var chat: String
    /// The bot's token.
    public var token: SecretReference
    /// An own Bot API server; nil is Telegram's, which takes parts of at most 20 MB back.
    public var endpoint: String?
    /// The size of a part in bytes.
    public var partSize: Int64

    /// A chat.
    public init(chat: String, token: SecretReference, endpoint: String? = nil, partSize: Int64) {
        self.chat = chat
        self.token = token
        self.endpoint = endpoint
        self.partSize = partSize
    }
}

/// `command:` programs without a shell. `{{key}}` is replaced by the object's key.
public struct CommandDestination: Sendable, Hashable, Codable {
    /// Stores standard input.
    public var put: [String]
    /// Writes the object to standard output.
    public var get: [String]
    /// Prints the object's size in bytes, or exits 4 when there is none.
    public var size: [String]
    /// Prints `key size` a line.
    public var list: [String]
    /// Deletes it; nil where nothing may be deleted.
    public var delete: [String]?

    /// Programs.
    public init(put: [String], get: [String], size: [String], list: [String], delete: [String]? = nil) {
        self.put = put
        self.get = get
        self.size = size
        self.list = list
        self.delete = delete
    }
}
