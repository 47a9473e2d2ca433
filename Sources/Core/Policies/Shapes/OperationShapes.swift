internal import SerinModel

/// `postgres:`
let postgresShape = Section(
    fields: secretFields("url", "the primary's connection string") + [
        Field(
            "replicas",
            .list(
                .section(
                    Section(fields: secretFields("url", "the replica's connection string"), exactlyOne: [secretKeys("url")])),
                least: 1),
            .optional, "replicas that must exist; without it those attached at the start must stay")
    ] + DatabaseSignal.allCases.map { Field($0.rawValue, .section(limitShape(of: $0)), .optional, help(for: $0)) },
    exactlyOne: [secretKeys("url")])

private func limitShape(of signal: DatabaseSignal) -> Section {
    let form: ScalarForm =
        switch signal {
        case .blockedSessions, .ungrantedLocks, .deadlocks: .integer(0...1_000_000)
        case .longestLockWait, .replicationLag, .longestTransaction, .idleInTransaction: .duration(.zero...(.hours(24 * 30)))
        case .replicationLagBytes, .slotRetained: .bytes
        case .connectionSaturation: .share(most: 1, canBeZero: false)
        }
    return Section(
        fields: [
            Field("max", form, .optional, "largest value allowed"),
            Field(
                "max_ratio", .number(least: 1, isExclusive: true), .optional,
                "largest multiple of the value before the rollout; 2 allows twice as much"),
            Field("for", .duration(.zero...(.hours(24))), .fallback("0s"), "how long it must be exceeded; 0s acts at once"),
        ], atLeastOne: [["max", "max_ratio"]])
}

private func help(for signal: DatabaseSignal) -> String {
    switch signal {
    case .blockedSessions: "sessions that wait for a lock"
    case .longestLockWait: "longest wait for a lock"
    case .ungrantedLocks: "locks asked for and not granted"
    case .replicationLag: "lag of the slowest expected replica in time"
    case .replicationLagBytes: "write-ahead log that the slowest expected replica has not replayed"
    case .longestTransaction: "age of the oldest open transaction of a client"
    case .idleInTransaction: "age of the oldest session idle in a transaction"
    case .connectionSaturation: "client connections over those allowed"
    case .deadlocks: "deadlocks since the rollout began"
    case .slotRetained: "write-ahead log kept back for the slowest replication slot"
    }
}

/// `deploy:`, `promote:` and `rollback:`
let actionShape = Section(
    fields: callFields + [
        Field(
            "check", .section(Section(fields: callFields, exactlyOne: [["run", "http"]])), .optional,
            "reads whether it was done: exit status 0 or 2xx; without it an unknown outcome calls a person"),
        Field("deadline", .duration(.seconds(1)...(.hours(24))), .fallback("5m"), "for one attempt"),
        Field(
            "env", .list(.scalar(.environmentName), least: 1), .optional,
            "names of the controller's environment variables that 'run' is given besides PATH, HOME and LANG; their values are "
                + "never journaled, and taken out of outputs"),
    ], exactlyOne: [["run", "http"]])

let callFields = [
    Field(
        "run", .list(.scalar(.anyText), least: 1), .optional,
        "a program and its arguments, without a shell; {{version}} and {{previous}} are replaced"),
    Field(
        "http",
        .section(
            endpointShape(
                "the address; {{version}} and {{previous}} are replaced",
                others: [
                    Field(
                        "method", .word(["POST", "PUT", "PATCH", "DELETE", "GET"]), .derived("POST; GET for a check"),
                        "the method"),
                    Field("body", .text, .optional, "the body, sent as JSON when it begins with { or ["),
                ])), .optional, "an HTTP request; 2xx is success"),
]

/// `notify:`
let rolloutNotifyShape = Section(fields: [
    Field(
        "run", .list(.scalar(.anyText), least: 1), .required,
        "a program and its arguments, without a shell; it gets each message as JSON on its standard input, and PATH, HOME and LANG"
    )
])

/// `backup:`
let rolloutBackupShape: Section = {
    var section = Section(
        fields: [
            Field(
                "before", .word(RolloutBackupPolicy.Before.allCases.map(\.rawValue)), .required,
                "always: every rollout; migrations: those that migrate the database"),
            Field("plan", .path, .optional, "the backup plan's file"),
            Field(
                "to", .list(.scalar(.text), least: 1), .optional,
                "a dump of the policy's own postgres into these folders, as file:///var/backups/checkout; other places need a plan"
            ),
        ] + secretFields("key", "the passphrase of a dump to 'to'") + [
            Field(
                "deadline", .duration(.seconds(10)...(.hours(24))), .fallback("1h"),
                "for the backup and its verification; then the rollout is refused")
        ])
    section.exactlyOne = [["plan", "to"]]
    section.atMostOne = [["plan"] + secretKeys("key")]
    return section
}()
