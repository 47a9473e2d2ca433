import FoundationEssentials
import Glibc
import SerinCatalogue
import SerinModel
import SerinPorts
import SerinProcesses
import SerinSQLite
import Testbed
import Testing

/// The program with a plan, a real Postgres, and tools and a store that can kill it: each of them is a script that counts its runs and,
/// when its number is up, kills the process that started it before it does its work.
struct KillStage {
    let scratch: Scratch
    let cluster: PostgresCluster

    enum Store { case programs, folder }

    init(_ store: Store) async throws {
        scratch = try Scratch("serin-kills")
        cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
        try await cluster.primary.sql("CREATE ROLE keeper LOGIN; GRANT pg_read_all_data TO keeper")
        try await cluster.primary.sql("CREATE DATABASE shop")
        try await cluster.primary.sql(
            "CREATE TABLE orders AS SELECT n AS id, repeat(md5(n::text), 4) AS note FROM generate_series(1, 8000) n",
            database: "shop")
        for name in ["tools", "objects"] { mkdir(scratch.file(name), 0o755) }
        try await shell(
            """
            for name in ops glass; do
                openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key -out $name.pem -subj /CN=$name -days 2
            done
            """)
        try writeScripts()
        var destination = "folder: {path: \"\(scratch.file("store"))\"}"
        if store == .programs {
            let verbs = ["put", "head", "get", "delete", "replace"].map {
                "\($0): \"\(scratch.file("tools/store.sh")) \($0) {{key}} {{file}}\""
            }
            destination =
                "command: {label: own, \(verbs.joined(separator: ", ")), list: \"\(scratch.file("tools/store.sh")) list {{prefix}}\"}"
        }
        try scratch.write(
            "plan.yaml",
            """
            version: 1
            target: shop
            source: {postgres: {url_env: DATABASE_URL}}
            destinations: {own: {\(destination)}}
            encryption: {profile: gcm1, recipients: ["\(scratch.file("ops.pem"))", "\(scratch.file("glass.pem"))"]}
            retention: {keep_all: 14d}
            schedules: [{every: 24h}]

            """)
    }

    /// Counts, and kills the parent at the number that the file `fatal` holds.
    private func writeScripts() throws {
        let root = scratch.path
        try scratch.write(
            "tools/point",
            """
            #!/bin/sh
            # point NAME PID
            exec 9>\(root)/lock
            flock 9
            number=$(($(cat \(root)/calls) + 1))
            echo $number >\(root)/calls
            echo "$number $1" >>\(root)/seen
            [ "$number" = "$(cat \(root)/fatal)" ] && kill -9 $2
            exit 0

            """, mode: 0o755)
        let dump = """
            #!/bin/bash
            set -o pipefail
            \(root)/tools/point "pg_dump $1" $PPID
            case "$*" in *--version*) exec /usr/bin/pg_dump "$@" ;; esac
            if [ -e \(root)/instead ]; then . \(root)/instead; fi
            /usr/bin/pg_dump "$@" | { head -c 300000; \(root)/tools/point "in the middle of pg_dump" $PPID; cat; }

            """
        try scratch.write("tools/pg_dump", dump, mode: 0o755)
        let restore = """
            #!/bin/sh
            \(root)/tools/point "pg_restore $1" $PPID
            exec /usr/bin/pg_restore "$@"

            """
        try scratch.write("tools/pg_restore", restore, mode: 0o755)
        try scratch.write(
            "tools/store.sh",
            """
            #!/bin/sh
            verb=$1 root=\(root)/objects key=$(printf %s "$2" | tr / _) file=$3
            \(root)/tools/point "$verb" $PPID
            case $verb in
            put) cp "$file" "$root/.$key" && ln "$root/.$key" "$root/$key" 2>/dev/null || exit 3; rm "$root/.$key" ;;
            replace) cp "$file" "$root/.$key" && mv "$root/.$key" "$root/$key" ;;
            head) [ -f "$root/$key" ] || exit 4; echo "{\\"size\\":$(stat -c %s "$root/$key")}" ;;
            get) [ -f "$root/$key" ] || exit 4; cat "$root/$key" >"$file" ;;
            delete) rm -f "$root/$key" ;;
            list) echo '{"count":0}' ;;
            esac
            case $verb in put | replace) \(root)/tools/point "after $verb" $PPID ;; esac

            """, mode: 0o755)
        try setFatal(0)
    }

