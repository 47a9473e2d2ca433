internal import SerinModel

/// The declaration of the whole policy. The drivers declare their own part.
func policyShape(drivers: [DriverSchema]) -> Section {
    var section = Section(
        fields: [
            Field("version", .integer(1...1), .required, "the version of this format"),
            Field("service", .name, .required, "the service; it has one live rollout at most"),
            Field(
                "environment", .word(Policy.Environment.allCases.map(\.rawValue)), .fallback("production"),
                "where it runs; only demo may bake for less than 30m and needs no approval of overrides"),
            Field("traffic", .section(trafficShape(drivers: drivers)), .required, "the load balancer and the canary's shares"),
            Field("prometheus", .section(prometheusShape), .required, "where evidence is read, and which series are whose"),
            Field("signals", .map(keys: .signalName, signalShape, least: 1), .required, "what is compared, each under a name"),
            Field("alerts", .section(alertsShape), .optional, "alerts that halt while they fire"),
            Field("postgres", .section(postgresShape), .optional, "limits on the database"),
            Field(
                "backup", .section(rolloutBackupShape), .optional,
                "a verified backup before anything is deployed; a rollout that cannot have it is refused"),
            Field(
                "migrations", .section(migrationShape), .optional,
                "moves the schema forward before the canary, and back after the code; what takes something away waits for the promotion"
            ),
            Field("deploy", .section(actionShape), .optional, "brings the canary up; without it the pipeline has done so"),
            Field(
                "promote", .section(actionShape), .optional, "gives the new version to control after the verdict; needs rollback"),
            Field("rollback", .section(actionShape), .optional, "brings the previous version back"),
            Field("notify", .section(rolloutNotifyShape), .optional, "who is told, beside the log of whoever runs the rollout"),
            Field(
                "security_approvals", .integer(1...10), .fallback("2"),
                "how many different people must approve the first rollout after a security halt"),
        ] + reactionFields + timingFields)
    section.planned = ["backups", "notifications", "approvals", "schedule", "freeze", "stores"]
    return section
}

private let reactionFields: [Field] = [
    Field(
        "on_failure", .word(Policy.OnFailure.allCases.map(\.rawValue)), .fallback("rollback"),
        "after a fail the weight goes to 0 in every case; rollback then runs the rollback action, drain leaves the canary for study"
    ),
    Field(
        "on_inconclusive", .word(Policy.OnDoubt.allCases.map(\.rawValue)), .fallback("hold"),
        "when max_bake is over without a verdict"),
    Field(
        "on_telemetry_loss", .word(Policy.OnDoubt.allCases.map(\.rawValue)), .fallback("hold"),
        "when evidence is missing; a hold is rolled back after loss_for"),
    Field(
        "on_drift", .word(Policy.OnDrift.allCases.map(\.rawValue)), .fallback("hold"),
        "when someone else lowered the weight; one that was raised is lowered at once, always"),
]

let timingFields: [Field] = [
    Field(
        "bake", time(.seconds(1), .hours(24 * 30)), .fallback("30m"),
        "least observed healthy time before promotion, from 5 % up; at least 30m unless environment is demo"),
    Field(
        "step_for", time(.seconds(1), .hours(24 * 30)), .derived("bake ÷ number of judged steps"),
        "least healthy time at each step"),
    Field("max_bake", time(.seconds(1), .hours(24 * 90)), .derived("4 × bake"), "longest bake, then on_inconclusive"),
    Field(
        "warmup", time(.zero, .hours(24)), .fallback("2m"),
        "after each raise, neither evidence nor bake; at least 30s unless environment is demo"),
    Field(
        "poll", time(.milliseconds(200), .minutes(5)), .fallback("15s"), "between two readings of telemetry, database and weight"),
    Field("watch", time(.seconds(1), .hours(24)), .fallback("5m"), "how long a last step of 100 % is watched"),
    Field("hold_for", time(.seconds(1), .hours(24 * 7)), .fallback("24h"), "how long a hold lasts before it is rolled back"),
    Field(
        "loss_for", time(.seconds(1), .hours(24)), .fallback("10m"),
        "how long telemetry or the observed share may be wrong, or the promoted version unseen, before a rollback"),
    Field("min_evidence", time(.seconds(1), .hours(24)), .fallback("30s"), "least evidence before a fail"),
    Field("preflight_deadline", time(.seconds(1), .hours(1)), .fallback("2m"), "for the preflight"),
    Field("raise_deadline", time(.seconds(10), .hours(1)), .fallback("2m"), "for a raise until it is read back"),
    Field("halt_deadline", time(.seconds(1), .minutes(10)), .fallback("15s"), "for an accepted halt until 0 is read back"),
    Field("rollback_deadline", time(.seconds(1), .hours(24)), .fallback("10m"), "for a whole rollback until a person is called"),
    Field(
        "approval_deadline", time(.seconds(1), .hours(24 * 7)), .fallback("24h"),
        "for an approval until the rollout is rolled back"),
    Field(
        "approval_for", time(.seconds(1), .hours(24 * 7)), .fallback("30m"),
        "how long an approval counts: all who must agree do so within it, and what they agreed to begins within it"),
    Field(
        "watchdog_after", time(.seconds(1), .hours(1)), .fallback("30s"),
        "without a controller, until the watchdog lowers the weight"),
]

