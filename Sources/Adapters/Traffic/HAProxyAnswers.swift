internal import SerinModel

/// Reads the answers of HAProxy's runtime socket.
enum HAProxyAnswers {
    /// One line of `show stat`.
    struct StatRow: Hashable {
        /// `pxname`
        var proxy: String
        /// `svname`: a server's name, `FRONTEND` or `BACKEND`
        var server: String
        /// `status`
        var status: String
        /// `lbtot`, for how many requests a server was chosen
        var total: Double?

        /// A server that takes traffic; one without a health check does.
        var isUp: Bool { status.hasPrefix("UP") || status == "no check" }
    }

    /// Whether the answer is the empty one that means "done".
    static func isEmpty(_ answer: String) -> Bool { answer.utf8.allSatisfy { $0 == 0x0A || $0 == 0x0D || $0 == 0x20 } }

    /// What `get map` found.
    enum Entry: Hashable {
        /// The key has this value.
        case value(String)
        /// The map has no such key.
        case missing
    }

    /// What `get map` found; nil when this is another answer.
    static func entry(_ answer: String) -> Entry? {
        guard answer.hasPrefix("type=") else { return nil }
        if answer.contains("found=no") { return .missing }
        guard let start = firstRange(of: ", value=\"", in: answer) else { return nil }
        let rest = answer[start...]
        guard let end = firstRange(of: "\", type=", in: rest, atItsStart: true) else { return nil }
        return .value(String(rest[..<end]))
    }

    /// The share that a map value means: HAProxy's integers, of which more than 10000 sends everything. Other text is no share.
    static func weight(_ value: String) -> Weight? {
        guard !value.isEmpty, value.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        guard let points = Int(value), points <= 10_000 else { return .all }
        return Weight(basisPoints: points)
    }

    /// The rows of one or more `show stat` answers; nil when this is another answer.
    static func statRows(_ answer: String) -> [StatRow]? {
        var columns: [String: Int] = [:]
        var rows: [StatRow] = []
        for line in answer.textLines() {
            let cells = line.split(separator: ",", omittingEmptySubsequences: false)
            if line.hasPrefix("# ") {
                columns = [:]
                for (index, cell) in cells.enumerated() where columns[String(cell)] == nil { columns[String(cell)] = index }
                continue
            }
            // All columns of interest stand before the first one that may hold quoted text.
            func cell(_ name: String) -> String? {
                guard let index = columns[name], cells.indices.contains(index) else { return nil }
                return String(cells[index])
            }
            guard let proxy = cell("# pxname"), let server = cell("svname"), let status = cell("status") else { return nil }
            // Requests for which a server was chosen: those that HAProxy answered itself, because no server was up, reached nobody.
            let total = cell("lbtot").flatMap(Double.init).flatMap { $0.isFinite && $0 >= 0 ? $0 : nil }
            rows.append(StatRow(proxy: proxy, server: server, status: status, total: total))
        }
        return columns.isEmpty ? nil : rows
    }

    /// The place after the first occurrence of a text, or at its start.
    private static func firstRange(
        of text: String, in whole: some StringProtocol, atItsStart: Bool = false
    ) -> String.Index? {
        var index = whole.startIndex
        while index < whole.endIndex {
            if whole[index...].hasPrefix(text) { return atItsStart ? index : whole.index(index, offsetBy: text.count) }
            index = whole.index(after: index)
        }
        return nil
    }
}
