internal import SerinModel

extension Judge {
    mutating func addColumn(_ column: ColumnDefinition, to table: RelationName, ifNotExists: Bool) {
        let name = "\(table).\(quoted(column.name))"
        lock(table, .accessExclusive)
        phase(.expand)
        let key = objectKey(.column, table, column.name)
        // In the way back an empty column is not the one that was renamed.
        if direction == .up { given.insert(comparable(key)) }
        if !ifNotExists { made.insert(key) }
        leadOthers(toColumn: column.name, of: table)
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
                reachOthers(constraint, from: table)
                if !column.isWithoutValue { flagScan(placed, of: table) }
                flagForeignKeyWithoutIndex(placed, of: table)
            case .check:
                flagScan(placed, of: table)
                if placed.comparedColumn != column.name, !isNew(table) { mayRefuse(name) }
            case .unique, .primaryKey, .exclusion:
                flagBuild(placed, of: table)
                if column.defaultValue == .stable, !isNew(table) { mayRefuse(name) }
            }
        }
        flagJSON(column, of: table)
        if column.defaultValue == .stored, direction == .up, !isNew(table) {
            depends("its writes to \(table) compute \(name), which may fail")
            flag(
                .breaksPrevious, .warning,
                "\(name) is computed for every row that is written, and a value of which it cannot be refuses the row",
                why: "the previous version may write such a value",
                safe: "an expression that is defined for every value: NULLIF, CASE")
        }
        if direction == .up, !isNew(table), let view = schema.views(ofAllColumnsOf: table).first {
            flag(
                .shadowed, "\(name) does not appear in the view \(view), which took all columns of \(table) when it was made",
                safe: "a view of another name with the columns by name, for whoever is to read it there")
        }
        flagWholeRows(of: table, name)
        // One that may be there already may look otherwise.
        if !ifNotExists { schema.add(column, to: table) } else { schema.change(table) { $0.isWhole = false } }
    }

    /// A trigger that takes rows by all of their columns takes one more from now on, and what it does with them may fail.
    private mutating func flagWholeRows(of table: RelationName, _ column: String) {
        guard direction == .up, !isNew(table),
            let trigger = (schema[table]?.triggers ?? [:]).filter({ schema.functionsOfWholeRows.contains($0.value.function) })
                .min(by: { $0.key < $1.key })
        else { return }
        depends("its writes to \(table) run the trigger \(quoted(trigger.key)), which takes whole rows, now with \(column)")
        flag(
            .breaksPrevious, .warning,
            "\(column) comes into OLD.* and NEW.* of the function \(quoted(trigger.value.function)), which the trigger \(quoted(trigger.key)) runs",
            why: "where it puts them into a table with fewer columns, every write of \(table) fails",
            safe: "a function that names the columns first; or the same column in the table that it writes to, in this revision")
    }

    /// What the previous version writes to a column that was there, and is called otherwise now, reaches the one that has its name.
    mutating func leadOthers(toColumn column: String, of table: RelationName) {
        let key = objectKey(.column, table, column)
        if direction == .up, taken.contains(comparable(key)) { made.leadOthers(to: made.placed(key)) }
    }

    /// A condition of a new column that rows without it may not meet.
    private mutating func mayRefuse(_ column: String) {
        phase(.contract)
        depends("it may write rows that the condition of \(column) refuses")
    }

    private mutating func flagRewriteByDefault(_ column: ColumnDefinition, of table: RelationName, _ name: String) {
        let cause: String
        let safe: String
        let type = column.type
        switch column.defaultValue {
        case .none, .stable:
            guard type.isSerial || schema.mayBeConstrained(type) else { return }
            guard type.isSerial else {
                let isKnown = schema.types[type.relation.full] != nil
                rewrites(table)
                return flagRewrite(
                    of: table,
                    "\(name) is of the type \(type), \(isKnown ? "a domain with a condition" : "which may be a domain with a condition"), so every row of \(table) is written anew",
                    safe: "add it with the type under the domain, and the condition as a check that is NOT VALID first")
            }
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
        disturb(table, "loses the column \(quoted(column))")
        if !cascades { flagView(using: column, of: table, "the column is not dropped") }
        defer {
            if cascades { schema.forgetViews(of: table) }
            schema.facts[.defaultValue(of: column, table)] = nil
            schema.change(table) {
                $0.columns[column] = nil
                $0.notNull.remove(column)
                $0.uniques.removeAll { $0.columns.contains(column) }
            }
            made.remove(made.placed(key))
            forward.made.remove(made.placed(key))
        }
        let takesOthers = direction == .down && forward.made.takesOthers(made.placed(key))
        guard !isNew(table) else { return }
        phase(.contract)
        if made.contains(key) { return }
        loses("the values of \(name)", isOwn: isOwn(key) && !takesOthers)
        if takesOthers {
            flag(
                .destroys, "the column \(name) is dropped, and what the previous version wrote meanwhile may be in it",
                safe: "a column of another name, which the previous version does not write")
        }
        guard !isOwn(key) else { return }
        flag(
            .destroys, "the column \(name) is dropped\(cascades ? ", and what depends on it" : "")",
            safe:
                "stop using \(name) in one release; drop it in a later one, once the old version is gone and a backup is verified"
        )
        breaks(false, "it reads or writes \(name)", "the column \(name) is dropped")
    }

    mutating func changeType(
        _ column: String, of table: RelationName, to type: ColumnType, _ conversion: TypeChange.Conversion, collation: String?
    ) {
        let name = "\(table).\(quoted(column))"
        let known = schema[table]?.columns[column]
        let old = known?.type
        let isRebuilt = known.map { $0.collation != collation } ?? (collation != nil)
        lock(table, .accessExclusive)
        disturb(table, "has its column \(quoted(column)) changed")
        flagView(using: column, of: table, "its type is not changed")
        defer { schema.change(table) { $0.columns[column]?.collation = collation } }
        schema.change(table) {
            if var known = $0.columns[column] {
                known.type = type
                $0.columns[column] = known
            } else {
                $0.columns[column] = ColumnDefinition(column, type)
            }
        }
        guard !isNew(table), !made.contains(objectKey(.column, table, column)) else { return }
        taken.insert(comparable(objectKey(.column, table, column)))
        given.insert(comparable(objectKey(.column, table, column)))
        let change = TypeChange(from: old, to: type, conversion, isUTC: isUTC == true)
        let from = old.map { "from \($0) " } ?? ""
        let safe =
            "add a column \(quoted(column + "_new")) of type \(type), fill it in batches, switch over, drop the old one later"
        let isRewritten = change.rewrite == .always || (change.rewrite == .unlessUTC && isUTC != true)
        if isRewritten {
            rewrites(table)
            let cause =
                change.rewrite == .unlessUTC
                ? " unless the session's TimeZone is UTC\(isUTC == nil ? ", which is not known" : "")"
                : old == nil ? " unless its old type, which is not known here, needs none" : ""
            flagRewrite(of: table, "changing \(name) \(from)to \(type) writes every row of \(table) anew\(cause)", safe: safe)
        }
        if !isRewritten, isRebuilt || change.rewrite == .unlessUTC, schema.mayBeIndexed(column, in: table) {
            rebuildsIndexes(of: table, "changing the \(isRebuilt ? "collation" : "type") of \(name)", safe: safe)
        }
        if change.mayLose {
            // What was there before the way forward had this type.
            let isRestored =
                direction == .down && conversion != .expression && forward.schema.type(of: column, in: table)?.stored == type
            narrows(
                isOwn: isRestored || isOwn(objectKey(.column, table, column)),
                "changing \(name) \(from)to \(type) may cut, round or refuse values\(old == nil ? "; its old type is not known here" : "")",
                "values of \(name) as they were", safe)
        } else {
            phase(.expand)
        }
        if isRebuilt { depends("it may rely on the order of \(name), and on which of its values are the same") }
        if isRewritten || change.mayLose || change.rewrite == .unlessUTC {
            survival(.depends("it reads \(name) as \(old.map(String.init(describing:)) ?? "another type")"))
        }
    }

    /// The server keeps what a view is made of.
    private mutating func flagView(using column: String, of table: RelationName, _ what: String) {
        guard let view = schema.view(using: column, of: table) else { return }
        flag(
            .unknown, "the view \(view) uses \(table).\(quoted(column)): the server refuses, and \(what)",
            why: "the statement fails there",
            safe: "DROP VIEW \(view), the change, and CREATE VIEW \(view) AS … again, in one transaction")
    }

    /// Indexes are built anew, and the rows are left as they are.
    private mutating func rebuildsIndexes(of table: RelationName, _ what: String, safe: String) {
        scans(table)
        if !report.rebuilds.contains(table) { report.rebuilds.append(table) }
        flag(
            .indexBlocks, settings.isSmall(table) ? .warning : nil,
            "\(what) builds its indexes anew under ACCESS EXCLUSIVE on \(table)",
            why: "nobody can read or write for as long as it takes", safe: safe)
    }

    /// Old values cannot be told from the new ones.
    mutating func narrows(isOwn: Bool = false, _ what: String, _ loss: String, _ safe: String? = nil) {
        phase(.contract)
        loses(loss, isOwn: isOwn)
        flag(.narrows, isOwn ? .warning : nil, what, safe: safe)
    }

    mutating func setNotNull(_ column: String, of table: RelationName) {
        let name = "\(table).\(quoted(column))"
        lock(table, .accessExclusive)
        defer {
            schema.change(table) {
                $0.columns[column]?.isNotNull = true
                $0.notNull.insert(column)
            }
        }
        alters("NOT NULL of \(quoted(column))", of: table, isOwn: isOwnColumn(column, of: table))
        guard !isNew(table) else { return }
        phase(.contract)
        if direction == .up { survival(.depends("it may write NULL into \(name)")) }
        guard !schema.isProvenNotNull(column, in: table) else { return }
        scans(table)
        let check = quoted("\(table.name)_\(column)_not_null")
        flag(
            .notNullScans, settings.isSmall(table) ? .warning : nil,
            "SET NOT NULL reads every row of \(table) under ACCESS EXCLUSIVE",
            safe: direction == .up
                ? nil
                : "a check that is added NOT VALID and validated in the ways back of later revisions; then SET NOT NULL reads nothing",
            instead: direction == .up ? notNullRevisions(column, of: table, check) : [])
    }

    /// NOT NULL in steps, none of which reads the table while others wait.
    private func notNullRevisions(_ column: String, of table: RelationName, _ check: String) -> [SafeRevision] {
        let column = quoted(column)
        let condition = settings.version >= 18 ? "NOT NULL \(column)" : "CHECK (\(column) IS NOT NULL)"
        let add = "ALTER TABLE \(table) ADD CONSTRAINT \(check) \(condition) NOT VALID"
        let drop = "ALTER TABLE \(table) DROP CONSTRAINT \(check)"
        let steps = [
            SafeRevision([add], back: [drop]),
            SafeRevision(["ALTER TABLE \(table) VALIDATE CONSTRAINT \(check)"], back: []),
        ]
        // Of version 18 on the constraint is NOT NULL itself.
        guard settings.version < 18 else { return steps }
        return steps + [
            SafeRevision(
                ["ALTER TABLE \(table) ALTER COLUMN \(column) SET NOT NULL"],
                back: ["ALTER TABLE \(table) ALTER COLUMN \(column) DROP NOT NULL"]),
            SafeRevision([drop], back: [add]),
        ]
    }
}

extension ColumnDefinition {
    /// Whether a row that does not say it has NULL there.
    var isWithoutValue: Bool { defaultValue == .none && !type.isSerial }
}
