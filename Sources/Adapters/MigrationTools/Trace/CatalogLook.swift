internal import SerinDatabase
internal import SerinMigrations
internal import SerinModel

/// What the catalogs say of a scratch database at one moment, by the numbers that survive a renaming.
struct CatalogLook {
    /// A table, view or materialized view that is no partition of another.
    struct Relation {
        var name: RelationName
        /// Changes when all rows are written anew.
        var file: String
        var isEmpty: Bool
        var holdsRows: Bool
    }

    /// A column of such a relation.
    struct Column {
        var relation: Int64
        var name: String
        var type: String
    }

    let relations: [Int64: Relation]
    /// By relation and number.
    let columns: [String: Column]
    let activity: [Int64: TableActivity]
    let schema: SchemaSnapshot

    init(_ session: Connection, without ownTables: [String]) throws(Failure) {
        schema = try SchemaSnapshot(session, without: ownTables)
        var relations: [Int64: Relation] = [:]
        for row in try session.rows(Self.relations(without: ownTables)) {
            guard row.count == 6, let number = row[0].flatMap({ Int64($0) }), let name = row[2] else { continue }
            relations[number] = Relation(
                name: RelationName(schema: row[1], name), file: row[3] ?? "", isEmpty: row[4] == "t", holdsRows: row[5] == "t")
        }
        var columns: [String: Column] = [:]
        for row in try session.rows(
            """
            SELECT attrelid::text, attnum::text, attname, format_type(atttypid, atttypmod) FROM pg_attribute
            WHERE attnum > 0 AND NOT attisdropped
            """)
        {
            guard row.count == 4, let relation = row[0].flatMap({ Int64($0) }), relations[relation] != nil else { continue }
            columns["\(relation).\(row[1] ?? "")"] = Column(relation: relation, name: row[2] ?? "", type: row[3] ?? "")
        }
        var activity: [Int64: TableActivity] = [:]
        for row in try session.rows(
            "SELECT relid::text, n_tup_ins::text, n_tup_upd::text, n_tup_del::text FROM pg_stat_user_tables")
        {
            guard row.count == 4, let number = row[0].flatMap({ Int64($0) }), let name = relations[number]?.name else { continue }
            let counts = row.dropFirst().map { $0.flatMap { Int64($0) } ?? 0 }
            activity[number] = TableActivity(table: "\(name)", inserted: counts[0], updated: counts[1], deleted: counts[2])
        }
        (self.relations, self.columns, self.activity) = (relations, columns, activity)
    }

    private static func relations(without ownTables: [String]) -> String {
        let names = ownTables.map(sqlText).joined(separator: ", ")
        return """
            SELECT c.oid::text, n.nspname, c.relname, c.relfilenode::text,
                CASE c.relkind WHEN 'p' THEN
                    (SELECT coalesce(sum(pg_relation_size(t.relid)), 0) = 0 FROM pg_partition_tree(c.oid) t WHERE t.isleaf)
                    WHEN 'v' THEN false WHEN 'f' THEN false ELSE pg_relation_size(c.oid) = 0 END,
                c.relkind IN ('r', 'p')
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND n.nspname !~ '^pg_'
            AND n.nspname NOT IN ('information_schema', 'serin') AND c.relname NOT IN (\(names.isEmpty ? "''" : names))
            """
    }

    /// The tables whose files are new since an earlier look.
    func rewrites(since earlier: CatalogLook) -> [RelationName] {
        earlier.relations.compactMap { number, relation in
            guard let now = relations[number], now.file != relation.file else { return nil }
            return relation.name
        }.sorted { "\($0)" < "\($1)" }
    }

    /// What held data at an earlier look and does not any more.
    func losses(since earlier: CatalogLook) -> [String] {
        var found: [String] = []
        for (number, relation) in earlier.relations where relation.holdsRows {
            guard let now = relations[number] else {
                found.append("table \(relation.name)")
                continue
            }
            if now.isEmpty, !relation.isEmpty { found.append("every row of \(relation.name)") }
        }
        for (key, column) in earlier.columns {
            guard let relation = earlier.relations[column.relation], relation.holdsRows, let same = relations[column.relation]
            else { continue }
            guard let now = columns[key] else {
                found.append("column \(relation.name).\(quoted(column.name))")
                continue
            }
            // Without a new file the values are what they were.
            guard now.type != column.type, same.file != relation.file else { continue }
            found.append("the values of \(relation.name).\(quoted(column.name)) as \(column.type)")
        }
        return found.sorted()
    }

    /// The rows written since an earlier look in tables that were there.
    func written(since earlier: CatalogLook) -> [TableActivity] {
        activity.compactMap { number, now in
            guard let name = earlier.relations[number]?.name else { return nil }
            let before = earlier.activity[number] ?? TableActivity(table: "", inserted: 0, updated: 0, deleted: 0)
            let growth = TableActivity(
                table: "\(name)", inserted: now.inserted - before.inserted, updated: now.updated - before.updated,
                deleted: now.deleted - before.deleted)
            return growth.inserted + growth.updated + growth.deleted > 0 ? growth : nil
        }.sorted()
    }
}
