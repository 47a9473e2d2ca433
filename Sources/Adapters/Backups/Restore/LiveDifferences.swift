internal import SerinDatabase
internal import SerinModel

/// What a live database has that one which is to take its place lacks. Blocks its thread.
///
/// A dump of one database holds none of what belongs to the database as a whole: its owner, grants and settings. They are carried
/// over before the databases change places; what cannot be is a difference, as is every table, publication, subscription and role
/// that only the live one has. Nobody finds out afterwards: a swap needs the number of differences to be agreed to.
struct LiveDifferences {
    let server: RestoreServer
    let incoming: String

    private var live: String { server.live }

    /// Carries over what can be, and finds the rest.
    func settle() throws(Failure) -> [String] {
        var differences = try carryOver()
        let (here, there) = (try server.session(live), try server.session(incoming))
        for look in Self.looks {
            func names(_ session: Connection) throws(Failure) -> [String] {
                try session.rows(look).compactMap { $0.first ?? nil }
            }
            let present = Set(try names(there))
            differences += try names(here).filter { !present.contains($0) }
        }
        return differences
    }

    /// How many tables of its own the live database has.
    func liveTables() throws(Failure) -> Int { try server.session(live).rows(Self.looks[0]).count }

    private static let looks = [
        // What a merge keeps beside the live tables is none of them.
        """
        SELECT format('the table %I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
            AND n.nspname <> 'information_schema'
            AND coalesce(obj_description(n.oid, 'pg_namespace'), '') <> \(sqlText(TableMerge.mark)) ORDER BY 1
        """,
        "SELECT format('the publication %I, which is to be made again', pubname) FROM pg_publication ORDER BY 1",
        """
        SELECT format('the subscription %I, which is to be made again', s.subname) FROM pg_subscription s
        JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database() ORDER BY 1
        """,
        """
        SELECT DISTINCT format('everything that belongs or is granted to the role %I', r.rolname) FROM pg_shdepend s
        JOIN pg_roles r ON r.oid = s.refobjid JOIN pg_database d ON d.oid = s.dbid
        WHERE d.datname = current_database() AND s.refclassid = 'pg_authid'::regclass AND s.deptype IN ('o', 'a') ORDER BY 1
        """,
    ]

    /// - Returns: The statements that the server refused, which somebody with more rights may run.
    private func carryOver() throws(Failure) -> [String] {
        let session = try server.maintenance
        var refused: [String] = []
        // The owner first: what it may do goes with it.
        for read in [ownership, grants, settings] {
            for statement in try read(session) {
                do throws(Failure) { _ = try session.rows(statement) } catch {
                    refused.append("\(statement); (\(error.message))")
                }
            }
        }
        return refused
    }

    private func ownership(_ session: Connection) throws(Failure) -> [String] {
        try session.rows(
            """
            SELECT CASE WHEN o.datdba <> i.datdba THEN format('ALTER DATABASE %I OWNER TO %I', i.datname, pg_get_userbyid(o.datdba))
                END, CASE WHEN o.datconnlimit <> i.datconnlimit
                THEN format('ALTER DATABASE %I CONNECTION LIMIT %s', i.datname, o.datconnlimit) END
            FROM pg_database o, pg_database i WHERE o.datname = \(sqlText(live)) AND i.datname = \(sqlText(incoming))
            """
        ).first?.compactMap(\.self) ?? []
    }

    /// What the owner may do goes without saying, whoever that is.
    private func grants(_ session: Connection) throws(Failure) -> [String] {
        func list(_ name: String) -> String {
            """
            SELECT a.privilege_type AS what, a.is_grantable AS option,
                CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS who
            FROM pg_database d CROSS JOIN aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
            WHERE d.datname = \(sqlText(name)) AND a.grantee <> d.datdba
            """
        }
        return try session.rows(
            """
            WITH o AS (\(list(live))), i AS (\(list(incoming)))
            SELECT format('REVOKE %s ON DATABASE %I FROM %s', what, \(sqlText(incoming)), who)
            FROM (SELECT * FROM i EXCEPT SELECT * FROM o) x
            UNION ALL SELECT format('GRANT %s ON DATABASE %I TO %s%s', what, \(sqlText(incoming)), who,
                CASE WHEN option THEN ' WITH GRANT OPTION' END)
            FROM (SELECT * FROM o EXCEPT SELECT * FROM i) x
            """
        ).compactMap { $0.first ?? nil }
    }

    /// Lists of names would have to be quoted one by one; set for a moment, they are taken as they are.
    private func settings(_ session: Connection) throws(Failure) -> [String] {
        func list(_ name: String) -> String {
            """
            SELECT CASE WHEN s.setrole = 0 THEN format('ALTER DATABASE %I', \(sqlText(incoming)))
                    ELSE format('ALTER ROLE %I IN DATABASE %I', pg_get_userbyid(s.setrole), \(sqlText(incoming))) END AS who,
                split_part(c, '=', 1) AS name, substr(c, strpos(c, '=') + 1) AS value
            FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase CROSS JOIN unnest(s.setconfig) c
            WHERE d.datname = \(sqlText(name))
            """
        }
        return try session.rows(
            """
            WITH o AS (\(list(live))), i AS (\(list(incoming)))
            SELECT format('%s RESET %I', i.who, i.name) FROM i LEFT JOIN o USING (who, name) WHERE o.name IS NULL
            UNION ALL SELECT CASE
                WHEN name ~ '(^search_path|preload_libraries|_tablespaces|_directories)$' OR name ~ '[.]' THEN format(
                    'SELECT pg_catalog.set_config(%L, %L, true); %s SET %s FROM CURRENT', name, value, who,
                    (SELECT string_agg(quote_ident(part), '.') FROM unnest(string_to_array(name, '.')) part))
                ELSE format('%s SET %I = %L', who, name, value) END
            FROM (SELECT * FROM o EXCEPT SELECT * FROM i) x ORDER BY 1
            """
        ).compactMap { $0.first ?? nil }
    }
}
