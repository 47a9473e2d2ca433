internal import SerinModel
internal import SerinPolicies
internal import SerinPorts

/// HAProxy with two backends and one map entry that holds the canary's share in basis points.
///
/// The split is the configuration's (`use_backend … if` a random number is below the map's value), so one runtime command changes it
/// as a whole; a socket of `level operator` suffices. HAProxy answers an accepted command with an empty line and everything
/// else with words; it does not look at values and has no compare-and-set. Protocol: HAProxy Management Guide, section 9.3.
struct HAProxyMap: Traffic {
    static let schema = DriverSchema(
        name: "haproxy", help: "HAProxy by a map entry in basis points, over its runtime socket",
        fields: [
            .init("socket", .path, help: "the runtime socket (`stats socket`); `level operator` suffices"),
            .init("map", .path, help: "the map file as the configuration names it"),
            .init("key", .name, help: "the key of the entry that holds the canary's share, 0…10000"),
            .init("canary", .name, help: "the canary's backend: checks it and counts its requests", isRequired: false),
            .init("control", .name, help: "the control's backend: checks it and counts its requests", isRequired: false),
        ])

    static let definition = DriverDefinition(schema: schema) { (settings, _) throws(Failure) in
        try HAProxyMap(DriverValues(settings, schema: schema))
    }

    let name: String
    let settleTime = Duration.seconds(1)
    private let socket: HAProxySocket
    private let map: String
    private let key: String
    private let backends: (canary: String, control: String)?

    init(_ values: DriverValues) throws(Failure) {
        let path = try values.required("socket")
        map = try values.required("map")
        key = try values.required("key")
        // Space, `;`, `\`, `#` and line ends mean something on the socket's command line.
        guard map.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !Array("\\;#\"'<>".utf8).contains($0) }) else {
            throw Failure(.invalid, "the map file's path has characters that HAProxy's socket cannot take")
        }
        switch (values["canary"], values["control"]) {
        case (nil, nil): backends = nil
        case (let canary?, let control?) where canary != control: backends = (canary, control)
        case (.some, .some): throw Failure(.invalid, "canary and control must be two backends: a shared one hides a dead canary")
        default: throw Failure(.invalid, "the driver haproxy needs both of 'canary' and 'control', or neither")
        }
        socket = HAProxySocket(path: path)
        name = "haproxy \(path) map \(map) key \(key)"
    }

    func read(deadline: Duration) async throws(Failure) -> WeightReading {
        let goal = "read the canary weight"
        let answer = try await ask("get map \(map) \(key)", to: goal, deadline: deadline)
        switch HAProxyAnswers.entry(answer) {
        case .value(let value):
            return WeightReading(weight: HAProxyAnswers.weight(value), raw: "\(key) \(excerpt(value, limit: 100))")
        case .missing: return WeightReading(weight: nil, raw: "\(key) has no entry")
        case nil: throw refusal(answer, to: goal)
        }
    }

    func apply(_ weight: Weight, expected: WeightReading?, deadline: Duration) async throws(Failure) {
        let goal = "set the canary weight to \(weight)"
        let answer = try await ask("set map \(map) \(key) \(weight.basisPoints)", to: goal, deadline: deadline, isWrite: true)
        guard HAProxyAnswers.isEmpty(answer) else { throw refusal(answer, to: goal) }
    }

    func zero(deadline: Duration) async throws(Failure) { try await apply(.zero, expected: nil, deadline: deadline) }

    func counts(deadline: Duration) async throws(Failure) -> TrafficCounts? {
        guard let backends else { return nil }
        let rows = try await stat(backends, types: 2, to: "read the requests of both backends", deadline: deadline)
        func total(_ backend: String) throws(Failure) -> Double {
            guard let row = rows.first(where: { $0.proxy == backend && $0.server == "BACKEND" }), let total = row.total else {
                throw failure(.invalid, to: "read the requests of backend \(backend)", "no such row in `show stat`")
            }
            return total
        }
        return TrafficCounts(canary: try total(backends.canary), control: try total(backends.control))
    }

    func preflight(deadline: Duration) async throws(Failure) {
        let reading = try await read(deadline: deadline)
        guard reading.weight != nil else {
            throw failure(
                .invalid, to: "use the map entry", "it reads '\(reading.raw)', expected a whole number 0…10000", hint: entryHint)
        }
        // A key that no map holds: the answer shows the right to write, and nothing changes.
        let goal = "check the right to set map entries"
        let answer = try await ask("set map \(map) serin.no.such.key 0", to: goal, deadline: deadline)
        guard HAProxyAnswers.isEmpty(answer) || answer.contains("entry not found") else { throw refusal(answer, to: goal) }
        guard let backends else { return }
        let rows = try await stat(backends, types: 6, to: "read the state of both backends", deadline: deadline)
        for backend in [backends.canary, backends.control] {
            let servers = rows.filter { $0.proxy == backend && $0.server != "BACKEND" }
            guard servers.contains(where: \.isUp) else {
                let states = servers.map { "\($0.server) \($0.status)" }.joined(separator: ", ")
                throw failure(
                    .transient, to: "use backend \(backend)", "no server of it is up (\(states.isEmpty ? "it has none" : states))"
                )
            }
        }
    }

    // MARK: The socket's words

    private var entryHint: String { "put the line '\(key) 0' into \(map) and reload HAProxy" }

    private func stat(
        _ backends: (canary: String, control: String), types: Int, to goal: String, deadline: Duration
    ) async throws(Failure) -> [HAProxyAnswers.StatRow] {
        let line = "show stat \(backends.canary) \(types) -1;show stat \(backends.control) \(types) -1"
        let answer = try await ask(line, to: goal, deadline: deadline)
        if answer.contains("No such proxy.") { throw refusal("No such proxy.", to: goal) }
        guard let rows = HAProxyAnswers.statRows(answer) else { throw refusal(answer, to: goal) }
        return rows
    }

    private func ask(
        _ line: String, to goal: String, deadline: Duration, isWrite: Bool = false
    ) async throws(Failure) -> String {
        do throws(Failure) {
            return try await socket.ask(line, deadline: deadline)
        } catch {
            // A question that got no answer changed nothing: it may simply be asked again.
            let kind = error.kind == .unknown && !isWrite ? .transient : error.kind
            throw failure(kind, to: goal, error.message, hint: error.hint)
        }
    }

    private func failure(_ kind: FailureClass, to goal: String, _ reason: String, hint: String? = nil) -> Failure {
        Failure(kind, "cannot \(goal) at \(name): \(reason)", hint: hint)
    }

    private func refusal(_ answer: String, to goal: String) -> Failure {
        let words = excerpt(answer, limit: 200)
        if answer.contains("entry not found") { return failure(.invalid, to: goal, words, hint: entryHint) }
        if answer.contains("Permission denied") {
            return failure(.denied, to: goal, words, hint: "the socket needs at least `level operator`")
        }
        if answer.contains("Unknown map identifier") {
            return failure(
                .invalid, to: goal, words, hint: "the configuration must use the map by exactly this path, see `show map`")
        }
        if answer.contains("No such proxy") {
            return failure(.invalid, to: goal, words, hint: "canary and control must name two backends of the configuration")
        }
        return failure(.invalid, to: goal, "HAProxy answered '\(words)'", hint: "is this HAProxy's runtime socket?")
    }
}
