import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import SerinProcesses
import Testbed

/// A real cluster whose log is archived by the shipped script, with its backups as the catalogue would know them.
final class PhysicalFixture: Sendable {
    let scratch: Scratch
    let cluster: PostgresCluster
    /// The archive's folder.
    let log: String
    let environment: SourceEnvironment
    /// The user that servers run as when the tests run as root.
    let account: String?

    static let script = #filePath.components(upTo: "/Tests/") + "/examples/postgres/archive-wal.sh"

    init() async throws {
        scratch = try Scratch("serin-physical")
        account = geteuid() == 0 ? "postgres" : nil
        log = scratch.file("log")
        try PhysicalFixture.makeFolder(log, account)
        try PhysicalFixture.makeFolder(scratch.file("work"), nil)
        environment = SourceEnvironment(scratch: scratch.file("work"), deadline: .minutes(2), stall: .minutes(1))
        // The script is run by the server's user, who may not look into the folder of the sources.
        let script = try scratch.write("archive-wal.sh", try PhysicalFixture.text(PhysicalFixture.script), mode: 0o755)
        chmod(script, 0o755)
        cluster = try await PostgresCluster.start(
            in: scratch, withReplica: false,
            settings: [
                "archive_mode": "on", "archive_command": "\(script) %p \(log)/%f", "archive_timeout": "300",
                "full_page_writes": "on",
            ])
        major = Int(try await cluster.primary.sql("SHOW server_version_num")).map { $0 / 10_000 } ?? 0
        try await sql("CREATE TABLE beat (id serial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())")
    }

    /// The major version of the cluster.
    let major: Int

    func end() {
        cluster.stop()
        scratch.remove()
    }

    @discardableResult func sql(_ text: String) async throws -> String { try await cluster.primary.sql(text) }

    /// The server's time, a little after everything that was committed.
    func moment() async throws -> Instant {
        // sleeps: commits are told apart by their milliseconds.
        try await Task.sleep(for: .milliseconds(5))
        let text = try await sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        // sleeps: as above.
        try await Task.sleep(for: .milliseconds(5))
        return Instant(millisecondsSince1970: Int64(text) ?? 0)
    }

    /// Closes the current file of the log and waits until it is archived.
    func switchLog() async throws {
        try await sql("INSERT INTO beat DEFAULT VALUES")
        let name = try await sql("SELECT pg_walfile_name(pg_switch_wal())")
        try await waitUntil("archiving of \(name)") { access("\(log)/\(name)", F_OK) == 0 }
    }

    /// Makes a backup into a file beside its record.
    func backUp(_ source: some BackupSource, _ name: String) async throws -> (record: BackupRecord, product: SourceProduct) {
        let path = scratch.file(name)
        let product = try await onOwnThread { (stop) throws(Failure) in
            _ = try source.probe(stop: stop)
            let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            defer { close(file) }
            return try source.produce(
                to: { (bytes) throws(Failure) in
                    guard Glibc.write(file, bytes.baseAddress, bytes.count) == bytes.count else {
                        throw Failure(.transient, "cannot write \(path)")
                    }
                }, stop: stop)
        }
        return (try PhysicalFixture.record(name, source.kind, product), product)
    }

    /// Reads a backup's file into a consumer.
    func feed(
        _ name: String, _ product: SourceProduct, changing: Int? = nil, prefix: Int? = nil,
        _ make: @escaping @Sendable (StopSignal) throws(Failure) -> any PlainConsumer
    ) async throws -> ConsumerFindings {
        let path = scratch.file(name)
        return try await onOwnThread { (stop) throws(Failure) in
            let consumer = try make(stop)
            let file = open(path, O_RDONLY)
            defer { close(file) }
            var buffer = [UInt8](repeating: 0, count: 100_000)
            var offset = 0
            while true {
                let count = read(file, &buffer, buffer.count)
                guard count > 0 else { break }
                if let changing, changing >= offset, changing < offset + count { buffer[changing - offset] ^= 1 }
                let wanted = min(count, (prefix ?? .max) - offset)
                if wanted <= 0 { break }
                try buffer.span.withUnsafeBytes { (raw) throws(Failure) in
                    try consumer.write(UnsafeRawBufferPointer(rebasing: raw.prefix(wanted)))
                }
                offset += count
            }
            return try consumer.finish(comparing: product)
        }
    }

    /// A restored base backup with the folder that its server gets.
    func restoreBase(_ name: String, _ product: SourceProduct) async throws -> (data: String, place: String) {
        let number = "\(ContinuousClock.now)".filter(\.isNumber).suffix(12)
        let data = scratch.file("data\(number)")
        let place = scratch.file("run\(number)")
        mkdir(data, 0o700)
        try PhysicalFixture.makeFolder(place, account, mode: 0o700)
        let (environment, url, account) = (environment, cluster.primary.url(), account)
        let work = scratch.file("work")
        let findings = try await feed(name, product) { (stop) throws(Failure) in
            try BaseBackupSource(url: url, environment: environment, account: account).restoration(
                of: product, into: RestoreTarget(.folder(data), scratch: work), stop: stop)
        }
        guard findings.passed else { throw Failure(.invalid, "\(findings.checks)") }
        return (data, place)
    }

    static func makeFolder(_ path: String, _ account: String?, mode: mode_t = 0o755) throws {
        guard mkdir(path, mode) == 0 else { throw Failure(.transient, "cannot make \(path)") }
        if let account, let entry = getpwnam(account) { chown(path, entry.pointee.pw_uid, entry.pointee.pw_gid) }
    }

    static func text(_ path: String) throws -> String {
        let file = open(path, O_RDONLY)
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 100_000)
        let count = read(file, &buffer, buffer.count)
        guard count > 0 else { throw Failure(.invalid, "cannot read \(path)") }
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    /// A backup that is available at one destination.
    static func record(_ name: String, _ kind: BackupKind, _ product: SourceProduct) throws -> BackupRecord {
        let created = product.server?.consistentAt ?? Instant(millisecondsSince1970: 0)
        let id = BackupID(millisecondsSince1970: created.millisecondsSince1970, random: Array(name.utf8.prefix(10)))
        var record = BackupRecord(
            order: BackupOrder(
                id: id, project: "checkout", target: "main", kind: kind, createdAt: created, createdBy: .serin))
        guard let key = ObjectKey("main/\(name)") else { throw Failure(.invalid, "no key") }
        record.facts = BackupFacts(
            startedAt: created, finishedAt: created,
            envelope: EnvelopeFacts(
                profile: .none, compression: .none, plainBytes: 1, plainSHA256: "", storedBytes: 1, storedSHA256: ""),
            tool: product.tool, server: product.server)
        record.state = .available
        record.copies = [BackupCopy(destination: "here", key: key, state: .confirmed, storedAt: created)]
        return record
    }
}

extension String {
    /// What stands before the last occurrence of a mark.
    func components(upTo mark: String) -> String {
        guard let last = ranges(of: mark).last else { return self }
        return String(self[..<last.lowerBound])
    }
}
