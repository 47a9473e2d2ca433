internal import SerinModel

/// The page of all rules, made from the same table that findings are made from.
public enum LintReference {
    /// `docs/migrations-lint.md`, in Markdown.
    public static var page: String {
        var lines = introduction
        lines += ["## Rules", "", "| Rule | Severity | Finds | Because |", "| --- | --- | --- | --- |"]
        for rule in LintRule.allCases {
            lines.append("| \(rule.rawValue) | \(rule.severity.rawValue) | \(cell(rule.title)) | \(cell(rule.reason)) |")
        }
        lines += ["", "## Safe forms", "", "| Rule | Instead |", "| --- | --- |"]
        for rule in LintRule.allCases { lines.append("| \(rule.rawValue) | \(cell(rule.safeForm)) |") }
        lines += [
            "",
            "A finding spells it out for its statement. What is SQL without an open end can be pasted as it is printed, with the way back that",
            "stands behind `back:`; `(1)`, `(2)` are revisions of their own.",
        ]
        return (lines + [""] + explanations).joined(separator: "\n") + "\n"
    }

    private static func cell(_ text: String) -> String {
        text.rewriting("|", as: "\\|").rewriting("<", as: "&lt;")
    }

    private static let introduction = """
        # The lint for migrations

        `serin migrate lint` and `serin check --migrations` read migrations with the parser of Postgres itself (version 15) and say, without a
        database, for every statement: which locks it takes, whether it writes or reads every row, whether it destroys data, and whether the
        version of the application that runs now survives it.

            serin migrate lint db/migrations
            serin migrate lint db/migrations --applied 0042 --server 16 --utc
            alembic upgrade head --sql | serin migrate lint -
            serin check policy.yaml --migrations
            serin migrate lint db/migrations --trace --scratch-env SCRATCH_URL --url-env DATABASE_URL

        Exit codes: 0 nothing that fails the gate, 2 usage or nothing that can be read, 7 an ERROR or BLOCK without a reason. WARN never fails
        the gate; with `--strict` it does.

        - **WARN** is worth knowing.
        - **ERROR** fails the gate, unless a comment gives a reason.
        - **BLOCK** does so too; and whatever a comment says, the revision stays destructive, so a rollout needs approvals and a verified backup.

        Where rows are few (`--rows orders=1200`, 10,000 at most), what only costs time becomes a WARN.
        """.textLines(keepingEmpty: true).map(String.init) + [""]

