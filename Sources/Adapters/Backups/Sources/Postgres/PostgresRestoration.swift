internal import SerinCatalogue
internal import SerinCompression
internal import SerinCrypto
internal import SerinDatabase
internal import SerinModel
internal import SerinProcesses

extension RestoreTarget {
    /// The options of `pg_restore`.
    func arguments(_ client: PostgresClient, _ openKeys: OpenKeys) throws(Failure) -> [String] {
        var arguments = ["--dbname=\(client.databaseArgument)", "--no-password", "--no-subscriptions", "--no-publications"]
        if openKeys.isEmpty { arguments.append("--exit-on-error") }
        if !keepsOwners { arguments += ["--no-owner", "--no-acl"] }
        let chosen = tables.map(PostgresSelection.Table.init)
        guard Set(chosen.map(\.schema)).count <= 1 else {
            throw Failure(.invalid, "tables of several schemas cannot be restored at once", hint: "restore them one by one")
        }
        arguments += chosen.first.map { ["--schema=\($0.schema)"] } ?? []
        return arguments + chosen.map { "--table=\($0.name)" }
    }
}

/// The foreign keys of a dump of a part that refer to rows which it does not hold. They may fail, and nothing else may: what the
/// program says to have failed must be as often as there are of them missing afterwards.
struct OpenKeys {
    private let names: [String]

    init(_ product: SourceProduct, _ target: RestoreTarget) {
        // Of single tables no keys are made at all.
        names = target.tables.isEmpty ? product.server?.part?.openKeys ?? [] : []
    }

    var isEmpty: Bool { names.isEmpty }

    /// Whether an end may be judged by what is missing.
    func mayExplain(_ end: StreamEnd?) -> Bool { !isEmpty && OpenKeys.ignored(end) != nil }

    /// How many entries `pg_restore`, or statements `psql`, failed at and went on.
    private static func ignored(_ end: StreamEnd?) -> Int? {
        guard let end else { return nil }
        switch end.termination {
        case .exited(0):
            let count = end.diagnostics.split(whereSeparator: \.isNewline).count {
                $0.hasPrefix("psql:<stdin>:") && $0.contains(": ERROR: ")
            }
            return count > 0 ? count : nil
        case .exited(1):
            let count = end.diagnostics.split(separator: "errors ignored on restore: ").last
            return count.flatMap { Int($0.prefix { $0.isNumber }) }
        case .exited, .signalled, .timedOut: return nil
        }
    }

    /// - Returns: What was left out; nil where nothing was.
    func judge(_ end: StreamEnd?, _ client: PostgresClient) throws(Failure) -> BackupCheck? {
        guard !isEmpty, let ignored = OpenKeys.ignored(end) else { return nil }
        let made = try client.session(RestoreInspection.purpose).rows(
            """
            SELECT format('%I.%I.%I', n.nspname, c.relname, k.conname) FROM pg_constraint k
            JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE k.contype = 'f'
            """
        ).compactMap { $0.first ?? nil }
        let missing = names.filter { !made.contains($0) }
        guard missing.count == ignored else {
            throw Failure(
                .invalid,
                "the restore failed \(ignored) times, and \(missing.count) foreign keys to rows outside the dump account for it: "
                    + "\(end?.diagnostics.suffix(1000) ?? "")")
        }
        return BackupCheck(
            "foreign keys left out", passed: true,
            detail: "they refer to rows that the backup does not hold: " + missing.prefix(10).joined(separator: ", "))
    }
}