    /// The next run is killed at its call of this number; at none with 0.
    func setFatal(_ number: Int) throws {
        try scratch.write("fatal", "\(number)\n")
        try scratch.write("calls", "0\n")
        try scratch.write("seen", "")
    }

    /// The calls of the last run, by their words.
    var seen: [String] { text("seen").split(separator: "\n").map { String($0.drop { $0 != " " }.dropFirst()) } }

    func text(_ name: String) -> String {
        FileManager.default.contents(atPath: scratch.file(name)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    private var environment: [String: String] {
        [
            "PATH": "\(scratch.file("tools")):/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8",
            "HOME": scratch.path, "SERIN_STATE": scratch.file("state"), "NO_COLOR": "1", "SWIFT_BACKTRACE": "enable=no",
            "DATABASE_URL": cluster.primary.url(user: "keeper", database: "shop"), "TMPDIR": scratch.file("tmp"),
        ]
    }

    /// Starts the making of a backup, with others such as strace before it.
    func start(by wrapper: [String] = [], log: String = "serin.log") throws -> ServerProcess {
        mkdir(scratch.file("tmp"), 0o700)
        let command = wrapper + [try Scene.program(), "backup", "create", scratch.file("plan.yaml")]
        return try ServerProcess(command[0], Array(command.dropFirst()), environment: environment, log: scratch.file(log))
    }

    /// Makes a backup; the exit status.
    func create(by wrapper: [String] = [], log: String = "serin.log") async throws -> Int32 {
        unlink(scratch.file(log))
        let run = try start(by: wrapper, log: log)
        try await waitUntil("the end of the program (\(text(log)))", within: .seconds(60)) { !run.isRunning }
        return try #require(run.exitStatus)
    }

    /// Every backup that the catalogue knows.
    func records() async throws -> [BackupRecord] {
        let catalogue = try await SQLiteCatalogue.open(SQLiteCatalogue.path(under: scratch.file("state")))
        let records = try await catalogue.state().records
        await catalogue.close()
        return records
    }

    func leases() async throws -> [TargetLease] {
        let catalogue = try await SQLiteCatalogue.open(SQLiteCatalogue.path(under: scratch.file("state")))
        let leases = try await catalogue.leases()
        await catalogue.close()
        return leases
    }

    /// The stored files that are neither pointers nor the register, hidden ones among them.
    func objects(_ store: Store) async throws -> [String] {
        let folder = store == .programs ? "objects" : "store"
        let others = ["*latest-*", "*serin-probe*", "*register.json"].map { "! -name '\($0)'" }.joined(separator: " ")
        return try await shell("find \(folder) -type f \(others) | sort").split(separator: "\n").map(String.init)
    }

    /// What is left of unfinished work on this machine.
    func leftovers() async throws -> String {
        try await shell("find state/backups/work tmp -type f; find state/backups/work -name '.*'")
    }

    /// How many sessions backups have at the server.
    func sessions() async throws -> Int {
        Int(
            try await cluster.primary.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'serin-backup'")) ?? -1
    }

    @discardableResult func shell(_ script: String) async throws -> String {
        let done = try await Program(
            "/bin/sh", ["-c", script], environment: ["PATH": "/usr/bin:/bin"], directory: scratch.path, deadline: .seconds(30)
        ).run()
        guard done.termination == .exited(0) else { throw Failure(.invalid, "\(script): \(done.text)") }
        return done.text.split(separator: "\n").joined(separator: "\n")
    }

    func end() {
        cluster.stop()
        scratch.remove()
    }
}
