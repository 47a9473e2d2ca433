internal import Glibc
public import SerinCatalogue
public import SerinModel
internal import SerinProcesses

/// A folder of files of write-ahead log, as `pg_receivewal` or an `archive_command` fills it.
public struct LogFolder: Sendable, Hashable {
    /// What is in it.
    public struct Content: Sendable, Hashable {
        /// The complete files, in order.
        public var segments: [LogSegment] = []
        /// The files that are still being written (`.partial`).
        public var partial: [LogSegment] = []
        /// The names of the timelines' histories.
        public var histories: [String] = []
        /// Files of the log whose size is not that of a whole one.
        public var short: [String] = []
    }

    /// Its path.
    public var path: String
    /// Bytes of each file.
    public var segmentSize: UInt64

    /// A folder.
    public init(_ path: String, segmentSize: UInt64 = LogSegment.usualSize) {
        self.path = path
        self.segmentSize = segmentSize
    }

    /// Looks what is in it.
    public func content() throws(Failure) -> Content {
        var content = Content()
        for name in try names(in: path) {
            if name.hasSuffix(".history") {
                content.histories.append(name)
            } else if name.hasSuffix(".partial"), let segment = LogSegment(name.dropLast(8), size: segmentSize) {
                content.partial.append(segment)
            } else if let segment = LogSegment(name, size: segmentSize) {
                var status = stat()
                guard lstat("\(path)/\(name)", &status) == 0 else { throw problem("read", "\(path)/\(name)", errno) }
                let isWhole = status.st_mode & S_IFMT == S_IFREG && UInt64(status.st_size) == segmentSize
                if isWhole { content.segments.append(segment) } else { content.short.append(name) }
            }
        }
        content.segments.sort()
        content.partial.sort()
        return content
    }

    /// When the newest piece of log came into a folder; nil where there is none.
    public static func newest(in path: String) -> Instant? {
        // A folder that cannot be read holds nothing that is known.
        guard let content = try? LogFolder(path).content() else { return nil }
        let names = content.segments.map { "\($0)" } + content.partial.map { "\($0).partial" }
        return names.compactMap { name -> Instant? in
            var status = stat()
            guard lstat("\(path)/\(name)", &status) == 0 else { return nil }
            return Instant(
                secondsSince1970: Int64(status.st_mtim.tv_sec), milliseconds: Int64(status.st_mtim.tv_nsec) / 1_000_000)
        }.max()
    }

    /// The files that follow one another without a gap behind a position, or from the oldest one.
    ///
    /// - Returns: At least one file, or none when there is nothing new.
    /// - Throws: When the file at the position is not there but later ones are: the log has a gap.
    public func run(after end: LogPosition?, timeline: Int?) throws(Failure) -> [LogSegment] {
        let content = try content()
        // A newer timeline begins with a file of a number that the older one has as well.
        let candidates = content.segments.filter { segment in
            guard let end, let timeline else { return true }
            return segment.timeline == timeline ? segment.start >= end : segment.timeline > timeline
        }
        guard let first = candidates.first else { return [] }
        if let end, first.start > end {
            throw Failure(
                .invalid, "write-ahead log is missing in \(path): it ends at \(end) and goes on with \(first)",
                hint: "make a new base backup now: nothing between can be recovered")
        }
        var run = [first]
        for segment in candidates.dropFirst() {
            guard let last = run.last, segment == last.next else { break }
            run.append(segment)
        }
        return run
    }

    /// The timelines that led to one, by its history file: the oldest first, each with where the next one left it.
    ///
    /// - Returns: Nil when there is no such file, which the first timeline never has.
    public func history(of timeline: Int) throws(Failure) -> [SourceFacts.TimelineEnd]? {
        let file = "\(path)/\(RecoveryWindow.historyName(timeline))"
        guard access(file, F_OK) == 0 else { return nil }
        // `1<TAB>0/3000000<TAB>reason` a line (PostgreSQL sources, timeline.c); comments begin with `#`.
        return String(decoding: try bytes(of: file, limit: 1 << 20), as: UTF8.self).split(whereSeparator: \.isNewline)
            .compactMap { line in
                let words = line.split { $0.isWhitespace }
                guard words.count >= 2, let number = Int(words[0]), let end = LogPosition(String(words[1])) else { return nil }
                return SourceFacts.TimelineEnd(timeline: number, end: end)
            }
    }

