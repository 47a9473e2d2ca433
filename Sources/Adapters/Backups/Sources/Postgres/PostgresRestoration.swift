internal import SerinCatalogue
internal import SerinCompression
internal import SerinCrypto
internal import SerinModel
internal import SerinProcesses

extension RestoreTarget {
    /// The options of `pg_restore`.
    func arguments(_ client: PostgresClient) throws(Failure) -> [String] {
        var arguments = [
            "--dbname=\(client.databaseArgument)", "--exit-on-error", "--no-password", "--no-subscriptions", "--no-publications",
        ]
        if !keepsOwners { arguments += ["--no-owner", "--no-acl"] }
        let chosen = tables.map(PostgresSelection.Table.init)
        guard Set(chosen.map(\.schema)).count <= 1 else {
            throw Failure(.invalid, "tables of several schemas cannot be restored at once", hint: "restore them one by one")
        }
        arguments += chosen.first.map { ["--schema=\($0.schema)"] } ?? []
        return arguments + chosen.map { "--table=\($0.name)" }
    }
}

/// Lets `pg_restore` restore an archive as it comes.
final class ArchiveRestoration: PlainConsumer {
    private let client: PostgresClient
    private let program: Program
    private let stream: ProgramStream
    private let mayEndEarly: Bool

    init(_ client: PostgresClient, _ target: RestoreTarget, isTar: Bool, stop: StopSignal) throws(Failure) {
        _ = try client.trustedVersion(of: "pg_restore", stop: stop)
        self.client = client
        mayEndEarly = isTar || !target.tables.isEmpty
        program = client.program("pg_restore", try target.arguments(client), deadline: target.deadline)
        stream = try client.start(program, .writing, stop: stop)
    }

    /// `pg_restore` does not read on behind the last member of a tar archive, or the last of the tables that were named.
    private var isDone: Bool { mayEndEarly && stream.end?.termination == .exited(0) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        guard !isDone else { return }
        do throws(Failure) { try stream.write(bytes) } catch { if !isDone { throw error } }
    }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        if !isDone { try stream.finish() }
        return ConsumerFindings(
            checks: [BackupCheck("restored", passed: true, detail: "pg_restore: exit 0")],
            evidence: [try client.evidence(of: program, stream)])
    }
}

/// Unpacks the files of a folder and lets `pg_restore` restore them with several workers.
final class FolderRestoration: PlainConsumer {
    private let client: PostgresClient
    private let target: RestoreTarget
    private let stop: StopSignal
    private let folder: UnpackedFolder

    init(_ client: PostgresClient, _ target: RestoreTarget, stop: StopSignal) throws(Failure) {
        _ = try client.trustedVersion(of: "pg_restore", stop: stop)
        self.client = client
        self.target = target
        self.stop = stop
        folder = try UnpackedFolder(in: target.scratch, deadline: target.deadline, stop: stop)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) { try folder.write(bytes) }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        let unpacked = try folder.finish()
        guard unpacked.passed else { throw Failure(.invalid, "the files of the dump cannot be unpacked: \(unpacked.detail)") }
        let arguments = try target.arguments(client) + ["--jobs=\(max(1, target.jobs))", folder.path]
        let program = client.program("pg_restore", arguments, deadline: target.deadline)
        let (_, evidence) = try client.output(program, isSilent: true, stop: stop)
        return ConsumerFindings(
            checks: [BackupCheck("restored", passed: true, detail: "pg_restore: \(evidence.end)")], evidence: [evidence])
    }
}

/// Lets `psql` run SQL text, in one transaction, within a frame in which it takes no commands of its own.
final class TextRestoration: PlainConsumer {
    private let client: PostgresClient
    private let program: Program
    private let stream: ProgramStream
    private let key: String
    private var scanner = DumpScanner()

    init(_ client: PostgresClient, _ target: RestoreTarget, stop: StopSignal) throws(Failure) {
        guard target.tables.isEmpty else {
            throw Failure(.invalid, "single tables cannot be taken out of a dump in text form", hint: "restore all of it")
        }
        _ = try client.trustedVersion(of: "psql", stop: stop)
        self.client = client
        program = client.program(
            "psql",
            [
                "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--single-transaction", "--output=/dev/null",
                "--dbname=\(client.databaseArgument)", "--file=-",
            ], deadline: target.deadline)
        stream = try client.start(program, .writing, stop: stop)
        key = try randomName()
        try say("\\restrict \(key)\n")
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        do throws(Failure) {
            try scanner.take(bytes) { (bytes) throws(Failure) in try stream.write(bytes) }
        } catch {
            stream.giveUp()
            throw error
        }
    }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        do throws(Failure) {
            try scanner.finish()
            guard scanner.isComplete else { throw Failure(.invalid, "the dump does not end as one: it is cut short") }
            try say("\n\\unrestrict \(key)\n")
        } catch {
            stream.giveUp()
            throw error
        }
        try stream.finish()
        return ConsumerFindings(
            checks: [BackupCheck("restored", passed: true, detail: "psql: exit 0")],
            evidence: [try client.evidence(of: program, stream)])
    }

    private func say(_ text: String) throws(Failure) {
        try Array(text.utf8).span.withUnsafeBytes { (raw) throws(Failure) in try stream.write(raw) }
    }
}
