internal import SerinModel

extension PolicyBuilder {
    mutating func postgres(from section: ReadSection) -> PostgresPolicy? {
        var limits: [DatabaseLimit] = []
        for signal in DatabaseSignal.allCases {
            guard let limit = section.section(signal.rawValue) else { continue }
            limits.append(
                DatabaseLimit(
                    signal: signal, max: limit.duration("max")?.seconds ?? limit.number("max"),
                    maxRatio: limit.number("max_ratio"),
                    lasting: limit.duration("for") ?? .zero))
        }
        if limits.isEmpty {
            complain(
                section.mark, "postgres: limits nothing",
                hint: "add a limit such as replication_lag: {max: 10s} or blocked_sessions: {max: 5, for: 30s}")
        }
        let replicas = section.list("replicas").compactMap { value -> SecretReference? in
            if case .section(let replica) = value { secret("url", in: replica) } else { nil }
        }
        return secret("url", in: section).map { PostgresPolicy(primary: $0, replicas: replicas, limits: limits) }
    }

    /// An action. Its placeholders are filled in when it runs, by what knows the rollout.
    mutating func action(from section: ReadSection) -> ActionPolicy? {
        guard let call = call(from: section, isCheck: false) else { return nil }
        let check = section.section("check").flatMap { self.call(from: $0, isCheck: true) }
        var environment: [String] = []
        for case .scalar(let name) in section.list("env") where !environment.contains(name.text) { environment.append(name.text) }
        if !environment.isEmpty, !call.isProgram, check?.isProgram != true {
            complain(section.mark(of: "env"), "env: an HTTP request has no environment", hint: "env goes with 'run'")
        }
        return ActionPolicy(
            call: call, check: check, deadline: section.duration("deadline") ?? .minutes(5), environment: environment)
    }

    private mutating func call(from section: ReadSection, isCheck: Bool) -> ActionPolicy.Call? {
        if section["run"] != nil {
            var arguments: [String] = []
            for case .scalar(let argument) in section.list("run") {
                check(placeholdersIn: argument.text, at: argument.mark, path: "run")
                arguments.append(Placeholders.kept.fill(argument.text))
            }
            if arguments.first?.isEmpty ?? true { complain(section.mark(of: "run"), "run: the program's name is empty") }
            return .run(arguments)
        }
        guard let http = section.section("http"), let endpoint = endpoint(from: http, keepingSlash: true) else { return nil }
        for key in ["url", "body"] {
            if let scalar = http.scalar(key) { check(placeholdersIn: scalar.text, at: scalar.mark, path: "http.\(key)") }
        }
        let method = http.text("method") ?? (isCheck ? "GET" : "POST")
        if method == "GET", http["body"] != nil { complain(http.mark(of: "body"), "http.body: a GET request has no body") }
        return .http(method: method, endpoint: endpoint, body: http.text("body").map(Placeholders.kept.fill))
    }

    /// An action's address is used as it is, so a slash at its end stays.
    private func endpoint(from section: ReadSection, keepingSlash: Bool) -> HTTPEndpoint? {
        var endpoint = endpoint(from: section)
        if keepingSlash, let url = section.text("url") { endpoint?.url = Placeholders.kept.fill(url) }
        return endpoint
    }
}

extension ActionPolicy.Call {
    fileprivate var isProgram: Bool {
        switch self {
        case .run: true
        case .http: false
        }
    }
}
