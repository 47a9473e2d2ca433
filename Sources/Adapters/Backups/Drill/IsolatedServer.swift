internal import FoundationEssentials
internal import Glibc
internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinProcesses

/// A Postgres server that nobody else reaches: a new cluster in a private folder, on a socket in it and no port, without preloaded
/// libraries. Where the caller is root it runs as the account `postgres`, or `nobody` where there is none: no account that rules
/// the machine, but whoever commands this server commands what belongs to that account, and so other clusters on the machine. It is
/// removed with everything in it. Blocks its thread.
final class IsolatedServer: Sendable {
    static let prefix = ".serin-drill-"

    /// Locked as long as it runs: a rehearsal at the same time, also one that sees other processes, leaves it alone.
    private let place: TemporaryFolder
    var folder: String { place.path }
    /// What it runs.
    let version: String
    private let pid: pid_t
    private let environment: SourceEnvironment

    /// Makes and starts it; fails when it does not answer within a minute.
    ///
    /// - Parameter major: The version that it must have at least.
    init(in parent: String, major: Int, toolFolders: [String], stop: StopSignal) throws(Failure) {
        IsolatedServer.sweep(parent)
        let bin = try IsolatedServer.programs(toolFolders, major)
        let account = geteuid() == 0 ? getpwnam("postgres") ?? getpwnam("nobody") : nil
        place = try TemporaryFolder(in: parent, prefix: IsolatedServer.prefix)
        let folder = place.path
        guard folder.utf8.count < 80 else { throw Failure(.invalid, "\(folder) is too long a name for a socket's folder") }
        var drop: [String] = []
        if let account {
            chown(folder, account.pointee.pw_uid, account.pointee.pw_gid)
            drop = [
                "setpriv", "--reuid=\(account.pointee.pw_uid)", "--regid=\(account.pointee.pw_gid)", "--clear-groups",
                "--no-new-privs", "--",
            ]
        }
        environment = SourceEnvironment(toolFolders: [bin] + toolFolders, scratch: folder, deadline: .hours(4))
        let initialize =
            drop + [
                "\(bin)/initdb", "--pgdata=\(folder)/data", "--username=postgres", "--auth=trust", "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ]
        let stream = try ProgramStream(IsolatedServer.program(initialize, folder), .reading, stall: nil, stop: stop)
        try stream.readAll { _ in }
        let settings = [
            "listen_addresses=", "unix_socket_directories=\(folder)", "unix_socket_permissions=0700",
            "shared_preload_libraries=", "session_preload_libraries=", "fsync=off", "full_page_writes=off", "max_wal_senders=0",
            "wal_level=minimal", "max_logical_replication_workers=0", "archive_mode=off",
        ]
        let run = drop + ["\(bin)/postgres", "-D", "\(folder)/data"] + settings.flatMap { ["-c", $0] }
        pid = try IsolatedServer.program(run, folder).startDetached(log: "\(folder)/log")
        do throws(Failure) { version = try IsolatedServer.wait(folder, environment, stop) } catch {
            let log =
                // Without a log the failure is told without it.
                (try? readFile("\(folder)/log", limit: 1 << 16)).map { String(decoding: $0.suffix(500), as: UTF8.self) } ?? ""
            _ = IsolatedServer.end(pid, folder)
            throw Failure(.transient, "the isolated server did not start: \(error.message) \(log)")
        }
    }

    deinit { destroy() }

    /// A connection string.
    func url(user: String, database: String) -> String {
        "host=\(ConnectionText.quoted(folder)) user=\(ConnectionText.quoted(user)) dbname=\(ConnectionText.quoted(database))"
    }

    /// Runs statements as the server's superuser.
    func run(_ sql: String) throws(Failure) {
        _ = try PostgresClient(url(user: "postgres", database: "postgres"), environment).session(RestoreServer.purpose).rows(sql)
    }

    /// Makes the role that rehearses, and the roles that a dump names; of its owners it is a member.
    ///
    /// Names come from the dump. So they are given as texts by the role that rehearses, which may nothing, to a function of the server's
    /// superuser that quotes them itself, makes roles without rights, and is gone before the dump is restored. No role may make roles then:
    /// before Postgres 16 such a one gives itself the right to run programs.
    func makeRoles(owners: [String], grantees: [String]) throws(Failure) {
        let own = "rehearsal"
        try run(
            """
            CREATE ROLE \(own) LOGIN CREATEDB;
            CREATE FUNCTION public.make_role(name text, is_owner boolean) RETURNS void LANGUAGE plpgsql
                SECURITY DEFINER SET search_path = pg_catalog AS $$
            BEGIN
                EXECUTE format('CREATE ROLE %I', name);
                IF is_owner THEN EXECUTE format('GRANT %I TO \(own)', name); END IF;
            END $$
            """)
        let session = try PostgresClient(url(user: own, database: "postgres"), environment).session(RestoreServer.purpose)
        // By bytes: spellings of one accent are names of two roles.
        var made = Set(["postgres", own].map { Array($0.utf8) })
        for role in owners + grantees where made.insert(Array(role.utf8)).inserted {
            let isOwner = owners.contains { $0.isExactly(role) }
            _ = try session.rows("SELECT public.make_role(\(sqlText(role)), \(isOwner))")
        }
        try run("DROP FUNCTION public.make_role")
    }

    /// Makes a database with those of some extensions that only a superuser makes, for a plain role to copy.
    ///
    /// - Parameter role: Who the schemas of the extensions belong to.
    /// - Returns: Its name; nil where none is needed.
    func template(with extensions: [DumpExtension], for role: String) throws(Failure) -> String? {
        let server = try RestoreServer(
            RestoreSettings(
                url: url(user: "postgres", database: "postgres"), scratch: environment.scratch,
                toolFolders: environment.toolFolders))
        let needed = try server.forSuperuser(extensions)
        guard !needed.isEmpty else { return nil }
        let name = "rehearsal_template"
        try run("CREATE DATABASE \(name) TEMPLATE template0 IS_TEMPLATE true")
        let session = try PostgresClient(url(user: "postgres", database: name), environment).session(RestoreServer.purpose)
        for one in needed { _ = try session.rows(one.statements(for: role)) }
        return name
    }

    /// The newest heartbeat of a target that a database of it holds; nil when there is none.
    func heartbeat(of target: ServiceName, in database: String) throws(Failure) -> Instant? {
        let client = try PostgresClient(url(user: "postgres", database: database), environment)
        return try Heartbeat.newest(of: target, in: try client.session(RestoreServer.purpose))
    }

    /// Ends it and removes everything.
    ///
    /// - Returns: Whether process and folder are seen to be gone.
    @discardableResult func destroy() -> Bool { IsolatedServer.end(pid, folder) }

    private static func end(_ pid: pid_t, _ folder: String) -> Bool {
        // Quits at once: nothing in it is to be kept.
        kill(pid, SIGQUIT)
        var isGone = false
        for attempt in 0..<200 where !isGone {
            if attempt == 100 { kill(pid, SIGKILL) }
            var status: Int32 = 0
            let answer = waitpid(pid, &status, WNOHANG)
            isGone = answer == pid || (answer < 0 && kill(pid, 0) != 0)
            if !isGone { usleep(50_000) }
        }
        // Its children end just after it, and may still write; what stays is swept by the next drill.
        for _ in 0..<20 {
            try? FileManager.default.removeItem(atPath: folder)
            if access(folder, F_OK) != 0 { break }
            usleep(50_000)
        }
        return isGone && access(folder, F_OK) != 0
    }

    /// Ends and removes the servers of rehearsals that were killed: their locks ended with them.
    static func sweep(_ parent: String) {
        TemporaryFolder.sweep(parent, prefix: prefix) { folder in
            // Without one nothing runs in it. While a cluster is made the number is negative, and that ends by itself.
            let first = (try? readFile("\(folder)/data/postmaster.pid", limit: 4096)).map { String(decoding: $0, as: UTF8.self) }
            guard let pid = first?.split(whereSeparator: \.isNewline).first.flatMap({ pid_t($0) }), pid > 1 else { return }
            let command =
                FileManager.default.contents(atPath: "/proc/\(pid)/cmdline").map { String(decoding: $0, as: UTF8.self) } ?? ""
            if command.parts(at: "\0").contains("\(folder)/data") { _ = end(pid, folder) }
        }
    }

    private static func program(_ command: [String], _ folder: String) -> Program {
        Program(
            command[0], Array(command.dropFirst()), environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C"], directory: folder,
            deadline: .minutes(2), outputLimit: 1 << 14, kept: .end)
    }

    private static func programs(_ toolFolders: [String], _ major: Int) throws(Failure) -> String {
        let root = "/usr/lib/postgresql"
        // Where nothing is installed there is no folder.
        let installed = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).compactMap { Int($0) }
            .filter { $0 >= major }.sorted()
        for folder in toolFolders + installed.map({ "\(root)/\($0)/bin" }) where access("\(folder)/initdb", X_OK) == 0 {
            return folder
        }
        throw Failure(
            .invalid, "there is no Postgres server \(major) or later here to rehearse a restore with",
            hint: "install the server package, or name the folder of its programs")
    }

    private static func wait(_ folder: String, _ environment: SourceEnvironment, _ stop: StopSignal) throws(Failure) -> String {
        let client = try PostgresClient("host=\(ConnectionText.quoted(folder)) user=postgres dbname=postgres", environment)
        let end = ContinuousClock.now + .seconds(60)
        while true {
            guard !stop.isRaised else { throw Failure(.transient, "it was given up") }
            do throws(Failure) {
                return try client.session(RestoreServer.purpose).value("SHOW server_version") ?? ""
            } catch { guard ContinuousClock.now < end else { throw error } }
            usleep(50_000)
        }
    }
}
