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

    /// The gate of a backup.
    mutating func backup(from section: ReadSection, root: ReadSection) -> RolloutBackupPolicy? {
        guard let before: RolloutBackupPolicy.Before = word(section, "before") else { return nil }
        let deadline = section.duration("deadline") ?? .hours(1)
        if let file = section.text("plan") {
            return RolloutBackupPolicy(before: before, plan: .file(file), deadline: deadline)
        }
        var folders: [String] = []
        for case .scalar(let folder) in section.list("to") {
            if let problem = problem(ofFolder: folder.text, besides: folders) {
                complain(
                    folder.mark, "backup.to: '\(shown(folder.text))' \(problem)",
                    hint: "write file:///var/backups/checkout, or plan: and a file that names other destinations")
            } else {
                folders.append(folder.text)
            }
        }
        guard section["to"] != nil else { return nil }
        if root["postgres"] == nil {
            complain(
                section.mark(of: "to"), "backup.to: dumps the database under 'postgres', and there is none",
                hint: "add postgres: {url_env: DATABASE_URL, …}, or name a plan: that says what is backed up")
        }
        guard let key = secret("key", in: section) else {
            complain(
                section.mark(of: "to"), "backup.to: has no key",
                hint: "add key_file: and a file that holds a passphrase; backups are never stored unencrypted here")
            return nil
        }
        return RolloutBackupPolicy(before: before, plan: .short(destinations: folders, key: key), deadline: deadline)
    }

    /// Why a text is no folder of the short form; nil when it is one.
    private func problem(ofFolder text: String, besides others: [String]) -> String? {
        guard text.hasPrefix(BackupPlan.scheme + "/"), text.dropFirst(BackupPlan.scheme.count).contains(where: { $0 != "/" })
        else {
            return "is no folder; expected file:/// and an absolute path"
        }
        let path = text.dropFirst(BackupPlan.scheme.count).parts(at: "/")
        if path.contains("..") { return "leads upwards" }
        if text.contains("%") { return "holds a %, and a folder is written here as it is called" }
        return others.contains { $0.split(separator: "/") == text.split(separator: "/") } ? "is named twice" : nil
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