private func time(_ least: Duration, _ most: Duration) -> ScalarForm { .duration(least...most) }

private func trafficShape(drivers: [DriverSchema]) -> Section {
    // The balancer's own granularity is checked once the driver is known.
    let weight = Shape.scalar(.weight(granularity: 1))
    let step = Section(fields: [
        Field("weight", weight, .required, "the canary's share"),
        Field("approval", .flag, .fallback("false"), "whether a person must approve before the step is entered"),
    ])
    let steps = Shape.list(
        .either([Shape.Variant("a share such as 5", weight), Shape.Variant("{weight: 5%, approval: true}", .section(step))]),
        least: 1)
    var section = Section(
        fields: drivers.map { driver in
            Field(driver.name, .section(Section(fields: driver.fields.map(driverField))), .optional, driver.help)
        } + [
            Field(
                "steps", steps, .required, "the canary's shares in ascending order; a last one of 100 is entered only on a pass")
        ])
    section.exactlyOne = [drivers.map(\.name)]
    return section
}

/// A field as a driver declares it.
func driverField(_ field: DriverSchema.Field) -> Field {
    let presence: Field.Presence =
        if let fallback = field.fallback { .fallback(fallback) } else if field.isRequired { .required } else { .optional }
    return Field(field.key, form(of: field), presence, field.help)
}

private func form(of field: DriverSchema.Field) -> ScalarForm {
    switch field.form {
    case .text: .text
    case .url: .url
    case .path: .path
    case .name: .name
    case .duration: .duration(.milliseconds(1)...(.hours(24)))
    case .jsonPointer: .jsonPointer
    case .oneOf(let words): .word(words)
    case .integer(let range): .integer(range)
    case .bytes: .bytes
    case .secret: secretForm(of: field.key)
    }
}

/// What a reference to a secret must be, by the end of its key.
func secretForm(of key: String) -> ScalarForm {
    key.hasSuffix("_file") ? .path : key.hasSuffix("_cred") ? .credentialName : .environmentName
}

/// The three ways to refer to a secret.
func secretFields(_ key: String, _ help: String) -> [Field] {
    [
        Field(key + "_env", .environmentName, .optional, "\(help): the name of an environment variable"),
        Field(key + "_file", .path, .optional, "\(help): the path of a file"),
        Field(key + "_cred", .credentialName, .optional, "\(help): the name of a systemd credential"),
    ]
}

/// The keys of `secretFields`.
func secretKeys(_ key: String) -> [String] { [key + "_env", key + "_file", key + "_cred"] }

/// A server that speaks HTTP.
func endpointShape(_ urlHelp: String, others: [Field]) -> Section {
    let basic = Section(
        fields: [Field("username", .text, .required, "the user's name")] + secretFields("password", "the password"),
        exactlyOne: [secretKeys("password")])
    var section = Section(
        fields: [Field("url", .url, .required, urlHelp)] + others
            + [Field("basic", .section(basic), .optional, "basic authentication")]
            + secretFields("bearer", "a bearer token")
            + [Field("ca_file", .path, .optional, "certificates to trust instead of the system's")])
    section.atMostOne = [["basic"] + secretKeys("bearer")]
    return section
}
