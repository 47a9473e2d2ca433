internal import SerinModel
internal import SerinPolicies
internal import SerinTransport

/// Where a destination is reached by HTTP, and what holds for every exchange with it.
struct HTTPPlace: Sendable {
    /// `https` or `http`.
    let scheme: String
    /// Host, and port when it is not the scheme's own: the `Host` header as it is sent.
    let authority: String
    /// What stands before every path; without a slash behind.
    let basePath: String
    /// Whether it is this machine.
    let isLoopback: Bool
    let tlsMinimum: TLSVersion
    let certificateAuthorityFile: String?
    /// For one exchange, however long its body.
    let timeout: Duration
    let rateLimit: Int64?

    /// How many bytes one exchange can move before its time is over; nil: no rate is set.
    var mostPerExchange: Int64? {
        guard let rateLimit else { return nil }
        let (product, isOver) = rateLimit.multipliedReportingOverflow(by: max(1, timeout.milliseconds / 1000))
        return isOver ? .max : product
    }

    /// The fields that every such destination has.
    static let fields = [
        DriverSchema.Field(
            "tls_min", .oneOf(TLSVersion.allCases.map(\.rawValue)), help: "the oldest TLS spoken", isRequired: false,
            fallback: "1.2"),
        DriverSchema.Field("ca_file", .path, help: "certificates to trust instead of the system's", isRequired: false),
        DriverSchema.Field(
            "plain_http", .oneOf(["yes", "no"]), help: "whether http:// is allowed, for a loopback address only",
            isRequired: false,
            fallback: "no"),
        DriverSchema.Field(
            "timeout", .duration, help: "for one request; an upload also ends when nothing moves for a minute", isRequired: false,
            fallback: "1h"),
        DriverSchema.Field("rate", .bytes, help: "the most bytes a second, such as 20MiB", isRequired: false),
    ]

    init(_ url: String, _ values: DriverValues) throws(Failure) {
        let isPlain = url.hasPrefix("http://")
        guard isPlain || url.hasPrefix("https://") else {
            throw Failure(.invalid, "the address '\(url)' of a destination begins with neither https:// nor http://")
        }
        scheme = isPlain ? "http" : "https"
        let rest = url.dropFirst(scheme.utf8.count + 3)
        var host = String(rest.prefix { $0 != "/" })
        let port = isPlain ? ":80" : ":443"
        if host.hasSuffix(port) { host.removeLast(port.count) }
        authority = host
        var path = String(rest.drop { $0 != "/" })
        while path.hasSuffix("/") { path.removeLast() }
        basePath = path
        let bare = host.hasPrefix("[") ? String(host.prefix { $0 != "]" }) + "]" : String(host.prefix { $0 != ":" })
        isLoopback =
            ["localhost", "[::1]"].contains(bare) || (bare.hasPrefix("127.") && bare.split(separator: ".").count == 4)
        guard !isPlain || (isLoopback && values.isOn("plain_http")) else {
            throw Failure(
                .invalid, "the destination at \(url) would be reached without encryption",
                hint: "use https://; http:// is for a loopback address with plain_http: yes")
        }
        tlsMinimum = values["tls_min"].flatMap(TLSVersion.init(rawValue:)) ?? .v1_2
        certificateAuthorityFile = values["ca_file"]
        timeout = values.duration("timeout") ?? .hours(1)
        rateLimit = values.bytes("rate")
    }

    /// A request with the limits of this place.
    ///
    /// - Parameter query: Already encoded, without the question mark.
    func request(_ method: String, host: String? = nil, path: String, query: String = "", headers: [HTTPHeader]) -> HTTPRequest {
        let url = "\(scheme)://\(host ?? authority)\(path)" + (query.isEmpty ? "" : "?" + query)
        var request = HTTPRequest(method: method, url: url, headers: headers, timeout: timeout, bodyLimit: 16 << 20)
        request.tlsMinimum = tlsMinimum
        request.certificateAuthorityFile = certificateAuthorityFile
        request.stall = StallLimit(bytesPerSecond: 1, lasting: .minutes(1))
        request.rateLimit = rateLimit
        return request
    }
}