extension Failure {
    /// A failure of a tool that restores, with what to do about it.
    var restoring: Failure {
        var failure = self
        guard hint == nil else { return self }
        let member = "the role that restores must be a member of each owner: GRANT the owner TO it; or --no-owners"
        let hints = [
            ("role \"", "the dump names a role that the server lacks: CREATE ROLE it, or restore with --no-owners"),
            ("must be member of role", member),
            ("must be able to SET ROLE", member),
            (
                "permission denied for schema",
                "an owner may make nothing in the schema: --no-owners gives all to the role that restores"
            ),
            (
                "permission denied to create extension",
                "a superuser makes the extension in a database that the plan names with restore.template"
            ),
            ("is not available", "install the extension's package on the server"),
            ("No space left", "make room at the server; the database that was being made is dropped"),
        ]
        failure.hint = hints.first { message.contains($0.0) }?.1
        return failure
    }
}

/// Lets `pg_restore` restore an archive as it comes. Where the database has extensions or schemas already, the archive's contents, which
/// stand first in it, are listed before, and what makes those is left out.
final class ArchiveRestoration: PlainConsumer {
    private let client: PostgresClient
    private let target: RestoreTarget
    private let stop: StopSignal
    private var program: Program
    private var stream: ProgramStream
    private var contents: DumpContents?
    private let mayEndEarly: Bool
    private let openKeys: OpenKeys

    init(
        _ client: PostgresClient, _ target: RestoreTarget, isTar: Bool, _ openKeys: OpenKeys, stop: StopSignal
    ) throws(Failure) {
        _ = try client.trustedVersion(of: "pg_restore", stop: stop)
        self.openKeys = openKeys
        self.client = client
        self.target = target
        self.stop = stop
        mayEndEarly = isTar || !target.tables.isEmpty
        guard target.present.isEmpty else {
            let contents = try DumpContents(client, target, stop: stop)
            self.contents = contents
            (program, stream) = (contents.program, contents.stream)
            return
        }
        program = client.program("pg_restore", try target.arguments(client, openKeys), deadline: target.deadline)
        stream = try client.start(program, .writing, stop: stop)
    }

    /// Begins to restore what was kept back while it was listed.
    private func begin(_ contents: DumpContents) throws(Failure) {
        let list = try contents.finish()
        program = client.program(
            "pg_restore", try target.arguments(client, openKeys) + ["--use-list=\(list)"], deadline: target.deadline)
        stream = try client.start(program, .writing, stop: stop)
        self.contents = nil
        begun = contents
        let kept = contents.kept
        try kept.span.withUnsafeBytes { (raw) throws(Failure) in try write(raw) }
    }

    /// Keeps the list for as long as the program may read it.
    private var begun: DumpContents?

    /// `pg_restore` does not read on behind the last member of a tar archive, or the last of the tables that were named.
    private var isDone: Bool { mayEndEarly && (stream.end?.termination == .exited(0) || openKeys.mayExplain(stream.end)) }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        if let contents {
            if contents.take(bytes) { try begin(contents) }
            return
        }
        guard !isDone else { return }
        do throws(Failure) { try stream.write(bytes) } catch { if !isDone { throw error.restoring } }
    }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        if let contents { try begin(contents) }
        if !isDone {
            do throws(Failure) { try stream.finish() } catch { if !openKeys.mayExplain(stream.end) { throw error.restoring } }
        }
        let leftOut = try openKeys.judge(stream.end, client)
        return ConsumerFindings(
            checks: [BackupCheck("restored", passed: true, detail: "pg_restore: \(stream.end?.words ?? "")")]
                + (leftOut.map { [$0] } ?? []),
            evidence: [try client.evidence(of: program, stream)])
    }
}

/// Unpacks the files of a folder and lets `pg_restore` restore them with several workers.
final class FolderRestoration: PlainConsumer {
    private let client: PostgresClient
    private let target: RestoreTarget
    private let stop: StopSignal
    private let folder: UnpackedFolder
    private let openKeys: OpenKeys

