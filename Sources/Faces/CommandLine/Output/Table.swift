/// Rows under a header in columns that line up. The last column is never padded.
struct Table: Sendable {
    /// One cell: its text, and the colour in which it is painted.
    struct Cell: Sendable, ExpressibleByStringLiteral {
        var text: String
        var colour: Style.Colour?

        init(_ text: String, _ colour: Style.Colour? = nil) {
            self.text = plain(text)
            self.colour = colour
        }

        init(stringLiteral text: String) { self.init(text) }
    }

    var header: [String]
    var rows: [[Cell]] = []

    func lines(_ style: Style) -> [String] {
        let all = [header.map { Cell($0, .dim) }] + rows
        let widths = header.indices.map { column in all.map { $0[column].text.count }.max() ?? 0 }
        return all.map { row in
            row.enumerated().map { column, cell in
                let gap = column == row.count - 1 ? "" : String(repeating: " ", count: widths[column] - cell.text.count + 2)
                return style.paint(cell.text, cell.colour) + gap
            }.joined()
        }
    }
}
