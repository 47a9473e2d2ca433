internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinTransport

/// Envoy with a route of weighted clusters whose weights are runtime values, changed by one `POST /runtime_modify`.
///
/// Both weights go in one request and always sum to 10 000. Envoy answers 200 to unknown keys, text and overflowing numbers alike,
/// so only what `GET /runtime` shows counts. A weight without a runtime value is the route's own, which `GET /config_dump` shows.
/// Runtime values live in memory: after a restart the route's own weights hold. Protocol: Envoy's administration interface.
struct EnvoyRuntime: Traffic {
    static let schema = DriverSchema(
        name: "envoy", help: "Envoy by runtime weights of two clusters, over its administration interface",
        fields: [
            .init("admin", .url, help: "the administration interface, such as http://127.0.0.1:9901"),
            .init("runtime_prefix", .name, help: "`runtime_key_prefix` of the route's weighted clusters"),
            .init("canary", .name, help: "the canary's cluster"),
            .init("control", .name, help: "the control's cluster"),
            .init(
                "socket", .path, help: "the administration interface's unix socket, instead of the address' host",
                isRequired: false),
        ])

    static let definition = DriverDefinition(schema: schema) { (settings, environment) throws(Failure) in
        try EnvoyRuntime(DriverValues(settings, schema: schema), environment: environment)
    }

    let name: String
    let settleTime = Duration.seconds(1)
    private let interface: AdminInterface
    private let base: String
    private let prefix: String
    private let canary: String
    private let control: String

    init(_ values: DriverValues, environment: TrafficEnvironment) throws(Failure) {
        let address = try values.required("admin")
        guard !address.contains("?"), !address.contains("#") else {
            throw Failure(.invalid, "setting 'admin' of the driver envoy: expected an address without query")
        }
        base = address.hasSuffix("/") ? String(address.dropLast()) : address
        prefix = try values.required("runtime_prefix")
        canary = try values.required("canary")
        control = try values.required("control")
        guard canary != control else { throw Failure(.invalid, "canary and control must be two clusters") }
        let socket = values["socket"]
        name = "envoy \(socket ?? base) runtime \(prefix)"
        var interface = AdminInterface(name: name, environment: environment)
        interface.unixSocket = socket
        self.interface = interface
    }

    func read(deadline: Duration) async throws(Failure) -> WeightReading {
        let goal = "read the canary weight"
        let runtime = try await json("/runtime", to: goal, deadline: deadline)
        guard case .object = runtime["entries"] else {
            throw interface.failure(.invalid, to: goal, "GET /runtime answered without 'entries'")
        }
        func override(_ cluster: String) -> String? { runtime["entries"]?["\(prefix).\(cluster)"]?["final_value"]?.text }
        let (canaryValue, controlValue) = (override(canary), override(control))
        var others = 0.0
        var own: (canary: String, control: String) = ("", "")
        if canaryValue == nil || controlValue == nil {
            let route = try await route(to: goal, deadline: deadline)
            own = ("\(route.canary)", "\(route.control)")
            others = route.others
        }
        let raw =
            "control \(excerpt(controlValue ?? own.control + " (route)", limit: 60)), "
            + "canary \(excerpt(canaryValue ?? own.canary + " (route)", limit: 60))"
        guard let canaryNumber = EnvoyAnswers.number(canaryValue ?? own.canary),
            let controlNumber = EnvoyAnswers.number(controlValue ?? own.control), canaryNumber + controlNumber <= 4_294_967_295
        else { return WeightReading(weight: nil, raw: raw) }
        return WeightReading(weight: share(canary: canaryNumber, control: controlNumber + others), raw: raw)
    }

    func apply(_ weight: Weight, expected: WeightReading?, deadline: Duration) async throws(Failure) {
        let goal = "set the canary weight to \(weight)"
        let points = weight.basisPoints
        let url = "\(base)/runtime_modify?\(prefix).\(canary)=\(points)&\(prefix).\(control)=\(10_000 - points)"
        do throws(Failure) {
            try await interface.write("POST", url, mayRepeat: weight == .zero, to: goal, deadline: deadline)
        } catch {
            throw withHint(error)
        }
    }

