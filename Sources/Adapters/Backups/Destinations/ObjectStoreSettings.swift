internal import SerinCatalogue
internal import SerinModel
internal import SerinPolicies
internal import SerinTransport

/// In what the XML API of Google differs from S3.
struct ObjectStoreDialect: Sendable {
    var urlScheme: String
    var signing: SignatureV4.Scheme
    var service: String
    /// What an object's version is called in headers, behind the prefix, and in queries.
    var versionHeader: String
    var versionParameter: String
    /// The header and value that make a write fail when the key is taken.
    var writeOnce: HTTPHeader
    /// Whether long objects go in parts; one request may otherwise hold them whole.
    var hasParts: Bool
    var encryptionHeader: String
    var prefix: String { signing.prefix }

    static let s3 = ObjectStoreDialect(
        urlScheme: "s3", signing: .aws, service: "s3", versionHeader: "version-id", versionParameter: "versionId",
        writeOnce: HTTPHeader("If-None-Match", "*"), hasParts: true, encryptionHeader: "x-amz-server-side-encryption")
    static let google = ObjectStoreDialect(
        urlScheme: "gs", signing: .google, service: "storage", versionHeader: "generation", versionParameter: "generation",
        writeOnce: HTTPHeader("x-goog-if-generation-match", "0"), hasParts: false,
        encryptionHeader: "x-goog-encryption-kms-key-name")
}

/// The settings of a bucket, checked.
struct ObjectStoreSettings: Sendable {
    let dialect: ObjectStoreDialect
    let bucket: String
    /// What stands before every key; without slashes around.
    let prefix: String
    let region: String
    let place: HTTPPlace
    let isVirtualHosted: Bool
    let accessKey: SecretReference
    let secretKey: SecretReference
    let sessionToken: SecretReference?
    let partSize: Int64
    let objectLimit: Int64
    /// Storage class, encryption and tags, as headers of every upload.
    let headers: [HTTPHeader]
    /// The encryption at rest that is asked for, as headers in which the store says what it did.
    var encryption: [HTTPHeader] { headers.filter { $0.name.contains("-encryption") } }

    init(_ values: DriverValues, dialect: ObjectStoreDialect) throws(Failure) {
        self.dialect = dialect
        bucket = try values.required("bucket")
        prefix = try Self.prefix(values["prefix"] ?? "")
        region = values["region"] ?? "us-east-1"
        let standard = dialect.hasParts ? "https://s3.\(region).amazonaws.com" : "https://storage.googleapis.com"
        place = try HTTPPlace(values["endpoint"] ?? standard, values)
        isVirtualHosted = (values["style"] ?? (values["endpoint"] == nil && dialect.hasParts ? "virtual" : "path")) == "virtual"
        accessKey = try Self.required(values.secret("access_key"), "access_key")
        secretKey = try Self.required(values.secret("secret_key"), "secret_key")
        sessionToken = try values.secret("session_token")
        partSize = values.bytes("part_size") ?? (64 << 20)
        guard (5 << 20...5 << 30).contains(partSize) else {
            throw Failure(.invalid, "setting 'part_size': expected 5MiB…5GiB")
        }
        objectLimit = values.bytes("max_object") ?? (5 << 40)
        headers = try Self.headers(values, dialect)
    }

    private static func required(_ secret: SecretReference?, _ key: String) throws(Failure) -> SecretReference {
        guard let secret else { throw Failure(.invalid, "a bucket needs one of \(key)_env, \(key)_file and \(key)_cred") }
        return secret
    }

    private static func prefix(_ text: String) throws(Failure) -> String {
        if text.isEmpty { return "" }
        guard let key = ObjectKey(text) else {
            throw Failure(.invalid, "setting 'prefix': '\(text)' \(ObjectKey.defect(in: text) ?? "is no key")")
        }
        return key.description
    }

