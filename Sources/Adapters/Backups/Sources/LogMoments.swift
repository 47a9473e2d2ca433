internal import Glibc
public import SerinModel
public import SerinProcesses

/// The transactions of a stretch of write-ahead log that deleted rows or dropped files, by the moments of their commits: to find the
/// last moment before data was deleted.
///
/// What `pg_waldump` prints is read line by line (PostgreSQL, pg_waldump): `DELETE` records of the heap are counted for their
/// transaction, those of the system's catalogues are not, and a commit names its moment, its subtransactions, and the files that it
/// drops, as `DROP` and `TRUNCATE` do.
public struct LogMoments: Sendable, Hashable {
    /// One transaction.
    public struct Deletion: Sendable, Hashable {
        /// Its number.
        public var transaction: UInt64
        /// When it was committed, cut to milliseconds.
        public var committedAt: Instant
        /// How many rows it deleted.
        public var rows = 0
        /// The rows of each table, as `DATABASE/FILE`.
        public var tables: [String: Int] = [:]
        /// How many files of tables, indexes and sequences its commit dropped.
        public var dropped = 0

        /// The last moment that recovery may stop at and not have it.
        public var before: Instant { committedAt - .milliseconds(1) }
    }

    /// So many are kept at most: those that deleted the most.
    public static let most = 50

    /// Those that were found, in the order of their commits.
    public private(set) var deletions: [Deletion] = []
    /// How many commits were seen within the span.
    public private(set) var commits = 0
    /// The last commit that the log has, also behind the span.
    public private(set) var lastCommit: Instant?
    private let span: ClosedRange<Instant>
    private var open: [UInt64: Deletion] = [:]

    /// Nothing yet, of a span.
    public init(_ span: ClosedRange<Instant>) { self.span = span }

    /// Takes a line of `pg_waldump` in.
    public mutating func take(_ line: Substring) {
        guard let mark = line.firstRange(of: "desc: "), let transaction = LogMoments.transaction(line[..<mark.lowerBound]) else {
            return
        }
        let words = line[mark.upperBound...]
        if words.hasPrefix("DELETE") {
            let table = LogMoments.table(words)
            guard table.map({ !LogMoments.isCatalogue($0) }) ?? true else { return }
            var deletion = open[transaction] ?? Deletion(transaction: transaction, committedAt: span.lowerBound)
            deletion.rows += 1
            if let table { deletion.tables[table, default: 0] += 1 }
            open[transaction] = deletion
        } else if words.hasPrefix("COMMIT ") {
            commit(transaction, words.dropFirst("COMMIT ".count))
        } else if words.hasPrefix("ABORT") {
            for number in [transaction] + LogMoments.numbers("subxacts:", in: words) { open[number] = nil }
        }
    }

    private mutating func commit(_ transaction: UInt64, _ words: Substring) {
        guard let moment = Instant(postgres: words.prefix { $0 != ";" }) else { return }
        var whole = Deletion(transaction: transaction, committedAt: moment)
        for number in [transaction] + LogMoments.numbers("subxacts:", in: words) {
            guard let part = open.removeValue(forKey: number) else { continue }
            whole.rows += part.rows
            whole.tables.merge(part.tables) { $0 + $1 }
        }
        whole.dropped = LogMoments.words("rels:", in: words).count
        lastCommit = max(lastCommit ?? moment, moment)
        guard span.contains(moment) else { return }
        commits += 1
        guard whole.rows > 0 || whole.dropped > 0 else { return }
        deletions.append(whole)
        guard deletions.count > LogMoments.most, let least = deletions.indices.min(by: { deletions[$0] < deletions[$1] }) else {
            return
        }
        deletions.remove(at: least)
    }

    /// The one that deleted the most; nil when none did.
    public var largest: Deletion? { deletions.max() }

    // MARK: Reading

    /// `… tx:        745, lsn: …`
    private static func transaction(_ head: Substring) -> UInt64? {
        guard let mark = head.firstRange(of: "tx:") else { return nil }
        return UInt64(head[mark.upperBound...].drop { $0 == " " }.prefix { $0.isNumber })
    }

