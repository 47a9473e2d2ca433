internal import Glibc
public import SerinCatalogue
public import SerinCompression
public import SerinModel
public import SerinProcesses

/// The files of write-ahead log that came into a folder since the last backup of it, as one tar archive.
///
/// Every record is read by `pg_waldump`, which checks its sum, before anything is given; the commits it finds date the range.
/// Files that are still being written wait for the next backup.
public struct LogRangeSource: BackupSource {
    /// What its backups are made of.
    public let kind = BackupKind.walRange
    /// What messages call it; holds no secret.
    public let name: String
    private let folder: String
    private let major: Int
    private let continuation: LogContinuation
    private let environment: SourceEnvironment

    /// A source.
    ///
    /// - Parameters:
    ///   - folder: Where the files are.
    ///   - major: Postgres' major version.
    ///   - continuation: What was stored before; without it begins with the oldest file.
    public init(
        folder: String, major: Int, after continuation: LogContinuation = LogContinuation(), environment: SourceEnvironment
    ) {
        self.folder = folder
        self.major = major
        self.continuation = continuation
        self.environment = environment
        name = "write-ahead log in \(folder)"
    }

    /// Looks whether a backup can be made.
    public func probe(stop: StopSignal) throws(Failure) -> SourceProbe {
        let tools = try PostgresTools(major: major, folders: environment.toolFolders)
        let version = try tools.version(of: "pg_waldump", stop: stop)
        let (run, fills) = try files()
        var remarks = try LogFolder(folder).content().short.map { "\($0) is not of the size of a whole file" }
        if let gap = continuation.gap {
            remarks.append(
                fills
                    ? "\(gap.words): it is still in \(folder) and stored again first"
                    : "\(gap.words), and not in \(folder) either: \(RecoveryWindow.Gap.remedy)")
        }
        return SourceProbe(
            tool: ToolFacts(name: "pg_waldump", version: version, format: "tar"),
            sizeEstimate: Int64(run.count) * Int64(run.first?.size ?? 0), remarks: remarks)
    }

    /// The files that are new, or those that are missing among the stored ones and can be had again.
    ///
    /// - Throws: `conflict` when there are none yet; `invalid` when log is missing.
    private func files() throws(Failure) -> (run: [LogSegment], fills: Bool) {
        guard access(folder, F_OK) == 0 || errno != ENOENT else {
            throw Failure(
                .invalid, "\(name): there is no such folder, so no log has come yet",
                hint: "an archive_command of the server puts it there; with receivewal the daemon does, as long as it runs: "
                    + "serin daemon --backup PLAN")
        }
        let all = try LogFolder(folder).content()
        guard let some = all.segments.first else { throw Failure(.conflict, "\(name): there is no complete file yet") }
        let size = try LogFolder(folder).origin(of: some).segmentSize
        let (place, after) = (LogFolder(folder, segmentSize: size), continuation.newest)
        // A base backup ends within a file, which belongs to the range behind it.
        func file(_ position: LogPosition) -> LogPosition { LogPosition(bytes: position.bytes / size * size) }
        if let gap = continuation.gap {
            for run in try place.runs(beside: continuation.stored) {
                let first = run.firstIndex { $0.timeline == gap.timeline && $0.start == file(gap.position) }
                if let first { return (Array(run[first...]), true) }
            }
        }
        if let timeline = after?.timeline, let known = after?.history, let here = try place.history(of: timeline), here != known {
            throw Failure(
                .invalid,
                "\(name) is of another timeline \(timeline) than what is stored: this one began at \(here.last?.end.description ?? "?"), "
                    + "that one at \(known.last?.end.description ?? "?")",
                hint:
                    "two restored servers went live with one timeline: restore again the one that is to be live, which begins a new "
                    + "timeline, let it archive into a folder of its own, and make a base backup")
        }
        let run: [LogSegment]
        do throws(Failure) { run = try place.run(after: after?.lsnStop.map(file), timeline: after?.timeline) } catch {
            // What is missing is lost; a newer base backup does not need it.
            guard let base = continuation.base, let begin = base.lsnStop, let end = after?.lsnStop,
                (base.timeline ?? 1, begin.bytes) > (after?.timeline ?? 1, end.bytes)
            else { throw error }
            run = try place.run(after: file(begin), timeline: base.timeline)
        }
        guard !run.isEmpty else { throw Failure(.conflict, "\(name): there is no complete file since the last backup") }
        return (run, false)
    }

