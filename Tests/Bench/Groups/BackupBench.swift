internal import FoundationEssentials
internal import Glibc
internal import SerinModel
internal import SerinProcesses
internal import Testbed

/// A whole backup of a 1 GB database by the program, against `pg_dump -Fc` at its usual compression to nowhere, and against the same
/// steps in a shell. All three in turn, round after round, so that whatever else the machine does meets all of them.
struct BackupBench {
    private let rounds = 3

    func run() async throws -> Section {
        let program = try SerinProgram()
        let scratch = try Scratch("serin-bench")
        defer { scratch.remove() }
        progress("backup: building a database of 1 GB")
        let cluster = try await PostgresCluster.start(in: scratch, withReplica: false, settings: ["max_wal_size": "2GB"])
        defer { cluster.stop() }
        let bytes = try await build(cluster.primary)
        try write(scratch)
        var (dumps, shells, backups): ([Double], [Double], [Double]) = ([], [], [])
        var last: Backup?
        var memory = 0.0
        for round in 0...rounds {
            progress("backup: round \(round) of \(rounds)")
            let dump = try await time(scratch, cluster.primary, "pg_dump --format=custom \"$DATABASE_URL\" >/dev/null")
            let shell = try await time(scratch, cluster.primary, Self.steps)
            let backup = try await backUp(program, scratch, cluster.primary)
            progress("backup: pg_dump \(Row.text(dump)) s, shell \(Row.text(shell)) s, serin \(Row.text(backup.seconds)) s")
            // The first round fills the caches.
            guard round > 0 else { continue }
            dumps.append(dump)
            shells.append(shell)
            backups.append(backup.seconds)
            memory = max(memory, backup.megabytes)
            last = backup
        }
        let ratios = Timing(zip(backups, dumps).map { $0 / $1 })
        let stages = last?.stages.map { "\($0.name) \($0.milliseconds)" }.joined(separator: ", ") ?? ""
        return Section(rows: [
            Row(
                name: "pg_dump -Fc to nowhere", value: Timing(dumps).median, unit: "s",
                note: "median of \(rounds); tables of \(bytes / 1_000_000) MB, zlib at its usual level"),
            Row(
                name: "whole backup by serin", value: Timing(backups).median, unit: "s",
                note: "from the start of the program to its end; milliseconds of the last: \(stages)"),
            Row(
                name: "backup against pg_dump", value: ratios.median, unit: "×", aim: .below(1),
                note: "median of the rounds' own ratios, \(Row.text(ratios.quantile(0))) to \(Row.text(ratios.quantile(1)))"),
            Row(
                name: "the same steps in a shell", value: Timing(shells).median, unit: "s",
                note: "rows, pg_dump, its reading by pg_restore, zstd, openssl, three digests, copy, read back"),
            Row(
                name: "backup against the shell", value: Timing(zip(backups, shells).map { $0 / $1 }).median, unit: "×"),
            Row(
                name: "resident memory of serin backup", value: memory, unit: "MB", aim: .below(64),
                note: "most of all rounds (VmHWM)"),
        ])
    }

    /// Rows like those of a shop: narrow ones with much in common, and text that hardly compresses.
    private func build(_ server: PostgresServer) async throws -> Int {
        try await server.sql("CREATE DATABASE bench")
        try await server.sql(
            """
            CREATE UNLOGGED TABLE accounts AS SELECT n AS id, n % 100 AS branch, 0 AS balance, rpad('', 84) AS filler
                FROM generate_series(1, 5000000) n;
            CREATE UNLOGGED TABLE events AS SELECT n AS id, n % 5000 AS account, now() - n * interval '1 second' AS at,
                md5(n::text) || ' ' || md5((n * 7)::text) AS body FROM generate_series(1, 2800000) n;
            ANALYZE; CHECKPOINT
            """, database: "bench", deadline: .minutes(10))
        return Int(
            try await server.sql("SELECT pg_table_size('accounts') + pg_table_size('events')", database: "bench")) ?? 0
    }

