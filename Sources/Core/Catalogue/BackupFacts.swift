public import SerinModel

/// What was produced: everything about a backup that is known once its bytes are written, and never changes.
public struct BackupFacts: Sendable, Hashable, Codable {
    /// When the tool was started.
    public var startedAt: Instant
    /// When the last byte was written.
    public var finishedAt: Instant
    /// Sizes, digests, compression, encryption and key ids.
    public var envelope: EnvelopeFacts
    /// The tool that made it.
    public var tool: ToolFacts
    /// The server that it came from; nil for files.
    public var server: SourceFacts?
    /// The schema's revision, read in the same snapshot.
    public var schemaRevision: String?
    /// The rows of each table in the same snapshot.
    public var rows: RowManifest?

    /// Facts.
    public init(
        startedAt: Instant, finishedAt: Instant, envelope: EnvelopeFacts, tool: ToolFacts, server: SourceFacts? = nil,
        schemaRevision: String? = nil, rows: RowManifest? = nil
    ) {
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.envelope = envelope
        self.tool = tool
        self.server = server
        self.schemaRevision = schemaRevision
        self.rows = rows
    }
}

/// The tool that made a backup.
public struct ToolFacts: Sendable, Hashable, Codable {
    /// Its name: `pg_dump`.
    public var name: String
    /// The version it reported.
    public var version: String
    /// The form it wrote: `custom`, `directory`, `plain`, `tar`, `rdb`, `jsonl`.
    public var format: String
    /// SHA-256 of its arguments, in hexadecimal; they hold no secrets.
    public var argumentsSHA256: String?

    /// A tool.
    public init(name: String, version: String, format: String, argumentsSHA256: String? = nil) {
        self.name = name
        self.version = version
        self.format = format
        self.argumentsSHA256 = argumentsSHA256
    }
}

/// Where a backup came from: enough to know which server it fits and to which point it leads.
public struct SourceFacts: Sendable, Hashable, Codable {
    /// The server's version as it reports it: `15.10`, `7.0.15`.
    public var version: String
    /// Postgres' system identifier.
    public var systemIdentifier: String?
    /// Postgres' timeline.
    public var timeline: Int?
    /// The write-ahead log position at the beginning: `0/3000028`.
    public var lsnStart: LogPosition?
    /// The position at which the data is consistent.
    public var lsnStop: LogPosition?
    /// When the data was consistent: the moment of the snapshot, or of the last record of a range.
    public var consistentAt: Instant?
    /// For a range of write-ahead log: the time of its first commit that was made on its own timeline.
    public var firstCommitAt: Instant?
    /// The first and last file of a range of write-ahead log.
    public var firstSegment: String?
    /// The last file of a range of write-ahead log.
    public var lastSegment: String?
    /// The snapshot: `xmin:xmax:xip`.
    public var snapshot: String?
    /// A digest of the schema.
    public var schemaSHA256: String?
    /// What a restore needs to find: extensions and schemas referred to, sorted.
    public var prerequisites: [String]
    /// For a base backup and a range of write-ahead log: the timelines before its own, the oldest first; nil when they were not
    /// recorded, and for the first one.
    public var history: [TimelineEnd]?
    /// For a dump: the part of the database that it holds; nil when it holds all of it, or nothing was recorded.
    public var part: DumpPart?
    /// For a dump: who its objects belong to, sorted by name; nil when it was not recorded.
    public var owners: [DumpOwner]?
    /// For a dump: further roles that it names, in grants and policies, sorted; nil when it was not recorded.
    public var grantees: [String]?
    /// For a dump: what was out of order in the database itself, sorted: `sequence app.orders_id_seq`, `index app.orders_total`. A
    /// restore that is faithful has it too. Nil when it was not recorded.
    public var flaws: [String]?
    /// For a dump: the extensions of the database, in the order in which they were made; nil when it was not recorded.
    public var extensions: [DumpExtension]?
    /// For rows of a log table: how many of them have no date, or an infinite one. Nil when it was not counted.
    public var undated: Int64?

    /// Rows that no range of dates holds, in words; nil when there are none.
    public var undatedWords: String? {
        undated.flatMap { count in
            count > 0
                ? "\(count) rows have no date, or an infinite one: they are in no range of dates and come with every export" : nil
        }
    }

    /// A timeline that another one left.
    public struct TimelineEnd: Sendable, Hashable, Codable {
        /// The timeline.
        public var timeline: Int
        /// The position at which the next one left it.
        public var end: LogPosition

        /// An end.
        public init(timeline: Int, end: LogPosition) {
            self.timeline = timeline
            self.end = end
        }
    }

    /// A source.
    public init(
        version: String, systemIdentifier: String? = nil, timeline: Int? = nil, lsnStart: LogPosition? = nil,
        lsnStop: LogPosition? = nil, consistentAt: Instant? = nil, firstCommitAt: Instant? = nil, firstSegment: String? = nil,
        lastSegment: String? = nil, snapshot: String? = nil, schemaSHA256: String? = nil, prerequisites: [String] = []
    ) {
        self.version = version
        self.systemIdentifier = systemIdentifier
        self.timeline = timeline
        self.lsnStart = lsnStart
        self.lsnStop = lsnStop
        self.consistentAt = consistentAt
        self.firstCommitAt = firstCommitAt
        self.firstSegment = firstSegment
        self.lastSegment = lastSegment
        self.snapshot = snapshot
        self.schemaSHA256 = schemaSHA256
        self.prerequisites = Set(prerequisites).sorted()
    }
}

/// A position in Postgres' write-ahead log, in its own notation `16/B374D848`.
public struct LogPosition: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// Bytes from the log's beginning.
    public var bytes: UInt64

    /// A position.
    public init(bytes: UInt64) { self.bytes = bytes }

    /// Reads the notation; nil when it is none.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...8).contains(parts[0].utf8.count), (1...8).contains(parts[1].utf8.count),
            parts.allSatisfy({ $0.utf8.allSatisfy(isHexadecimalDigit) }), let high = UInt64(parts[0], radix: 16),
            let low = UInt64(parts[1], radix: 16)
        else { return nil }
        bytes = high << 32 | low
    }

    /// Reads the notation, refusing what is none.
    public init(from decoder: any Decoder) throws {
        guard let position = LogPosition(try decoder.singleValueContainer().decode(String.self)) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "not a position of the log"))
        }
        self = position
    }

    /// Writes the notation.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// `16/B374D848`
    public var description: String {
        String(bytes >> 32, radix: 16, uppercase: true) + "/" + String(bytes & 0xFFFF_FFFF, radix: 16, uppercase: true)
    }

    /// Earlier first.
    public static func < (left: LogPosition, right: LogPosition) -> Bool { left.bytes < right.bytes }
}

private func isHexadecimalDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
}
