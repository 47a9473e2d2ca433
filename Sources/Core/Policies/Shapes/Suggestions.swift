/// The known word that a wrong one was most likely meant to be: the same in another notation, or a few letters away.
public func closest(to text: String, among keys: [String]) -> String? {
    let wanted = plainForm(text)
    guard !wanted.isEmpty, wanted.count <= 64 else { return nil }
    if let same = keys.first(where: { plainForm($0) == wanted }) { return same }
    let most = wanted.count <= 3 ? 1 : wanted.count <= 7 ? 2 : 3
    let distances = keys.map { (key: $0, distance: editDistance(wanted, plainForm($0))) }
    guard let best = distances.min(by: { ($0.distance, $0.key) < ($1.distance, $1.key) }), best.distance <= most else {
        return nil
    }
    return best.key
}

/// Lower case without `_` and `-`, so that `stepFor`, `step-for` and `step_for` are alike.
private func plainForm(_ text: String) -> [UInt8] {
    Array(text.lowercased().utf8.filter { $0 != 0x5F && $0 != 0x2D })
}

/// How many letters must be added, removed, replaced or swapped with their neighbour (optimal string alignment).
func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for i in left.indices {
        var row = [i + 1]
        for j in right.indices {
            var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (left[i] == right[j] ? 0 : 1))
            if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { cost = min(cost, beforeLast[j - 1] + 1) }
            row.append(cost)
        }
        beforeLast = last
        last = row
    }
    return last[right.count]
}

/// The key to refer by when a wrong key is the name of a secret: `password` for `password_env`; empty when this section takes no
/// secrets, nil when the key is no secret's name.
func secretReplacement(for key: String, among keys: [String]) -> String? {
    let lower = key.lowercased()
    if lower == "url" || lower == "dsn" || lower == "connection_string" || lower == "uri" {
        return keys.contains("url_env") ? "url" : nil
    }
    let words = ["password", "passwd", "secret", "token", "api_key", "apikey", "bearer", "credential", "private_key"]
    guard words.contains(where: lower.contains), !["_env", "_file", "_cred"].contains(where: lower.hasSuffix) else { return nil }
    if keys.contains(lower + "_env") { return lower }
    if lower.contains("pass"), keys.contains("password_env") { return "password" }
    return keys.contains("bearer_env") ? "bearer" : keys.contains("url_env") ? "url" : ""
}

/// Keys of other release tools, with what says the same here.
let foreignKeys: [String: String] = [
    "interval": "'poll'", "checkInterval": "'poll'",
    "threshold": "'tolerance' of a signal, or 'judge: threshold'",
    "stepWeight": "'traffic.steps', a list such as [5, 25, 50]", "stepWeights": "'traffic.steps', a list such as [5, 25, 50]",
    "stepWeightPromotion": "'promote'", "maxWeight": "the last of 'traffic.steps'", "setWeight": "'traffic.steps'",
    "canaryWeight": "'traffic.steps'", "weights": "'traffic.steps'",
    "iterations": "'bake'", "count": "'bake'", "lifetime": "'bake'", "minBake": "'bake'", "duration": "'bake'",
    "analysis": "'signals'", "metrics": "'signals'", "templates": "'signals'", "groups": "'signals'",
    "failureLimit": "'tolerance' of a signal: a fail is decided by evidence, not by a number of failed looks",
    "inconclusiveLimit": "'max_bake' with 'on_inconclusive'", "consecutiveErrorLimit": "'loss_for' with 'on_telemetry_loss'",
    "consecutiveSuccessLimit": "'bake'", "initialDelay": "'warmup'", "beginAfterMins": "'warmup'", "lookbackMins": "'bake'",
    "pause": "'step_for', or 'approval: true' on a step", "progressDeadlineSeconds": "'max_bake'",
    "query": "'promql' of a signal", "thresholdRange": "'hard_limit' of a signal", "successCondition": "'tolerance' of a signal",
    "failureCondition": "'hard_limit' of a signal", "webhooks": "'deploy', 'promote' or 'rollback'",
    "skipAnalysis": "'report_only' of a signal", "dryRun": "'report_only' of a signal", "muted": "'report_only' of a signal",
    "nanStrategy": "'on_telemetry_loss'", "mustHaveData": "'on_telemetry_loss': missing data never passes",
    "skipOnNoData": "'on_telemetry_loss': missing data never passes", "critical": "'hard_limit' or 'security' of a signal",
    "effectSize": "'tolerance' of a signal", "allowedIncrease": "'tolerance' of a signal",
    "allowedDecrease": "'tolerance' of a signal",
    "deviation": "'tolerance' of a signal", "band": "'tolerance' of a signal", "scoreThresholds": "'tolerance' of a signal",
    "rollbackWindow": "'rollback_deadline'", "baseline": "'control' in 'prometheus'", "stable": "'control' in 'prometheus'",
    "provider": "the driver's own key under 'traffic'", "trafficRouting": "'traffic'", "strategy": "'judge' of a signal",
    "<<": "to write the keys out: merging is not allowed",
]
