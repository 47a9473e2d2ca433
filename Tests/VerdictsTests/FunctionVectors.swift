import SerinModel
import SerinVerdicts
import Testing

/// Single functions of the engine.
struct FunctionVectors {
    let root: JSONValue

    func compare(_ comparison: inout Comparison) throws {
        guard case .object(let members)? = root["functions"] else { return }
        for member in members {
            let name = member.key
            // Increases are read off counters by `InstanceTrack`, whose gaps are other ones.
            if name.hasPrefix("increments") { continue }
            for (k, vector) in (member.value.items ?? []).enumerated() {
                let place = "\(name)[\(k)]"
                switch name {
                case "phi_pods": try betweenInstances(vector, place, &comparison)
                // Noise is fitted by `Calibration` instead.
                case "fit_phi": break
                case "family":
                    let value = EValue.family(
                        try vector.list("log_e").compactMap(\.double), weights: try vector.list("weights").compactMap(\.double))
                    comparison.expect(vector["expected"], value, place)
                case "forecast": try forecast(vector, place, &comparison)
                case "survival":
                    comparison.expect(vector["expected"], try tail(vector).survival(try vector.number("x")), place)
                case "latency_rho":
                    let value = try tail(vector).boundary(
                        edge: try vector.whole("edge"), tolerance: try vector.number("tol"), slack: try vector.number("slack"))
                    comparison.expect(vector["expected"], value, place)
                case "latency_edge":
                    let edge = try tail(vector).edge(nearest: try vector.number("q"))
                    if vector["expected"] == .null {
                        comparison.expect(vector["expected"], edge.map(Double.init), place)
                    } else {
                        comparison.expect(vector["expected"], edge, place)
                    }
                default: Issue.record("unknown function '\(name)'")
                }
            }
        }
    }

    private func betweenInstances(_ vector: JSONValue, _ place: String, _ comparison: inout Comparison) throws {
        let instances = try vector.list("pods").map {
            Overdispersion.Instance(observed: $0.doubles[0], expected: $0.doubles[1])
        }
        let source = Overdispersion.betweenInstances(instances)
        comparison.expect(vector["phi"], source.phi, place)
        comparison.expect(vector["df"], source.degrees, place)
    }

    private func forecast(_ vector: JSONValue, _ place: String, _ comparison: inout Comparison) throws {
        let side = try #require(Growth.Side(rawValue: vector["side"]?.text ?? ""))
        let growth = Growth.rate(
            canaryRate: try vector.number("canary_rate"), controlRate: try vector.number("control_rate"),
            canaryTraffic: try vector.number("canary_rps"), controlTraffic: try vector.number("control_rps"),
            boundary: try vector.number("rho"), floor: try vector.number("eps"), phi: try vector.number("phi"),
            grid: side == .fail ? .fail : .pass)
        let seconds = Growth.seconds(growth: growth, level: try vector.number("level"), z: try vector.number("z"), side: side)
        comparison.expect(vector["seconds"], seconds, place)
    }

    private func tail(_ vector: JSONValue) throws -> LatencyTail {
        LatencyTail(
            edges: try vector.list("edges").compactMap(\.double), above: try vector.list("above").compactMap(\.double),
            total: try vector.number("total"))
    }
}
