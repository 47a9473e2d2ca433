internal import SerinModel

/// `prometheus:`
let prometheusShape = endpointShape(
    "the server's base address",
    others: [
        Field(
            "canary", .map(keys: .labelName, .scalar(.text), least: 1), .required,
            "the labels of the canary's series; {{version}} and {{previous}} are replaced"),
        Field("control", .map(keys: .labelName, .scalar(.text), least: 1), .required, "the labels of the control's series"),
        Field("instance_label", .labelName, .fallback("instance"), "the label that names an instance"),
        Field(
            "timeout", .duration(.milliseconds(50)...(.minutes(2))), .derived("5s, or poll ÷ 2 if that is less"),
            "for one answer; at most half a poll"),
        Field(
            "stale_after", .duration(.seconds(1)...(.hours(1))), .derived("2.5 scrape intervals"), "how old a sample may be"),
    ])

/// `alerts:`
let alertsShape = Section(fields: [
    Field("match", matchersShape(least: 1), .required, "labels that an alert must have, all of them"),
    Field(
        "alertmanager", .section(endpointShape("the Alertmanager's base address", others: [])), .optional,
        "an Alertmanager to ask as well as Prometheus"),
])

/// Conditions on labels: regular expressions anchored at both ends, or lists of them.
func matchersShape(least: Int) -> Shape {
    .map(
        keys: .labelName,
        .either([
            Shape.Variant("a regular expression such as \"5..\"", .scalar(.text)),
            Shape.Variant("a list of them", .list(.scalar(.text), least: 1)),
        ]), least: least)
}

/// One signal, told apart by its keys.
let signalShape = Shape.either([
    Shape.Variant("{counter: …, bad: …}", decidedBy: ["bad"], .section(ratioShape)),
    Shape.Variant("{counter: …, per: …}", decidedBy: ["per"], .section(perShape)),
    Shape.Variant("{counter: …}", decidedBy: ["counter"], .section(rateShape)),
    Shape.Variant("{histogram: …, quantile: …}", decidedBy: ["histogram"], .section(latencyShape)),
    Shape.Variant("{gauge: …}", decidedBy: ["gauge"], .section(gaugeShape)),
    Shape.Variant("{promql: …}", decidedBy: ["promql"], .section(expressionShape)),
])

private let share = ScalarForm.share(most: 1, canBeZero: true)
private let anyShare = ScalarForm.share(most: 1_000_000, canBeZero: false)

private let ratioShape = Section(
    fields: [
        Field("counter", .metric, .required, "the counter of all events"),
        Field("bad", matchersShape(least: 1), .required, "labels of the bad events: regular expressions, anchored"),
    ] + countFields(floor: share, hardLimit: .share(most: 1, canBeZero: false), floors: ("0.01%", "0.1%")))

private let perShape = Section(
    fields: [
        Field("counter", .metric, .required, "the counter of bad events"),
        Field("per", .metric, .required, "the counter of what they are counted against"),
    ] + countFields(floor: share, hardLimit: anyShare, floors: ("0.01%", "0.1%")))

private let rateShape = Section(
    fields: [Field("counter", .metric, .required, "the counter of bad events, counted for each second that an instance runs")]
        + countFields(floor: .perSecond, hardLimit: .perSecond, floors: ("0.0001/s", "0.001/s")))

private let latencyShape = Section(
    fields: [
        Field("histogram", .metric, .required, "the classic histogram in seconds, without _bucket"),
        Field("quantile", .quantile, .required, "the quantile whose time is compared"),
    ] + commonFields(hardLimit: .duration(.milliseconds(1)...(.hours(24))), minExposure: "100") + [
        Field("slack", .duration(.zero...(.hours(1))), .fallback("5ms"), "slow-down that is always allowed"),
        assuranceField([]),
    ])

private let gaugeShape = Section(
    fields: [Field("gauge", .metric, .required, "the gauge, averaged for each instance")] + gaugeFields(reportOnly: "false"))

private let expressionShape = Section(
    fields: [Field("promql", .text, .required, "an expression with the labels that tell the cohorts apart, read as a gauge")]
        + gaugeFields(reportOnly: "true"))

private func gaugeFields(reportOnly: String) -> [Field] {
    commonFields(hardLimit: .number(least: 0, isExclusive: true), minExposure: "10", reportOnly: reportOnly) + [
        directionField,
        Field("slack", .number(least: 0, isExclusive: false), .fallback("0"), "difference that is always allowed"),
        assuranceField([]),
    ]
}

private func countFields(floor: ScalarForm, hardLimit: ScalarForm, floors: (fail: String, pass: String)) -> [Field] {
    commonFields(hardLimit: hardLimit, minExposure: "100") + [
        directionField,
        Field("floor", floor, .fallback(floors.fail), "absolute difference that is never reported as a fail"),
        assuranceField([
            Field(
                "floor", floor, .derived("\(floors.pass), or the signal's floor if that is more"),
                "absolute difference that a pass does not exclude")
        ]),
    ]
}

private func assuranceField(_ others: [Field]) -> Field {
    Field(
        "assurance",
        .section(
            Section(
                fields: [
                    Field("tolerance", anyShare, .derived("the signal's tolerance"), "relative difference that a pass excludes")
                ]
                    + others)), .optional, "what a pass must exclude")
}

private let directionField = Field(
    "direction", .word(SignalPolicy.Direction.allCases.map(\.rawValue)), .fallback("increase"),
    "which way is worse; either is the literal band in both directions")

private func commonFields(hardLimit: ScalarForm, minExposure: String, reportOnly: String = "false") -> [Field] {
    [
        Field(
            "exclude", matchersShape(least: 1), .optional,
            "series that do not count: regular expressions on labels, any of which excludes"),
        Field("tolerance", anyShare, .fallback("10%"), "relative difference from the control that is allowed"),
        Field(
            "hard_limit", hardLimit, .optional,
            "value beyond which one poll fails, judged on the last 60 s with at least 5 events"),
        Field("security", .flag, .fallback("false"), "whether a significant rise is a security event, which halts"),
        Field("report_only", .flag, .fallback(reportOnly), "whether it is shown but decides nothing"),
        Field(
            "proof", .word(SignalPolicy.Proof.allCases.map(\.rawValue)), .derived("beyond; any for a security signal"),
            "what a fail must prove: more than the tolerance, or any regression"),
        Field(
            "judge", .word(SignalPolicy.Judge.allCases.map(\.rawValue)), .fallback("sequential"),
            "sequential is the anytime-valid test; threshold compares the totals over the bake"),
        Field(
            "min_exposure", .number(least: 1, isExclusive: false), .fallback(minExposure),
            "canary requests (for a rate: seconds, for a gauge: samples) below which there are too few to judge"),
    ]
}
