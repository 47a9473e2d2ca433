internal import SerinModel
internal import SerinRollouts
internal import SerinTrials

/// The named schemas of the OpenAPI document.
enum Components {
    static var schemas: JSONValue {
        .sortedObject(
            (rolloutsSchemas + recordsSchemas + othersSchemas + backupsSchemas).map { JSONValue.Member($0.name, $0.schema) })
    }

    private typealias Component = (name: String, schema: JSONValue)

    private static func constant(_ text: String) -> JSONValue { .object(["const": .string(text)]) }

    private static let weight = Schema.text(pattern: "^[0-9]{1,3}([.][0-9]{1,2})?$")

    private static let project = Schema.name(limit: 63)

    private static let rolloutName = Schema.name(limit: 100)

    private static var rolloutsSchemas: [Component] {
        [
            ("Start", start), ("Command", command), ("Rollout", rollout), ("Rollouts", rollouts), ("Gate", gate),
            ("Signal", signal), ("ComputedInterval", computedInterval),
        ]
    }

    private static var recordsSchemas: [Component] {
        [
            ("Decision", decision), ("Log", log), ("Explanation", explanation), ("Entry", entry), ("Evidence", evidence),
            ("Journal", journal), ("Checkpoint", checkpoint), ("Services", services),
            ("SignedCheckpoint", signedCheckpoint), ("Proof", proof),
        ]
    }

    private static var othersSchemas: [Component] {
        [
            ("Problem", problem), ("Readiness", readiness), ("PolicyQuestion", policyQuestion),
            ("PolicyProposal", policyProposal), ("Notifications", notifications), ("Token", token), ("Tokens", tokens),
            ("SimulationQuestion", simulationQuestion), ("BacktestQuestion", backtestQuestion),
        ]
    }

    private static var backupsSchemas: [Component] {
        [
            ("Export", export), ("LogExport", logExport), ("Restore", restore),
            ("BackupApproval", backupApproval), ("ApprovedBackup", approvedBackup), ("JobAnswer", jobAnswer), ("Backup", backup),
            ("Job", job), ("Backups", backups), ("Jobs", jobs),
        ]
    }

    private static var token: JSONValue {
        Schema.object(
            [
                "id": Schema.text(), "prefix": Schema.text(), "name": Schema.text(), "owner": Schema.text(),
                "person": Schema.flag,
                "roles": Schema.list(Schema.text()), "scopes": Schema.list(Schema.text()),
                "projects": Schema.list(Schema.text()), "created": Schema.time, "created_by": Schema.text(), "ends": Schema.time,
                "last_used": Schema.nullable(Schema.time), "state": Schema.oneOf(TokenState.allCases.map(\.rawValue)),
                "revoked": Schema.object(["at": Schema.time, "by": Schema.text(), "reason": Schema.text()]),
            ], optional: ["projects", "revoked"])
    }

