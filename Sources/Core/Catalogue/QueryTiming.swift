internal import SerinModel
internal import SerinRecords

/// How long one of the plan's timed queries took in a restored database. The ones that passed are the baseline of the next.
public struct QueryTiming: Sendable, Hashable, Codable {
    /// The query's name in the plan.
    public var name: String
    /// How long it took, the best of three runs, in milliseconds.
    public var milliseconds: Int64
    /// Whether that was in a drill's own server; those are compared with one another only.
    public var isRehearsal: Bool
    /// Whether it was quick enough.
    public var passed: Bool

    /// A timing.
    public init(name: String, milliseconds: Int64, isRehearsal: Bool, passed: Bool = true) {
        self.name = name
        self.milliseconds = milliseconds
        self.isRehearsal = isRehearsal
        self.passed = passed
    }

    /// The topic of the notes.
    public static let topic = "timing"
    /// So many times the baseline a query may take.
    public static let allowance: Int64 = 2
    /// Differences below this prove nothing, in milliseconds.
    public static let noise: Int64 = 50
    /// So many of the last ones make the baseline.
    public static let memory = 5

    /// The text of the note that remembers it.
    public func noteText() throws(ManifestError) -> String {
        do throws(RecordError) { return String(decoding: try CanonicalEncoder.bytes(of: self), as: UTF8.self) } catch {
            throw ManifestError("the timing of \(name) cannot be noted: \(error)")
        }
    }

    /// The median of the last ones of this query that passed, the oldest note first; nil for the first time.
    public func baseline(in notes: [AuditNote]) -> Int64? {
        let past = notes.compactMap { note -> QueryTiming? in
            guard note.topic == QueryTiming.topic else { return nil }
            // A note that cannot be read is no baseline.
            return try? CanonicalDecoder.decode(QueryTiming.self, from: Array(note.text.utf8))
        }.filter { $0.name == name && $0.isRehearsal == isRehearsal && $0.passed }
        let last = past.suffix(QueryTiming.memory).map(\.milliseconds).sorted()
        return last.isEmpty ? nil : last[last.count / 2]
    }

    /// The check against a baseline, and the timing with its result.
    public func judged(against baseline: Int64?) -> (timing: QueryTiming, check: BackupCheck) {
        var timing = self
        let limit = baseline.map {
            max((Duration(milliseconds: $0) * QueryTiming.allowance).milliseconds, saturatingSum([$0, QueryTiming.noise]))
        }
        timing.passed = limit.map { milliseconds <= $0 } ?? true
        let words = baseline.map { "usually \($0) ms" } ?? "the first time"
        return (timing, BackupCheck("timed \(name)", passed: timing.passed, detail: "\(milliseconds) ms, \(words)"))
    }
}
