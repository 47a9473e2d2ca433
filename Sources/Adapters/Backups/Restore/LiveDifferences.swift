internal import SerinDatabase
internal import SerinModel

/// What a live database has that one which is to take its place lacks. Blocks its thread.
///
/// A dump of one database holds none of what belongs to the database as a whole: its owner, grants and settings. They are carried
/// over before the databases change places, and publications, which no restore makes, are made again; what cannot be is a difference, as is every table, column and other object of a schema,
/// publication, subscription and role that only the live one has. Nobody finds out afterwards: a swap needs the number of differences
/// to be agreed to.
///
/// Objects are told apart by their names, columns also by their types and routines by their sources. How a view, constraint or index is
/// defined is not compared: the server words it otherwise after a restore though it is the same.
struct LiveDifferences {
    /// As the role that swaps.
    let server: RestoreServer
    let incoming: String

    private var live: String { server.live }

    /// Carries over what can be, and finds the rest.
    func settle() throws(Failure) -> [String] {
        // In what comes in everything runs as the role that restored it.
        let (here, there) = (try server.session(live), try (server.filling ?? server).session(incoming))
        // While that one still owns it; who the publications belong to may need the grants, so what failed is tried again.
        _ = try publish(here, there)
        var differences = try carryOver()
        differences += try publish(here, there)
        let owners = Set(try there.rows(Self.owners).compactMap { $0.first ?? nil })
        for look in Self.looks + [Self.columns, Self.objects, Self.sources] {
            let present = Set(try there.rows(look).compactMap { Found($0) })
            differences += try here.rows(look).compactMap { Found($0) }
                // With a table that is missing goes what belongs to it.
                .filter { found in !present.contains(found) && found.owner.map { owners.contains($0) } ?? true }.map(\.words)
        }
        return differences
    }

    /// One thing that a database has.
    private struct Found: Hashable {
        /// What it is, in words.
        var words: String
        /// The relation or routine that it belongs to; nil for what stands by itself.
        var owner: String?
        /// What tells it apart from another one of the same words.
        var version: String?

        init?(_ row: [String?]) {
            guard let words = row.first ?? nil else { return nil }
            self.words = words
            owner = row.dropFirst().first ?? nil
            version = row.dropFirst(2).first ?? nil
        }
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
        """
        SELECT format('the subscription %I, which stays with what is replaced. As a superuser, before the swap: ALTER SUBSCRIPTION %I '
            'DISABLE. Afterwards, in what was replaced: DROP SUBSCRIPTION %I; and in %I, with its tables emptied: CREATE SUBSCRIPTION %I '
            'CONNECTION ... PUBLICATION %s', s.subname, s.subname, s.subname, d.datname, s.subname,
            (SELECT string_agg(quote_ident(p), ', ') FROM unnest(s.subpublications) p))
        FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database() ORDER BY 1
        """,
        """
        SELECT format('the replication slot %I, which stays with what is replaced and keeps the log for it. Afterwards, in what was '
            'replaced: SELECT pg_drop_replication_slot(%L); and at the subscriber: drop the subscription and create it again, with its '
            'tables emptied', slot_name, slot_name)
        FROM pg_replication_slots WHERE database = current_database() AND NOT temporary ORDER BY 1
        """,
        """
        SELECT DISTINCT format('everything that belongs or is granted to the role %I', r.rolname) FROM pg_shdepend s
        JOIN pg_roles r ON r.oid = s.refobjid JOIN pg_database d ON d.oid = s.dbid
        WHERE d.datname = current_database() AND s.refclassid = 'pg_authid'::regclass AND s.deptype IN ('o', 'a') ORDER BY 1
        """,
    ]

    /// The columns with their types, and where rows are secured.
    private static let columns = """
        SELECT format('the column %I.%I.%I %s%s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN ' NOT NULL' END), format('%I.%I', n.nspname, c.relname)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm', 'f', 'v') AND c.oid >= 16384
        UNION ALL SELECT format('the row security of the table %I.%I', n.nspname, c.relname), format('%I.%I', n.nspname, c.relname)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relrowsecurity
        UNION ALL SELECT format('the value %L of the type %s', e.enumlabel, format_type(e.enumtypid, NULL)), format_type(e.enumtypid, NULL)
        FROM pg_enum e ORDER BY 1
        """

    /// What may own something else.
    private static let owners = """
        SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v')
        UNION ALL SELECT (pg_identify_object('pg_proc'::regclass, oid, 0)).identity FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT format_type(oid, NULL) FROM pg_type WHERE typtype = 'e'
        """