    private static var tokens: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/tokens/v1"), "tokens": Schema.list(Schema.reference("Token")),
            "next": Schema.nullable(Schema.text()),
        ])
    }

    private static var backupApproval: JSONValue {
        Schema.object(["request": Schema.text(), "reason": Schema.text()], optional: ["request"], isClosed: true)
    }

    private static var approvedBackup: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/backup-approval/v1"), "backup": Schema.text(), "request": Schema.text(),
            "change": Schema.text(), "by": Schema.text(),
        ])
    }

    private static var start: JSONValue {
        Schema.object(
            [
                "policy": policyText, "version": Schema.text(), "previous": Schema.nullable(Schema.text()),
                "overrides": Schema.nullable(
                    Schema.list(
                        Schema.object(
                            ["key": Schema.text(), "value": Schema.text(), "reason": Schema.text()], isClosed: true))),
            ], optional: ["previous", "overrides"], isClosed: true)
    }

    private static var command: JSONValue {
        Schema.object(
            [
                "reason": Schema.nullable(Schema.text()), "security": Schema.nullable(Schema.flag),
                "plan": Schema.nullable(Schema.text(limit: 64)),
            ], optional: ["reason", "security", "plan"], isClosed: true)
    }

    private static var rollout: JSONValue {
        Schema.object([
            "schema": constant(StatusDocument.schema), "id": rolloutName, "service": Schema.name(limit: 63),
            "version": Schema.text(), "previous": Schema.text(), "state": Schema.text(), "cause": Schema.text(),
            "next": Schema.text(), "final": Schema.flag, "rollback_incomplete": Schema.flag,
            "security_halt": Schema.flag, "watched": Schema.flag, "recorded": Schema.flag,
            "ending": Schema.nullable(Schema.text()),
            "exit_code": Schema.nullable(Schema.integer), "step": Schema.integer, "steps": Schema.integer,
            "weight": Schema.object(["wanted": weight, "observed": Schema.nullable(weight)]),
            "baked": Schema.text(), "bake": Schema.text(), "signals": Schema.list(Schema.reference("Signal")),
            "intervals": Schema.list(Schema.reference("ComputedInterval")),
            "restore_point": Schema.nullable(
                Schema.object(["backup": Schema.text(), "state": Schema.text(), "at": Schema.time])),
            "awaited_approval": Schema.nullable(Schema.text()), "approval_plan": Schema.nullable(Schema.text()),
            "approval_lines": Schema.list(Schema.text()),
            "way_back": Schema.list(Schema.text()), "writes": Schema.oneOf(RolloutMachine.Fence.allCases.map(\.rawValue)),
            "code_back": Schema.flag, "promotion_begun": Schema.flag, "restoring": Schema.flag,
            "unconfirmed_zero": Schema.nullable(
                Schema.object([
                    "since": Schema.time, "tries": Schema.integer, "failed_at": Schema.time, "reason": Schema.text(),
                ])), "started_at": Schema.time, "since": Schema.time,
        ])
    }

    private static var rollouts: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/rollouts/v1"), "rollouts": Schema.list(Schema.reference("Rollout")),
            "next": Schema.nullable(Schema.text()),
        ])
    }

    private static var gate: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/gate/v1"),
            "decision": Schema.oneOf(GateDecision.allCases.map(\.rawValue)), "rollout": Schema.reference("Rollout"),
        ])
    }

    private static var cohort: JSONValue { Schema.object(["events": Schema.number, "exposure": Schema.number]) }

    private static var bounds: JSONValue { Schema.object(["low": Schema.number, "high": Schema.number]) }

    private static var computedInterval: JSONValue {
        Schema.object([
            "signal": Schema.text(), "at": Schema.time, "canary": cohort, "control": cohort,
            "ratio": Schema.nullable(Schema.number), "interval": bounds,
        ])
    }

    private static var signal: JSONValue {
        Schema.object([
            "name": Schema.text(), "verdict": Schema.text(), "reason": Schema.text(),
            "absence": Schema.nullable(Schema.text()), "absent_cohort": Schema.nullable(Schema.text()),
            "report_only": Schema.flag, "security": Schema.flag, "beyond_hard_limit": Schema.flag,
            "control_beyond_hard_limit": Schema.flag,
            "canary": cohort, "control": cohort, "ratio": Schema.nullable(Schema.number), "interval": Schema.nullable(bounds),
            "boundary": Schema.number, "log_e_fail": Schema.number, "log_e_pass": Schema.number, "phi": Schema.number,
            "noise": Schema.text(), "onset": Schema.nullable(Schema.time),
        ])
    }

    private static var decision: JSONValue {
        Schema.object([
            "schema": constant(DecisionDocument.schema), "sequence": Schema.integer, "at": Schema.time,
            "topic": Schema.text(), "text": Schema.text(), "signals": Schema.list(Schema.reference("Signal")),
        ])
    }

    private static var log: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/log/v1"), "decisions": Schema.list(Schema.reference("Decision")),
            "next": Schema.integer,
        ])
    }

    private static var explanation: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/why/v1"), "rollout": Schema.reference("Rollout"), "safe_now": Schema.text(),
            "decisions": Schema.list(Schema.reference("Decision")),
        ])
    }

    private static var entry: JSONValue {
        Schema.object([
            "sequence": Schema.integer, "epoch": Schema.integer, "rollout": Schema.nullable(Schema.text()),
            "at": Schema.integer, "body": Schema.text(), "previous": Schema.text(), "hash": Schema.text(),
        ])
    }

    private static var evidence: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/evidence/v1"), "rollout": rolloutName,
            "decision": Schema.reference("Decision"), "entry": Schema.nullable(Schema.reference("Entry")),
        ])
    }

    private static var journal: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/journal/v1"), "entries": Schema.list(Schema.reference("Entry")),
            "next": Schema.integer,
        ])
    }

    private static var checkpoint: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/checkpoint/v1"), "service": Schema.name(limit: 63), "size": Schema.integer,
            "head": Schema.text(pattern: "^[0-9]+:[0-9a-f]{64}$"),
        ])
    }

    private static var signedCheckpoint: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/signed-checkpoint/v1"), "service": Schema.name(limit: 63), "size": Schema.integer,
            "root": hash, "note": Schema.text(), "key": hash,
        ])
    }

    private static var proof: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/proof/v1"), "rollout": rolloutName, "entry": Schema.reference("Entry"),
            "index": Schema.integer, "path": Schema.list(hash), "checkpoint": Schema.text(), "key": hash,
        ])
    }

    private static let hash = Schema.text(pattern: "^[0-9a-f]{64}$")

    private static var services: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/services/v1"),
            "services": Schema.list(
                Schema.object([
                    "name": Schema.name(limit: 63), "rollout": rolloutName, "version": Schema.text(),
                    "state": Schema.text(), "final": Schema.flag,
                ])),
        ])
    }

    private static var problem: JSONValue {
        Schema.object(
            [
                "type": Schema.oneOf(Problem.Kind.allCases.map(\.type)), "title": Schema.text(), "status": Schema.integer,
                "detail": Schema.text(), "retryable": Schema.flag, "hint": Schema.text(),
                "diagnostics": Schema.list(
                    Schema.object([
                        "file": Schema.text(), "line": Schema.integer, "column": Schema.integer, "message": Schema.text(),
                        "hint": Schema.nullable(Schema.text()),
                    ])),
            ], optional: ["hint", "diagnostics"])
    }

    private static var readiness: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/readiness/v1"), "ready": Schema.flag,
            "checks": Schema.list(
                Schema.object([
                    "name": Schema.text(), "ok": Schema.flag, "complaint": Schema.nullable(Schema.text()),
                    "undelivered": Schema.nullable(
                        Schema.object([
                            "channel": Schema.text(), "waiting": Schema.integer, "oldest": Schema.nullable(Schema.time),
                            "given_up": Schema.integer,
                        ])),
                ])),
        ])
    }

    private static var notifications: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/notifications/v1"),
            "channels": Schema.list(
                Schema.object([
                    "name": Schema.text(), "configured": Schema.flag, "waiting": Schema.integer,
                    "oldest": Schema.nullable(Schema.time), "failure": Schema.nullable(Schema.text()),
                    "delivered": Schema.integer, "failed": Schema.integer,
                ])),
            "given_up": Schema.list(
                Schema.object([
                    "channel": Schema.text(), "id": Schema.text(), "at": Schema.time, "failure": Schema.text(),
                ])),
        ])
    }

    private static var policyProposal: JSONValue {
        Schema.object(
            [
                "policy": policyText, "reason": Schema.nullable(Schema.text(limit: 1000)),
            ], optional: ["reason"], isClosed: true)
    }

    private static let policyText = Schema.object(
        ["file": Schema.nullable(Schema.text()), "text": Schema.text()], optional: ["file"], isClosed: true)

    private static var policyQuestion: JSONValue {
        Schema.object(
            [
                "policy": policyText, "version": Schema.nullable(Schema.text()), "previous": Schema.nullable(Schema.text()),
                "offline": Schema.nullable(Schema.flag),
            ], optional: ["version", "previous", "offline"], isClosed: true)
    }

    private static var simulationQuestion: JSONValue {
        let whole = { (range: ClosedRange<Int>) in
            Schema.nullable(Schema.whole(Int64(range.lowerBound), range.upperBound))
        }
        return Schema.object(
            [
                "policy": policyText, "requests_per_second": Schema.number(in: SimulatedLoad.requestRange),
                "errors": Schema.nullable(Schema.number(in: SimulatedLoad.errorRange)),
                "canary": Schema.nullable(Schema.number(in: SimulatedLoad.canaryRange)),
                "scenario": Schema.nullable(Schema.oneOf(TrafficScenario.allCases.map(\.rawValue))),
                "controls": whole(SimulatedLoad.controlRange), "signal": Schema.nullable(Schema.text()),
                "runs": whole(SimulationQuestion.runRange), "seed": whole(SimulationQuestion.seedRange),
            ], optional: ["errors", "canary", "scenario", "controls", "signal", "runs", "seed"], isClosed: true)
    }

    private static var backtestQuestion: JSONValue {
        Schema.object(["policy": policyText, "rollout": Schema.text()], isClosed: true)
    }

    private static var export: JSONValue {
        Schema.object(
            [
                "project_id": project, "target": Schema.nullable(Schema.text()),
                "format": Schema.oneOf(ExportOrder.Format.allCases.map(\.rawValue)), "compress": Schema.flag,
                "notify_email": Schema.nullable(Schema.text(limit: 254)), "storage_path": Schema.nullable(Schema.text()),
            ], optional: ["target", "format", "compress", "notify_email", "storage_path"], isClosed: true)
    }

    private static var logExport: JSONValue {
        Schema.object(
            [
                "project_id": project, "target": Schema.nullable(Schema.text()),
                "format": Schema.oneOf(["json", "text"]),
                "date_range": Schema.nullable(Schema.object(["start": Schema.time, "end": Schema.time], isClosed: true)),
            ], optional: ["target", "format", "date_range"], isClosed: true)
    }

    private static var restore: JSONValue {
        Schema.object(
            ["backup_id": Schema.text(), "confirm": .object(["const": .bool(true)])], isClosed: true)
    }

    private static var jobAnswer: JSONValue {
        Schema.object([
            "data": Schema.object(
                [
                    "job_id": Schema.text(), "status": Schema.text(), "project_id": Schema.text(),
                    "backup_id": Schema.text(), "created_at": Schema.time,
                ], optional: ["backup_id"])
        ])
    }

    private static var backup: JSONValue {
        Schema.anything
    }

    private static var job: JSONValue {
        Schema.anything
    }

    private static var backups: JSONValue {
        Schema.object([
            "schema": constant("serin.dev/backups/v1"), "backups": Schema.list(Schema.reference("Backup")),
            "next": Schema.nullable(Schema.text()),
        ])
    }

    private static var jobs: JSONValue {
        Schema.object(["schema": constant("serin.dev/jobs/v1"), "jobs": Schema.list(Schema.reference("Job"))])
    }
}
