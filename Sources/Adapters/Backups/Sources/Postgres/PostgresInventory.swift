internal import SerinCatalogue
internal import SerinCrypto
internal import SerinDatabase
internal import SerinModel

/// What a database holds, read in the transaction that is open on a session.
struct PostgresInventory {
    let session: Connection
    let patience: Duration

    /// - Parameter patience: For one statement; counting a large table takes long.
    init(_ session: Connection, patience: Duration) {
        self.session = session
        self.patience = patience
    }

    /// Counts the rows of every table whose data a dump holds: ordinary ones, partitions apart from their parents, none of
    /// extensions.
    func rows(_ condition: String = "true", without: [PostgresSelection.Table] = [], stop: () -> Bool = { false }) throws(Failure)
        -> RowManifest
    {
        let names = try session.rows(
            """
            SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
            AND \(condition) ORDER BY 1, 2
            """, within: patience)
        var tables: [RowManifest.Table] = []
        for row in names {
            guard !stop() else { throw Failure(.transient, "the count of rows was given up") }
            guard row.count == 2, let schema = row[0], let name = row[1] else { continue }
            if without.contains(where: { $0.schema.isExactly(schema) && $0.name.isExactly(name) }) {
                tables.append(RowManifest.Table(schema: schema, table: name, count: 0))
                continue
            }
            let text = try session.value("SELECT count(*) FROM ONLY \(sqlName(schema)).\(sqlName(name))", within: patience)
            guard let count = text.flatMap({ Int64($0) }) else {
                throw Failure(.invalid, "\(session.name) gives no count for \(schema).\(name)")
            }
            tables.append(RowManifest.Table(schema: schema, table: name, count: count))
        }
        return RowManifest(tables: tables)
    }

    /// The revision of every migration table of Alembic that meets a condition, joined; nil when there is none. A part of a database
    /// has the revision of the migration tables in it: a restore of it can find no other.
    func revision(
        _ condition: String = "true", without: [PostgresSelection.Table] = []
    ) throws(Failure) -> String? {
        let tables = try session.rows(
            """
            SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relname = 'alembic_version' AND c.relkind = 'r' AND \(condition) ORDER BY 1
            """)
        var revisions: [String] = []
        for schema in tables.compactMap({ $0.first ?? nil })
        where !without.contains(where: { $0.schema.isExactly(schema) && $0.name == "alembic_version" }) {
            revisions += try session.rows("SELECT version_num FROM \(sqlName(schema)).alembic_version ORDER BY 1").compactMap {
                $0.first ?? nil
            }
        }
        return revisions.isEmpty ? nil : revisions.joined(separator: ",")
    }

    /// What a restore has to find: extensions, and the schemas outside a part that it refers to.
    func prerequisites(of selection: PostgresSelection) throws(Failure) -> [String] {
        let extensions = try session.rows(
            """
            SELECT 'extension ' || extname FROM pg_extension WHERE extname <> 'plpgsql'
            UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger t WHERE \(!selection.isPart) AND NOT EXISTS (
                SELECT FROM pg_depend d WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'e')
            """)
        guard selection.isPart else { return extensions.compactMap { $0.first ?? nil } }
        let schemas = try session.rows(
            """
            WITH part AS (SELECT c.oid, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE \(selection.condition)),
            needed AS (
                SELECT c.relnamespace AS namespace FROM pg_constraint k JOIN part p ON p.oid = k.conrelid
                    JOIN pg_class c ON c.oid = k.confrelid
                UNION SELECT t.typnamespace FROM pg_attribute a JOIN part p ON p.oid = a.attrelid
                    JOIN pg_type t ON t.oid = a.atttypid WHERE a.attnum > 0 AND NOT a.attisdropped
                UNION SELECT f.pronamespace FROM pg_attrdef a JOIN part p ON p.oid = a.adrelid
                    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
                        AND d.refclassid = 'pg_proc'::regclass
                    JOIN pg_proc f ON f.oid = d.refobjid)
            SELECT DISTINCT 'schema ' || n.nspname FROM needed JOIN pg_namespace n ON n.oid = needed.namespace
            WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN (SELECT nspname FROM part)
            """)
        return (extensions + schemas).compactMap { $0.first ?? nil }
    }

    /// The extensions of the database but for the one that every database has, in the order in which they were made.
    func extensions() throws(Failure) -> [DumpExtension] {
        try session.rows(
            """
            SELECT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
            WHERE e.extname <> 'plpgsql' ORDER BY e.oid
            """
        ).compactMap { row in
            guard row.count == 2, let name = row[0], let schema = row[1] else { return nil }
            return DumpExtension(name: name, schema: schema)
        }
    }

    /// A digest over tables, columns, constraints and indexes.
    func schemaDigest(_ condition: String) throws(Failure) -> String {
        let lines = try session.rows(
            """
            WITH part AS (SELECT c.oid, c.relkind, n.nspname, c.relname FROM pg_class c
                JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
                AND \(condition))
            SELECT line FROM (
                SELECT concat_ws('|', 'c', p.nspname, p.relname, p.relkind, a.attname, format_type(a.atttypid, a.atttypmod),
                    a.attnotnull) AS line
                FROM part p JOIN pg_attribute a ON a.attrelid = p.oid WHERE a.attnum > 0 AND NOT a.attisdropped
                UNION ALL SELECT concat_ws('|', 'k', p.nspname, p.relname, k.conname, pg_get_constraintdef(k.oid))
                FROM part p JOIN pg_constraint k ON k.conrelid = p.oid
                UNION ALL SELECT concat_ws('|', 'i', p.nspname, p.relname, pg_get_indexdef(i.indexrelid))
                FROM part p JOIN pg_index i ON i.indrelid = p.oid) lines
            ORDER BY line COLLATE "C"
            """, within: patience)
        return try digest(of: Array(lines.compactMap { $0.first ?? nil }.joined(separator: "\n").utf8))
    }
}
