internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinPolicies

/// What of a dump only a superuser may make, at the server that it is restored to. These block their thread.
extension RestoreServer {
    /// - Throws: `denied` when the server has not what the dump needs, or the role that restores may not make it: then the restore would
    ///   fail in its middle, and it is said before anything is made.
    func checkPrerequisites(_ facts: SourceFacts?) throws(Failure) {
        guard let facts, facts.makesPrerequisites else { return }
        let session = try maintenance
        let me = try session.value("SELECT rolname FROM pg_roles WHERE rolname = current_user AND NOT rolsuper")
        let triggers = facts.named("event trigger")
        if let me, !triggers.isEmpty {
            throw Failure(
                .denied,
                "the dump makes the event trigger \(triggers.joined(separator: ", ")), which the role \(me) may not: only a "
                    + "superuser may",
                hint:
                    "drop it at the source before the next backup, and let a superuser make it where it is needed; such a dump is "
                    + "restored by hand, by a superuser and into a server of its own")
        }
        let needed = facts.dumpedExtensions
        let made = try settings.policy.template.map { template throws(Failure) in try extensions(of: template) } ?? []
        let known = try self.known(needed.map(\.name))
        let missing = needed.map(\.name).filter { name in !(made.map(\.name) + known.map(\.name)).contains(name) }
        guard missing.isEmpty else {
            throw Failure(
                .denied, "the server has not the extension \(missing.joined(separator: ", ")), which the dump makes",
                hint: "install its package at the server")
        }
        let elsewhere = needed.filter { one in made.contains { $0.name == one.name && $0.schema != one.schema } }
        let refused =
            elsewhere
            + needed.filter { one in
                !made.contains { $0.name == one.name } && known.contains { $0.name == one.name && $0.needsSuperuser }
            }
        guard let me, !refused.isEmpty else { return }
        let makes = (elsewhere + (try forSuperuser(needed.filter { one in !made.contains { $0.name == one.name } }))).map { one in
            let drop = elsewhere.contains(one) ? "DROP EXTENSION \(sqlName(one.name)); " : ""
            return drop + one.statements(for: me)
        }.joined(separator: "; ")
        let template = settings.policy.template.map(sqlName)
        let words = refused.map { "\($0.name) in the schema \($0.schema)" }.joined(separator: ", ")
        throw Failure(
            .denied,
            elsewhere.isEmpty
                ? "the dump makes the extension \(words), which the role \(me) may not: only a superuser may"
                : "the dump has the extension \(words), and the database \(template ?? "") does not have it there",
            hint: (template.map { "as a superuser, in the database \($0): " }
                ?? "as a superuser: CREATE DATABASE serin_template TEMPLATE template0 IS_TEMPLATE true; then in it: ")
                + makes + (template == nil ? "; then restore.template: serin_template in the plan" : ""))
    }

    /// The facts of a dump as one of the live database would tell them by now.
    func current(_ facts: SourceFacts) throws(Failure) -> SourceFacts {
        let inventory = PostgresInventory(try session(live), patience: settings.policy.deadline)
        var facts = facts
        facts.prerequisites = try inventory.prerequisites(of: PostgresSelection())
        facts.extensions = try inventory.extensions()
        return facts
    }

    /// Those of a dump's extensions that only a superuser makes, after what they require.
    func forSuperuser(_ extensions: [DumpExtension]) throws(Failure) -> [DumpExtension] {
        guard !extensions.isEmpty else { return [] }
        let names = try maintenance.rows(
            """
            WITH RECURSIVE known AS (\(try known)),
            needed AS (SELECT name, requires FROM known WHERE refused AND name IN (\(list(extensions.map(\.name))))
                UNION SELECT k.name, k.requires FROM known k JOIN needed n ON k.name = ANY (n.requires))
            SELECT name FROM needed
            """)
        return extensions.filter { one in names.contains { $0.first == one.name } }
    }

    private func known(_ names: [String]) throws(Failure) -> [(name: String, needsSuperuser: Bool)] {
        guard !names.isEmpty else { return [] }
        return try maintenance.rows("SELECT name, refused FROM (\(try known)) k WHERE name IN (\(list(names))) ORDER BY 1")
            .compactMap { row in row.first.flatMap { $0 }.map { ($0, row.last == "t") } }
    }

    /// Asks for the extensions that the server can make.
    private var known: String {
        get throws(Failure) {
            // Before 13 nothing is trusted.
            """
            SELECT v.name, v.requires, v.superuser\(try maintenance.version >= 130_000 ? " AND NOT v.trusted" : "") AS refused
            FROM pg_available_extensions e
            JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version
            """
        }
    }

    private func list(_ names: [String]) -> String { names.map { sqlText($0) }.joined(separator: ", ") }

    private func extensions(of database: String) throws(Failure) -> [DumpExtension] {
        try PostgresInventory(try session(database), patience: settings.policy.deadline).extensions()
    }

    /// The entries of a dump that would make what a new database has from its template.
    func present(in database: String) throws(Failure) -> [String] {
        let extensions = try extensions(of: database).map(\.name).flatMap { name in
            ["EXTENSION - \(name) ", "COMMENT - EXTENSION \(name) ", "COMMENT - EXTENSION \(sqlName(name)) "]
        }
        let schemas = try session(database).rows(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public') ORDER BY 1"
        )
        return extensions + schemas.compactMap { $0.first ?? nil }.map { "SCHEMA - \($0) " }
    }
}

extension DumpExtension {
    /// What a superuser says to have it where the dump has it.
    ///
    /// - Parameter role: Who its schema belongs to.
    func statements(for role: String) -> String {
        // Every database has the one, and nobody makes the others.
        let isThere = schema == "public" || schema.hasPrefix("pg_")
        return (isThere ? "" : "CREATE SCHEMA IF NOT EXISTS \(sqlName(schema)) AUTHORIZATION \(sqlName(role)); ")
            + "CREATE EXTENSION IF NOT EXISTS \(sqlName(name)) SCHEMA \(sqlName(schema))"
    }
}

extension SourceFacts {
    /// Whether a dump makes them: one of single schemas or tables makes none.
    var makesPrerequisites: Bool { part.map { $0.schemas.isEmpty && $0.tables.isEmpty } ?? true }

    /// The extensions that a dump makes; one that does not say where has them in the schema that every database has.
    var dumpedExtensions: [DumpExtension] {
        guard makesPrerequisites else { return [] }
        return extensions ?? named("extension").map { DumpExtension(name: $0, schema: "public") }
    }

    /// The names of one sort of prerequisites.
    func named(_ sort: String) -> [String] {
        prerequisites.filter { $0.hasPrefix(sort + " ") }.map { String($0.dropFirst(sort.count + 1)) }
    }
}
