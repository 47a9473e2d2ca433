internal import SerinCatalogue
internal import SerinCompression
internal import SerinDatabase
internal import SerinModel
internal import SerinProcesses

/// Lets `pg_restore` read a whole archive to nowhere, and its table of contents apart, since the reading alone does not print it.
final class ArchiveExamination: PlainConsumer {
    private let client: PostgresClient
    private let reading: Program
    private let listing: Program
    private let reader: ProgramStream
    private let lister: ProgramStream
    private var isRefused = false
    private var hasListed = false
    private let isTar: Bool
    private var zeros = 0

    init(_ client: PostgresClient, isTar: Bool, stop: StopSignal) throws(Failure) {
        self.client = client
        self.isTar = isTar
        reading = client.program("pg_restore", ["--file=/dev/null"])
        var listing = client.program("pg_restore", ["--list"])
        listing.outputLimit = 1 << 24
        self.listing = listing
        reader = try client.start(reading, .writing, stop: stop)
        lister = try client.start(listing, .writing, stop: stop)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        let ending = bytes.reversed().prefix { $0 == 0 }.count
        zeros = ending == bytes.count ? zeros + ending : ending
        if !hasListed {
            // It ends after the contents, which stand first, and reads no further.
            do throws(Failure) { try lister.write(bytes) } catch { hasListed = true }
        }
        guard !isRefused else { return }
        do throws(Failure) {
            try reader.write(bytes)
        } catch {
            guard reader.end?.isStatement == true else { throw error }
            isRefused = true
        }
    }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        var findings = ConsumerFindings()
        if isTar {
            // A tar archive ends with two blocks of zeros. pg_restore waits for ever for what is missing of one.
            findings.checks.append(BackupCheck("end marker", passed: zeros >= 1024, detail: "\(zeros) zeros at the end"))
            if zeros < 1024 { reader.giveUp() }
        }
        do throws(Failure) { try reader.finish() } catch {
            guard reader.end?.isStatement == true || (isTar && zeros < 1024) else { throw error }
        }
        // A status is part of the findings.
        do throws(Failure) { try lister.finish() } catch { guard lister.end?.isStatement == true else { throw error } }
        // It does not read on behind the last member of a tar archive.
        let isRead = reader.end?.isComplete == true || (isTar && reader.end?.termination == .exited(0))
        findings.checks.append(
            BackupCheck("complete reading", passed: isRead, detail: "pg_restore: \(words(of: reader))"))
        let contents = lister.end?.termination == .exited(0) ? lister.end?.diagnostics ?? "" : ""
        findings.checks.append(TableOfContents(contents).check(against: product))
        findings.evidence = [try client.evidence(of: reading, reader), try evidenceOfListing(contents)]
        return findings
    }

    private func evidenceOfListing(_ contents: String) throws(Failure) -> ToolEvidence {
        var evidence = try client.evidence(of: listing, lister, digest: digest(of: Array(contents.utf8)))
        evidence.diagnostics = ""
        return evidence
    }
}

extension StreamEnd {
    /// Whether the program ended by itself with a status, and so has said something about what it was given. One that was killed, for
    /// lack of memory perhaps, has not.
    var isStatement: Bool {
        guard cause == .itself || cause == .inputRefused, case .exited = termination else { return false }
        return true
    }
}

private func words(of stream: ProgramStream) -> String {
    guard let end = stream.end else { return "running" }
    let said = end.diagnostics.split(whereSeparator: \.isNewline).prefix(2).joined(separator: "; ")
    return end.words + (said.isEmpty ? "" : ": \(said)")
}

/// What `pg_restore --list` prints: a line an entry, `number; two numbers, kind, schema, name and owner`, with nothing to part names
/// that hold spaces.
struct TableOfContents {
    private let lines: [Substring]

    init(_ text: String) { lines = text.textLines().filter { !$0.begins(with: ";") } }

    /// Whether it names every table of a manifest, with data where rows were counted.
    func check(against product: SourceProduct) -> BackupCheck {
        guard let rows = product.rows else {
            return BackupCheck("table of contents", passed: !lines.isEmpty, detail: "\(lines.count) entries")
        }
        // By bytes: names that Swift takes for equal are those of two tables.
        var whole: Set<[UInt8]> = []
        var withoutLastWord: Set<[UInt8]> = []
        for line in lines {
            guard let entry = line.parts(at: " ", most: 4).last.map({ Array($0.utf8) }) else { continue }
            whole.insert(entry)
            withoutLastWord.insert(Array(entry.prefix(upTo: entry.lastIndex(of: 0x20) ?? entry.endIndex)))
        }
        let owners = (product.server?.owners ?? []).map { TableOfContents.printed($0.role) }
        func names(_ kind: String, _ table: RowManifest.Table) -> Bool {
            let name = TableOfContents.printed("\(kind) \(table.schema) \(table.table)")
            return withoutLastWord.contains(name) || owners.contains { whole.contains(name + [0x20] + $0) }
        }
        let missing = rows.tables.filter { table in
            !names("TABLE DATA", table) && (table.count > 0 || !names("TABLE", table))
        }
        return BackupCheck(
            "table of contents", passed: missing.isEmpty && !(lines.isEmpty && !rows.tables.isEmpty),
            detail: missing.isEmpty
                ? "\(lines.count) entries, \(rows.tables.count) tables"
                : "missing: " + missing.prefix(5).map { "\($0.schema).\($0.table)" }.joined(separator: ", "))
    }

