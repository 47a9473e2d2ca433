internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinTransport

/// Any load balancer with an HTTP interface that shows its weights as JSON and takes them in a request.
///
/// Reading follows JSON pointers (RFC 6901) into an answer; writing fills a templated request. Where the balancer sends an `ETag`,
/// `if_match: etag` makes each write conditional on what was read (RFC 9110, section 13.1.1); lowering to 0 never is.
struct HTTPBalancer: Traffic {
    static let definition = DriverDefinition(schema: HTTPBalancerSettings.schema) { (settings, environment) throws(Failure) in
        try HTTPBalancer(settings: HTTPBalancerSettings(settings, environment: environment), environment: environment)
    }

    let name: String
    let settleTime: Duration
    private let settings: HTTPBalancerSettings
    private let interface: AdminInterface

    init(settings: HTTPBalancerSettings, environment: TrafficEnvironment) {
        self.settings = settings
        let address = settings.readURL.prefix { $0 != "?" && $0 != "#" }
        name = "http \(address)"
        settleTime = settings.settle
        var interface = AdminInterface(name: name, environment: environment)
        interface.unixSocket = settings.unixSocket
        interface.certificateAuthorityFile = settings.certificateAuthorityFile
        interface.authentication = settings.authentication
        self.interface = interface
    }

    func read(deadline: Duration) async throws(Failure) -> WeightReading {
        let goal = "read the canary weight"
        let response = try await interface.read(settings.readURL, to: goal, deadline: deadline)
        let answer = try json(response, to: goal)
        let canary = answer.at(pointer: settings.canaryPointer)
        let version = settings.usesIfMatch ? response.header("ETag") : nil
        guard let pointer = settings.controlPointer else {
            let scale = Double(settings.scale)
            let weight = number(canary).flatMap { share(canary: $0, control: scale - $0) }
            return WeightReading(weight: weight, raw: "canary \(words(canary)) of \(settings.scale)", version: version)
        }
        let control = answer.at(pointer: pointer)
        var weight: Weight?
        if let canary = number(canary), let control = number(control) { weight = share(canary: canary, control: control) }
        return WeightReading(weight: weight, raw: "control \(words(control)), canary \(words(canary))", version: version)
    }

    func apply(_ weight: Weight, expected: WeightReading?, deadline: Duration) async throws(Failure) {
        let goal = "set the canary weight to \(weight)"
        var headers: [HTTPHeader] = []
        if settings.usesIfMatch, let expected {
            headers.append(HTTPHeader("If-Match", try await version(of: expected, to: goal, deadline: deadline)))
        }
        try await write(weight, headers: headers, to: goal, deadline: deadline)
    }

    func zero(deadline: Duration) async throws(Failure) {
        try await write(.zero, headers: [], to: "set the canary weight to 0%", deadline: deadline)
    }

    func counts(deadline: Duration) async throws(Failure) -> TrafficCounts? {
        guard let counts = settings.counts else { return nil }
        let goal = "read the requests of both cohorts"
        let answer = try json(try await interface.read(counts.url, to: goal, deadline: deadline), to: goal)
        func total(_ pointer: String) throws(Failure) -> Double {
            guard let total = number(answer.at(pointer: pointer)), total >= 0, total.isFinite else {
                throw interface.failure(.invalid, to: goal, "there is no number at '\(pointer)' of counts_url")
            }
            return total
        }
        return TrafficCounts(canary: try total(counts.canary), control: try total(counts.control))
    }

    func preflight(deadline: Duration) async throws(Failure) {
        let reading = try await read(deadline: deadline)
        guard reading.weight != nil else {
            throw interface.failure(
                .invalid, to: "use the answer", "'\(reading.raw)' means no share of traffic",
                hint: "do canary_pointer, control_pointer and scale fit the answer of read_url?")
        }
        if settings.usesIfMatch, reading.version == nil {
            throw interface.failure(
                .invalid, to: "use If-Match", "the answer has no ETag", hint: "leave `if_match` out if this balancer sends none")
        }
        _ = try await counts(deadline: deadline)
    }

    // MARK: Requests and answers

    private func write(_ weight: Weight, headers: [HTTPHeader], to goal: String, deadline: Duration) async throws(Failure) {
        let url: String
        let body: String?
        do throws(Failure) {
            url = try settings.writeURL.filled(with: weight, scale: settings.scale)
            body = try settings.writeBody?.filled(with: weight, scale: settings.scale)
        } catch {
            throw interface.failure(error.kind, to: goal, error.message, hint: error.hint)
        }
        var fields = headers
        if body != nil { fields.append(HTTPHeader("Content-Type", settings.contentType)) }
        try await interface.write(
            settings.writeMethod, url, headers: fields, body: body.map { Array($0.utf8) },
            mayRepeat: weight == .zero && headers.isEmpty, to: goal, deadline: deadline)
    }

    /// The version to be matched. A reading without one is compared with a fresh one, so that the write stays conditional.
    private func version(of expected: WeightReading, to goal: String, deadline: Duration) async throws(Failure) -> String {
        if let version = expected.version { return version }
        let now = try await read(deadline: deadline)
        guard now.weight == expected.weight else {
            throw interface.failure(.conflict, to: goal, "it reads '\(now.raw)', expected '\(expected.raw)'")
        }
        guard let version = now.version else { throw interface.failure(.invalid, to: goal, "the answer to reading has no ETag") }
        return version
    }

    private func json(_ response: HTTPResponse, to goal: String) throws(Failure) -> JSONValue {
        do throws(JSONError) {
            return try JSONValue(parsing: response.body)
        } catch {
            throw interface.failure(.invalid, to: goal, "the answer is no JSON (\(error))")
        }
    }

    /// A number, also one in quotes, in decimal notation.
    private func number(_ value: JSONValue?) -> Double? {
        switch value {
        case .number(let text): return Double(text)
        case .string(let text):
            guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E }) else { return nil }
            return Double(text)
        case .null, .bool, .array, .object, nil: return nil
        }
    }

    private func words(_ value: JSONValue?) -> String {
        value.map { excerpt($0.text ?? $0.canonicalText, limit: 60) } ?? "missing"
    }
}
