internal import SerinModel

/// Watches the series for the new version on control: on instances that did not show it before the promotion began.
struct NewVersionWatch: Sendable, Hashable {
    /// The labels that name the new version.
    private let version: [Label]
    private let instanceLabel: String
    /// Instances that showed the new version before the promotion.
    private var canaries: Set<String> = []
    /// Those of them that showed control's version at the last poll as well: several processes go by one name there.
    private var shared: Set<String> = []
    /// Instances that showed the new version on control.
    private var renewed: Set<String> = []
    private var hasBegun = false
    private var isSeen = false

    init(_ plan: EvidencePlan) {
        version = plan.newVersion
        instanceLabel = plan.instanceLabel
    }

    /// What the last poll said.
    var sight: NewVersionSight {
        // Without names nobody can tell an instance of control from one of the canary.
        if canaries.isEmpty { return .untold }
        return isSeen ? .seen : .unseen
    }

    /// The promotion begins: whoever shows the new version so far is the canary.
    mutating func promotionBegan() { hasBegun = true }

    /// Takes one poll's answer.
    mutating func advance(_ reading: TelemetryReading, table: QueryTable, _ context: PollContext) {
        guard !version.isEmpty else { return }
        var new: Set<String> = []
        var old: Set<String> = []
        for series in reading.series {
            for row in series.rows {
                let name = row.label(instanceLabel)
                let isFresh = row.sampledAt.map { context.at - $0 <= context.stale } ?? true
                guard !name.isEmpty, row.value.isFinite, isFresh else { continue }
                if row.labels.contain(version) { new.insert(name) }
                if table.cohort(of: row.labels) == .control { old.insert(name) }
            }
        }
        guard hasBegun else {
            canaries.formUnion(new)
            shared = canaries.intersection(old)
            return
        }
        // A shared name shows the new version on control once control's version is gone from it.
        let here = new.filter { !canaries.contains($0) || shared.contains($0) && !old.contains($0) }
        renewed.formUnion(here)
        let isWhole = reading.failures.isEmpty && reading.series.allSatisfy { $0.failure == nil && $0.warnings.isEmpty }
        isSeen = isWhole && !here.isEmpty && renewed.isDisjoint(with: context.down)
    }

    /// A poll without an answer shows nothing.
    mutating func miss() { isSeen = false }
}
