import SerinModel
import SerinPolicies
import SerinYAML

/// Drivers as they declare themselves, close to the real ones but apart from them.
let drivers: [DriverSchema] = [
    DriverSchema(
        name: "envoy", help: "Envoy, by its runtime",
        fields: [
            .init("admin", .url, help: "the admin address"),
            .init("runtime_prefix", .name, help: "the prefix of the runtime keys"),
            .init("canary", .name, help: "the canary's cluster"),
            .init("control", .name, help: "the control's cluster"),
            .init("settle", .duration, help: "until a change holds", isRequired: false, fallback: "1s"),
        ], granularity: 100),
    DriverSchema(
        name: "haproxy", help: "HAProxy, by a map entry",
        fields: [
            .init("socket", .path, help: "the admin socket"),
            .init("map", .path, help: "the map"),
            .init("key", .name, help: "the entry"),
        ]),
    DriverSchema(
        name: "http", help: "any balancer with an HTTP API",
        fields: [
            .init("url", .url, help: "the address"),
            .init("method", .oneOf(["PUT", "PATCH"]), help: "the method", isRequired: false, fallback: "PATCH"),
            .init("pointer", .jsonPointer, help: "where the weight stands"),
            .init("retries", .integer(0...5), help: "how often", isRequired: false),
            .init("bearer_env", .secret, help: "a token", isRequired: false),
        ]),
]

/// A policy with as little in it as may be.
let minimal = """
    version: 1
    service: checkout
    traffic:
      envoy: {admin: "http://127.0.0.1:9901", runtime_prefix: routing.checkout, canary: canary, control: control}
      steps: [5, 25, 50]
    prometheus:
      url: http://127.0.0.1:9090
      canary: {version: "{{version}}"}
      control: {version: "{{previous}}"}
    signals:
      errors: {counter: http_requests_total, bad: {code: "5.."}}

    """

/// Reads a text as a policy of version 2 after version 1.
func read(_ text: String, version: String? = "2.0.0", previous: String? = "1.9.0") -> PolicyReading {
    let yaml = readYAML(Array(text.utf8), file: "p.yaml")
    return PolicyReading(
        of: yaml.node, file: "p.yaml", earlier: yaml.diagnostics, drivers: drivers, version: version, previous: previous)
}

/// The minimal policy with one piece of text replaced.
func changed(_ old: String, _ new: String) -> String {
    guard minimal.contains(old) else { return "the sample does not hold '\(old)'" }
    return minimal.replacing(old, with: new, maxReplacements: 1)
}

/// The minimal policy with lines added at its end.
func adding(_ lines: String) -> String { minimal + lines + "\n" }
