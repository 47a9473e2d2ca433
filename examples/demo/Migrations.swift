import FoundationEssentials
import Glibc
import SerinModel
import Testbed

// The releases that move the schema.
extension Stage {
    /// A folder of plain SQL; a release puts its revisions there.
    var migrations: String { folder + "/migrations" }

    /// The first revision is what is there; how writes are fenced and how rows are fetched from a backup is the service's own.
    func prepareMigrations() throws {
        try FileManager.default.createDirectory(atPath: migrations, withIntermediateDirectories: true)
        try add(
            "0001_orders",
            up: "CREATE TABLE IF NOT EXISTS orders (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())",
            // The table may have been there before: going back leaves it.
            down: "SELECT 1")
        try write(folder + "/key", "a passphrase that guards nothing but a demonstration\n")
        chmod(folder + "/key", 0o600)
        try program(
            "fence.sh",
            """
            ask() { psql -X -q -A -t '\(database.primary.url())' -c "$1"; }
            may="SELECT has_table_privilege('app', 'orders', 'INSERT')"
            case $1 in
            close) ask 'REVOKE INSERT, UPDATE, DELETE ON orders FROM app' ;;
            open) ask 'GRANT INSERT, UPDATE, DELETE ON orders TO app' ;;
            isClosed) [ "$(ask "$may")" = f ] ;;
            isOpen) [ "$(ask "$may")" = t ] ;;
            esac
            """)
    }

    /// Adds a revision.
    func add(_ name: String, up: String, down: String) throws {
        try write("\(migrations)/\(name).up.sql", up + "\n")
        try write("\(migrations)/\(name).down.sql", down + "\n")
    }

    /// Takes a revision out of the release again.
    func remove(_ name: String) throws {
        for direction in ["up", "down"] { try FileManager.default.removeItem(atPath: "\(migrations)/\(name).\(direction).sql") }
    }

    /// Writes the policy of a release that migrates; the folder of revisions begins at its own.
    func migratingPolicy(_ name: String, _ rules: [String]) throws -> String {
        let path = "\(folder)/\(name).yaml"
        let lines = ["sql: {folder: migrations}"] + rules
        try write(
            path,
            policyText + """
                backup: {before: migrations, to: ["file://\(folder)/backups"], key_file: \(folder)/key}
                migrations:
                  \(lines.joined(separator: "\n  "))

                """)
        return path
    }

    /// What a policy says where data may be destroyed. The rows that are gone are put back beside those that came since.
    func destructive(approvals: Int, serin: String, state: String) throws -> [String] {
        let url = database.primary.url()
        try program(
            "restore.sh",
            """
            set -eu
            export DEMO_PRIMARY='\(url)'
            '\(serin)' migrate down --sql '\(migrations)' --url-env DEMO_PRIMARY --to "$SERIN_REVISION" --state '\(state)' \\
                --restore-of "$SERIN_SERVICE"
            # No superuser restores a dump, nor a member of one, but who may make databases; what is there for its rows needs no owner.
            psql -X -q "$DEMO_PRIMARY" -c 'CREATE ROLE restorer LOGIN CREATEDB'
            side=$(DEMO_PRIMARY='\(database.primary.url(user: "restorer"))' \\
                '\(serin)' backup restore '\(folder)/policy-6.yaml' "$SERIN_BACKUP" --no-owners -o json --state '\(state)' |
                sed -n 's/.*"database":"\\([^"]*\\)".*/\\1/p')
            [ -n "$side" ]
            psql -X -q "${DEMO_PRIMARY%/*}/$side" -c 'COPY orders TO STDOUT' >'\(folder)/saved'
            psql -X -q -1 -v ON_ERROR_STOP=1 "$DEMO_PRIMARY" -c 'CREATE TEMP TABLE saved (LIKE orders)' -c 'COPY saved FROM STDIN' \\
                -c 'INSERT INTO orders SELECT * FROM saved ON CONFLICT DO NOTHING' <'\(folder)/saved'
            """)
        // Every row that was saved is there again.
        try program(
            "restored.sh",
            """
            set -eu
            missing=$(psql -X -q -At -v ON_ERROR_STOP=1 '\(url)' -c 'CREATE TEMP TABLE saved (LIKE orders)' -c 'COPY saved FROM STDIN' \\
                -c 'SELECT count(*) FROM saved s WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = s.id)' <'\(folder)/saved')
            [ "$missing" = 0 ]
            """)
        let fence = folder + "/fence.sh"
        return [
            "destructive: allow", "approvals: \(approvals)",
            "maintenance: {on: {run: [\(fence), close], check: {run: [\(fence), isClosed]}}, "
                + "off: {run: [\(fence), open], check: {run: [\(fence), isOpen]}}}",
            "restore: {run: [\(folder)/restore.sh], check: {run: [\(folder)/restored.sh]}, deadline: 120s}",
        ]
    }

    private func program(_ name: String, _ text: String) throws {
        try write("\(folder)/\(name)", "#!/bin/sh\n" + text + "\n")
        chmod("\(folder)/\(name)", 0o755)
    }
}
