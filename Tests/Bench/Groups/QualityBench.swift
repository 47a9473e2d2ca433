internal import SerinModel
internal import SerinTrials

/// Shares of right and wrong decisions on simulated traffic.
struct QualityTable: Sendable {
    var rows: [DecisionQualityRow]
    var replicates: Int
    var seed: UInt64
    var seconds: Double

    /// The standard error of a share of one half, which is the largest, in per cent.
    private func standardError(_ share: Double) -> Double {
        100 * (share * (1 - share) / Double(replicates)).squareRoot()
    }

    var caption: String {
        "decision quality, % of R = \(replicates) seeded rollouts a cell (seed \(seed)), 30 minutes each: rolled back though equal, and "
            + "found at 1.5, 2 and 5 times the errors.\n"
            + "One canary instance, 5 % of the traffic, 1 % errors, alpha 1 %, tolerance 10 %, blocks of 15 s, 6 h of history. "
            + "Standard error: \(Row.fixed(standardError(0.01), places: 1)) points at 1 %, "
            + "\(Row.fixed(standardError(0.1), places: 1)) at 10 %, \(Row.fixed(standardError(0.5), places: 1)) at 50 %. "
            + "Took \(Row.fixed(seconds, places: 0)) s."
    }

    var cells: [[String]] {
        var cells = [
            [
                "traffic", "controls", "req/s", "equal", "x1.5", "x2", "x5", "minutes to x2", "threshold: equal", "x1.5", "x2",
                "x5",
            ]
        ]
        for row in rows {
            cells.append(
                [row.scenario.rawValue, "\(row.controls)", Row.fixed(row.traffic, places: 0)] + percents(row.sequential)
                    + [row.medianMinutes.map { Row.fixed($0, places: 2) } ?? "-"] + percents(row.threshold))
        }
        return cells
    }

    private func percents(_ shares: DecisionQualityRow.Shares) -> [String] {
        ([shares.falseRollback] + shares.found).map { Row.fixed(100 * $0, places: 1) }
    }

    var document: JSONValue {
        .object([
            "replicates": .integer(replicates), "seed": .integer(seed), "canary_instances": .integer(1), "weight": number(0.05),
            "error_rate": number(0.01), "alpha": number(0.01), "minutes": .integer(30),
            "cells": .array(
                rows.map { row in
                    .object([
                        "scenario": .string(row.scenario.rawValue), "control_instances": .integer(row.controls),
                        "requests_per_second": number(row.traffic), "sequential": document(row.sequential),
                        "threshold": document(row.threshold), "median_minutes_x2": row.medianMinutes.map(number) ?? .null,
                    ])
                }),
        ])
    }

    private func document(_ shares: DecisionQualityRow.Shares) -> JSONValue {
        .object([
            "false_rollback": number(shares.falseRollback), "found_x1.5": number(shares.found[0]),
            "found_x2": number(shares.found[1]), "found_x5": number(shares.found[2]),
        ])
    }
}

/// Fills the table, cells side by side on all cores.
struct QualityBench {
    var replicates = 300

    func run() async -> Section {
        let clock = ContinuousClock()
        let start = clock.now
        let quality = DecisionQuality(replicates: replicates)
        let cells = quality.cells
        progress("quality: \(cells.count) cells of \(replicates) rollouts")
        var rows = [DecisionQualityRow?](repeating: nil, count: cells.count)
        await withTaskGroup(of: (Int, DecisionQualityRow).self) { group in
            for (index, cell) in cells.enumerated() {
                group.addTask { (index, quality.row(cell.scenario, controls: cell.controls, traffic: cell.traffic)) }
            }
            var done = 0
            for await (index, row) in group {
                rows[index] = row
                done += 1
                if done % 12 == 0 { progress("quality: \(done) of \(cells.count) cells") }
            }
        }
        var section = Section()
        let table = QualityTable(
            rows: rows.compactMap { $0 }, replicates: replicates, seed: quality.seed,
            seconds: (clock.now - start).milliseconds / 1000)
        let worst = table.rows.map(\.sequential.falseRollback).max() ?? .nan
        let mean = table.rows.map(\.sequential.falseRollback).reduce(0, +) / Double(max(1, table.rows.count))
        let threshold = table.rows.map(\.threshold.falseRollback).reduce(0, +) / Double(max(1, table.rows.count))
        section.rows = [
            Row(name: "equal canaries rolled back, mean of all cells", value: 100 * mean, unit: "%", note: "table below"),
            Row(name: "equal canaries rolled back, worst cell", value: 100 * worst, unit: "%", note: "table below"),
            Row(name: "the same by judge: threshold, mean", value: 100 * threshold, unit: "%", note: "table below"),
        ]
        section.quality = table
        return section
    }
}
