public import SerinModel

/// How long others had to wait for a migration, as far as looks every 50 ms see it.
public struct BlockingReport: Sendable, Hashable {
    /// The time in which at least one session waited.
    public var total: Duration
    /// The longest wait of one session.
    public var longest: Duration
    /// The most sessions that waited at once.
    public var mostQueued: Int

    /// A report.
    public init(total: Duration = .zero, longest: Duration = .zero, mostQueued: Int = 0) {
        self.total = total
        self.longest = longest
        self.mostQueued = mostQueued
    }

    /// Both together, one after the other.
    public static func + (left: BlockingReport, right: BlockingReport) -> BlockingReport {
        BlockingReport(
            total: left.total + right.total, longest: max(left.longest, right.longest),
            mostQueued: max(left.mostQueued, right.mostQueued))
    }
}
