internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinPolicies

/// What functions of others could reach as the role that restores. It runs them while rows are filled in or merged, behind a CHECK for example,
/// and they may be of anybody who owns something in the database that was dumped. These block their thread.
extension RestoreServer {
    /// Whose functions the role that restores runs.
    enum ForeignCode {
        /// Those of a dump, while it is restored.
        case dump
        /// Those of the live database, while rows are merged into one of its tables.
        case live
    }

    /// Owners whose functions are not trusted: without the role that restores, superusers, and those of the plan.
    ///
    /// - Parameter owners: nil where the dump does not say who its objects belong to.
    /// - Returns: nil for the same.
    func strangers(_ owners: [String]?) throws(Failure) -> [String]? {
        guard let owners else { return nil }
        let known = try maintenance.rows("SELECT rolname FROM pg_roles WHERE rolsuper OR rolname = session_user")
            .compactMap { $0.first ?? nil }
        let trusted = known + settings.policy.trust
        return owners.filter { owner in !trusted.contains { $0.isExactly(owner) } }
    }

    /// - Throws: `denied` when a function could do as the role that restores what its owner may not do: to other databases, to roles that
    ///   log in, to sessions of others.
    func refuseReach(_ owners: [String]?, _ code: ForeignCode = .dump) throws(Failure) {
        let strangers = try strangers(owners)
        guard strangers?.isEmpty != true else { return }
        let session = try maintenance
        let found = try session.rows(reach(of: strangers ?? [""])).compactMap { row -> Reached? in
            guard row.count == 4, let owner = row[0], let sort = row[1], let name = row[2], let me = row[3] else { return nil }
            return Reached(owner: owner, sort: sort, name: name, me: me)
        }
        guard let me = found.first?.me else { return }
        let owners = RestoreServer.names(found.map(\.owner))
        let whose =
            strangers == nil
            ? "of the dump, which does not say who owns them,"
            : "of \(owners.joined(separator: ", ")) in \(code == .dump ? "the dump" : live)"
        var hints = [
            settings.swapURL == nil
                ? "name the role that owns \(live) as restore.swap_url_env, and restore as one that has CREATEDB and owns nothing "
                    + "(docs/RUNBOOKS.md)"
                : "take that from \(me), which needs CREATEDB and to be a member of owners that do not log in (docs/RUNBOOKS.md)"
        ]
        let others = RestoreServer.names(found.filter { $0.sort == "database" && !$0.name.isExactly(live) }.map(\.name))
        if !others.isEmpty {
            hints.append(
                "look at \(others.prefix(5).joined(separator: ", ")): drop what a restore left under another name, and give the rest to a "
                    + "role of which \(me) is no member: ALTER DATABASE \(sqlName(others[0])) OWNER TO …")
        }
        if code == .dump, found.allSatisfy({ $0.sort == "login" || $0.sort == "admin" }) {
            hints.append("--no-owners with a role that is a member of none")
        }
        if strangers == nil {
            hints.append("newer backups say who owns what")
        } else {
            hints.append("restore.trust: [\(owners.joined(separator: ", "))] where they may do all that anyway")
        }
        throw Failure(
            .denied,
            "a function \(whose) could act as \(me) while the rows are \(code == .dump ? "filled in" : "merged"), and \(me) may "
                + RestoreServer.words(found),
            hint: hints.joined(separator: "; or "))
    }

    /// Each once.
    static func names(_ names: [String]) -> [String] {
        names.reduce(into: []) { list, name in
            if !list.contains(where: { $0.isExactly(name) }) { list.append(name) }
        }
    }

    /// Whether one role may act as another.
    func mayAct(_ role: String, as other: String) throws(Failure) -> String {
        // Since 16 a member may be one that neither inherits nor becomes the role.
        try maintenance.version >= 160_000
            ? "(pg_has_role(\(role), \(other), 'USAGE') OR pg_has_role(\(role), \(other), 'SET'))"
            : "pg_has_role(\(role), \(other), 'MEMBER')"
    }

    /// One thing that the role that restores may do, and an owner may not.
    private struct Reached {
        var owner: String
        var sort: String
        var name: String
        var me: String
    }

    /// Asks for what the role may do, once for each owner that may not. One that the server lacks may nothing.
    private func reach(of owners: [String]) throws(Failure) -> String {
        // What restores have made beside live databases, of this plan and others, can be restored again.
        return """
            WITH mine AS (SELECT oid, rolname, rolcanlogin, rolreplication, rolname = session_user AS itself FROM pg_roles
                WHERE pg_has_role(session_user, oid, 'MEMBER')),
            owners AS (SELECT name, r.oid AS id FROM unnest(ARRAY[\(owners.map { sqlText($0) }.joined(separator: ", "))]::text[]) name
                LEFT JOIN pg_roles r ON r.rolname = name),
            reach AS (
                SELECT 'database' AS sort, d.datname::text AS name, d.datdba AS role FROM pg_database d JOIN mine m ON m.oid = d.datdba
                WHERE NOT d.datistemplate AND NOT (m.itself AND d.datname ~ '_restore_[0-9a-z]{8}(_[0-9]+)?$')
                UNION ALL SELECT 'login', rolname, oid FROM mine WHERE rolcanlogin AND NOT itself
                UNION ALL SELECT 'admin', rolname, oid FROM mine
                WHERE NOT itself AND pg_has_role(session_user, oid, 'MEMBER WITH ADMIN OPTION')
                UNION ALL SELECT 'signal', rolname, oid FROM mine WHERE rolname = 'pg_signal_backend'
                UNION ALL (SELECT 'replication', rolname, oid FROM mine WHERE rolreplication ORDER BY itself DESC, rolname LIMIT 1))
            SELECT o.name, p.sort, p.name, session_user FROM owners o CROSS JOIN reach p
            WHERE o.id IS NULL OR NOT CASE p.sort
                WHEN 'admin' THEN pg_has_role(o.id, p.role, 'MEMBER WITH ADMIN OPTION')
                WHEN 'replication' THEN EXISTS (SELECT FROM pg_roles r WHERE r.rolreplication AND \(try mayAct("o.id", as: "r.oid")))
                ELSE \(try mayAct("o.id", as: "p.role")) END
            ORDER BY 1, 2, 3
            """
    }

    /// `rename and shut the database checkout, end the sessions of others`
    private static func words(_ found: [Reached]) -> String {
        func names(_ sort: String) -> [String] { RestoreServer.names(found.filter { $0.sort == sort }.map(\.name)) }
        func list(_ names: [String]) -> String { names.prefix(5).joined(separator: ", ") + (names.count > 5 ? ", …" : "") }
        var words: [String] = []
        if case let databases = names("database"), !databases.isEmpty {
            words.append("rename and shut the database \(list(databases))")
        }
        if case let roles = names("login"), !roles.isEmpty {
            words.append("act as \(list(roles)), and change \(roles.count == 1 ? "its password" : "their passwords")")
        }
        if case let roles = names("admin"), !roles.isEmpty { words.append("make others members of \(list(roles))") }
        if !names("signal").isEmpty { words.append("end the sessions of others") }
        if !names("replication").isEmpty { words.append("make and drop replication slots") }
        return words.joined(separator: "; and ")
    }
}
