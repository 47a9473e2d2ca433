public import SerinModel
public import SerinRollouts
internal import SerinVerdicts

/// The JSON document of a rollout's status, for people and programs: weights in per cent as decimal strings, lengths of time with
/// their unit, times in RFC 3339.
public enum StatusDocument {
    /// What the document's `schema` says.
    public static let schema = "serin.dev/rollout/v1"

    /// The document of a status.
    public static func encode(_ status: RolloutStatus) -> JSONValue {
        // By themselves: in one expression the compiler would not find their types in time.
        let unconfirmedZero: JSONValue = status.unconfirmedZero.map { zeroDocument($0) } ?? .null
        let signals: [JSONValue] = status.signals.map { SignalDocument.encode($0) }
        let intervals: [JSONValue] = status.intervals.map { SignalDocument.encodeInterval($0) }
        let restorePoint: JSONValue = status.restorePoint.map { document($0) } ?? .null
        let exitCode: JSONValue = ExitCode(status).map { .integer($0.rawValue) } ?? .null
        let ending: JSONValue = status.ending.map { .string($0.rawValue) } ?? .null
        let awaited: JSONValue = status.awaitedApproval.map { .string($0) } ?? .null
        let plan: JSONValue = status.approvalPlan.map { .string($0) } ?? .null
        let planLines: [JSONValue] = status.approvalLines.map { .string($0) }
        let wayBack: [JSONValue] = status.wayBack.map { .string($0) }
        return .object([
            "schema": .string(schema),
            "id": .string(status.id.description),
            "service": .string(status.service.description),
            "version": .string(status.version),
            "previous": .string(status.previous),
            "state": .string(status.state),
            "cause": .string(status.cause),
            "next": .string(status.next),
            "final": .bool(status.isFinal),
            "rollback_incomplete": .bool(status.isRollbackIncomplete),
            "security_halt": .bool(status.isSecurityHalt),
            "watched": .bool(status.isWatched),
            "recorded": .bool(status.isRecorded),
            "ending": ending,
            "exit_code": exitCode,
            "step": .integer(status.step),
            "steps": .integer(status.steps),
            "weight": .object([
                "wanted": .string(Notation.text(status.wantedWeight)),
                "observed": status.observedWeight.map { .string(Notation.text($0)) } ?? .null,
            ]),
            "baked": .string(status.baked.description),
            "bake": .string(status.bake.description),
            "signals": .array(signals),
            "intervals": .array(intervals),
            "restore_point": restorePoint,
            "awaited_approval": awaited,
            "approval_plan": plan,
            "approval_lines": .array(planLines),
            "way_back": .array(wayBack),
            "writes": .string(status.fence.rawValue),
            "code_back": .bool(status.isCodeBack),
            "promotion_begun": .bool(status.isPromotionBegun),
            "restoring": .bool(status.isRestoring),
            "unconfirmed_zero": unconfirmedZero,
            "started_at": .string(Notation.text(status.startedAt)),
            "since": .string(Notation.text(status.since)),
        ])
    }

    /// The document of several statuses.
    ///
    /// - Parameter next: The cursor of the page that follows; nil after the last.
    public static func encode(_ statuses: [RolloutStatus], next: String? = nil) -> JSONValue {
        .object([
            "schema": .string("serin.dev/rollouts/v1"), "rollouts": .array(statuses.map { encode($0) }),
            "next": next.map { .string($0) } ?? .null,
        ])
    }