    /// `… rel 1663/16384/16400 …`: tablespace, database, file.
    private static func table(_ words: Substring) -> String? {
        guard let mark = words.firstRange(of: "rel ") else { return nil }
        let parts = words[mark.upperBound...].prefix { $0.isNumber || $0 == "/" }.split(separator: "/")
        return parts.count == 3 ? "\(parts[1])/\(parts[2])" : nil
    }

    /// Whether a file is one that the server itself began with: those of users have numbers from 16384 on.
    private static func isCatalogue(_ table: String) -> Bool {
        table.split(separator: "/").last.flatMap { Int($0) }.map { $0 < 16_384 } ?? false
    }

    /// What stands behind a word, up to the next semicolon.
    private static func words(_ name: String, in words: Substring) -> [Substring] {
        guard let mark = words.firstRange(of: name) else { return [] }
        return words[mark.upperBound...].prefix { $0 != ";" }.split(separator: " ")
    }

    private static func numbers(_ name: String, in text: Substring) -> [UInt64] {
        words(name, in: text).compactMap { UInt64($0) }
    }
}

extension LogMoments.Deletion: Comparable {
    /// The one that deleted less first: files before rows, for a dropped table has all of its rows.
    public static func < (left: LogMoments.Deletion, right: LogMoments.Deletion) -> Bool {
        (left.dropped, left.rows, left.transaction) < (right.dropped, right.rows, right.transaction)
    }
}

extension LogFolder {
    /// The deletions of a span, as far as the whole files in this folder have it.
    ///
    /// - Parameter tools: Those of the server's version: no other reads its log.
    public func moments(
        _ span: ClosedRange<Instant>, tools: PostgresTools, deadline: Duration, stop: StopSignal
    ) throws(Failure) -> LogMoments {
        var moments = LogMoments(span)
        for run in try runs(beside: []) {
            // A file was last written with its last record, so those before the span cannot reach into it.
            let written = run.map { modified("\($0)") }
            let begin = written.firstIndex { $0.map { $0 >= span.lowerBound } ?? true } ?? run.count
            guard begin < run.count else { continue }
            let end = written[begin...].firstIndex { $0.map { $0 > span.upperBound } ?? false } ?? run.count - 1
            let files = run[max(0, begin - 1)...min(end + 1, run.count - 1)]
            guard let first = files.first, let last = files.last else { continue }
            try dump("\(first)", "\(last)", tools, deadline, stop) { moments.take($0) }
        }
        return moments
    }

    private func modified(_ name: String) -> Instant? {
        var status = stat()
        guard lstat("\(path)/\(name)", &status) == 0 else { return nil }
        return Instant(secondsSince1970: Int64(status.st_mtim.tv_sec), milliseconds: Int64(status.st_mtim.tv_nsec) / 1_000_000)
    }

    private func dump(
        _ first: String, _ last: String, _ tools: PostgresTools, _ deadline: Duration, _ stop: StopSignal,
        _ take: (Substring) -> Void
    ) throws(Failure) {
        // Before version 15 only one kind of records could be named.
        let kinds = tools.major >= 15 ? ["--rmgr=Heap", "--rmgr=Transaction"] : []
        let tool = tools.tool("pg_waldump")
        let stream = try ProgramStream(
            tool.program(["--path=\(path)"] + kinds + [first, last], deadline: deadline), .reading, stall: nil, stop: stop)
        var rest: [UInt8] = []
        do throws(Failure) {
            try stream.readAll { (piece) throws(Failure) in
                rest += piece
                guard let end = rest.lastIndex(of: 0x0A) else { return }
                for line in String(decoding: rest[..<end], as: UTF8.self).textLines() { take(line) }
                rest.removeSubrange(...end)
            }
        } catch {
            // It ends with an error where the log ends, whatever it has printed before.
            guard let end = stream.end, end.cause == .itself, case .exited = end.termination, stream.bytes > 0 else {
                throw error
            }
        }
    }
}
