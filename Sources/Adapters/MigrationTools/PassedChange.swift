internal import SerinDatabase
public import SerinMigrations
internal import SerinModel

/// Why a change of a relation's rows does more than its statement says: a trigger, a rule, a foreign key that passes it on, or that there
/// are no rows of its own.
public struct PassedChange: Sendable, Hashable {
    /// The relation, with its schema.
    public var relation: RelationName
    /// What passes it on: `the trigger audit of public.orders`.
    public var what: String
    /// Whether it happens when rows are changed, and not only when some are deleted or put back.
    public var isOfUpdates: Bool
    /// The columns of which one must be changed for that; empty when any will do.
    public var columns: Set<String>

    /// What passes changes on.
    public init(_ relation: RelationName, _ what: String, isOfUpdates: Bool = true, columns: Set<String> = []) {
        self.relation = relation
        self.what = what
        self.isOfUpdates = isOfUpdates
        self.columns = columns
    }

    /// Everything of a database that passes changes on. What is of a partition or an heir is of its parents as well.
    static func read(_ session: Connection) throws(Failure) -> [PassedChange] {
        try session.rows(
            """
            WITH RECURSIVE found AS (
                SELECT c.oid, format('the trigger %s of %s', t.tgname, c.oid::regclass) AS what,
                    -- Bits of INSERT and UPDATE: values come back by either.
                    (t.tgtype & 20) <> 0 AS updates,
                    CASE WHEN (t.tgtype & 4) = 0 THEN t.tgattr::int2[] ELSE '{}' END AS keys
                FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid
                WHERE NOT t.tgisinternal AND (t.tgtype & 28) <> 0 AND c.relkind IN ('r', 'p')
                UNION ALL
                SELECT c.oid, format('the rule %s of %s', r.rulename, c.oid::regclass), r.ev_type <> '4', '{}'
                FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid WHERE c.relkind IN ('r', 'p')
                UNION ALL
                SELECT c.oid, format('the foreign key %s of %s', k.conname, k.conrelid::regclass),
                    k.confupdtype NOT IN ('a', 'r'), k.confkey
                FROM pg_class c JOIN pg_constraint k ON k.confrelid = c.oid AND k.contype = 'f'
                WHERE k.confdeltype NOT IN ('a', 'r') OR k.confupdtype NOT IN ('a', 'r')
                UNION ALL
                SELECT c.oid, format('the heir %s of %s', i.inhrelid::regclass, c.oid::regclass), false, '{}'
                FROM pg_class c JOIN pg_inherits i ON i.inhparent = c.oid WHERE c.relkind = 'r'
                UNION ALL
                SELECT c.oid, format('%s, whose rows are elsewhere,', c.oid::regclass), true, '{}'
                FROM pg_class c WHERE c.relkind IN ('v', 'f')
            ), above AS (
                SELECT oid, oid AS relation, what, updates, keys FROM found
                UNION
                SELECT a.oid, i.inhparent, a.what, a.updates, a.keys FROM above a JOIN pg_inherits i ON i.inhrelid = a.relation
            )
            SELECT DISTINCT n.nspname, c.relname, a.what, a.updates::text, (
                SELECT array_to_string(array_agg(t.attname ORDER BY t.attname), chr(1)) FROM pg_attribute t
                WHERE t.attrelid = a.oid AND t.attnum = ANY (a.keys))
            FROM above a JOIN pg_class c ON c.oid = a.relation JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'serin') AND n.nspname !~ '^pg_t' ORDER BY 1, 2, 3
            """
        ).compactMap { row in
            guard row.count == 5, let name = row[1], let what = row[2] else { return nil }
            let columns = row[4]?.split(separator: "\u{1}").map(String.init) ?? []
            return PassedChange(
                RelationName(schema: row[0], name), what, isOfUpdates: row[3] == "true", columns: Set(columns))
        }
    }

    /// Whether a change of some columns of a table that a statement names is passed on; a name without schema may be that of any.
    func passesOn(update table: String, of columns: Set<String>) -> Bool {
        isOfUpdates && relation.name == table
            && (columns.isEmpty || self.columns.isEmpty || !self.columns.isDisjoint(with: columns))
    }
}

extension ServerCode {
    /// What a server has of its own that statements run without calling it by name.
    static func read(_ session: Connection) throws(Failure) -> ServerCode {
        let own = { (catalogue: String, object: String) in
            """
            NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '\(catalogue)'::regclass AND d.objid = \(object)
                AND d.deptype = 'e')
            """
        }
        var code = ServerCode()
        for row in try session.rows(
            """
            SELECT 'call', p.proname::text FROM pg_proc p JOIN pg_type t ON t.oid = p.proargtypes[0]
            WHERE p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1
                AND t.typtype IN ('c', 'p') AND \(own("pg_proc", "p.oid"))
            UNION SELECT 'call', o.oprname::text FROM pg_operator o
            WHERE o.oprnamespace <> 'pg_catalog'::regnamespace AND \(own("pg_operator", "o.oid"))
            UNION SELECT 'call', unnest(ARRAY['::' || t.typname, CASE WHEN c.castcontext <> 'e' THEN ':=' END])
            FROM pg_cast c JOIN pg_type t ON t.oid = c.casttarget JOIN pg_proc p ON p.oid = c.castfunc
            WHERE p.pronamespace <> 'pg_catalog'::regnamespace AND \(own("pg_cast", "c.oid"))
            UNION (SELECT 'type', t.typname::text FROM pg_type t
                WHERE t.typnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
                GROUP BY t.typname HAVING bool_and(t.typtype <> 'd' OR NOT EXISTS (
                    SELECT FROM pg_constraint k WHERE k.contypid = t.oid)))
            """)
        {
            guard row.count == 2, let name = row[1] else { continue }
            if row[0] == "call" { code.calls.insert(name) } else { code.types.insert(name) }
        }
        return code
    }
}