    private static let explanations = """
        ## Comments

            -- serin: allow L01 because the table has 200 rows
            CREATE INDEX ON countries (name);

            -- serin: allow-file L06, S01 because this file sets up the roles of the test database
            -- serin: class additive because it only fills a new lookup table
            DO $$ … $$;

            -- serin: previous fails because the version that runs counts the columns
            ALTER TABLE orders ADD COLUMN note text;

        A comment speaks for the statement that it stands before, in, or behind on the same line; `allow-file`, and a comment behind the last
        statement, for the whole direction; `allow R01`, wherever it stands, for the whole revision. In a program that SQL is generated from (Alembic) `# serin: …` speaks for the whole revision. A comment
        without a reason or with an unknown rule is itself an error, and one that allows what does not occur a warning (A01). `class` says what a
        statement does that nobody can classify; it can make a statement heavier, never lighter: of one that Serin understands, what is found is
        allowed by its rule, and the class stays. `previous fails`, anywhere in the way forward, is C01 and
        makes a revision that only adds reversible: a rollback takes it back, whatever the policy says of additions. That the previous version
        *works* is believed of a program alone (`--previous-check`).

        ## Classes and phases

        | Class | Means | On the way back |
        | --- | --- | --- |
        | additive | every statement only adds, and the previous version does not notice | the schema may stay |
        | reversible | nothing is lost, but the previous version may not survive it; there is a way back | down |
        | destructive | data is gone or overwritten | only a backup brings it back |
        | unclassified | nobody can say, or there is no way back | treated as destructive |

        The way back counts too. What it loses of anything that the way forward is not known to have made makes the revision destructive, and
        what nobody can say of it unclassified. A way back that changes nothing, or does not bring back what was dropped, replaced or renamed, is
        none, unless there is nothing to take back, as of a constraint that is validated or an index that is built anew; nor is one that does nothing about what the previous version may notice: a constraint, NOT NULL, a default, an identity, rights, a
        trigger, a policy. Whatever makes a revision unclassified or destructive is found by a rule as well. A column or table that is made anew is not the one that was renamed, and a value of an enum stays. What is lost by itself when the revision is taken back, as what was written to a new column, is listed and makes it no worse.

        A way back that leaves what the way forward makes (a table, column, index, constraint, type, function, view, sequence, trigger, policy, rule,
        schema or extension) is R01 too: Serin refuses to run it, as the schema is not what it was, and going forward again fails. Nothing is said
        where one of the two does what nobody can follow. `DROP CONSTRAINT` drops the index that became the constraint (`USING INDEX`) as well: when
        an earlier revision made it, that one's way back finds none, unless it is made again behind it. A unique index refuses the same rows without
        a constraint. A partition that the way back detaches and leaves keeps what the previous version wrote to it, where nobody finds it: R01.

        One that leaves another default, another text of a view or function, or other bounds of a partition than the revisions show before it is
        R01 as well, and makes what the previous version may notice unclassified.

        Made by the revision is only what cannot have been there before: `IF NOT EXISTS` and `OR REPLACE` prove nothing, a rename makes nothing
        new, and behind a view, a foreign table or a parent of other tables there may be anybody's rows. Rows count as saved before they are
        changed when `CREATE TABLE … AS SELECT` took all of them (or those of the same `WHERE`), with their key and the columns that change, into a
        permanent table that stays as it is, nobody else could write from before the copy until the change (`LOCK TABLE … IN SHARE ROW EXCLUSIVE
        MODE`, or what takes ACCESS EXCLUSIVE, in the same transaction: what commits between the two is in neither), and the way back surely writes all of them back: every changed column `FROM` that table by the whole
        key, or as an upsert of the key, deleted rows by `INSERT … SELECT *`, and no other condition. Whatever the condition of the copy is, rows are saved when they
        are deleted `USING` it, by the whole key. A key is a primary key, or a unique constraint
        of columns that are NOT NULL, that the revisions show: without one nothing proves whose a saved value is. A new partition, heir, target of a rule or
        of a replaced view, a table or column that has the name of one that was renamed or moved away, and any new table beside a function that has
        another body now, hold what the previous version writes, so dropping them loses it, unless the rows were put back first, from a table that
        nobody writes to any more (detached, renamed or locked). A value counts as filled in, and not as changed, when the column is new in
        this revision, or in an earlier pending one and asked for `IS NULL`. Rows that the way forward put in by constants may be removed again by
        the same values of a key. A rule `DO INSTEAD` on a table that was there loses what the previous version writes to it, and `tsvector_update_trigger`
        what it writes to the column that is computed. What a trigger of an earlier revision changes beside a change of rows is saved nowhere,
        unless it runs behind the change and writes nothing. A sequence that is set to a fixed number forgets how far it was.

        A table that is renamed is a warning and no error of C01 when a view of all of its columns, in their order, takes its name in the same
        transaction and stays: rows are read and written through it, `ON CONFLICT` too, but COPY, TRUNCATE, MERGE, new foreign keys and
        `pg_get_serial_sequence` fail, and rights to the table are none to the view. A check that says no more than that a column is not NULL is
        dropped without loss when the column refuses NULL itself.

        Rows that come in with keys of their own, in a table whose keys a sequence gives, are C01, as the next row that asks for a key gets one that
        is there, whichever version sends it: unless the sequence is set behind it. `setval` to the greatest of the table's keys and the sequence's
        own `last_value` forgets nothing; to the greatest key alone it may give numbers of rows that are not committed yet once more. A
        foreign key that passes changes on (`ON DELETE CASCADE`, `SET NULL`) between tables that were there loses rows as soon as the previous
        version deletes what they point to.

        What Serin does not know to be harmless is taken to be noticed by the version that runs: defaults, identities, owners, rights, roles,
        rules, row level security, sequences, unique indexes.

        A revision is `contract` when it takes something away or makes it stricter, else `migrate` when it changes rows, else `expand`. What going
        back would lose (the values of a column that the revision added) is listed with it.

        ## What is known without a database

        The revisions are read from the first one on, so types, checks, indexes and foreign keys of earlier revisions are known; `--applied` says
        which are applied already and are not judged (of Alembic nothing is known of them where one has no SQL without a database). Tables that a revision makes itself are used by nobody: their locks do not count. A lock that
        holds up writers counts for what is long behind it in the transaction (L07), unless `LOCK TABLE` asked for it. What a text
        cannot say: DO, CALL, calls of functions that do not come with Postgres anywhere in a statement, triggers on functions whose text is not known
        to be harmless, operators, classes of operators and types of casts that neither come with Postgres nor with the revisions, what is read of
        a row and is none of its columns (`row.name` may call a function), operators, casts and functions that the revisions make themselves,
        triggers that decide what is written to a table that was there (BEFORE and INSTEAD OF, for each row: what they return and
        assign takes the place of what the previous version writes), functions of triggers that are replaced, functions with EXECUTE, programs of Alembic that import or name more than its operations, SQLAlchemy and modules
        that know nothing of their surroundings, or that say `try`, and what the parser of version 15 refuses
        (from 16 on: apart from `ADD CONSTRAINT … NOT NULL … NOT VALID` of version 18, which is known). All of it is D04, and so is what the
        server is known to refuse: another type for a column that a view of the revisions uses, or its end, and a value of an enum in the
        transaction that adds it.

        A change of type writes no rows from `varchar(n)` to a longer one or `text`, for a `numeric` of more digits and the same scale, for a time of
        more digits, from `cidr` to `inet`, and between `timestamp` and `timestamptz` when the session's TimeZone is UTC (`--utc`). Without the old
        type the worst is assumed. Values are lost when an interval is cut to some fields, when `json` becomes `jsonb` (its order and what it
        holds twice), and when a date or a time gets or loses its zone, unless the TimeZone is known to be UTC: an hour is skipped or there twice
        elsewhere. What the text sets (`SET TIME ZONE`) counts more than `--utc`.

        ## What a rollout knows beside the text

        `serin migrate plan` and a rollout's preflight look at the database as well. Where Serin's own sessions run the SQL (folders of files) their
        TimeZone is known; Alembic and other programs open sessions of their own, so the worse is assumed. Operators, casts and functions of a
        row that the server has of its own are held against those that the text uses. A revision that changes rows of a table, or puts some
        back, is destructive where a trigger, a rule or a foreign key there passes that on or changes more; the reason names it. One that
        does not run then is none: a trigger for deletions or for other columns, a foreign key that only passes on a change of other
        columns.

        ## What is measured on a copy

        With `--trace` the pending revisions are run as well: forward, back, and forward again, each by the tool that owns them, in a database
        that is made on the server of `--scratch-env` and dropped at the end. That role needs CREATEDB. What a killed trace left is dropped by the
        next one; until then `serin migrate status` and `plan` of a database of the same server name it. The copy begins

        - with nothing: every revision is run, from the first one on;
        - with `--url-env`: with the schema of that database and its place among the revisions (pg_dump and pg_restore; it is only read, and no
          row but those of the tool's own tables is copied);
        - with `--from-backup PLAN[:BACKUP]`: as the newest verified dump of that plan, or the one named, which is restored on the server of
          `--scratch-env` first and goes with the trace;
        - with `--template NAME`: as a copy, rows included, of a database on the same server.

        Beside what the text says stands what the server did: the locks on tables that were there, read while the tool is held at the end of its
        transaction; the tables with a new file; the rows written; what is gone; the schema after the way back compared with before. A way back
        that fails or leaves another schema is R01. A lock or a rewrite that the text does not foretell is T01.

        What the copy lost and the text does not speak of makes the revision destructive: D01 when a table or column is gone, D03 when rows of a
        table that was there were changed or removed.

        What is D04 is settled by it, where the copy can tell. It cannot where the revision reads or changes a table that has no rows in the copy,
        as what it does there may depend on rows: use `--from-backup`. `--previous-check PATH` runs a program on each new schema that tries the
        previous version of the application (it finds the copy in `DATABASE_URL` and libpq's variables); when it fails that is C01, when it does
        not, C01 is answered.

        A tool that is told of the copy and does not look there is not run: its address is written down somewhere, and it would run on the live
        database. Whatever the tool is passed that is an address of Postgres is replaced by that of the copy.

        ## In pipelines

        In GitHub Actions every finding is an annotation at its line. `--junit FILE` writes a test case for each revision, `--code-quality FILE`
        what GitLab shows in a merge request; a finding keeps its fingerprint when it moves. `serin check POLICY --offline --migrations` takes
        both too and needs no database. Neither changes the exit codes.
        """.textLines(keepingEmpty: true).map(String.init)
}
