/// Which engine version ran in each epoch of a store, read from the store's own entries.
public struct EngineHistory: Sendable, Hashable {
    private struct Opening: Sendable, Hashable {
        var epoch: Int64
        var version: String
    }

    private var openings: [Opening] = []

    /// Nothing known yet.
    public init() {}

    /// Learns from an entry; any but a store's opening is left aside.
    public mutating func take(_ entry: Entry) throws(RecordError) {
        guard entry.rollout == nil,
            case .opened(let epoch, let version) = try CanonicalDecoder.decode(Record.self, from: entry.body)
        else { return }
        openings.append(Opening(epoch: epoch, version: version))
    }

    /// The engine version of an epoch; nil when it was never opened.
    public func version(in epoch: Int64) -> String? { openings.last { $0.epoch == epoch }?.version }
}
