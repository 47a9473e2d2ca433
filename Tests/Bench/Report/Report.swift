internal import Glibc
internal import SerinModel

/// Prints what was measured, as a table for people and as JSON for machines.
struct Report {
    var machine: Machine
    var sections: [(group: BenchGroup, section: Section)] = []

    /// The table.
    var text: String {
        var lines = [machine.text, ""]
        let header = ["what", "value", "unit", "aim", "met", "how"]
        var cells = [header]
        for (_, section) in sections {
            for row in section.rows {
                cells.append([row.name, Row.text(row.value), row.unit, aim(row), met(row), row.note])
            }
        }
        if cells.count > 1 { lines += aligned(cells, right: [1]) }
        for quality in sections.compactMap(\.section.quality) {
            lines += ["", quality.caption]
            lines += aligned(quality.cells, right: Set(1...20))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func aim(_ row: Row) -> String {
        switch row.aim {
        case .below(let limit): "≤ \(Row.text(limit))"
        case .atLeast(let limit): "≥ \(Row.text(limit))"
        case nil: ""
        }
    }

    private func met(_ row: Row) -> String { row.isMet.map { $0 ? "yes" : "no" } ?? "" }

    private func aligned(_ cells: [[String]], right: Set<Int>) -> [String] {
        var widths: [Int] = []
        for row in cells {
            for (k, cell) in row.enumerated() {
                if k == widths.count { widths.append(0) }
                widths[k] = max(widths[k], cell.count)
            }
        }
        return cells.map { row in
            var line = ""
            for (k, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[k] - cell.count)
                if k > 0 { line += "  " }
                line += right.contains(k) ? padding + cell : cell + padding
            }
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }
    }

    /// The same as JSON.
    var document: JSONValue {
        var rows: [JSONValue] = []
        var quality: [JSONValue] = []
        for (group, section) in sections {
            for row in section.rows { rows.append(document(row, group)) }
            if let table = section.quality { quality.append(table.document) }
        }
        return .object([
            "machine": machine.document, "rows": .array(rows), "decision_quality": quality.first ?? .null,
        ])
    }

    private func document(_ row: Row, _ group: BenchGroup) -> JSONValue {
        var aim = JSONValue.null
        switch row.aim {
        case .below(let limit): aim = .object(["at_most": number(limit)])
        case .atLeast(let limit): aim = .object(["at_least": number(limit)])
        case nil: break
        }
        return .object([
            "group": .string(group.rawValue), "name": .string(row.name), "value": number(row.value), "unit": .string(row.unit),
            "aim": aim, "met": row.isMet.map { .bool($0) } ?? .null, "note": .string(row.note),
        ])
    }
}

/// A number of JSON; null when it is none.
func number(_ value: Double) -> JSONValue { value.isFinite ? .number("\(value)") : .null }

/// Says what is going on, on standard error.
func progress(_ text: String) {
    let bytes = Array("bench: \(text)\n".utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}