    /// A name as it is printed: the ends of lines are spaces.
    private static func printed(_ name: String) -> [UInt8] { name.utf8.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 } }
}

/// Judges SQL text by its end, its rows and by what must not be in it.
final class TextExamination: PlainConsumer {
    private var scanner = DumpScanner()
    private var refusal: Failure?

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        guard refusal == nil else { return }
        do throws(Failure) { try scanner.take(bytes) { _ in } } catch { refusal = error }
    }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        if refusal == nil { do throws(Failure) { try scanner.finish() } catch { refusal = error } }
        var checks = [
            BackupCheck("no commands", passed: refusal == nil, detail: refusal?.message ?? ""),
            BackupCheck(
                "end marker", passed: scanner.isComplete, detail: scanner.isComplete ? "" : "the dump does not end as one"),
        ]
        if let rows = product.rows { checks.append(compare(rows)) }
        return ConsumerFindings(checks: checks)
    }

    /// Rows that are written as statements instead of data are none that are counted here, so `pg_dump` is never told to.
    private func compare(_ rows: RowManifest) -> BackupCheck {
        let wrong = rows.tables.filter { table in
            let names = [table.schema, sqlName(table.schema)].flatMap { schema in
                [table.table, sqlName(table.table)].map { "\(schema).\($0)" }
            }
            return (names.compactMap { scanner.rows[Array($0.utf8)] }.first ?? 0) != table.count
        }
        return BackupCheck(
            "rows", passed: wrong.isEmpty,
            detail: wrong.isEmpty
                ? "\(rows.total) rows in \(rows.tables.count) tables"
                : "not as counted: " + wrong.prefix(5).map { "\($0.schema).\($0.table)" }.joined(separator: ", "))
    }
}

/// Unpacks the files of a folder and lets `pg_restore` read them.
final class FolderExamination: PlainConsumer {
    private let client: PostgresClient
    private let stop: StopSignal
    private let folder: UnpackedFolder

    init(_ client: PostgresClient, _ environment: SourceEnvironment, stop: StopSignal) throws(Failure) {
        self.client = client
        self.stop = stop
        folder = try UnpackedFolder(in: environment.scratch, deadline: environment.deadline, stop: stop)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) { try folder.write(bytes) }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        var findings = ConsumerFindings()
        let unpacked = try folder.finish()
        findings.checks.append(unpacked)
        guard unpacked.passed else { return findings }
        for (name, arguments) in [("complete reading", ["--file=/dev/null"]), ("table of contents", ["--list"])] {
            let program = client.program("pg_restore", arguments + [folder.path])
            let stream = try client.start(program, .reading, isSilent: true, stop: stop)
            var bytes: [UInt8] = []
            do throws(Failure) {
                try stream.readAll { (piece) throws(Failure) in if bytes.count < 1 << 24 { bytes += piece } }
                findings.checks.append(
                    name == "table of contents"
                        ? TableOfContents(String(decoding: bytes, as: UTF8.self)).check(against: product)
                        : BackupCheck(name, passed: true, detail: "pg_restore: \(words(of: stream))"))
            } catch {
                guard stream.end?.isStatement == true else { throw error }
                findings.checks.append(BackupCheck(name, passed: false, detail: error.message))
            }
            findings.evidence.append(try client.evidence(of: program, stream, digest: digest(of: bytes)))
        }
        return findings
    }
}

/// A tar stream that `tar` unpacks into a folder that is removed at the end.
final class UnpackedFolder {
    var path: String { folder.path }
    private let folder: TemporaryFolder
    private let stream: ProgramStream
    private var isRefused = false

    init(in parent: String, deadline: Duration, stop: StopSignal) throws(Failure) {
        folder = try TemporaryFolder(in: parent)
        let tar = Program(
            "tar",
            ["--extract", "--directory=\(folder.path)", "--no-same-owner", "--no-same-permissions", "--delay-directory-restore"],
            environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C"], deadline: deadline, outputLimit: 1 << 14, kept: .end)
        stream = try ProgramStream(tar, .writing, stall: nil, stop: stop)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        guard !isRefused else { return }
        do throws(Failure) { try stream.write(bytes) } catch {
            // tar may stop at the archive's end and leave the padding behind it.
            guard stream.end?.isStatement == true else { throw error }
            isRefused = true
        }
    }

    /// Ends it.
    ///
    /// - Throws: When `tar` did not end by itself, which says nothing about the files.
    func finish() throws(Failure) -> BackupCheck {
        // A status is the finding.
        do throws(Failure) { try stream.finish() } catch { guard stream.end?.isStatement == true else { throw error } }
        return BackupCheck("files", passed: stream.end?.termination == .exited(0), detail: "tar: \(words(of: stream))")
    }
}
