public import SerinModel
public import SerinPolicies

/// Whether one could recover today: what the catalogue knows of it, and what people say.
public struct Readiness: Sendable, Hashable {
    /// What only people can say. Each holds for a quarter.
    public enum Statement: String, Sendable, Hashable, CaseIterable {
        /// Those who may be called have rehearsed a recovery.
        case team
        /// The runbook is found and read without the systems that it is about.
        case runbook
        /// A copy of every key that opens backups lies where this machine's loss does not take it along.
        case keys

        /// What is asked.
        public var question: String {
            switch self {
            case .team: "have those who may be called rehearsed a recovery?"
            case .runbook: "is the runbook found without the systems that it is about?"
            case .keys: "is there a copy of every key that opens backups, away from this machine?"
            }
        }

        /// The topic of the notes that say so.
        public var topic: String { "readiness \(rawValue)" }
    }

    /// The oldest that the newest backup may be, unless the plan asks for younger ones.
    public static let oldest = Duration.hours(24)
    /// How long a rehearsal and what people said count.
    public static let quarter = Duration.hours(24 * 92)

    /// What was looked at.
    public var checks: [BackupCheck]

    /// What the catalogue and its notes know of a plan's target.
    ///
    /// - Parameter notes: Those of the drills' items and of what people said.
    public init(of plan: BackupPlan, _ records: [BackupRecord], notes: [AuditNote], at now: Instant) {
        checks = []
        let kind = plan.source.defaultKind
        let limit = min(Readiness.oldest, plan.maximumAge(of: kind) ?? Readiness.oldest)
        let newest = records.filter {
            $0.kind == kind && $0.state.isRestorable && !$0.usableCopies.isEmpty && !$0.isFromTheFuture(at: now)
        }.map(\.createdAt).max()
        checks.append(
            BackupCheck(
                "newest backup", passed: newest.map { now - $0 <= limit } ?? false,
                detail: newest.map { "\(now - $0) old, at most \(limit)" } ?? "there is none of the kind \(kind.rawValue)"))
        if let hole = RecoveryWindow(of: records).hole {
            checks.append(BackupCheck("write-ahead log", passed: false, detail: "\(hole.words); \(RecoveryWindow.Gap.remedy)"))
        }
        let drill = records.compactMap(\.drill).filter { $0.at.isBelievable(at: now) }.max { ($0.at, $0.id) < ($1.at, $1.id) }
        let isTested = drill.map { $0.isProof && now - $0.at <= Readiness.quarter } ?? false
        checks.append(
            BackupCheck(
                "tested by a restore", passed: isTested,
                detail: drill.map {
                    let end = $0.isProof ? "passed" : $0.passed ? "only unpacked it" : "FAILED"
                    return "drill \($0.id) \(end) at \($0.at)"
                } ?? "no drill was held"))
        let open = DrillItems(in: records, notes: notes)
        checks.append(
            BackupCheck(DrillItems.check, passed: open == nil, detail: open?.finding.detail ?? "none is open"))
        for statement in Statement.allCases {
            let said = notes.last { $0.topic == statement.topic && $0.at.isBelievable(at: now) }
            checks.append(
                BackupCheck(
                    statement.rawValue, passed: said.map { now - $0.at <= Readiness.quarter } ?? false,
                    detail: said.map { "\($0.by) at \($0.at): \($0.text)" } ?? "nobody has said: \(statement.question)"))
        }
    }
}
