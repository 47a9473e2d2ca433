public import SerinModel
internal import SerinRecords

/// How long a restore took, from the backup found until the checks were done. A target's last ones foretell the next.
public struct RestoreTiming: Sendable, Hashable, Codable {
    /// What the backup was made of.
    public var kind: BackupKind
    /// Its size before compression, in bytes.
    public var bytes: Int64
    /// How long it took, in milliseconds.
    public var milliseconds: Int64

    /// A timing.
    public init(kind: BackupKind, bytes: Int64, milliseconds: Int64) {
        self.kind = kind
        self.bytes = bytes
        self.milliseconds = milliseconds
    }

    /// The topic of the notes that remember restores; drills are remembered by the backups themselves.
    public static let topic = "restored"

    /// The text of the note that remembers it.
    public func noteText() throws(ManifestError) -> String {
        do throws(RecordError) { return String(decoding: try CanonicalEncoder.bytes(of: self), as: UTF8.self) } catch {
            throw ManifestError("the time of a restore cannot be noted: \(error)")
        }
    }
}

/// How long a restore will take, by what the last restores and drills of the target took.
public struct RestoreEstimate: Sendable, Hashable {
    /// What is to be expected: the median.
    public var usual: Duration
    /// The longest of those that were looked at.
    public var longest: Duration
    /// How many were looked at.
    public var count: Int

    /// So many of the last ones are looked at.
    public static let memory = 5

    /// An estimate; nil where nothing of this kind was ever restored.
    ///
    /// A larger backup takes longer in proportion; a smaller one is not believed to be quicker, because part of the time is the
    /// same for every size.
    ///
    /// - Parameters:
    ///   - record: What is to be restored.
    ///   - records: Every backup of its target.
    ///   - notes: The notes of the topic `RestoreTiming.topic` about it, the oldest first.
    public init?(of record: BackupRecord, among records: [BackupRecord], notes: [AuditNote]) {
        guard let bytes = record.facts.map({ Int64(clamping: $0.envelope.plainBytes) }) else { return nil }
        var past: [(at: Instant, timing: RestoreTiming)] = []
        for note in notes where note.topic == RestoreTiming.topic {
            // A note that cannot be read foretells nothing.
            guard let timing = try? CanonicalDecoder.decode(RestoreTiming.self, from: Array(note.text.utf8)) else { continue }
            past.append((note.at, timing))
        }
        for other in records {
            guard let drill = other.drill, drill.restored, let time = drill.clock.restoreTime, let facts = other.facts else {
                continue
            }
            let size = Int64(clamping: facts.envelope.plainBytes)
            past.append((drill.at, RestoreTiming(kind: other.kind, bytes: size, milliseconds: time.milliseconds)))
        }
        let last = past.filter { $0.timing.kind == record.kind }.sorted { $0.at < $1.at }.suffix(RestoreEstimate.memory)
        let times = last.map { entry -> Int64 in
            let known = max(1, entry.timing.bytes)
            guard bytes > known else { return entry.timing.milliseconds }
            let time = (Double(entry.timing.milliseconds) * Double(bytes) / Double(known)).rounded(.up)
            return Int64(exactly: time) ?? .max
        }.sorted()
        guard let longest = times.last else { return nil }
        usual = .milliseconds(times[times.count / 2])
        self.longest = .milliseconds(longest)
        count = times.count
    }
}
