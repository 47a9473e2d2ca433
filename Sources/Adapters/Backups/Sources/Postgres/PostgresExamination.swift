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
            guard let end = reader.end, end.cause == .itself || end.cause == .inputRefused else { throw error }
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
            guard let end = reader.end, end.cause == .itself || end.cause == .inputRefused || (isTar && zeros < 1024) else {
                throw error
            }
        }
        // Its status is part of the findings.
        _ = try? lister.finish()
        // It does not read on behind the last member of a tar archive.
        let isRead = reader.end?.isComplete == true || (isTar && reader.end?.termination == .exited(0))
        findings.checks.append(
            BackupCheck("complete reading", passed: isRead, detail: "pg_restore: \(words(of: reader))"))
        let contents = lister.end?.termination == .exited(0) ? lister.end?.diagnostics ?? "" : ""
        findings.checks.append(TableOfContents(contents).check(against: product.rows))
        findings.evidence = [try client.evidence(of: reading, reader), try evidenceOfListing(contents)]
        return findings
    }

    private func evidenceOfListing(_ contents: String) throws(Failure) -> ToolEvidence {
        var evidence = try client.evidence(of: listing, lister, digest: digest(of: Array(contents.utf8)))
        evidence.diagnostics = ""
        return evidence
    }
}

private func words(of stream: ProgramStream) -> String {
    guard let end = stream.end else { return "running" }
    let said = end.diagnostics.split(whereSeparator: \.isNewline).prefix(2).joined(separator: "; ")
    return end.words + (said.isEmpty ? "" : ": \(said)")
}

/// What `pg_restore --list` prints.
struct TableOfContents {
    private let lines: [Substring]

    init(_ text: String) { lines = text.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix(";") } }

    /// Whether it names every table of a manifest, with data where rows were counted.
    func check(against rows: RowManifest?) -> BackupCheck {
        guard let rows else {
            return BackupCheck("table of contents", passed: !lines.isEmpty, detail: "\(lines.count) entries")
        }
        var named: Set<String> = []
        for line in lines {
            for kind in [" TABLE DATA ", " TABLE "] {
                guard let place = line.range(of: kind) else { continue }
                // The owner's name follows, without which the rest is schema and table.
                var words = line[place.upperBound...].split(separator: " ", omittingEmptySubsequences: false)
                if words.count > 2 { words.removeLast() }
                named.insert(kind + words.joined(separator: " "))
                break
            }
        }
        let missing = rows.tables.filter { table in
            let name = "\(table.schema) \(table.table)"
            return !named.contains(" TABLE DATA " + name) && (table.count > 0 || !named.contains(" TABLE " + name))
        }
        return BackupCheck(
            "table of contents", passed: missing.isEmpty && !(lines.isEmpty && !rows.tables.isEmpty),
            detail: missing.isEmpty
                ? "\(lines.count) entries, \(rows.tables.count) tables"
                : "missing: " + missing.prefix(5).map { "\($0.schema).\($0.table)" }.joined(separator: ", "))
    }
}

extension Substring {
    fileprivate func range(of text: String) -> Range<Index>? {
        let wanted = Array(text.utf8)
        var start = utf8.startIndex
        while start < utf8.endIndex {
            if utf8[start...].starts(with: wanted) { return start..<utf8.index(start, offsetBy: wanted.count) }
            start = utf8.index(after: start)
        }
        return nil
    }
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
            return (names.compactMap { scanner.rows[$0] }.first ?? 0) != table.count
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
        let unpacked = folder.finish()
        findings.checks.append(unpacked)
        guard unpacked.passed else { return findings }
        for (name, arguments) in [("complete reading", ["--file=/dev/null"]), ("table of contents", ["--list"])] {
            let program = client.program("pg_restore", arguments + [folder.path])
            do throws(Failure) {
                let (bytes, evidence) = try client.output(program, isSilent: true, stop: stop)
                findings.evidence.append(evidence)
                findings.checks.append(
                    name == "table of contents"
                        ? TableOfContents(String(decoding: bytes, as: UTF8.self)).check(against: product.rows)
                        : BackupCheck(name, passed: true, detail: "pg_restore: \(evidence.end)"))
            } catch {
                guard !stop.isRaised else { throw error }
                findings.checks.append(BackupCheck(name, passed: false, detail: error.message))
            }
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
            guard let end = stream.end, end.cause == .itself || end.cause == .inputRefused else { throw error }
            isRefused = true
        }
    }

    func finish() -> BackupCheck {
        // Its status is the finding.
        _ = try? stream.finish()
        return BackupCheck("files", passed: stream.end?.termination == .exited(0), detail: "tar: \(words(of: stream))")
    }
}
