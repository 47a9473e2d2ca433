internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel

/// What a dump needs around it where it is restored, and what is out of order in the database itself.
extension PostgresInventory {
    private func texts(_ sql: String) throws(Failure) -> [String] {
        try session.rows(sql, within: patience).compactMap { $0.first ?? nil }
    }

    /// Foreign keys of a part whose parents' rows are not in it: they cannot be made again where it is restored.
    func openKeys(of selection: PostgresSelection) throws(Failure) -> [String] {
        try texts(
            """
            SELECT format('%I.%I.%I', n.nspname, c.relname, k.conname) FROM pg_constraint k
            JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE k.contype = 'f' AND k.conparentid = 0 AND \(selection.condition) AND k.confrelid NOT IN (
                SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE \(selection.conditionOfRows))
            ORDER BY 1
            """)
    }

    /// Objects that a dump holds, as `owner` and `schema` (their number). Of tables alone nothing else is dumped.
    private func owned(_ selection: PostgresSelection) -> String {
        // What the server makes by itself for another object has the owner that the server gives it: the constructors of a range belong
        // to the first superuser. With the members of extensions it is in no dump.
        func isDumped(_ catalogue: String, _ object: String) -> String {
            """
            \(Self.isOurs) AND NOT EXISTS (SELECT FROM pg_depend d
                WHERE d.classid = '\(catalogue)'::regclass AND d.objid = \(object).oid AND d.deptype IN ('e', 'i'))
            """
        }
        let tables = """
            SELECT c.relowner AS owner, n.oid AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relpersistence <> 't' AND \(selection.condition)
            AND \(isDumped("pg_class", "c"))
            """
        guard selection.tables.isEmpty else { return tables }
        let schemas =
            selection.schemas.isEmpty ? "true" : "n.nspname IN (\(selection.schemas.map(sqlText).joined(separator: ", ")))"
        let others = [
            ("pg_proc", "proowner", "pronamespace"), ("pg_type", "typowner", "typnamespace"),
            ("pg_operator", "oprowner", "oprnamespace"), ("pg_opclass", "opcowner", "opcnamespace"),
            ("pg_opfamily", "opfowner", "opfnamespace"), ("pg_collation", "collowner", "collnamespace"),
            ("pg_conversion", "conowner", "connamespace"), ("pg_ts_config", "cfgowner", "cfgnamespace"),
            ("pg_ts_dict", "dictowner", "dictnamespace"), ("pg_statistic_ext", "stxowner", "stxnamespace"),
            ("pg_namespace", "nspowner", "oid"),
        ].map { catalogue, owner, schema in
            // Of the schema that every database has no owner is dumped, unless it was given another one.
            let isUsual = "NOT (o.nspname = 'public' AND (o.nspowner = 10 OR o.nspowner = 6171))"
            return """
                UNION ALL SELECT o.\(owner), n.oid FROM \(catalogue) o JOIN pg_namespace n ON n.oid = o.\(schema)
                WHERE \(catalogue == "pg_namespace" ? isUsual : "true") AND \(schemas) AND \(isDumped(catalogue, "o"))
                """
        }
        // What stands in no schema is in the dump of a whole database only.
        guard selection.schemas.isEmpty else { return ([tables] + others).joined(separator: "\n") }
        let unplaced = [
            ("pg_language", "lanowner"), ("pg_foreign_data_wrapper", "fdwowner"), ("pg_foreign_server", "srvowner"),
        ].map { catalogue, owner in
            """
            UNION ALL SELECT o.\(owner), NULL::oid FROM \(catalogue) o WHERE o.oid >= 16384 AND NOT EXISTS (
                SELECT FROM pg_depend d WHERE d.classid = '\(catalogue)'::regclass AND d.objid = o.oid AND d.deptype IN ('e', 'i'))
            """
        }
        let largeObjects = "UNION ALL SELECT DISTINCT lomowner, NULL::oid FROM pg_largeobject_metadata"
        return ([tables] + others + unplaced + [largeObjects]).joined(separator: "\n")
    }

    private static let isOurs = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"

    /// Who the objects of a dump belong to.
    func owners(of selection: PostgresSelection) throws(Failure) -> [DumpOwner] {
        var owners: [DumpOwner] = []
        let rows = try session.rows(
            """
            SELECT DISTINCT r.rolname, g.nspname FROM (\(owned(selection))) o JOIN pg_roles r ON r.oid = o.owner
            LEFT JOIN (SELECT n.nspname, a.grantee FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) a
                WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner) g ON g.grantee = r.oid
            WHERE r.rolname !~ '^pg_' ORDER BY 1, 2
            """, within: patience)
        for row in rows {
            guard row.count == 2, let role = row[0] else { continue }
            if owners.last?.role != role { owners.append(DumpOwner(role: role)) }
            if let schema = row[1] { owners[owners.count - 1].creates.append(schema) }
        }
        return owners
    }

    /// Who is granted something, or named by a policy, in what a dump holds. Of a part only its tables and schemas are asked.
    func grantees(of selection: PostgresSelection) throws(Failure) -> [String] {
        let part = """
            d.classid = 'pg_class'::regclass AND d.objid IN (
                SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE \(selection.condition))
            """
        return try texts(
            """
            SELECT DISTINCT r.rolname::text FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
            WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype IN ('a', 'r') AND r.rolname !~ '^pg_'
            AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
            \(selection.part == nil ? "" : "AND \(part)") ORDER BY 1
            """)
    }

    /// Asks for the schemas of merges, by the mark that each bears.
    static let merges =
        "SELECT nspname FROM pg_namespace WHERE obj_description(oid, 'pg_namespace') = \(sqlText(TableMerge.mark))"

    /// The schemas that merges which were killed have left, or one uses.
    func leftMerges() throws(Failure) -> [String] { try texts("\(Self.merges) ORDER BY 1") }

    /// Sequences that stand before the largest value of their column, and indexes that are not valid.
    func flaws(_ condition: String = "true") throws(Failure) -> [String] {
        var flaws = try texts(
            """
            SELECT 'index ' || i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND \(condition)
            """)
        flaws += try sequences(condition).filter(\.isBehind).map { "sequence \($0.name)" }
        return flaws.sorted()
    }

    /// Ascending sequences that belong to a column, and whether they stand before its largest value: they would give it out again.
    func sequences(_ condition: String = "true") throws(Failure) -> [(name: String, isBehind: Bool)] {
        let owned = try session.rows(
            """
            SELECT s.seqrelid::regclass::text, d.refobjid::regclass::text, a.attname FROM pg_sequence s
            JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
            JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE s.seqincrement > 0 AND NOT s.seqcycle AND a.atttypid IN (20, 21, 23) AND \(condition) ORDER BY 1
            """)
        var found: [(name: String, isBehind: Bool)] = []
        for row in owned {
            guard row.count == 3, let sequence = row[0], let table = row[1], let column = row[2] else { continue }
            let isBehind = try session.value(
                "SELECT (SELECT max(\(sqlName(column))) FROM \(table)) > (SELECT last_value FROM \(sequence))", within: patience)
            found.append((sequence, isBehind == "t"))
        }
        return found
    }
}
