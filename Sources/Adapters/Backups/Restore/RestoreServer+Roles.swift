internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel

/// The roles that a dump names, at the server that it is restored to. These block their thread.
extension RestoreServer {
    /// - Throws: `denied` when the role that restores has power over the server, or is a member of one that has: a dump may do whatever the
    ///   role may that restores it. Before Postgres 16 who may make roles can give itself the right to run programs, and since then it can
    ///   still make one that logs in.
    func refusePower() throws(Failure) {
        try refuseOtherRole()
        let rows = try maintenance.rows(
            """
            SELECT session_user, rolname, rolname = session_user, rolsuper, rolcreaterole FROM pg_roles
            WHERE pg_has_role(session_user, oid, 'MEMBER') AND (rolsuper OR rolcreaterole
                OR rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))
            ORDER BY rolname <> session_user, rolname
            """)
        guard let first = rows.first, first.count == 5, let me = first[0], let role = first[1] else { return }
        let power =
            if first[3] == "t" { "a superuser" } else if first[4] == "t" { "one that may make roles (CREATEROLE)" } else {
                "one that has the server's files or programs"
            }
        throw Failure(
            .denied,
            "the role \(me) that restores is " + (first[2] == "t" ? power : "a member of \(role), \(power)")
                + ": a dump may do whatever that one may",
            hint: "\(RestoreServer.otherRole) and no more rights over the server")
    }

    /// - Throws: `denied` when sessions of the role are those of another one from the beginning: what it may would then be asked of the one
    ///   and done as the other.
    func refuseOtherRole() throws(Failure) {
        let session = try maintenance
        let row = try session.rows("SELECT session_user, current_user").first
        guard let row, row.count == 2, let me = row[0], let other = row[1], !me.isExactly(other) else { return }
        let resets = try session.rows(
            """
            SELECT concat('ALTER ', CASE WHEN r.oid IS NOT NULL THEN 'ROLE ' || quote_ident(r.rolname)
                WHEN d.oid IS NULL THEN 'ROLE ALL' ELSE 'DATABASE ' || quote_ident(d.datname) END,
                CASE WHEN r.oid IS NOT NULL THEN ' IN DATABASE ' || quote_ident(d.datname) END, ' RESET role')
            FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
            WHERE (r.rolname = session_user OR s.setrole = 0) AND EXISTS (SELECT FROM unnest(s.setconfig) c WHERE c LIKE 'role=%')
            ORDER BY 1
            """
        ).compactMap { $0.first ?? nil }
        throw Failure(
            .denied, "sessions of the role \(me) act as \(other) from their beginning, which is set somewhere",
            hint: resets.isEmpty
                ? "take role out of the options of the connection string" : "as a superuser: \(resets.joined(separator: "; "))")
    }

    /// - Throws: `denied` when the server lacks roles, or the role that restores cannot give objects to their owners: then the dump
    ///   cannot be restored as it is, and it is said before anything is made.
    func checkRoles(_ facts: SourceFacts?) throws(Failure) {
        guard let facts, let owners = facts.owners?.map(\.role) else { return }
        let named = owners + (facts.grantees ?? [])
        guard !named.isEmpty else { return }
        let session = try maintenance
        // Since 16 a member may be one that cannot become the role.
        let set = session.version >= 160_000 ? " AND pg_has_role(oid, 'SET')" : ""
        let known = try session.rows(
            """
            SELECT rolname, pg_has_role(oid, 'USAGE')\(set), rolsuper OR rolcreaterole, current_user FROM pg_roles
            WHERE rolname IN (\(named.map { sqlText($0) }.joined(separator: ", "))) ORDER BY 1
            """)
        let missing = named.filter { name in !known.contains { $0.first == name } }
        guard missing.isEmpty else {
            throw Failure(
                .denied, "the server lacks roles that the backup names: \(missing.joined(separator: ", "))",
                hint: "as a superuser: \(missing.map { "CREATE ROLE \(sqlName($0))" }.joined(separator: "; ")); or those of a "
                    + "globals backup; or --no-owners gives everything to the role that restores")
        }
        let strange = known.filter { row in row.count == 4 && row[1] != "t" && owners.contains { $0 == row[0] } }
        guard let me = strange.first?.last ?? nil else { return }
        // Who restores may be no member of those that have power over the server.
        let (mighty, others) = (strange.filter { $0[2] == "t" }, strange.filter { $0[2] != "t" })
        func names(_ rows: [[String?]]) -> [String] { rows.compactMap { $0.first ?? nil } }
        var hints: [String] = []
        if !others.isEmpty {
            hints.append("as a superuser: GRANT \(names(others).map(sqlName).joined(separator: ", ")) TO \(sqlName(me))")
        }
        if !mighty.isEmpty {
            hints.append(
                "give what belongs to \(names(mighty).joined(separator: ", ")) to another role before the next backup")
        }
        throw Failure(
            .denied, "the role \(me) cannot give objects to their owners: \(names(strange).joined(separator: ", "))",
            hint: hints.joined(separator: "; ") + "; or --no-owners gives everything to the role that restores")
    }

    /// Lets owners have objects in schemas that they may make nothing in. Grants come last in a dump, and only a superuser may give
    /// a role what it could not have made itself.
    func letOwn(_ owners: [DumpOwner], in name: String) throws(Failure) {
        let session = try session(name)
        let present = try session.rows(
            """
            SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
                AND pg_has_role(nspowner, 'USAGE') ORDER BY 1
            """
        ).compactMap { $0.first ?? nil }
        for role in try others(owners, session) {
            _ = try session.rows("ALTER DEFAULT PRIVILEGES GRANT CREATE ON SCHEMAS TO \(sqlName(role))")
            for schema in present { _ = try session.rows("GRANT CREATE ON SCHEMA \(sqlName(schema)) TO \(sqlName(role))") }
        }
    }

    /// Takes back what `letOwn` granted, but for what was granted in the database itself.
    func endOwning(_ owners: [DumpOwner], in name: String) throws(Failure) {
        let session = try session(name)
        for role in try others(owners, session) {
            _ = try session.rows("ALTER DEFAULT PRIVILEGES REVOKE CREATE ON SCHEMAS FROM \(sqlName(role))")
            let granted = try session.rows(
                """
                SELECT n.nspname FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) a
                WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner AND pg_has_role(n.nspowner, 'USAGE')
                    AND a.grantee = (SELECT oid FROM pg_roles WHERE rolname = \(sqlText(role))) ORDER BY 1
                """
            ).compactMap { $0.first ?? nil }
            let creates = owners.first { $0.role == role }?.creates ?? []
            for schema in granted where !creates.contains(schema) {
                _ = try session.rows("REVOKE CREATE ON SCHEMA \(sqlName(schema)) FROM \(sqlName(role))")
            }
        }
    }

    /// A superuser needs none of this, and the role that restores may do what it needs.
    private func others(_ owners: [DumpOwner], _ session: Connection) throws(Failure) -> [String] {
        guard !owners.isEmpty,
            let row = try session.rows("SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user").first,
            row.last != "t"
        else { return [] }
        return owners.map(\.role).filter { $0 != row.first }
    }
}
