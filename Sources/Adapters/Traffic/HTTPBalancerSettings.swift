internal import SerinModel
internal import SerinPolicies

/// The settings of the driver `http`, read and checked.
struct HTTPBalancerSettings: Sendable {
    static let schema = DriverSchema(
        name: "http", help: "any load balancer with an HTTP interface, by a templated request and JSON pointers",
        fields: [
            .init("read_url", .url, help: "where the weights are read, as JSON"),
            .init("canary_pointer", .jsonPointer, help: "where the canary's weight stands in the answer"),
            .init("control_pointer", .jsonPointer, help: "where the control's weight stands in the answer", isRequired: false),
            .init(
                "scale", .integer(1...1_000_000_000),
                help: "what all traffic is: for reading without control_pointer, and for {{canary_scaled}}",
                isRequired: false),
            .init(
                "write_method", .oneOf(["PUT", "POST", "PATCH"]), help: "how weights are written", isRequired: false,
                fallback: "PUT"),
            .init("write_url", .url, help: "where weights are written; read_url when left out", isRequired: false),
            .init(
                "write_body", .text,
                help: "the body, with {{canary_bp}}, {{control_bp}}, {{canary_percent}}, {{canary_fraction}}, {{canary_unit}}, "
                    + "{{canary_scaled}} and the same of control", isRequired: false),
            .init("content_type", .text, help: "the body's type", isRequired: false, fallback: "application/json"),
            .init(
                "if_match", .oneOf(["none", "etag"]), help: "whether a write is conditional on the ETag that was read",
                isRequired: false,
                fallback: "none"),
            .init("settle", .duration, help: "from an accepted write to its effect", isRequired: false, fallback: "1s"),
            .init("socket", .path, help: "a unix socket to connect to instead of the addresses' host", isRequired: false),
            .init("ca_file", .path, help: "certificates to trust instead of the system's", isRequired: false),
            .init("counts_url", .url, help: "where requests of each cohort are counted, as JSON", isRequired: false),
            .init("canary_count_pointer", .jsonPointer, help: "where the canary's requests stand", isRequired: false),
            .init("control_count_pointer", .jsonPointer, help: "where the control's requests stand", isRequired: false),
            .init("username", .text, help: "the user of basic authentication", isRequired: false),
            .init("header", .name, help: "the header field of another credential, such as X-API-KEY", isRequired: false),
        ]
            + DriverValues.secretFields("bearer", help: "the bearer token")
            + DriverValues.secretFields("password", help: "the password of basic authentication")
            + DriverValues.secretFields("header_value", help: "the value of `header`"))

    /// Where requests are counted.
    struct Counts: Sendable {
        var url: String
        var canary: String
        var control: String
    }

    let readURL: String
    let canaryPointer: String
    let controlPointer: String?
    let scale: Int
    let writeMethod: String
    let writeURL: RequestTemplate
    let writeBody: RequestTemplate?
    let contentType: String
    let usesIfMatch: Bool
    let settle: Duration
    let unixSocket: String?
    let certificateAuthorityFile: String?
    let counts: Counts?
    let authentication: AdminInterface.Authentication

    init(_ given: DriverSettings, environment: TrafficEnvironment) throws(Failure) {
        let values = try DriverValues(given, schema: Self.schema)
        let words = try Self.words(of: environment, usedIn: given)
        func fixed(_ key: String) throws(Failure) -> String? {
            guard let text = values[key] else { return nil }
            let template = try RequestTemplate(text, words: words)
            guard !template.dependsOnWeight else { throw Self.invalid("'\(key)' cannot depend on the weight") }
            return try template.filled(with: .zero, scale: 1)
        }
        let address = try fixed("read_url") ?? ""
        readURL = address
        canaryPointer = try values.required("canary_pointer")
        controlPointer = values["control_pointer"]
        writeMethod = try values.required("write_method")
        writeURL = try RequestTemplate(values["write_url"] ?? address, words: words)
        var body: RequestTemplate?
        if let text = values["write_body"] { body = try RequestTemplate(text, words: words) }
        writeBody = body
        guard writeURL.dependsOnWeight || body?.dependsOnWeight == true else {
            throw Self.invalid("neither write_url nor write_body has a place for the weight, such as {{canary_bp}}")
        }
        let needsScale = controlPointer == nil || writeURL.needsScale || body?.needsScale == true
        guard let scale = values["scale"].map({ Int($0) ?? 1 }) ?? (needsScale ? nil : 1) else {
            throw Self.invalid("'scale' is needed without control_pointer and for {{canary_scaled}}")
        }
        self.scale = scale
        contentType = try values.required("content_type")
        guard contentType.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
            throw Self.invalid("'content_type' is no media type")
        }
        usesIfMatch = values["if_match"] == "etag"
        settle = values.duration("settle") ?? .seconds(1)
        unixSocket = values["socket"]
        certificateAuthorityFile = values["ca_file"]
        switch (try fixed("counts_url"), values["canary_count_pointer"], values["control_count_pointer"]) {
        case (nil, nil, nil): counts = nil
        case (let url?, let canary?, let control?): counts = Counts(url: url, canary: canary, control: control)
        default: throw Self.invalid("counts_url, canary_count_pointer and control_count_pointer go together")
        }
        authentication = try Self.authentication(values)
    }

    private static func invalid(_ reason: String) -> Failure { Failure(.invalid, "settings of the driver http: \(reason)") }

    /// `{{version}}` and `{{previous}}`, which go into addresses and bodies as they are and so must need no escapes there.
    private static func words(of environment: TrafficEnvironment, usedIn given: DriverSettings) throws(Failure) -> [String:
        String]
    {
        var words: [String: String] = [:]
        for (name, value) in [("version", environment.version), ("previous", environment.previous)] {
            guard let value else { continue }
            let isPlain = value.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || Array("._-:".utf8).contains($0)
            }
            if isPlain {
                words[name] = value
            } else if given.settings.contains(where: { $0.value.contains("{{\(name)}}") }) {
                throw invalid("the \(name) has characters other than letters, digits and . _ - : and cannot be used in a request")
            }
        }
        return words
    }

    private static func authentication(_ values: DriverValues) throws(Failure) -> AdminInterface.Authentication {
        let bearer = try values.secret("bearer")
        let password = try values.secret("password")
        let value = try values.secret("header_value")
        switch (bearer, values["username"], password, values["header"], value) {
        case (nil, nil, nil, nil, nil): return .none
        case (let token?, nil, nil, nil, nil): return .bearer(token)
        case (nil, let user?, let password?, nil, nil): return .basic(user: user, password: password)
        case (nil, nil, nil, let name?, let value?): return .header(name: name, value: value)
        default:
            throw invalid("expected one of bearer_…, username with password_…, header with header_value_…, or none of them")
        }
    }
}
