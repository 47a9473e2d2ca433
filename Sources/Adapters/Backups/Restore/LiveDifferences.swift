internal import SerinDatabase
internal import SerinModel

/// What a live database has that one which is to take its place lacks. Blocks its thread.
///
/// A dump of one database holds none of what belongs to the database as a whole: its owner, grants, comment and settings. They are carried
/// over before the databases change places, and publications, which no restore makes, are made again; what cannot be is a difference, as is every table, column and other object of a schema,
/// publication, subscription and role that only the live one has. Nobody finds out afterwards: a swap needs the number of differences
/// to be agreed to.
///
/// Objects are told apart by their names, columns also by their types and defaults, routines by their sources; owners and rights are compared
/// both ways, since a right that was taken from somebody would come back. How a view, constraint or index is defined is not compared: the
/// server words it otherwise after a restore though it is the same.
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
        return try differences + rights(here, there)
    }

    /// Keeps others out again, until it goes live with the grants that it was given.
    func shut() throws(Failure) {
        let session = try server.maintenance
        if let filler = try server.filling?.maintenance.value("SELECT session_user") {
            _ = try session.rows(RestoreServer.grant(incoming, filler))
        }
        _ = try session.rows("REVOKE CONNECT ON DATABASE \(sqlName(incoming)) FROM PUBLIC")
    }

    /// Owners and rights of what both have, as the statements that would settle them. Of a role that has nothing in the one that comes in
    /// that alone is said.
    private func rights(_ here: Connection, _ there: Connection) throws(Failure) -> [String] {
        func read(_ session: Connection) throws(Failure) -> [Right] { try session.rows(Self.rights).compactMap { Right($0) } }
        let (live, incoming) = (try read(here), try read(there))
        let roles = Set(try there.rows(Self.roles).compactMap { $0.first ?? nil } + ["PUBLIC"])
        func missing(_ wanted: [Right], in present: [Right]) -> [Right] {
            let (known, objects) = (Set(present), Set(present.map(\.object)))
            return wanted.filter { !known.contains($0) && objects.contains($0.object) && roles.contains($0.role) }
        }
        return missing(live, in: incoming).map(\.grant) + missing(incoming, in: live).compactMap(\.revoke)
    }

    /// That a role owns something, or has a right to it.
    private struct Right: Hashable {
        var object: String
        var role: String
        var grant: String
        /// nil for what somebody owns.
        var revoke: String?

        init?(_ row: [String?]) {
            guard row.count == 4, let object = row[0], let role = row[1], let grant = row[2] else { return nil }
            (self.object, self.role, self.grant, revoke) = (object, role, grant, row[3])
        }
    }

    /// Owners, and rights of others than these, as `Right` reads them. What belongs to an extension is left out.
    private static let rights: String = {
        func isOurs(_ catalogue: String) -> String {
            """
            NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '\(catalogue)'::regclass AND d.objid = o.oid AND d.deptype = 'e')
            """
        }
        let ours = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
        return """
            WITH objects AS (
                SELECT CASE o.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || format('%I.%I', n.nspname, o.relname) AS name, '' AS part,
                    o.relowner AS owner, o.relacl AS acl, CASE o.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char" AS sort
                FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace
                WHERE o.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND o.relpersistence <> 't' AND \(ours) AND \(isOurs("pg_class"))
                    AND coalesce(obj_description(n.oid, 'pg_namespace'), '') <> \(sqlText(TableMerge.mark))
                UNION ALL SELECT 'TABLE ' || format('%I.%I', n.nspname, o.relname), format(' (%I)', a.attname), NULL, a.attacl, 'c'
                FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace JOIN pg_attribute a ON a.attrelid = o.oid
                WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND \(ours) AND \(isOurs("pg_class"))
                UNION ALL SELECT 'ROUTINE ' || (pg_identify_object('pg_proc'::regclass, o.oid, 0)).identity, '', o.proowner, o.proacl, 'f'
                FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace WHERE \(ours) AND \(isOurs("pg_proc"))
                UNION ALL SELECT 'TYPE ' || format('%I.%I', n.nspname, o.typname), '', o.typowner, o.typacl, 'T'
                FROM pg_type o JOIN pg_namespace n ON n.oid = o.typnamespace
                WHERE \(ours) AND \(isOurs("pg_type")) AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_type'::regclass AND d.objid = o.oid AND d.deptype = 'i')
                UNION ALL SELECT 'SCHEMA ' || quote_ident(o.nspname), '', o.nspowner, o.nspacl, 'n' FROM pg_namespace o
                WHERE o.nspname !~ '^pg_' AND o.nspname <> 'information_schema' AND \(isOurs("pg_namespace"))
                    AND coalesce(obj_description(o.oid, 'pg_namespace'), '') <> \(sqlText(TableMerge.mark))),
            granted AS (
                SELECT o.name, a.privilege_type || o.part AS what, a.is_grantable,
                    CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS who
                FROM objects o CROSS JOIN aclexplode(coalesce(o.acl, acldefault(o.sort, o.owner))) a
                WHERE a.grantee IS DISTINCT FROM o.owner)
            SELECT name, quote_ident(pg_get_userbyid(owner)), format('ALTER %s OWNER TO %I', name, pg_get_userbyid(owner)), NULL
            FROM objects WHERE owner IS NOT NULL
            UNION SELECT name, who, format('GRANT %s ON %s TO %s', what, name, who), format('REVOKE %s ON %s FROM %s', what, name, who)
            FROM granted
            UNION SELECT name, who, format('GRANT %s ON %s TO %s WITH GRANT OPTION', what, name, who),
                format('REVOKE GRANT OPTION FOR %s ON %s FROM %s', what, name, who)
            FROM granted WHERE is_grantable ORDER BY 3
            """
    }()

    /// One thing that a database has.
    private struct Found: Hashable {
        /// What it is, in words. Where there is a version these do not tell it apart.
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

        private var identity: [String?] { version == nil ? [words, owner] : [nil, owner, version] }
        static func == (one: Found, other: Found) -> Bool { one.identity == other.identity }
        func hash(into hasher: inout Hasher) { hasher.combine(identity) }
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
        "SELECT 'everything that belongs or is granted to the role ' || name FROM (\(roles)) r ORDER BY 1",
    ]

    /// Who owns something or is granted something.
    private static let roles = """
        SELECT DISTINCT quote_ident(r.rolname) AS name FROM pg_shdepend s
        JOIN pg_roles r ON r.oid = s.refobjid JOIN pg_database d ON d.oid = s.dbid
        WHERE d.datname = current_database() AND s.refclassid = 'pg_authid'::regclass AND s.deptype IN ('o', 'a')
        """

    /// The columns with their types and what they are without a value, and where rows are secured. Casts and brackets are no difference:
    /// a restore may set them otherwise.
    private static let columns = """
        SELECT format('the column %I.%I.%I %s%s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN ' NOT NULL' END), format('%I.%I', n.nspname, c.relname), NULL
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm', 'f', 'v') AND c.oid >= 16384
        UNION ALL SELECT format('the default of the column %I.%I.%I as it is now%s', n.nspname, c.relname, a.attname,
            coalesce(': ' || left(pg_get_expr(e.adbin, e.adrelid), 80), ', which is none')), format('%I.%I.%I', n.nspname, c.relname, a.attname),
            concat(a.attidentity, a.attgenerated, ' ', regexp_replace(pg_get_expr(e.adbin, e.adrelid), \(casts), '', 'g'))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f') AND c.oid >= 16384
        UNION ALL SELECT format('the row security of the table %I.%I', n.nspname, c.relname), format('%I.%I', n.nspname, c.relname), NULL
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relrowsecurity
        UNION ALL SELECT format('the value %L of the type %s', e.enumlabel, format_type(e.enumtypid, NULL)), format_type(e.enumtypid, NULL), NULL
        FROM pg_enum e ORDER BY 1
        """

    private static let casts = sqlText(
        #"::(character varying|bit varying|double precision|time(stamp)? with(out)? time zone|"?[\w.]+"?)(\(\d+(,\d+)?\))?(\[\])*|[() ]"#
    )

    /// What may own something else.
    private static let owners = """
        SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f') AND c.oid >= 16384 UNION ALL
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
                    // What is set for a moment must still be so when the next statement asks.
                    let whole = statement.hasSuffix(" FROM CURRENT") ? "BEGIN; \(statement); COMMIT" : statement
                    refused.append("\(whole); (\(error.message))")
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
                THEN format('ALTER DATABASE %I CONNECTION LIMIT %s', i.datname, o.datconnlimit) END,
                CASE WHEN shobj_description(o.oid, 'pg_database') IS DISTINCT FROM shobj_description(i.oid, 'pg_database')
                THEN format('COMMENT ON DATABASE %I IS %L', i.datname, shobj_description(o.oid, 'pg_database')) END
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
