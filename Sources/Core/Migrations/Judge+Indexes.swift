internal import SerinModel

extension Judge {
    mutating func createIndex(_ index: IndexDefinition) {
        let table = index.table
        let name = index.name.map { " \(quoted($0))" } ?? ""
        lock(table, index.isConcurrent ? .shareUpdateExclusive : .share)
        schema.add(index)
        phase(.expand)
        if let name = index.name {
            let key = objectKey(.index, RelationName(schema: table.schema, name))
            given.insert(comparable(key))
            if !index.ifNotExists { made.insert(key) }
        }
        let goesWithOwn = index.columns.contains { $0.map { isOwnColumn($0, of: table) } ?? false }
        if index.isUnique, direction == .up, !isNew(table), !goesWithOwn {
            alters("unique index", of: index.name.map { RelationName(schema: table.schema, $0) } ?? RelationName(""))
        }
        if index.isUnique, direction == .up, !isNew(table) {
            survival(.depends("it may write rows to \(table) that the unique index\(name) refuses"))
        }
        flagLongValues(index, name)
        flagRiskyValues(index, name)
        if index.isConcurrent {
            flagInTransaction("CREATE INDEX CONCURRENTLY", rule: .indexBlocks)
            if schema[table]?.isPartitioned == true {
                flag(
                    .indexBlocks, "CREATE INDEX CONCURRENTLY on the partitioned table \(table): the server refuses it",
                    why: "the migration fails there",
                    safe:
                        "an index ON ONLY \(table), CREATE INDEX CONCURRENTLY on every partition, and ALTER INDEX … ATTACH PARTITION"
                )
            }
            if index.ifNotExists {
                flag(
                    .hiddenInvalidIndex,
                    "IF NOT EXISTS takes an invalid index\(name), which a failed build leaves behind, for a good one",
                    safe:
                        "without IF NOT EXISTS, so that the build fails where such an index is left; that one is dropped by hand")
            }
        } else if !isNew(table), !(index.leavesPartitions && schema[table]?.isPartitioned == true) {
            scans(table)
            let columns = index.columns.map { $0.map(quoted) ?? "…" }.joined(separator: ", ")
            let unique = index.isUnique ? "UNIQUE " : ""
            let isParted = schema[table]?.isPartitioned == true
            let whole = isParted ? nil : wholeText(of: "CREATE \(unique)INDEX").map { concurrent($0, "CREATE \(unique)INDEX") }
            flag(
                .indexBlocks, settings.isSmall(table) ? .warning : nil,
                "the index\(name) is built under SHARE on \(table): nobody writes meanwhile",
                safe: schema[table]?.isPartitioned == true
                    ? "CREATE \(unique)INDEX\(name) ON ONLY \(table) (\(columns)); an index CONCURRENTLY on every partition; ALTER INDEX … ATTACH PARTITION"
                    : whole == nil
                        ? "CREATE \(unique)INDEX CONCURRENTLY\(name) ON \(table) (\(columns)), outside a transaction"
                        : "outside a transaction",
                instead: whole.map { [SafeRevision([$0])] } ?? [])
        }
    }

    /// The same statement with CONCURRENTLY.
    private func concurrent(_ statement: String, _ verb: String) -> String {
        verb + " CONCURRENTLY" + statement.dropFirst(verb.count)
    }

    /// What an index computes of a row is computed when the row is written.
    private mutating func flagRiskyValues(_ index: IndexDefinition, _ name: String) {
        let table = index.table
        guard direction == .up, !isNew(table), let columns = index.riskyColumns,
            !columns.contains(where: { isNewColumn($0, of: table) })
        else { return }
        depends("its writes to \(table) compute the index\(name), which may fail")
        flag(
            .breaksPrevious, .warning,
            "the index\(name) computes a division or a cast of every row that is written, and a value of which it cannot be refuses the row",
            why: "the previous version may write such a value",
            safe: "an expression that is defined for every value: NULLIF, CASE")
    }