    /// The status in a document.
    public static func decode(_ value: JSONValue) throws(DocumentError) -> RolloutStatus {
        let reader = try DocumentReader(value, name: "rollout")
        guard value["schema"]?.text == schema else { throw reader.wrong("schema", "'\(schema)'") }
        let weight = try DocumentReader(value["weight"] ?? .null, name: "weight")
        var signals: [SignalAssessment] = []
        for item in try reader.get("signals", "a list", { $0.items }) { signals.append(try SignalDocument.decode(item)) }
        var intervals: [ComputedInterval] = []
        for item in try reader.optional("intervals", "a list", { $0.items }) ?? [] {
            intervals.append(try SignalDocument.decodeInterval(item))
        }
        return RolloutStatus(
            id: try reader.get("id", "a rollout") { $0.text.flatMap { RolloutID($0) } },
            service: try reader.get("service", "a service") { $0.text.flatMap { ServiceName($0) } },
            version: try reader.text("version"), previous: try reader.text("previous"), state: try reader.text("state"),
            cause: try reader.text("cause"), next: try reader.text("next"), isFinal: try reader.flag("final"),
            isRollbackIncomplete: try reader.flag("rollback_incomplete"),
            ending: try reader.optional("ending", "an ending") { $0.text.flatMap(Ending.init(rawValue:)) },
            step: try reader.whole("step"), steps: try reader.whole("steps"),
            wantedWeight: try weight.get("wanted", "a weight") { $0.text.flatMap(Notation.weight) },
            observedWeight: try weight.optional("observed", "a weight") { $0.text.flatMap(Notation.weight) },
            baked: try reader.duration("baked"), bake: try reader.duration("bake"), signals: signals,
            awaitedApproval: try reader.optional("awaited_approval", "a text") { $0.text },
            startedAt: try reader.instant("started_at"), since: try reader.instant("since"),
            isSecurityHalt: try reader.flag("security_halt"),
            restorePoint: try reader.optional("restore_point", "a backup", restorePoint),
            isWatched: try reader.flag("watched"),
            approvalPlan: try reader.optional("approval_plan", "a text") { $0.text },
            approvalLines: try reader.optional("approval_lines", "a list") { $0.items?.compactMap(\.text) } ?? [],
            wayBack: try reader.optional("way_back", "a list") { $0.items?.compactMap(\.text) } ?? [],
            fence: try reader.optional("writes", "open, unsure or closed") {
                $0.text.flatMap(RolloutMachine.Fence.init(rawValue:))
            } ?? .open, isCodeBack: try reader.flag("code_back"),
            isPromotionBegun: try reader.optional("promotion_begun", "true or false") { $0 == .bool(true) } ?? false,
            isRestoring: try reader.flag("restoring"),
            unconfirmedZero: try reader.optional("unconfirmed_zero", "the tries for weight 0", unconfirmedZero),
            isRecorded: try reader.flag("recorded"), intervals: intervals)
    }

    private static func zeroDocument(_ zero: UnconfirmedZero) -> JSONValue {
        .object([
            "since": .string(Notation.text(zero.since)), "tries": .integer(zero.tries),
            "failed_at": .string(Notation.text(zero.failedAt)), "reason": .string(zero.reason),
        ])
    }

    private static func unconfirmedZero(_ value: JSONValue) -> UnconfirmedZero? {
        guard let since = value["since"]?.text.flatMap(Notation.instant),
            let tries = value["tries"]?.integer.flatMap({ Int(exactly: $0) }),
            let failedAt = value["failed_at"]?.text.flatMap(Notation.instant), let reason = value["reason"]?.text
        else { return nil }
        return UnconfirmedZero(since: since, tries: tries, failedAt: failedAt, reason: reason)
    }

    private static func document(_ reference: CheckpointReference) -> JSONValue {
        .object([
            "backup": .string(reference.backup.description), "state": .string(reference.state.rawValue),
            "at": .string(Notation.text(reference.at)),
        ])
    }

    private static func restorePoint(_ value: JSONValue) -> CheckpointReference? {
        guard let backup = value["backup"]?.text.flatMap(BackupID.init), let at = value["at"]?.text.flatMap(Notation.instant),
            let state = value["state"]?.text.flatMap(BackupState.init(rawValue:))
        else { return nil }
        return CheckpointReference(backup: backup, state: state, at: at)
    }

    /// The statuses in a document of several.
    public static func decodeList(_ value: JSONValue) throws(DocumentError) -> [RolloutStatus] {
        let reader = try DocumentReader(value, name: "rollouts")
        var statuses: [RolloutStatus] = []
        for item in try reader.get("rollouts", "a list", { $0.items }) { statuses.append(try decode(item)) }
        return statuses
    }

    /// A short text that differs whenever the status does: FNV-1a over the document, 64 bits. It guards nothing.
    public static func token(_ status: RolloutStatus) -> String {
        String(hash(encode(status).canonicalBytes), radix: 16)
    }

    /// FNV-1a, 64 bits.
    static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
