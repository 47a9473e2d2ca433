internal import SerinCrypto
internal import SerinDatabase
internal import SerinModel

/// What a schema consists of, one line a thing, so that two moments can be compared and the difference named.
///
/// Left out are what belongs to the server, to extensions, to Serin and to the migration tool itself; partitions, which come and go
/// by the day; owners and rights; and the order of columns.
struct SchemaSnapshot: Sendable, Hashable {
    /// Sorted.
    let lines: [String]

    /// A snapshot of lines.
    init(lines: [String]) { self.lines = lines.sorted() }

    /// Reads the present schema.
    init(_ session: Connection, without tables: [String]) throws(Failure) {
        let names = tables.map(sqlText).joined(separator: ", ")
        let rows = try session.rows(SchemaSnapshot.query(without: names.isEmpty ? "''" : names))
        // One line a thing, whatever people wrote into their definitions.
        self.init(lines: rows.compactMap { ($0.first ?? nil)?.rewriting("\n", as: " ") })
    }

    /// The kinds of lines that earlier versions did not note; theirs are compared without them.
    private static let newKinds: Set<String> = [
        "rule", "domain", "forced", "replica", "limits", "roles", "inherits", "options", "statistics", "publication",
    ]
    private static let mark = "kinds 2"

    /// Whether it is the same schema as one that was noted, perhaps by an earlier version.
    func isSame(as noted: SchemaSnapshot) -> Bool { self == noted || asIn(noted) == noted.asIn(self) }

    /// The lines that the other one has room for.
    private func asIn(_ other: SchemaSnapshot) -> SchemaSnapshot {
        guard !other.lines.contains(SchemaSnapshot.mark) else { return self }
        return SchemaSnapshot(
            lines: lines.filter { line in
                line != SchemaSnapshot.mark && !SchemaSnapshot.newKinds.contains(String(line.prefix { $0 != " " && $0 != "\t" }))
            })
    }

    /// The digest by which a schema is known, lower-case hexadecimal.
    var hash: String { Hexadecimal.text(of: SHA256.digestOrEmpty(Array(lines.joined(separator: "\n").utf8))) }

    /// What is new here (`+`) and what is missing (`-`), at most so many lines.
    func difference(from earlier: SchemaSnapshot, limit: Int = 20) -> [String] {
        let (old, new) = (Set(earlier.asIn(self).lines), Set(asIn(earlier).lines))
        let added = new.subtracting(old).sorted().map { "+ " + $0 }
        let all = (added + earlier.asIn(self).lines.filter { !new.contains($0) }.map { "- " + $0 }).map {
            $0.rewriting("\t", as: " ")
        }
        let rest = all.count - limit
        return rest > 0 ? all.prefix(limit) + ["and \(rest) more"] : all
    }

    /// An index that belongs to no constraint.
    struct Index: Sendable, Hashable {
        /// With its schema, quoted where needed.
        var name: String
        var isValid: Bool
        /// As the server writes it.
        var definition: String
    }

    /// The indexes that belong to no constraint.
    var indexes: Set<Index> {
        Set(
            lines.compactMap { line in
                let parts = line.parts(at: "\t").map(String.init)
                guard parts.count > 2, parts[0] == "index" else { return nil }
                return Index(name: parts[1], isValid: parts.last != "INVALID", definition: parts[2])
            })
    }

    // `search_path` is pg_catalog alone: every other name is written with its schema.
    private static func query(without tables: String) -> String {
        """
        WITH mine AS (
            SELECT n.oid, n.nspname FROM pg_namespace n
            WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'serin')),
        member AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
        rel AS (
            SELECT c.oid, c.oid::regclass::text AS name, c.relkind, c.relpersistence, c.relrowsecurity FROM pg_class c
            JOIN mine ON mine.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND c.relname NOT IN (\(tables))
            AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)),
        seq AS (
            SELECT s.* FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN mine ON mine.oid = c.relnamespace
            WHERE NOT EXISTS (SELECT FROM pg_depend d JOIN pg_class o ON o.oid = d.refobjid
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
                AND d.deptype IN ('a', 'i') AND o.relname IN (\(tables))))
        SELECT '\(mark)'
        UNION ALL SELECT 'schema ' || nspname FROM mine WHERE nspname <> 'public'
        UNION ALL SELECT concat_ws(' ', 'extension', extname, extversion) FROM pg_extension
        UNION ALL SELECT concat_ws(' ', 'table', name, relkind, relpersistence, CASE WHEN relrowsecurity THEN 'row security' END)
            FROM rel
        UNION ALL SELECT concat_ws(' ', 'column', rel.name || '.' || quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'not null' END, 'default ' || pg_get_expr(d.adbin, d.adrelid),
            CASE WHEN a.attidentity <> '' THEN 'identity ' || a.attidentity::text END,
            CASE WHEN a.attgenerated <> '' THEN 'generated ' || a.attgenerated::text END,
            CASE WHEN a.attcollation NOT IN (0, t.typcollation) THEN 'collate ' || a.attcollation::regcollation::text END)
            FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid JOIN pg_type t ON t.oid = a.atttypid
            LEFT JOIN pg_attrdef d ON d.adrelid = rel.oid AND d.adnum = a.attnum
            WHERE a.attnum > 0 AND NOT a.attisdropped
        UNION ALL SELECT concat_ws(E'\\t', 'index', i.indexrelid::regclass, pg_get_indexdef(i.indexrelid),
            CASE WHEN NOT (i.indisvalid AND i.indisready) THEN 'INVALID' END)
            FROM rel JOIN pg_index i ON i.indrelid = rel.oid
            WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
        UNION ALL SELECT concat_ws(' ', 'constraint', rel.name || '.' || quote_ident(k.conname), pg_get_constraintdef(k.oid))
            FROM rel JOIN pg_constraint k ON k.conrelid = rel.oid WHERE k.contype <> 'n'
        UNION ALL SELECT concat_ws(' ', 'view', name, md5(pg_get_viewdef(oid))) FROM rel WHERE relkind IN ('v', 'm')
        UNION ALL SELECT concat_ws(' ', 'trigger', t.tgenabled, pg_get_triggerdef(t.oid))
            FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid WHERE NOT t.tgisinternal
        UNION ALL SELECT concat_ws(' ', 'policy', rel.name || '.' || quote_ident(p.polname), p.polcmd, p.polpermissive,
            pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
            FROM rel JOIN pg_policy p ON p.polrelid = rel.oid
        UNION ALL SELECT concat_ws(' ', 'sequence', s.seqrelid::regclass, format_type(s.seqtypid, NULL), s.seqincrement, s.seqcycle)
            FROM seq s
        UNION ALL SELECT concat_ws(' ', 'function', p.oid::regprocedure, CASE WHEN p.prokind <> 'a' THEN
            md5(pg_get_functiondef(p.oid)) END) FROM pg_proc p JOIN mine ON mine.oid = p.pronamespace
            WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
        UNION ALL SELECT concat_ws(' ', 'type', t.oid::regtype, t.typtype, format_type(nullif(t.typbasetype, 0), t.typtypmod),
            (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e
                WHERE e.enumtypid = t.oid))
            FROM pg_type t JOIN mine ON mine.oid = t.typnamespace
            WHERE (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND EXISTS (
                SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
            AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
        UNION ALL \(further)
        """
    }