    func zero(deadline: Duration) async throws(Failure) { try await apply(.zero, expected: nil, deadline: deadline) }

    func counts(deadline: Duration) async throws(Failure) -> TrafficCounts? {
        let goal = "read the requests of both clusters"
        let values = try await statistics("upstream_rq_total", to: goal, deadline: deadline)
        return TrafficCounts(canary: values.canary, control: values.control)
    }

    func preflight(deadline: Duration) async throws(Failure) {
        let route = try await route(to: "check the route", deadline: deadline)
        guard !route.hasOtherClusters else {
            throw interface.failure(
                .invalid, to: "use the route", "its weighted clusters are not only \(control) and \(canary)",
                hint: "give the canary and the control a route of weighted clusters of their own")
        }
        guard try await read(deadline: deadline).weight != nil else {
            throw interface.failure(.invalid, to: "use the route", "its weights mean no share of traffic")
        }
        let healthy = try await statistics("membership_healthy", to: "check both clusters", deadline: deadline)
        for (cluster, count) in [(canary, healthy.canary), (control, healthy.control)] where count < 1 {
            throw interface.failure(.transient, to: "use cluster \(cluster)", "no healthy server is in it")
        }
        // An empty value removes a key that nothing reads: the answer shows the right to write, and nothing changes.
        do throws(Failure) {
            let url = "\(base)/runtime_modify?serin.no.such.key="
            try await interface.write("POST", url, to: "check the right to set runtime values", deadline: deadline)
        } catch {
            throw withHint(error)
        }
    }

    // MARK: Envoy's answers

    private func withHint(_ failure: Failure) -> Failure {
        guard failure.message.contains("No admin layer") else { return failure }
        return Failure(
            .invalid, failure.message,
            hint: "add a layer `{name: admin, admin_layer: {}}` last to `layered_runtime` and restart Envoy")
    }

    private func json(_ path: String, to goal: String, deadline: Duration) async throws(Failure) -> JSONValue {
        let response = try await interface.read(base + path, to: goal, bodyLimit: 32 << 20, deadline: deadline)
        do throws(JSONError) {
            return try JSONValue(parsing: response.body)
        } catch {
            throw interface.failure(
                .invalid, to: goal, "the answer is no JSON (\(error))", hint: "is this Envoy's admin address?")
        }
    }

    /// The route's own weights, from the static routes and from those that a control plane sent.
    private func route(to goal: String, deadline: Duration) async throws(Failure) -> EnvoyAnswers.Route {
        var configurations: [JSONValue] = []
        for resource in ["static_route_configs", "dynamic_route_configs"] {
            let dump = try await json("/config_dump?resource=\(resource)", to: goal, deadline: deadline)
            configurations += dump["configs"]?.items ?? []
        }
        guard let route = EnvoyAnswers.route(in: configurations, prefix: prefix, canary: canary, control: control) else {
            throw interface.failure(
                .invalid, to: goal, "no route has `runtime_key_prefix: \(prefix)` with clusters \(control) and \(canary)",
                hint: "set `runtime_key_prefix` in the route's `weighted_clusters`")
        }
        return route
    }

    private func statistics(
        _ statistic: String, to goal: String, deadline: Duration
    ) async throws(Failure) -> (canary: Double, control: Double) {
        func escaped(_ cluster: String) -> String { cluster.rewriting(".", as: "%5C.") }
        let filter = "^cluster%5C.(\(escaped(canary))%7C\(escaped(control)))%5C.\(statistic)$"
        let answer = try await json("/stats?format=json&filter=\(filter)", to: goal, deadline: deadline)
        func value(_ cluster: String) throws(Failure) -> Double {
            let found = answer["stats"]?.items?.first { $0["name"]?.text == "cluster.\(cluster).\(statistic)" }
            guard let value = found?["value"]?.double, value.isFinite, value >= 0 else {
                throw interface.failure(
                    .invalid, to: goal, "there is no statistic cluster.\(cluster).\(statistic)",
                    hint: "is '\(cluster)' a cluster of this Envoy?")
            }
            return value
        }
        return (try value(canary), try value(control))
    }
}
