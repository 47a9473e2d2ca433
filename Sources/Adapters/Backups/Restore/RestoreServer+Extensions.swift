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
        let needed = facts.named("extension")
        let made = try extensionsOfTemplate()
        let known = try self.known(needed)
        let missing = needed.filter { name in !made.contains(name) && !known.contains { $0.name == name } }
        guard missing.isEmpty else {
            throw Failure(
                .denied, "the server has not the extension \(missing.joined(separator: ", ")), which the dump makes",
                hint: "install its package at the server")
        }
        let refused = known.filter { $0.needsSuperuser && !made.contains($0.name) }.map(\.name)
        guard let me, !refused.isEmpty else { return }
        let makes = refused.map { "CREATE EXTENSION \(sqlName($0))" }.joined(separator: "; ")
        let template = settings.policy.template.map(sqlName)
        throw Failure(
            .denied,
            "the dump makes the extension \(refused.joined(separator: ", ")), which the role \(me) may not: only a superuser may",
            hint: (template.map { "as a superuser, in the database \($0): " }
                ?? "as a superuser: CREATE DATABASE serin_template TEMPLATE template0 IS_TEMPLATE true; then in it: ")
                + makes + (template == nil ? "; then restore.template: serin_template in the plan" : ""))
    }

    /// What a dump of a database would make by now.
    func prerequisites(of database: String) throws(Failure) -> [String] {
        try PostgresInventory(try session(database), patience: settings.policy.deadline).prerequisites(of: PostgresSelection())
    }

    /// Those of some extensions that only a superuser makes.
    func untrusted(_ names: [String]) throws(Failure) -> [String] { try known(names).filter(\.needsSuperuser).map(\.name) }

    private func known(_ names: [String]) throws(Failure) -> [(name: String, needsSuperuser: Bool)] {
        guard !names.isEmpty else { return [] }
        let session = try maintenance
        // Before 13 nothing is trusted.
        let trusted = session.version >= 130_000 ? " AND NOT v.trusted" : ""
        return try session.rows(
            """
            SELECT e.name, v.superuser\(trusted) FROM pg_available_extensions e
            JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version
            WHERE e.name IN (\(names.map { sqlText($0) }.joined(separator: ", "))) ORDER BY 1
            """
        ).compactMap { row in row.first.flatMap { $0 }.map { ($0, row.last == "t") } }
    }

    /// The extensions that a new database has already.
    func extensionsOfTemplate() throws(Failure) -> [String] {
        guard let template = settings.policy.template else { return [] }
        return try extensions(of: template)
    }

    /// The extensions of a database, but for the one that every database has.
    func extensions(of database: String) throws(Failure) -> [String] {
        try session(database).rows("SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1")
            .compactMap { $0.first ?? nil }
    }
}

extension SourceFacts {
    /// Whether a dump makes them: one of single schemas or tables makes none.
    var makesPrerequisites: Bool { part.map { $0.schemas.isEmpty && $0.tables.isEmpty } ?? true }

    /// The names of one sort of prerequisites.
    func named(_ sort: String) -> [String] {
        prerequisites.filter { $0.hasPrefix(sort + " ") }.map { String($0.dropFirst(sort.count + 1)) }
    }
}