    /// Gives the backup, once its tools have found it whole.
    public func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        let (run, fills) = try files()
        // Without a commit in it the range leads no further than what was before.
        let product = try read(run, since: fills ? continuation.gap?.after : continuation.newest?.consistentAt, stop)
        var tar = TarWriter()
        for segment in run { try tar.add("\(folder)/\(segment)", as: "\(segment)", to: sink) }
        for history in try LogFolder(folder).content().histories { try tar.add("\(folder)/\(history)", as: history, to: sink) }
        try tar.finish(to: sink)
        return product
    }

    /// What a folder holds beside what is stored: each run of files without a gap, as a backup of it would say, and the file that was
    /// being written, as far as it has commits.
    static func atHand(
        in folder: String, major: Int, beside stored: [SourceFacts], environment: SourceEnvironment, stop: StopSignal
    ) throws(Failure) -> [SourceFacts] {
        let content = try LogFolder(folder).content()
        let whole = content.segments.first
        let size = try whole.map { (some) throws(Failure) in try LogFolder(folder).origin(of: some).segmentSize }
        let place = LogFolder(folder, segmentSize: size ?? LogSegment.usualSize)
        let source = LogRangeSource(folder: folder, major: major, environment: environment)
        var found: [SourceFacts] = []
        for run in try place.runs(beside: stored) {
            if let facts = try source.read(run, since: nil, stop).server { found.append(facts) }
        }
        for segment in try place.content().partial where !content.segments.contains(segment) {
            if let facts = try source.readPartial(segment, stop) { found.append(facts) }
        }
        // A history may have come after the log that it explains was stored.
        guard let whole else { return found }
        let system = try place.origin(of: whole).systemIdentifier
        for timeline in Set(stored.compactMap(\.timeline)) where timeline > 1 {
            guard let history = try place.history(of: timeline) else { continue }
            var facts = SourceFacts(version: "\(major)", systemIdentifier: system, timeline: timeline)
            facts.history = history
            found.append(facts)
        }
        return found
    }

    /// What a file that was still being written leads to: its last commit. Nil when it has none.
    private func readPartial(_ segment: LogSegment, _ stop: StopSignal) throws(Failure) -> SourceFacts? {
        let place = try TemporaryFolder(in: environment.scratch)
        let copy = "\(place.path)/\(segment)"
        try copyFile("\(folder)/\(segment).partial", to: copy)
        guard truncate(copy, off_t(segment.size)) == 0 else { throw problem("write", copy, errno) }
        let tools = try PostgresTools(major: major, folders: environment.toolFolders)
        // It ends with an error where the log ends, whatever it has printed before.
        let dump = try tools.tool("pg_waldump").answer(
            ["--path=\(place.path)", "--rmgr=Transaction", "\(segment)"], deadline: environment.deadline, limit: 1 << 30,
            stop: stop)
        let commits = LogRangeSource.commits(in: dump.text)
        guard let last = commits.last else { return nil }
        let history = try LogFolder(folder).history(of: segment.timeline)
        var facts = SourceFacts(
            version: "\(major)", systemIdentifier: try LogFolder(place.path).origin(of: segment).systemIdentifier,
            timeline: segment.timeline, lsnStart: segment.start, lsnStop: last.position)
        facts.firstCommitAt = commits.first { $0.position >= history?.last?.end ?? $0.position }?.moment
        facts.history = history
        facts.consistentAt = commits.map(\.moment).max()
        return facts
    }

    private func read(_ run: [LogSegment], since: Instant?, _ stop: StopSignal) throws(Failure) -> SourceProduct {
        let tools = try PostgresTools(major: major, folders: environment.toolFolders)
        let version = try tools.version(of: "pg_waldump", stop: stop)
        guard let first = run.first, let last = run.last else { throw Failure(.conflict, "\(name): there is nothing new") }
        let place = LogFolder(folder, segmentSize: first.size)
        let (origin, after) = (try place.origin(of: first), continuation.newest)
        if let known = after?.systemIdentifier, known != origin.systemIdentifier {
            throw Failure(.invalid, "\(name) is of another cluster (\(origin.systemIdentifier)) than the backups (\(known))")
        }
        let dump = try tools.tool("pg_waldump").answer(
            ["--path=\(folder)", "--rmgr=Transaction", "--end=\(last.end)", "\(first)", "\(last)"],
            deadline: environment.deadline, limit: 1 << 30, stop: stop)
        // Of the last file only the record that goes on in the next one may be missing.
        if dump.status != 0, !LogRangeSource.isEndOfRange(dump.complaint, last) { _ = try dump.succeeded() }
        let history = try place.history(of: first.timeline)
        let commits = LogRangeSource.commits(in: dump.text)
        var facts = SourceFacts(
            version: after?.version ?? "\(major)", systemIdentifier: origin.systemIdentifier, timeline: first.timeline,
            lsnStart: first.start, lsnStop: last.end)
        facts.firstSegment = "\(first)"
        facts.lastSegment = "\(last)"
        // The first file of a timeline begins with what it has in common with the one before.
        facts.firstCommitAt = commits.first { $0.position >= history?.last?.end ?? $0.position }?.moment
        facts.history = history
        facts.consistentAt = commits.map(\.moment).max() ?? since
        return SourceProduct(
            tool: ToolFacts(name: "pg_waldump", version: version, format: "tar"), server: facts, evidence: [dump.evidence])
    }

    /// The commits in what `pg_waldump` prints: `… lsn: 0/0188D1C8, prev …, desc: COMMIT 2026-11-21 13:27:38.123456 UTC; …`.
    static func commits(in text: String) -> [(position: LogPosition, moment: Instant)] {
        text.split(whereSeparator: \.isNewline).compactMap { line in
            guard let mark = line.firstRange(of: "desc: COMMIT ") ?? line.firstRange(of: "desc: COMMIT_PREPARED "),
                let place = line.firstRange(of: "lsn: "),
                let position = LogPosition(String(line[place.upperBound...].prefix { $0 != "," }))
            else { return nil }
            let rest = line[mark.upperBound...].split(separator: " ")
            // A prepared commit names its transaction first.
            guard let day = rest.firstIndex(where: { CivilDate(String($0)) != nil }), day + 1 < rest.count else { return nil }
            return Instant(postgres: "\(rest[day]) \(rest[day + 1])").map { (position, $0) }
        }
    }

    private static func isEndOfRange(_ complaint: String, _ last: LogSegment) -> Bool {
        complaint.contains("could not find file \"\(last.next)\"")
            || complaint.contains("could not locate WAL file \"\(last.next)\"")
    }

    /// Judges the bytes of a backup without a server.
    public func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer {
        TarExamination(TarInspector()) { (tally, product) throws(Failure) in
            guard let server = product.server, let start = server.lsnStart, let end = server.lsnStop else { return [] }
            // The histories of timelines are small; the files of the log make up the range exactly.
            let length = Int64(clamping: end.bytes > start.bytes ? end.bytes - start.bytes : 0)
            let fits = tally.bytes >= length && tally.bytes - length < 1 << 20
            return [BackupCheck("log range", passed: fits, detail: "\(start) to \(end): \(tally.bytes) bytes for \(length)")]
        }
    }

    /// Restores the bytes of a backup.
    public func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer {
        guard case .folder(let folder) = target.place else {
            throw Failure(.invalid, "write-ahead log is restored into an empty folder, from which recovery reads it")
        }
        return try TarUnpacking(
            into: folder, linksStayInside: true, deadline: target.deadline, stall: environment.stall, stop: stop)
    }
}