    init(_ client: PostgresClient, _ target: RestoreTarget, _ openKeys: OpenKeys, stop: StopSignal) throws(Failure) {
        _ = try client.trustedVersion(of: "pg_restore", stop: stop)
        self.openKeys = openKeys
        self.client = client
        self.target = target
        self.stop = stop
        folder = try UnpackedFolder(in: target.scratch, deadline: target.deadline, stop: stop)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) { try folder.write(bytes) }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        let unpacked = try folder.finish()
        guard unpacked.passed else { throw Failure(.invalid, "the files of the dump cannot be unpacked: \(unpacked.detail)") }
        var arguments = try target.arguments(client, openKeys) + ["--jobs=\(max(1, target.jobs))"]
        let list = try TemporaryFolder(in: target.scratch)
        if !target.present.isEmpty {
            var listing = client.program("pg_restore", ["--list", folder.path])
            listing.outputLimit = 1 << 24
            let (text, _) = try client.output(listing, stop: stop)
            let file = try DumpContents.write(
                String(decoding: text, as: UTF8.self), without: target.present, in: list.path)
            arguments.append("--use-list=\(file)")
        }
        arguments.append(folder.path)
        let program = client.program("pg_restore", arguments, deadline: target.deadline)
        let stream = try client.start(program, .reading, isSilent: true, stop: stop)
        do throws(Failure) { try stream.readAll { _ in } } catch { if !openKeys.mayExplain(stream.end) { throw error.restoring } }
        let leftOut = try openKeys.judge(stream.end, client)
        let evidence = try client.evidence(of: program, stream)
        return ConsumerFindings(
            checks: [BackupCheck("restored", passed: true, detail: "pg_restore: \(evidence.end)")] + (leftOut.map { [$0] } ?? []),
            evidence: [evidence])
    }
}

/// Lets `psql` run SQL text, within a frame in which it takes no commands of its own. Each statement is a transaction of its own, as
/// `pg_restore` does it: what a function of the dump does to rows that are there already is then told apart. Where foreign keys may fail
/// it goes on.
final class TextRestoration: PlainConsumer {
    private let client: PostgresClient
    private let program: Program
    private let stream: ProgramStream
    private let key: String
    private let openKeys: OpenKeys
    private var scanner = DumpScanner()

    init(_ client: PostgresClient, _ target: RestoreTarget, _ openKeys: OpenKeys, stop: StopSignal) throws(Failure) {
        guard target.present.isEmpty else {
            throw Failure(
                .invalid, "a dump in text form makes its extensions itself, and cannot be restored over a template that has them",
                hint: "leave restore.template out, or make dumps of the format custom")
        }
        guard target.tables.isEmpty else {
            throw Failure(.invalid, "single tables cannot be taken out of a dump in text form", hint: "restore all of it")
        }
        guard target.keepsOwners else {
            throw Failure(.invalid, "a dump in text form names its owners itself", hint: "make the roles that it names first")
        }
        _ = try client.trustedVersion(of: "psql", stop: stop)
        self.client = client
        self.openKeys = openKeys
        var program = client.program(
            "psql",
            [
                "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=\(openKeys.isEmpty ? 1 : 0)",
                "--output=/dev/null", "--dbname=\(client.databaseArgument)", "--file=-",
            ], deadline: target.deadline)
        program.outputLimit = 1 << 20
        self.program = program
        stream = try client.start(program, .writing, stop: stop)
        key = try randomName()
        try say("\\restrict \(key)\n")
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        do throws(Failure) {
            try scanner.take(bytes) { (bytes) throws(Failure) in try stream.write(bytes) }
        } catch {
            stream.giveUp()
            throw error.restoring
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
        do throws(Failure) { try stream.finish() } catch { throw error.restoring }
        let leftOut = try openKeys.judge(stream.end, client)
        return ConsumerFindings(
            checks: [BackupCheck("restored", passed: true, detail: "psql: exit 0")] + (leftOut.map { [$0] } ?? []),
            evidence: [try client.evidence(of: program, stream)])
    }

    private func say(_ text: String) throws(Failure) {
        try Array(text.utf8).span.withUnsafeBytes { (raw) throws(Failure) in try stream.write(raw) }
    }
}
