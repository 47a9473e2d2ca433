internal import SerinModel

/// Reads what Envoy's administration interface answers.
enum EnvoyAnswers {
    /// The weights that a route of weighted clusters has of its own.
    struct Route: Hashable {
        /// The canary cluster's weight, as it is shown; -1 for what is no whole number.
        var canary: Int64
        /// The control cluster's weight, as the canary's.
        var control: Int64
        /// The sum of the weights of other clusters in it; infinite when one of them is none.
        var others: Double
        /// Whether it names other clusters, of whatever weight.
        var hasOtherClusters: Bool
    }

    /// A weight as Envoy's runtime understands it; nil for text, negative numbers, fractions and what does not fit in 32 bits.
    static func number(_ text: String) -> Double? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Double(text),
            number <= 4_294_967_295
        else { return nil }
        return number
    }

    /// The route with this prefix and both clusters in a dump of route configurations; of several, the one that sends most to the
    /// canary, since that is the one to worry about.
    static func route(in configurations: [JSONValue], prefix: String, canary: String, control: String) -> Route? {
        let routes = configurations.flatMap { $0["route_config"]?["virtual_hosts"]?.items ?? [] }
            .flatMap { $0["routes"]?.items ?? [] }
            .compactMap { $0["route"]?["weighted_clusters"] }
            .filter { $0["runtime_key_prefix"]?.text == prefix }
            .compactMap { route(of: $0["clusters"]?.items ?? [], canary: canary, control: control) }
        // A route whose weights are none is the most worrying of all: it means no share.
        func fraction(_ route: Route) -> Double {
            guard weights.contains(route.canary), weights.contains(route.control), route.others.isFinite else { return .infinity }
            return Double(route.canary) / max(1, Double(route.canary) + Double(route.control) + route.others)
        }
        guard var highest = routes.max(by: { fraction($0) < fraction($1) }) else { return nil }
        highest.hasOtherClusters = routes.contains(where: \.hasOtherClusters)
        return highest
    }

    /// What fits in the 32 bits that Envoy has for a weight.
    private static let weights = 0...Int64(UInt32.max)

    private static func route(of clusters: [JSONValue], canary: String, control: String) -> Route? {
        func weight(of cluster: JSONValue) -> Int64 { cluster["weight"].map { $0.integer ?? -1 } ?? 0 }
        func weight(_ name: String) -> Int64? { clusters.first { $0["name"]?.text == name }.map(weight(of:)) }
        guard let canaryWeight = weight(canary), let controlWeight = weight(control) else { return nil }
        let others = clusters.filter { $0["name"]?.text != canary && $0["name"]?.text != control }.map(weight(of:))
        return Route(
            canary: canaryWeight, control: controlWeight,
            others: others.reduce(0) { $0 + (weights.contains($1) ? Double($1) : .infinity) }, hasOtherClusters: !others.isEmpty)
    }
}
