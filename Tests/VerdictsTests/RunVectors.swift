import SerinModel
import Testing

@testable import SerinVerdicts

/// Whole runs: cumulative counts in, verdicts at chosen polls out.
struct RunVectors {
    let root: JSONValue

    func compare(_ comparison: inout Comparison) throws {
        for run in try root.list("cases") {
            let name = run["name"]?.text ?? "?"
            let rule = try Rule(vector: run["rule"] ?? .null)
            for expected in try run.list("expected") {
                let poll = try expected.whole("poll")
                let place = "\(name) poll \(poll)"
                switch run["kind"]?.text {
                case "ratio", "rate": try ratio(run, expected, poll, rule, place, &comparison)
                case "latency": try latency(run, expected, poll, rule, place, &comparison)
                case "gauge": try gauge(run, expected, poll, rule, place, &comparison)
                default: Issue.record("\(place): unknown kind")
                }
            }
        }
    }

    private func ratio(
        _ run: JSONValue, _ expected: JSONValue, _ poll: Int, _ rule: Rule, _ place: String, _ comparison: inout Comparison
    ) throws {
        let columns = try ["canary_events", "canary_exposure", "control_events", "control_exposure"].map {
            increases(try run.list($0).compactMap(\.double))
        }
        let blocks = (0..<poll).map {
            Block(
                canaryEvents: columns[0][$0], canaryExposure: columns[1][$0], controlEvents: columns[2][$0],
                controlExposure: columns[3][$0])
        }
        var phi = run["phi"]?.double
        if phi == nil {
            let instances = try (run["control_pods"]?.items ?? []).map { pod in
                let exposure = increases(try pod.list("exposure").compactMap(\.double))
                let events = increases(try pod.list("events").compactMap(\.double))
                var observed = 0.0
                var wanted = 0.0
                for k in 0..<poll {
                    observed += events[k]
                    if blocks[k].controlExposure > 0 {
                        wanted += blocks[k].controlEvents * exposure[k] / blocks[k].controlExposure
                    }
                }
                return Overdispersion.Instance(observed: observed, expected: wanted)
            }
            phi = Overdispersion.uncalibrated(blocks, instances: instances, canaryInstances: try run.whole("canary_pods"))
        }
        let factor = try #require(phi)
        let judgement = Judgement(of: blocks, rule: rule, phi: factor)
        comparison.expect(expected, judgement, of: blocks, rule: rule, place)
        comparison.expect(expected["ratio"], judgement.ratio, place + " ratio")
        guard let onset = expected["onset"] else { return }
        // The files state the onset for the default prior, whatever the rule's own is.
        let found = EValue.onset(blocks, floor: rule.floor, phi: factor, boundary: 1 + rule.tolerance)
        comparison.expect(onset["block"], found.block, place + " onset")
        comparison.expect(onset["multiple"], found.multiple, place + " multiple")
    }

    private func latency(
        _ run: JSONValue, _ expected: JSONValue, _ poll: Int, _ rule: Rule, _ place: String, _ comparison: inout Comparison
    ) throws {
        let edges = try run.list("edges").compactMap(\.double)
        let canary = try histograms(run, "canary", poll)
        let control = try histograms(run, "control", poll)
        var tail = LatencyTail(edges: edges, above: edges.map { _ in 0 }, total: 0)
        for increase in control {
            tail.total += increase.total
            for i in edges.indices { tail.above[i] += increase.total - increase.atOrBelow[i] }
        }
        let quantile = try run.number("quantile")
        let edge = run["frozen_edge"]?.integer.map { Int($0) } ?? tail.edge(nearest: quantile)
        var blocks: [Block] = []
        if let edge, tail.total > 0, tail.above[edge] > 0 {
            let boundary = tail.boundary(edge: edge, tolerance: try run.number("tolerance"), slack: try run.number("slack"))
            blocks = zip(canary, control).map {
                Block(
                    canaryEvents: $0.total - $0.atOrBelow[edge], canaryExposure: $0.total,
                    controlEvents: $1.total - $1.atOrBelow[edge], controlExposure: $1.total
                ).at(boundary)
            }
        }
        let judgement = Judgement(of: blocks, rule: rule, phi: try run.number("phi"), usesOwnBoundaries: true)
        comparison.expect(expected, judgement, of: blocks, rule: rule, place)
        comparison.expect(expected["ratio"], judgement.ratio, place + " ratio")
        comparison.expect(expected["edge"], blocks.isEmpty ? nil : edge, place + " edge")
        comparison.expect(expected["rho"], blocks.first?.boundary, place + " rho")
        guard let edge, let ratio = judgement.ratio, expected["slowdown"] != nil else { return }
        comparison.expect(expected["slowdown"], tail.slowdown(edge: edge, ratio: ratio), place + " slowdown")
    }

    private func histograms(_ run: JSONValue, _ cohort: String, _ poll: Int) throws -> [(atOrBelow: [Double], total: Double)] {
        let rows = try run.list(cohort + "_le").map(\.doubles)
        let totals = try run.list(cohort + "_total").compactMap(\.double)
        return (0..<poll).map { k -> (atOrBelow: [Double], total: Double) in
            (atOrBelow: zip(rows[k], rows[k + 1]).map { $1 - $0 }, total: totals[k + 1] - totals[k])
        }
    }

    private func gauge(
        _ run: JSONValue, _ expected: JSONValue, _ poll: Int, _ rule: Rule, _ place: String, _ comparison: inout Comparison
    ) throws {
        let direction = try #require(Rule.Direction(rawValue: run["direction"]?.text ?? ""))
        let tolerance = try run.number("tolerance")
        let slack = try run.number("slack")
        let blocks = try run.list("pairs").prefix(poll).map { pair in
            Gauge.block(
                isBeyond: Gauge.isBeyond(
                    canary: pair.doubles[0], control: pair.doubles[1], tolerance: tolerance, slack: slack, direction: direction))
        }
        let judgement = Judgement(of: blocks, rule: rule, phi: try run.number("phi"), usesOwnBoundaries: true)
        comparison.expect(expected, judgement, of: blocks, rule: rule, place)
        comparison.expect(expected["ratio"], judgement.ratio, place + " ratio")
    }
}

/// The differences of cumulative values.
func increases(_ cumulative: [Double]) -> [Double] { zip(cumulative, cumulative.dropFirst()).map { $1 - $0 } }
