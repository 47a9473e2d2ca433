import SerinModel

@testable import SerinPolicies

/// A form of values, to compare its parser with its pattern.
struct FormProbe: CustomStringConvertible {
    let form: ScalarForm
    let hasRange: Bool
    let description: String

    static let all: [FormProbe] = [
        FormProbe(form: .text, hasRange: false, description: "text"),
        FormProbe(form: .name, hasRange: false, description: "name"),
        FormProbe(form: .signalName, hasRange: false, description: "signal name"),
        FormProbe(form: .metric, hasRange: false, description: "metric"),
        FormProbe(form: .labelName, hasRange: false, description: "label"),
        FormProbe(form: .url, hasRange: false, description: "url"),
        FormProbe(form: .path, hasRange: false, description: "path"),
        FormProbe(form: .environmentName, hasRange: false, description: "variable"),
        FormProbe(form: .credentialName, hasRange: false, description: "credential"),
        FormProbe(form: .jsonPointer, hasRange: false, description: "pointer"),
        FormProbe(form: .duration(.zero...(.hours(24 * 365))), hasRange: true, description: "duration"),
        FormProbe(form: .share(most: 1e12, canBeZero: true), hasRange: false, description: "share"),
        FormProbe(form: .perSecond, hasRange: false, description: "rate"),
        FormProbe(form: .bytes, hasRange: false, description: "bytes"),
        FormProbe(form: .backup(.keep), hasRange: true, description: "keep"),
        FormProbe(form: .backup(.cron), hasRange: true, description: "cron"),
        FormProbe(form: .backup(.zone), hasRange: true, description: "zone"),
        FormProbe(form: .backup(.window), hasRange: true, description: "window"),
        FormProbe(form: .backup(.blackout), hasRange: true, description: "blackout"),
        FormProbe(form: .backup(.identifier), hasRange: false, description: "identifier"),
        FormProbe(form: .backup(.table), hasRange: false, description: "table"),
        FormProbe(form: .backup(.mail), hasRange: true, description: "mail"),
    ]

    /// Whether the parser reads a quoted text, and whether the pattern matches it.
    func judge(_ text: String) throws -> (reads: Bool, matches: Bool) {
        let reads = form.read(text, type: .text, mark: Mark(line: 1, column: 1)) != nil
        return (reads, try matches(text, pattern(of: form)))
    }
}
