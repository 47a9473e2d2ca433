import FoundationEssentials
import SerinModel
import SerinPolicies
import Testbed
import Testing

@testable import SerinMigrationTools

/// The tools that the contract is kept by, each with the same three revisions of the same schema.
enum ToolKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case alembic
    case pairs
    case marked
    case commands

    var testDescription: String { rawValue }

    /// The tools that a test is run with: these, and with `SERIN_ALL_TOOLS` in the environment all of them. Every call of a tool's
    /// program takes a second or so, and most of what is tested is what Serin does around them all.
    static func some(_ kinds: ToolKind..., of all: [ToolKind] = allCases) -> [ToolKind] {
        ProcessInfo.processInfo.environment["SERIN_ALL_TOOLS"] == nil ? kinds : all
    }

    /// One revision, as all tools have it.
    struct Revision: Sendable {
        var id: String
        var name: String
        var up: String
        var down: String
        /// Whether no transaction may be around it.
        var isAlone = false
        /// What it follows, where that is not the one before.
        var parent: String?
    }

    static let revisions = [
        Revision(
            id: "0001", name: "orders",
            up: "CREATE TABLE public.orders (id bigint PRIMARY KEY, email text NOT NULL, amount numeric(12, 2) NOT NULL)",
            down: "DROP TABLE public.orders"),
        Revision(
            id: "0002", name: "note", up: "ALTER TABLE public.orders ADD COLUMN note text",
            down: "ALTER TABLE public.orders DROP COLUMN note"),
        Revision(
            id: "0003", name: "email",
            up: "CREATE UNIQUE INDEX CONCURRENTLY orders_email_key ON public.orders (email)",
            down: "DROP INDEX CONCURRENTLY public.orders_email_key", isAlone: true),
    ]

    /// Writes the first revisions of the tool into a folder.
    func prepare(_ folder: String, count: Int = revisions.count) throws {
        switch self {
        case .alembic:
            let fixture = #filePath.replacing("ToolKind.swift", with: "Fixtures/alembic")
            try FileManager.default.copyItem(atPath: fixture, toPath: folder)
            let versions = folder + "/versions"
            for file in try FileManager.default.contentsOfDirectory(atPath: versions)
            where !ToolKind.revisions.prefix(count).contains(where: { file.hasPrefix($0.id) }) {
                try FileManager.default.removeItem(atPath: "\(versions)/\(file)")
            }
        case .pairs, .marked, .commands:
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            for revision in ToolKind.revisions.prefix(count) { try add(revision, to: folder) }
        }
    }

    /// Adds one more revision, behind all others unless it says otherwise.
    func add(_ revision: Revision, to folder: String) throws {
        let stem = "\(folder)/\(revision.id)_\(revision.name)"
        switch self {
        case .alembic:
            let parent = revision.parent ?? String(format(Int(revision.id).map { $0 - 1 } ?? 0))
            try write(python(revision, parent: parent), "\(folder)/versions/\(revision.id)_\(revision.name).py")
        case .pairs, .commands:
            try write(revision.up + "\n", stem + ".up.sql")
            try write(revision.down + "\n", stem + ".down.sql")
        case .marked:
            let mark = revision.isAlone ? " transaction:false" : ""
            try write("-- migrate:up\(mark)\n\(revision.up);\n-- migrate:down\(mark)\n\(revision.down);\n", stem + ".sql")
        }
    }

    /// Removes a revision's files.
    func remove(_ id: String, from folder: String) throws {
        let folder = self == .alembic ? folder + "/versions" : folder
        for file in try FileManager.default.contentsOfDirectory(atPath: folder) where file.hasPrefix(id) {
            try FileManager.default.removeItem(atPath: "\(folder)/\(file)")
        }
    }

    /// How a policy names it.
    func tool(_ folder: String, _ server: PostgresServer, _ database: String) throws -> MigrationPolicy.Tool {
        switch self {
        case .alembic:
            return .alembic(config: folder + "/alembic.ini", program: try toolPath("alembic"), directory: nil)
        case .pairs, .marked: return .folder(path: folder, table: "schema_migrations")
        case .commands:
            try write(ToolKind.script, folder + "/tool.sh")
            let tool = ["/bin/sh", folder + "/tool.sh"]
            return .commands(
                MigrationPolicy.Commands(
                    current: tool + ["current"], heads: tool + ["heads"], up: tool + ["up", "{{revision}}"],
                    down: tool + ["down", "{{revision}}"], sql: tool + ["sql"]))
        }
    }

    /// A small tool of one's own: one table with one row, the files of `pairs`, and psql.
    private static let script = #"""
        set -eu
        cd "$(dirname "$0")"
        run() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
        current() {
            [ -z "$(run -c "SELECT to_regclass('public.schema_migrations')")" ] || run -c 'SELECT version FROM public.schema_migrations'
        }
        number() { n=$(echo "$1" | sed 's/^base$/0/; s/^0*//'); echo "${n:-0}"; }
        note() { echo "DELETE FROM public.schema_migrations; INSERT INTO public.schema_migrations SELECT '$1' WHERE '$1' <> '';"; }
        # A script that no transaction may hold goes by itself.
        apply() {
            if grep -q CONCURRENTLY "$1"; then run -f "$1" && run -c "$2"; else { cat "$1"; echo ';'; echo "$2"; } | run -1 -f -; fi
        }
        here=$(current)
        case $1 in
        current) echo "$here" ;;
        heads) ls | sed -n 's/^\([0-9]*\)_.*\.up\.sql$/\1/p' | sort | tail -1 ;;
        sql) cat *.up.sql ;;
        up)
            run -c 'CREATE TABLE IF NOT EXISTS public.schema_migrations (version text)' 2>/dev/null
            for file in $(ls *.up.sql | sort); do
                id=${file%%_*}
                [ "$(number "$id")" -gt "$(number "${here:-0}")" ] || continue
                [ "$(number "$id")" -le "$(number "$2")" ] || continue
                apply "$file" "$(note "$id")"
            done ;;
        down)
            for file in $(ls *.down.sql | sort -r); do
                id=${file%%_*}
                [ "$(number "$id")" -le "$(number "${here:-0}")" ] && [ "$(number "$id")" -gt "$(number "$2")" ] || continue
                before=$(ls *.down.sql | sort | sed 's/_.*//' | awk -v id="$id" '$1 < id' | tail -1)
                apply "$file" "$(note "$before")"
            done ;;
        esac
        """#

    private func python(_ revision: Revision, parent: String) -> String {
        let body: (String) -> String = { sql in
            let lines = sql.hasPrefix("raise ") ? [sql] : ["op.execute(\"\"\"\(sql)\"\"\")"]
            return revision.isAlone
                ? (["    with op.get_context().autocommit_block():"] + lines.map { "        " + $0 }).joined(separator: "\n")
                : lines.map { "    " + $0 }.joined(separator: "\n")
        }
        return """
            \"""\(revision.name)\"""

            from alembic import op

            revision = "\(revision.id)"
            down_revision = "\(parent)"


            def upgrade():
            \(body(revision.up))


            def downgrade():
            \(body(revision.down))

            """
    }

    private func format(_ number: Int) -> String { String("000\(number)".suffix(4)) }

    private func write(_ text: String, _ path: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path))
    }
}