    /// A row of such an index has room for a third of a page (`BTMaxItemSize`): a longer value is refused from then on.
    private mutating func flagLongValues(_ index: IndexDefinition, _ name: String) {
        guard direction == .up, index.method == "btree", !isNew(index.table) else { return }
        let long = index.columns.compactMap { $0 }.filter { column in
            guard let type = schema.type(of: column, in: index.table), !isNewColumn(column, of: index.table) else { return false }
            return type.isArray
                || ["text", "varchar", "citext", "bytea", "json", "jsonb"].contains(type.name) && type.modifiers.isEmpty
        }
        guard !long.isEmpty else { return }
        flag(
            .breaksPrevious, .warning,
            "the index\(name) refuses rows of \(index.table) whose \(long.map(quoted).joined(separator: ", ")) is longer than about 2700 bytes",
            why: "the previous version may write such a value", safe: "an index of md5(…) or left(…, 200), or USING hash")
    }

    mutating func dropIndex(_ index: RelationName, isConcurrent: Bool) {
        let table = schema.table(ofIndex: index)
        let isPlain = schema.isPlainIndex(index)
        let isParted = table.map { schema[$0]?.isPartitioned == true } ?? false
        defer {
            schema.drop(.index, index)
            made.remove(made.placed(objectKey(.index, index)))
        }
        phase(.expand)
        for name in [index, RelationName("")] { alters("unique index", of: name, isOwn: true) }
        if made.contains(objectKey(.index, index)) || table.map(isNew) == true { return }
        if !isPlain, direction == .up {
            phase(.contract)
            takes(objectKey(.index, index))
            depends("the index \(index) may be unique: ON CONFLICT needs it, and double rows are refused by it")
        }
        if isConcurrent {
            if let table { lock(table, .shareUpdateExclusive) }
            lock(index: index, .shareUpdateExclusive)
            flagInTransaction("DROP INDEX CONCURRENTLY", rule: .indexBlocks)
            if isParted {
                flag(
                    .indexBlocks, "DROP INDEX CONCURRENTLY of the index \(index) of a partitioned table: the server refuses it",
                    why: "the migration fails there", safe: "DROP INDEX, when few use the table")
            }
        } else {
            if let table { lock(table, .accessExclusive) }
            lock(index: index, .accessExclusive)
            flag(
                .indexBlocks, table.map(settings.isSmall) == true ? .warning : nil,
                "DROP INDEX takes ACCESS EXCLUSIVE on \(table.map { "\($0)" } ?? "its table")",
                why: "it waits for every reader of the table, with all later ones behind it",
                safe: isParted
                    ? "when few use the table: there is no form without the lock for an index of a partitioned table"
                    : "outside a transaction",
                instead: isParted ? [] : [SafeRevision(["DROP INDEX CONCURRENTLY \(index)"])])
        }
    }

    mutating func reindex(_ kind: ObjectKind, _ relation: RelationName?, _ isConcurrent: Bool) {
        phase(.expand)
        report.leavesNothing = true
        if isConcurrent { flagInTransaction("REINDEX CONCURRENTLY", rule: .indexBlocks) }
        guard let relation else {
            if !isConcurrent {
                flag(
                    .indexBlocks, "REINDEX of a whole \(kind.rawValue) stops writers of one table after the other",
                    safe: "REINDEX \(kind.rawValue.uppercased()) CONCURRENTLY")
            }
            return
        }
        let table = kind == .index ? schema.table(ofIndex: relation) : relation
        if let table {
            lock(table, isConcurrent ? .shareUpdateExclusive : .share)
            if !isNew(table), !report.rebuilds.contains(table) { report.rebuilds.append(table) }
        }
        if kind == .index { lock(index: relation, isConcurrent ? .shareUpdateExclusive : .accessExclusive) }
        guard !isConcurrent, table.map(isNew) != true else { return }
        if let table { scans(table) }
        flag(
            .indexBlocks, table.map(settings.isSmall) == true ? .warning : nil,
            "REINDEX stops writers of \(table.map { "\($0)" } ?? "the table"), and readers that would use the index",
            safe: "outside a transaction",
            instead: [SafeRevision(["REINDEX \(kind.rawValue.uppercased()) CONCURRENTLY \(relation)"])])
    }

    /// Flags what the server refuses inside a transaction.
    mutating func flagInTransaction(_ what: String, rule: LintRule) {
        guard transaction.isOpen else { return }
        flag(
            rule, .error, "\(what) inside a transaction: the server refuses it", why: "the migration fails there",
            safe: transaction.advice)
    }
}