    private static func headers(_ values: DriverValues, _ dialect: ObjectStoreDialect) throws(Failure) -> [HTTPHeader] {
        var headers: [HTTPHeader] = []
        if let storage = values["storage_class"] {
            // Those of S3 that are read only after a request to restore them. Google reads all of its own at once.
            guard !dialect.hasParts || !["GLACIER", "DEEP_ARCHIVE"].contains(storage) else {
                throw Failure(
                    .invalid,
                    "setting 'storage_class': what is stored is read back at once, and \(storage) takes hours for that",
                    hint: "use a class that is read at once, such as STANDARD_IA or GLACIER_IR")
            }
            headers.append(HTTPHeader(dialect.prefix + "storage-class", storage))
        }
        if let tags = values["tags"] {
            let pairs = tags.split(separator: ",").map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
            guard pairs.allSatisfy({ $0.count == 2 }) else {
                throw Failure(.invalid, "setting 'tags': expected name=value,name=value")
            }
            headers.append(
                HTTPHeader("x-amz-tagging", SignatureV4.canonicalQuery(pairs.map { HTTPHeader($0[0], $0[1]) })))
        }
        if dialect.hasParts {
            switch values["sse"] {
            case "aes256": headers.append(HTTPHeader("x-amz-server-side-encryption", "AES256"))
            case "kms": headers.append(HTTPHeader("x-amz-server-side-encryption", "aws:kms"))
            case _: break
            }
            if let key = values["kms_key"] {
                guard values["sse"] == "kms" else { throw Failure(.invalid, "setting 'kms_key' needs sse: kms") }
                headers.append(HTTPHeader("x-amz-server-side-encryption-aws-kms-key-id", key))
            }
        } else if let key = values["kms_key"] {
            headers.append(HTTPHeader("x-goog-encryption-kms-key-name", key))
        }
        return headers
    }

    /// What such a bucket can do.
    var traits: DestinationTraits {
        DestinationTraits(
            isOffsite: !place.isLoopback, locks: true, keepsVersions: true, objectLimit: objectLimit,
            readingLimit: place.mostPerExchange)
    }

    /// A key or prefix of keys as the bucket has it.
    func full(_ text: String) -> String { prefix.isEmpty ? text : prefix + "/" + text }

    /// The key of an object by its name in the bucket; nil when it cannot be one.
    func key(of full: String) -> ObjectKey? {
        guard full.hasPrefix(self.full("")) else { return nil }
        return ObjectKey(String(full.dropFirst(self.full("").count)))
    }
}

extension ObjectStore {
    /// S3 and what speaks its protocol.
    static let s3 = DestinationDefinition(schema: s3Schema) { settings throws(Failure) in
        prepared(try ObjectStoreSettings(DriverValues(settings, schema: s3Schema), dialect: .s3))
    }

    /// Google Cloud Storage by its XML API, with the keys of a service account for interoperability (HMAC).
    static let googleCloud = DestinationDefinition(schema: googleSchema) { settings throws(Failure) in
        prepared(try ObjectStoreSettings(DriverValues(settings, schema: googleSchema), dialect: .google))
    }

    private static func prepared(_ settings: ObjectStoreSettings) -> DestinationDefinition.Prepared {
        DestinationDefinition.Prepared(traits: settings.traits) { ObjectStore(settings, environment: $0) }
    }

    private static let s3Schema = DriverSchema(
        name: "s3", help: "a bucket of S3 or of a store that speaks its protocol",
        fields: fields + [
            DriverSchema.Field("region", .name, help: "the region", isRequired: false, fallback: "us-east-1"),
            DriverSchema.Field("endpoint", .url, help: "the address of another store than Amazon's", isRequired: false),
            DriverSchema.Field(
                "style", .oneOf(["virtual", "path"]),
                help: "whether the bucket stands in the host name; without an endpoint it does", isRequired: false),
            DriverSchema.Field(
                "sse", .oneOf(["none", "aes256", "kms"]), help: "encryption at rest that is asked for", isRequired: false,
                fallback: "none"),
            DriverSchema.Field("tags", .text, help: "tags of every object: name=value,name=value", isRequired: false),
            DriverSchema.Field(
                "part_size", .bytes, help: "longer objects go in parts of this size", isRequired: false, fallback: "64MiB"),
        ] + DriverValues.secretFields("session_token", help: "the token of keys with an end"))

    private static let googleSchema = DriverSchema(
        name: "gcs", help: "a bucket of Google Cloud Storage, by its XML API",
        fields: fields + [
            DriverSchema.Field("region", .name, help: "the location that is signed", isRequired: false, fallback: "auto"),
            DriverSchema.Field("endpoint", .url, help: "another address of the API", isRequired: false),
        ])

    private static let fields =
        [
            DriverSchema.Field("bucket", .name, help: "the bucket"),
            DriverSchema.Field("prefix", .text, help: "what stands before every key", isRequired: false),
            DriverSchema.Field(
                "storage_class", .name, help: "the class of storage, such as STANDARD_IA; one that is read without a wait",
                isRequired: false),
            DriverSchema.Field("kms_key", .text, help: "the key that encrypts at rest", isRequired: false),
            DriverSchema.Field("max_object", .bytes, help: "the longest object stored", isRequired: false),
        ] + DriverValues.secretFields("access_key", help: "the access key")
        + DriverValues.secretFields("secret_key", help: "the secret key") + HTTPPlace.fields
}
