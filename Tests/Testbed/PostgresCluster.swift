internal import FoundationEssentials
internal import Glibc
internal import SerinModel
internal import SerinProcesses

/// A real Postgres primary with, when wanted, a streaming replica, in a scratch folder.
public struct PostgresCluster: Sendable {
    /// The primary.
    public let primary: PostgresServer
    /// The standby that streams from it; nil when none was wanted.
    public let replica: PostgresServer?

    /// Makes and starts the servers. With `slot`, the replica streams through a physical replication slot of that name.
    /// `settings` are added to those of both servers. With `template`, the data folder of a server that was stopped, the primary
    /// starts on a copy of it. Every other one starts on a copy of one empty cluster, which is much quicker than making one. Copies
    /// have the same system identifier.
    public static func start(
        in scratch: Scratch, withReplica: Bool = true, slot: String? = nil, settings: [String: String] = [:],
        template: String? = nil
    ) async throws -> PostgresCluster {
        let binaries = try self.binaries()
        let folder = scratch.file("postgres")
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch { throw Failure(.transient, "cannot make \(folder): \(error)") }
        // Postgres refuses to run as root and wants to own its folder.
        if geteuid() == 0, let account = getpwnam("postgres") { chown(folder, account.pointee.pw_uid, account.pointee.pw_gid) }
        let all = fastSettings.merging(settings, uniquingKeysWith: { _, last in last })
        let primary = PostgresServer(name: "primary", folder: folder, port: try freePort(), binaries: binaries, settings: all)
        if let template { try await copy(template, to: primary.data) } else { try await make(primary.data, binaries, in: folder) }
        try await primary.start()
        guard withReplica else { return PostgresCluster(primary: primary, replica: nil) }
        var standby = all
        standby["primary_conninfo"] = "host=127.0.0.1 port=\(primary.port) user=postgres application_name=replica"
        if let slot {
            standby["primary_slot_name"] = slot
            try await primary.sql("SELECT pg_create_physical_replication_slot('\(slot)', true)")
        }
        let replica = PostgresServer(name: "replica", folder: folder, port: try freePort(), binaries: binaries, settings: standby)
        try await tool(
            binaries + "/pg_basebackup",
            ["-D", replica.data, "-h", "127.0.0.1", "-p", "\(primary.port)", "-U", "postgres", "-R", "-c", "fast", "--no-sync"],
            in: folder)
        try await replica.start()
        try await waitUntil("streaming replication (\(replica.logTail()))") {
            try await primary.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1"
        }
        return PostgresCluster(primary: primary, replica: replica)
    }

    /// Ends both servers.
    public func stop() {
        replica?.stop()
        primary.stop()
    }

    /// Quick to start and to notice, never safe for data that matters.
    private static let fastSettings = [
        "fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB", "max_connections": "40", "jit": "off",
        "wal_level": "replica", "max_wal_senders": "8", "max_replication_slots": "8", "hot_standby": "on",
        "wal_receiver_status_interval": "1s", "wal_sender_timeout": "30s", "wal_receiver_timeout": "30s",
        "wal_retrieve_retry_interval": "200ms", "deadlock_timeout": "200ms", "max_wal_size": "256MB", "min_wal_size": "32MB",
        "max_prepared_transactions": "4", "lc_messages": "C", "log_min_messages": "warning",
        // Otherwise what a killed server leaves of it stays in memory for good.
        "dynamic_shared_memory_type": "mmap",
    ]

    /// The folder of the newest version's programs: `SERIN_POSTGRES_BIN`, else the highest number in Debian's place for them.
    private static func binaries() throws(Failure) -> String {
        if let given = ProcessInfo.processInfo.environment["SERIN_POSTGRES_BIN"] { return given }
        let root = "/usr/lib/postgresql"
        // A missing folder and an empty one mean the same here.
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        guard let newest = versions.compactMap({ Int($0) }).max() else {
            throw Failure(.invalid, "cannot find Postgres in \(root)", hint: "install the package postgresql")
        }
        return "\(root)/\(newest)/bin"
    }

    /// Makes the folder of an empty cluster: a copy of the one that an earlier test left in the build folder, else a new one, which is
    /// left there for the next test.
    private static func make(_ data: String, _ binaries: String, in folder: String) async throws(Failure) {
        let version = binaries.split(separator: "/").dropLast().last ?? "postgres"
        let kept = "\(packageRoot)/build/postgres/\(version)-\(geteuid())"
        if access(kept, F_OK) == 0 { return try await copy(kept, to: data) }
        try await tool(
            binaries + "/initdb",
            [
                "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C", "--no-instructions",
            ],
            in: folder)
        // Tests side by side may do the same: it gets its name when it is whole, and the first one's stays.
        let copied = "\(kept).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
        do {
            try FileManager.default.createDirectory(atPath: packageRoot + "/build/postgres", withIntermediateDirectories: true)
        } catch { throw Failure(.transient, "cannot make \(packageRoot)/build/postgres: \(error)") }
        try await copy(data, to: copied)
        // What is left when it cannot be removed disturbs nobody.
        if rename(copied, kept) != 0 { _ = try? FileManager.default.removeItem(atPath: copied) }
    }

    /// Copies a folder with its owners.
    private static func copy(_ folder: String, to copy: String) async throws(Failure) {
        let completion = try await Program("/bin/cp", ["-a", folder, copy], deadline: .seconds(60)).run()
        guard completion.termination == .exited(0) else {
            throw Failure(.invalid, "cannot copy \(folder) to \(copy): \(completion.termination): \(completion.text)")
        }
    }

    private static func tool(_ path: String, _ arguments: [String], in folder: String) async throws(Failure) {
        let drop = geteuid() == 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] : []
        var command = drop + [path] + arguments
        let program = command.removeFirst()
        let completion = try await Program(
            program, command, environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C"], directory: folder, deadline: .seconds(60)
        ).run()
        guard completion.termination == .exited(0) else {
            throw Failure(.invalid, "cannot run \(path): \(completion.termination): \(completion.text)")
        }
    }
}
