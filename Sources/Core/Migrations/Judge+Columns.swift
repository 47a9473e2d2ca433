internal import SerinModel

extension Judge {
    mutating func addColumn(_ column: ColumnDefinition, to table: RelationName) {
        let name = "\(table).\(quoted(column.name))"
        lock(table, .accessExclusive)
        phase(.expand)
        made.insert(objectKey(.column, table, column.name))
        flagRewriteByDefault(column, of: table, name)
        if column.isNotNull, column.isWithoutValue {
            breaks(
                isNew(table), "it inserts rows without \(name)",
                "\(name) is NOT NULL without a default, so the statement fails when there are rows",
                safe: "add it without NOT NULL, or with a constant DEFAULT, which writes no rows; SET NOT NULL in a later release"
            )
        }
        for constraint in column.constraints {
            let placed = constraint.about(column.name)
            switch constraint.kind {
            case .foreignKey(let target):
                // A new column of NULLs needs no look at the rows (`transformFKConstraints`).
                lock(table, .shareRowExclusive)
                lock(target, .shareRowExclusive)
                if !column.isWithoutValue { flagScan(placed, of: table) }
                flagForeignKeyWithoutIndex(placed, of: table)
            case .check: flagScan(placed, of: table)
            case .unique, .primaryKey, .exclusion: flagBuild(placed, of: table)
            }
        }
        flagJSON(column, of: table)
        if direction == .up, !isNew(table), let view = schema.views(ofAllColumnsOf: table).first {
            flag(
                .shadowed, "\(name) does not appear in the view \(view), which took all columns of \(table) when it was made",
                safe: "CREATE OR REPLACE VIEW \(view) with the columns by name")
        }
        schema.add(column, to: table)
    }

    private mutating func flagRewriteByDefault(_ column: ColumnDefinition, of table: RelationName, _ name: String) {
        let cause: String
        let safe: String
        let type = column.type
        switch column.defaultValue {
        case .none, .stable:
            guard type.isSerial else { return }
            fallthrough
        case .sequence:
            cause = "gives every row a number from a sequence"
            safe =
                "ALTER TABLE \(table) ADD COLUMN \(quoted(column.name)) bigint; give new rows a default of their own; fill old ones in batches"
        case .volatile(let functions):
            cause = "has a default that is not known to be the same for every row (\(functions.joined(separator: ", ")))"
            safe =
                "ALTER TABLE \(table) ADD COLUMN \(quoted(column.name)) \(type); ALTER COLUMN … SET DEFAULT in a second statement; fill old rows in batches"
        case .stored:
            cause = "is computed and stored for every row"
            safe = "add an ordinary column, keep it by a trigger, and fill old rows in batches"
        }
        rewrites(table)
        flagRewrite(of: table, "\(name) \(cause), so every row of \(table) is written anew", safe: safe)
    }

    mutating func flagJSON(_ column: ColumnDefinition, of table: RelationName) {
        guard column.type.name == "json", direction == .up else { return }
        flag(
            .shadowed,
            "\(table).\(quoted(column.name)) is of type json, which has no equality: SELECT DISTINCT and GROUP BY fail",
            safe: "jsonb")
    }

    mutating func dropColumn(_ column: String, of table: RelationName, _ cascades: Bool) {
        let key = objectKey(.column, table, column)
        let name = "\(table).\(quoted(column))"
        lock(table, .accessExclusive)
        defer { schema.change(table) { $0.columns[column] = nil } }
        guard !isNew(table) else { return }
        phase(.contract)
        if made.contains(key) { return }
        loses("the values of \(name)")
        guard !isOwn(key) else { return }
        flag(
            .destroys, "the column \(name) is dropped\(cascades ? ", and what depends on it" : "")",
            safe:
                "stop using \(name) in one release; drop it in a later one, once the old version is gone and a backup is verified"
        )
        breaks(false, "it reads or writes \(name)", "the column \(name) is dropped")
    }

    mutating func changeType(_ column: String, of table: RelationName, to type: ColumnType, _ conversion: TypeChange.Conversion) {
        let name = "\(table).\(quoted(column))"
        let old = schema.type(of: column, in: table)
        lock(table, .accessExclusive)
        schema.change(table) {
            if var known = $0.columns[column] {
                known.type = type
                $0.columns[column] = known
            } else {
                $0.columns[column] = ColumnDefinition(column, type)
            }
        }
        guard !isNew(table), !made.contains(objectKey(.column, table, column)) else { return }
        let change = TypeChange(from: old, to: type, conversion)
        let from = old.map { "from \($0) " } ?? ""
        let safe =
            "add a column \(quoted(column + "_new")) of type \(type), fill it in batches, switch over, drop the old one later"
        let isRewritten = change.rewrite == .always || (change.rewrite == .unlessUTC && settings.isUTC != true)
        if isRewritten {
            rewrites(table)
            let cause =
                change.rewrite == .unlessUTC
                ? " unless the session's TimeZone is UTC\(settings.isUTC == nil ? ", which is not known" : "")"
                : old == nil ? " unless its old type, which is not known here, needs none" : ""
            flagRewrite(of: table, "changing \(name) \(from)to \(type) writes every row of \(table) anew\(cause)", safe: safe)
        }
        if change.mayLose {
            narrows(
                "changing \(name) \(from)to \(type) may cut, round or refuse values\(old == nil ? "; its old type is not known here" : "")",
                "values of \(name) as they were", safe)
        } else {
            phase(.expand)
        }
        if isRewritten || change.mayLose || change.rewrite == .unlessUTC {
            survival(.depends("it reads \(name) as \(old.map(String.init(describing:)) ?? "another type")"))
        }
    }

    /// Old values cannot be told from the new ones.
    mutating func narrows(_ what: String, _ loss: String, _ safe: String? = nil) {
        phase(.contract)
        loses(loss)
        flag(.narrows, direction == .down ? .warning : nil, what, safe: safe)
    }

    mutating func setNotNull(_ column: String, of table: RelationName) {
        let name = "\(table).\(quoted(column))"
        lock(table, .accessExclusive)
        defer { schema.change(table) { $0.columns[column]?.isNotNull = true } }
        guard !isNew(table) else { return }
        phase(.contract)
        if direction == .up { survival(.depends("it may write NULL into \(name)")) }
        guard !schema.isProvenNotNull(column, in: table) else { return }
        scans(table)
        let check = quoted("\(table.name)_\(column)_not_null")
        flag(
            .notNullScans, settings.isSmall(table) ? .warning : nil,
            "SET NOT NULL reads every row of \(table) under ACCESS EXCLUSIVE",
            safe: settings.version >= 18
                ? "ALTER TABLE \(table) ADD CONSTRAINT \(check) NOT NULL \(quoted(column)) NOT VALID; then, in a transaction of its own, ALTER TABLE \(table) VALIDATE CONSTRAINT \(check)"
                : "ALTER TABLE \(table) ADD CONSTRAINT \(check) CHECK (\(quoted(column)) IS NOT NULL) NOT VALID; in a transaction of its own ALTER TABLE \(table) VALIDATE CONSTRAINT \(check); then SET NOT NULL, and drop the check"
        )
    }
}

extension ColumnDefinition {
    /// Whether a row that does not say it has NULL there.
    var isWithoutValue: Bool { defaultValue == .none && !type.isSerial }
}