    /// What the routines do.
    private static let sources = """
        SELECT format('the %s %s as it is defined now', i.type, i.identity), i.identity, md5(p.prosrc)
        FROM pg_proc p CROSS JOIN pg_identify_object('pg_proc'::regclass, p.oid, 0) i
        WHERE p.oid >= 16384 AND coalesce(i.schema, '') !~ '^pg_' AND NOT EXISTS (
            SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e') ORDER BY 1
        """

    /// Everything else that a schema or database has: without what the server makes by itself for another object, and without the
    /// members of extensions. What was there from the start has smaller numbers.
    private static let objects =
        [
            (
                "pg_namespace",
                "o.nspname !~ '^pg_' AND coalesce(obj_description(o.oid, 'pg_namespace'), '') <> \(sqlText(TableMerge.mark))"
            ),
            // What was never finished is in no dump.
            (
                "pg_class",
                """
                o.relkind IN ('v', 'S', 'i', 'I') AND NOT EXISTS (
                    SELECT FROM pg_index x WHERE x.indexrelid = o.oid AND NOT x.indisvalid)
                """
            ),
        ].map { catalogue, condition in objects(of: catalogue, condition) }.joined(separator: " UNION ALL ")
        + [
            "pg_proc", "pg_type", "pg_constraint", "pg_trigger", "pg_policy", "pg_rewrite", "pg_extension", "pg_event_trigger",
            "pg_operator", "pg_cast", "pg_collation", "pg_ts_config", "pg_ts_dict", "pg_foreign_server", "pg_statistic_ext",
        ].map { " UNION ALL " + objects(of: $0, "true") }.joined() + " ORDER BY 1"

    private static func objects(of catalogue: String, _ condition: String) -> String {
        """
        SELECT format('the %s %s', i.type, i.identity), (
            SELECT format('%I.%I', n.nspname, c.relname) FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid
                JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE d.classid = '\(catalogue)'::regclass AND d.objid = o.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a'
            ORDER BY 1 LIMIT 1)
        FROM \(catalogue) o CROSS JOIN pg_identify_object('\(catalogue)'::regclass, o.oid, 0) i
        WHERE o.oid >= 16384 AND coalesce(i.schema, '') !~ '^pg_' AND \(condition) AND NOT EXISTS (
            SELECT FROM pg_depend d WHERE d.classid = '\(catalogue)'::regclass AND d.objid = o.oid
                AND d.deptype IN ('i', 'e', 'P', 'S'))
        """
    }

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

    /// Makes the publications again that only the live database has: each is a list of what others may ask for.
    ///
    /// - Returns: Those that somebody with more rights has to make.
    private func publish(_ here: Connection, _ there: Connection) throws(Failure) -> [String] {
        let statements = Self.publications(here.version)
        let present = try there.rows(statements)
        var refused: [String] = []
        for row in try here.rows(statements) where !present.contains(row) {
            guard row.count == 2, let name = row[0], let statement = row[1] else { continue }
            do throws(Failure) { _ = try there.rows(statement) } catch {
                refused.append("the publication \(name), to be made in \(incoming): \(statement) (\(error.message))")
            }
        }
        return refused
    }

    /// Publications by name with the statements that make them.
    private static func publications(_ version: Int) -> String {
        // Since 15 a publication may have columns, conditions and whole schemas.
        let isLater = version >= 150_000
        let columns = """
            (SELECT ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')' FROM pg_attribute a
                WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::int2[])), ' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')'
            """
        let schemas = """
            (SELECT string_agg(format('TABLES IN SCHEMA %I', n.nspname), ', ' ORDER BY n.nspname) FROM pg_publication_namespace s
                JOIN pg_namespace n ON n.oid = s.pnnspid WHERE s.pnpubid = p.oid)
            """
        return """
            SELECT quote_ident(p.pubname), format('CREATE PUBLICATION %I%s WITH (publish = %L, publish_via_partition_root = %s); '
                'ALTER PUBLICATION %I OWNER TO %I', p.pubname,
                CASE WHEN p.puballtables THEN ' FOR ALL TABLES' ELSE ' FOR ' || nullif(concat_ws(', ', (
                    SELECT 'TABLE ' || string_agg(concat(format('ONLY %I.%I', n.nspname, c.relname), \(isLater ? columns : "''")), ', '
                        ORDER BY n.nspname, c.relname)
                    FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE r.prpubid = p.oid), \(isLater ? schemas : "NULL")), '') END,
                concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                    CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
                p.pubviaroot::text, p.pubname, pg_get_userbyid(p.pubowner))
            FROM pg_publication p ORDER BY 1
            """
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
