internal import SerinModel

extension PolicyBuilder {
    /// How the schema is moved.
    mutating func migrations(from section: ReadSection, root: ReadSection) -> MigrationPolicy? {
        let database = secret("url", in: section)
        if database == nil, root["postgres"] == nil {
            complain(
                section.mark, "migrations: moves the database under 'postgres', and there is none",
                hint: "add postgres: {url_env: DATABASE_URL, …}, or url_env: DATABASE_URL here")
        }
        guard let tool = migrationTool(from: section) else { return nil }
        var policy = MigrationPolicy(tool: tool, database: database)
        policy.schema = word(section, "schema") ?? policy.schema
        policy.destructive = word(section, "destructive") ?? policy.destructive
        policy.approvals = section.number("approvals").map { Int($0) } ?? policy.approvals
        policy.lockTimeout = section.duration("lock_timeout") ?? policy.lockTimeout
        policy.lockTries = section.number("lock_tries").map { Int($0) } ?? policy.lockTries
        policy.statementTimeout = section.duration("statement_timeout") ?? policy.statementTimeout
        policy.deadline = section.duration("deadline") ?? policy.deadline
        policy.maintenance = section.section("maintenance").flatMap { maintenance(from: $0) }
        for case .section(let probe) in section.list("probes") {
            if let action = action(from: probe) { policy.probes.append(action) }
        }
        policy.restore = section.section("restore").flatMap { restore(from: $0) }
        policy.restoreWay = word(section, "restore_way")
        policy.contract = section.section("contract").flatMap { contract(from: $0) }
        checkDestruction(policy, section, root)
        return policy
    }

    /// Data may be destroyed only where everything stands ready that could bring it back.
    private mutating func checkDestruction(_ policy: MigrationPolicy, _ section: ReadSection, _ root: ReadSection) {
        guard policy.destructive == .allow else { return }
        let needed: [(isThere: Bool, what: String, hint: String)] = [
            (root["backup"] != nil, "a backup", "add backup: {before: migrations, plan: /etc/serin/backups/checkout.yaml}"),
            (
                section["maintenance"] != nil, "maintenance",
                "add maintenance: {on: {run: […], check: {…}}, off: {run: […], check: {…}}}"
            ),
            (
                section["restore"] != nil, "restore",
                "add restore: {run: […], check: {…}}, which is given $SERIN_BACKUP and $SERIN_RESTORE"
            ),
        ]
        for need in needed where !need.isThere {
            complain(
                section.mark(of: "destructive"), "migrations.destructive: allow needs \(need.what), and there is none",
                hint: need.hint)
        }
    }

    private mutating func restore(from section: ReadSection) -> ActionPolicy? {
        if section["check"] == nil {
            complain(
                section.mark, "migrations.restore: has no check",
                hint: "add check: the revision says nothing of rows, so nobody could tell whether they are back")
        }
        return action(from: section)
    }

    private mutating func contract(from section: ReadSection) -> MigrationPolicy.Contract? {
        guard let gone = section.section("old_version_gone").flatMap({ gate(from: $0) }),
            let writes = section.section("dual_write").flatMap({ gate(from: $0) }),
            let filled = section.section("backfill").flatMap({ gate(from: $0) })
        else { return nil }
        return MigrationPolicy.Contract(
            after: section.duration("after") ?? .hours(24), oldVersionGone: gone, dualWrite: writes, backfill: filled)
    }

    private mutating func gate(from section: ReadSection) -> MigrationPolicy.Contract.Gate? {
        if let query = section.text("query") { return .query(query) }
        if let reason = section.text("not_needed") { return .notNeeded(reason) }
        return action(from: section).map { .probe($0) }
    }

    private mutating func maintenance(from section: ReadSection) -> MigrationPolicy.Maintenance? {
        for key in ["on", "off"] {
            if let action = section.section(key), action["check"] == nil {
                complain(
                    section.mark(of: key), "migrations.maintenance.\(key): has no check",
                    hint: "add check: what is not proven to keep writes away is not relied upon")
            }
        }
        guard let on = section.section("on").flatMap({ action(from: $0) }),
            let off = section.section("off").flatMap({ action(from: $0) })
        else { return nil }
        return MigrationPolicy.Maintenance(on: on, off: off)
    }

    private mutating func migrationTool(from section: ReadSection) -> MigrationPolicy.Tool? {
        if let alembic = section.section("alembic") {
            guard let config = alembic.text("config") else { return nil }
            return .alembic(
                config: config, program: alembic.text("program") ?? "alembic", directory: alembic.text("directory"))
        }
        if let folder = section.section("sql") {
            guard let path = folder.text("folder") else { return nil }
            return .folder(path: path, table: folder.text("table") ?? "schema_migrations")
        }
        guard let commands = section.section("commands") else { return nil }
        var environment: [String] = []
        for case .scalar(let name) in commands.list("env") where !environment.contains(name.text) {
            environment.append(name.text)
        }
        guard let current = program("current", in: commands), let heads = program("heads", in: commands),
            let up = program("up", in: commands, needsRevision: true)
        else { return nil }
        return .commands(
            MigrationPolicy.Commands(
                current: current, heads: heads, up: up, down: program("down", in: commands, needsRevision: true),
                sql: program("sql", in: commands), environment: environment))
    }

    private mutating func program(_ key: String, in section: ReadSection, needsRevision: Bool = false) -> [String]? {
        guard section[key] != nil else { return nil }
        var arguments: [String] = []
        for case .scalar(let argument) in section.list(key) {
            let names = Placeholders.unknownNames(in: argument.text).filter { !needsRevision || $0 != "revision" }
            for name in names {
                complain(
                    argument.mark, "migrations.commands.\(key): unknown placeholder '{{\(shown(name))}}'",
                    hint: needsRevision
                        ? "known are {{revision}}, {{version}} and {{previous}}" : "known are {{version}} and {{previous}}")
            }
            arguments.append(Placeholders.kept.fill(argument.text))
        }
        if arguments.first?.isEmpty ?? true {
            complain(section.mark(of: key), "migrations.commands.\(key): the program's name is empty")
        }
        if needsRevision, !arguments.contains(where: { Placeholders.unknownNames(in: $0).contains("revision") }) {
            complain(
                section.mark(of: key), "migrations.commands.\(key): does not say where it leads",
                hint: "put {{revision}} where the tool expects the revision")
        }
        return arguments
    }
}