    /// What the beginning of a file says: the cluster that wrote it and the size of its files.
    public func origin(of segment: LogSegment) throws(Failure) -> (systemIdentifier: String, segmentSize: UInt64) {
        let file = open("\(path)/\(segment)", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw problem("read", "\(path)/\(segment)", errno) }
        defer { close(file) }
        var header = [UInt8](repeating: 0, count: 40)
        guard read(file, &header, 40) == 40 else { throw problem("read", "\(path)/\(segment)", errno == 0 ? EIO : errno) }
        // The long page header (PostgreSQL sources, xlog_internal.h): magic, flags, timeline, position, length of what is left of a
        // record, then the cluster's number and the sizes. Numbers are in the order of the machine that wrote them.
        func number(_ offset: Int, _ count: Int) -> UInt64 {
            header[offset..<(offset + count)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        guard number(0, 2) != 0, number(2, 2) & 2 != 0, number(8, 8) == segment.start.bytes,
            LogSegment.isSize(number(32, 4))
        else {
            throw Failure(.invalid, "\(path)/\(segment) is no file of write-ahead log of that position")
        }
        return ("\(number(24, 8))", number(32, 4))
    }

    /// The runs of files without a gap that are not among the stored ranges.
    func runs(beside stored: [SourceFacts]) throws(Failure) -> [[LogSegment]] {
        var runs: [[LogSegment]] = []
        let stored = try alike(stored)
        for segment in try content().segments where !LogFolder.isStored(segment, in: stored) {
            if let last = runs.last?.last, last.next == segment {
                runs[runs.count - 1].append(segment)
            } else {
                runs.append([segment])
            }
        }
        return runs
    }

    /// The stored ranges that are not of another timeline of the same number.
    private func alike(_ stored: [SourceFacts]) throws(Failure) -> [SourceFacts] {
        var own: [Int: [SourceFacts.TimelineEnd]] = [:]
        for timeline in Set(stored.compactMap(\.timeline)) { own[timeline] = try history(of: timeline) }
        return stored.filter { range in
            guard let theirs = range.history, let mine = range.timeline.flatMap({ own[$0] }) else { return true }
            return theirs == mine
        }
    }

    /// The newest timeline that a file here is of; 1 where there is none.
    public func newestTimeline() throws(Failure) -> Int {
        let content = try content()
        let histories = content.histories.compactMap { Int($0.dropLast(".history".count), radix: 16) }
        return ((content.segments + content.partial).map(\.timeline) + histories).max() ?? 1
    }

    private static func isStored(_ segment: LogSegment, in stored: [SourceFacts]) -> Bool {
        stored.contains { range in
            guard range.timeline == segment.timeline, let start = range.lsnStart, let stop = range.lsnStop else { return false }
            return start <= segment.start && segment.end <= stop
        }
    }

    /// Puts everything that recovery may ask for into another folder under its final name. A file that was still being written
    /// takes the name of a whole one when there is no whole one: recovery stops at its last complete record.
    ///
    /// - Parameter stored: Ranges whose files come from elsewhere.
    public func stage(into target: String, beside stored: [SourceFacts] = []) throws(Failure) {
        let content = try content()
        let stored = try alike(stored)
        // A timeline of the same number that began elsewhere is another one.
        var others: Set<Int> = []
        for timeline in Set((content.segments + content.partial).map(\.timeline)) {
            let there = try LogFolder(target).history(of: timeline)
            if let there, let here = try history(of: timeline), here != there { others.insert(timeline) }
        }
        let new = content.segments.filter { !LogFolder.isStored($0, in: stored) && !others.contains($0.timeline) }
        for name in new.map(\.description) + content.histories { try copy(name, to: name, in: target) }
        for segment in content.partial where !content.segments.contains(segment) && !others.contains(segment.timeline) {
            try copy("\(segment).partial", to: "\(segment)", in: target)
        }
    }

    /// Moves files into a new folder `aside-1`, `aside-2`, … in this one, where nothing looks for them.
    ///
    /// - Returns: Its path; nil when there was nothing to move.
    func setAside(_ isStale: (LogSegment) -> Bool) throws(Failure) -> String? {
        let content = try content()
        let stale =
            content.segments.filter(isStale).map { "\($0)" } + content.partial.filter(isStale).map { "\($0).partial" }
        guard !stale.isEmpty else { return nil }
        var number = 1
        while mkdir("\(path)/aside-\(number)", 0o700) != 0 {
            guard errno == EEXIST, number < 1000 else { throw problem("make", "\(path)/aside-\(number)", errno) }
            number += 1
        }
        let aside = "\(path)/aside-\(number)"
        // The newest last: a receiver that begins meanwhile goes on from it and fails again.
        for name in stale {
            guard rename("\(path)/\(name)", "\(aside)/\(name)") == 0 else { throw problem("move", "\(path)/\(name)", errno) }
        }
        return aside
    }

    /// Where the log says that something happened: the end of a transaction, or a restore point's name.
    ///
    /// - Parameter line: Whether a line of `pg_waldump` is the one that is looked for.
    /// - Returns: The position of the record on the newest timeline that has it; nil when none has.
    func position(
        of manager: String, tools: PostgresTools, deadline: Duration, stop: StopSignal, _ line: (Substring) -> Bool
    ) throws(Failure) -> LogPosition? {
        for run in try runs(beside: []).reversed() {
            guard let first = run.first, let last = run.last else { continue }
            // It ends with an error at the end of the log, whatever it has printed before.
            let said = try tools.tool("pg_waldump").answer(
                ["--path=\(path)", "--rmgr=\(manager)", "\(first)", "\(last)"], deadline: deadline, limit: 1 << 30, stop: stop)
            guard let found = said.text.split(whereSeparator: \.isNewline).last(where: line) else { continue }
            guard let mark = found.firstRange(of: "lsn: ") else { continue }
            return LogPosition(String(found[mark.upperBound...].prefix { $0 != "," }))
        }
        return nil
    }

    private func copy(_ name: String, to other: String, in target: String) throws(Failure) {
        let place = "\(target)/\(other)"
        if access(place, F_OK) == 0 { return }
        try copyFile("\(path)/\(name)", to: place)
        // A file that was still being written may be short, which recovery refuses; zeros are the end of the log.
        if !other.hasSuffix(".history"), truncate(place, off_t(segmentSize)) != 0 { throw problem("write", place, errno) }
        // Read by the server's user.
        guard chmod(place, 0o644) == 0 else { throw problem("write", place, errno) }
    }
}