    /// What earlier versions did not note: `newKinds`, which see.
    private static let further = """
        SELECT concat_ws(' ', 'rule', r.ev_enabled, pg_get_ruledef(r.oid)) FROM rel JOIN pg_rewrite r ON r.ev_class = rel.oid
            WHERE r.rulename <> '_RETURN'
        UNION ALL SELECT concat_ws(' ', 'domain', t.oid::regtype, CASE WHEN t.typnotnull THEN 'not null' END,
            'default ' || t.typdefault) FROM pg_type t JOIN mine ON mine.oid = t.typnamespace WHERE t.typtype = 'd'
            AND (t.typnotnull OR t.typdefault IS NOT NULL)
        UNION ALL SELECT concat_ws(' ', 'domain', t.oid::regtype, quote_ident(k.conname), pg_get_constraintdef(k.oid))
            FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN mine ON mine.oid = t.typnamespace
            WHERE k.contype <> 'n'
        UNION ALL SELECT concat_ws(' ', 'forced row security', name) FROM rel JOIN pg_class c ON c.oid = rel.oid
            WHERE c.relforcerowsecurity
        UNION ALL SELECT concat_ws(' ', 'replica identity', name, c.relreplident,
            (SELECT i.indexrelid::regclass FROM pg_index i WHERE i.indrelid = rel.oid AND i.indisreplident))
            FROM rel JOIN pg_class c ON c.oid = rel.oid WHERE c.relreplident <> CASE WHEN c.relkind IN ('r', 'p') THEN 'd'
            ELSE c.relreplident END
        UNION ALL SELECT concat_ws(' ', 'limits of sequence', s.seqrelid::regclass, s.seqstart, s.seqmin, s.seqmax, s.seqcache,
            (SELECT 'owned by ' || d.refobjid::regclass || '.' || quote_ident(a.attname) FROM pg_depend d
                JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.refclassid = 'pg_class'::regclass
                AND d.deptype IN ('a', 'i') LIMIT 1))
            FROM seq s
        UNION ALL SELECT concat_ws(' ', 'roles of policy', rel.name || '.' || quote_ident(p.polname),
            (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE r::regrole::text END, ', ' ORDER BY r::regrole::text)
                FROM unnest(p.polroles) r))
            FROM rel JOIN pg_policy p ON p.polrelid = rel.oid
        UNION ALL SELECT concat_ws(' ', 'inherits', rel.name, i.inhparent::regclass, i.inhseqno)
            FROM rel JOIN pg_inherits i ON i.inhrelid = rel.oid WHERE rel.relkind IN ('r', 'f')
        UNION ALL SELECT concat_ws(' ', 'options of view', rel.name, (SELECT string_agg(o, ', ' ORDER BY o)
            FROM unnest(c.reloptions) o))
            FROM rel JOIN pg_class c ON c.oid = rel.oid WHERE rel.relkind = 'v' AND c.reloptions IS NOT NULL
        UNION ALL SELECT concat_ws(' ', 'statistics', pg_get_statisticsobjdef(e.oid)) FROM pg_statistic_ext e
            JOIN rel ON rel.oid = e.stxrelid
        UNION ALL SELECT concat_ws(' ', 'publication', quote_ident(p.pubname), CASE WHEN p.puballtables THEN 'all tables' END,
            p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, (SELECT string_agg(r.prrelid::regclass::text, ', '
                ORDER BY r.prrelid::regclass::text) FROM pg_publication_rel r WHERE r.prpubid = p.oid))
            FROM pg_publication p
        """
}