    private func write(_ scratch: Scratch) throws {
        try scratch.write("key", "the passphrase of the bench, long enough\n", mode: 0o600)
        try scratch.write(
            "plan.yaml",
            """
            version: 1
            target: bench
            source: {postgres: {url_env: DATABASE_URL}}
            destinations: {local: {folder: {path: "\(scratch.file("store"))"}}}
            encryption: {key_file: "\(scratch.file("key"))"}
            retention: {keep_all: 14d}
            schedules: [{every: 24h}]

            """)
    }

    /// What a careful person would write in a shell for the same: the rows of each table, a dump whose reading is checked, compression
    /// and encryption, digests of what was dumped, stored and read back, on the disk before the end.
    private static let steps = """
        set -o pipefail
        psql -XqAt -d "$DATABASE_URL" -c 'SELECT count(*) FROM accounts; SELECT count(*) FROM events' >rows
        pg_dump --format=custom --compress=0 "$DATABASE_URL" | tee >(sha256sum >plain.sum) >(pg_restore --file=/dev/null) \
          | zstd -q -3 | openssl enc -aes-256-cbc -salt -pbkdf2 -iter 600000 -md sha256 -pass file:key | tee >(sha256sum >stored.sum) >spool
        sync spool && cp spool stored && sync stored && sha256sum stored >read.sum && rm spool stored
        """

    private func variables(_ server: PostgresServer) -> [String: String] {
        ["PATH": "/usr/lib/postgresql/15/bin:/usr/bin:/bin", "LC_ALL": "C", "DATABASE_URL": server.url(database: "bench")]
    }

    private func time(_ scratch: Scratch, _ server: PostgresServer, _ script: String) async throws -> Double {
        let start = ContinuousClock.now
        let done = try await Program(
            "/bin/bash", ["-c", script], environment: variables(server), directory: scratch.path, deadline: .minutes(5)
        ).run()
        guard done.termination == .exited(0) else { throw Failure(.invalid, "\(script): \(done.text)") }
        return (ContinuousClock.now - start).milliseconds / 1000
    }

    private struct Backup {
        var seconds: Double
        var megabytes: Double
        var stages: [(name: String, milliseconds: Int64)]
    }

    private func backUp(_ program: SerinProgram, _ scratch: Scratch, _ server: PostgresServer) async throws -> Backup {
        let log = scratch.file("serin.log")
        unlink(log)
        let start = ContinuousClock.now
        let run = try ServerProcess(
            program.path, ["backup", "create", scratch.file("plan.yaml"), "-o", "json", "--state", scratch.file("state")],
            environment: program.environment.merging(variables(server)) { $1 }, log: log)
        defer { run.stop() }
        var most = 0.0
        while run.isRunning {
            most = max(most, peak(run.pid))
            guard start.duration(to: .now) < .seconds(300) else { throw Failure(.transient, "the backup did not end") }
            try await Task.sleep(for: .milliseconds(5))
        }
        let seconds = (ContinuousClock.now - start).milliseconds / 1000
        guard run.exitStatus == 0 else { throw Failure(.invalid, "no backup: \(run.logTail())") }
        let lines = readFile(log).split(separator: "\n").first { $0.hasPrefix("{") }
        let document = lines.flatMap { try? JSONValue(parsing: Array($0.utf8)) }
        let stages = (document?["stages"]?.items ?? []).compactMap { item in
            item["stage"]?.text.flatMap { name in item["milliseconds"]?.integer.map { (name: name, milliseconds: $0) } }
        }
        // Each round begins with an empty store.
        for folder in ["store", "state"] { try? FileManager.default.removeItem(atPath: scratch.file(folder)) }
        return Backup(seconds: seconds, megabytes: most, stages: stages)
    }

    /// The most memory that a process ever had, in megabytes.
    private func peak(_ pid: Int32) -> Double {
        let line = readFile("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        let kibibytes = line?.split { $0 == " " || $0 == "\t" }.dropFirst().first.flatMap { Double($0) }
        return (kibibytes ?? 0) * 1024 / 1e6
    }
}
