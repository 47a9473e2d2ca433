internal import SerinModel
internal import SerinPorts
internal import SerinRollouts

/// The variables an action's program is given: a fixed list, those the policy names, and what the rollout tells it.
struct ActionEnvironment: Sendable {
    /// Where programs are looked up unless `PATH` is passed on.
    static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// What tells an action's programs from all others.
    static let keyVariable = "SERIN_IDEMPOTENCY_KEY"

    private let base: [String: String]
    /// The values passed on because the policy names them; treated as secrets.
    let passed: [String]

    /// Takes `HOME`, `LANG` and the named variables from the caller's environment; nothing else reaches a program.
    init(caller: [String: String], passing names: [String]) {
        var base = ["PATH": ActionEnvironment.path]
        for name in ["HOME", "LANG"] + names where caller[name] != nil { base[name] = caller[name] }
        self.base = base
        passed = names.filter { !["PATH", "HOME", "LANG"].contains($0) }.compactMap { caller[$0] }
    }

    /// The whole environment for one action.
    func variables(for context: ActionContext) -> [String: String] {
        var all = base
        all["SERIN_SERVICE"] = context.service.description
        all["SERIN_VERSION"] = context.version
        all["SERIN_PREVIOUS"] = context.previous
        all[ActionEnvironment.keyVariable] = context.key
        if let backup = context.backup { all["SERIN_BACKUP"] = backup.description }
        if let order = context.restore {
            all["SERIN_RESTORE"] = order.way.rawValue
            all["SERIN_REVISION"] = order.target?.description ?? "base"
            all["SERIN_TABLES"] = order.tables.joined(separator: " ")
        }
        return all
    }
}
