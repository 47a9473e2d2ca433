/// The word most like another, when it is like enough to be what was meant.
func nearest(to word: String, among known: [String]) -> String? {
    let limit = word.count <= 4 ? 1 : 2
    return known.map { (word: $0, distance: editDistance($0, word)) }.filter { $0.distance <= limit }
        .min { ($0.distance, $0.word) < ($1.distance, $1.word) }?.word
}

/// How many insertions, deletions, replacements and swaps of neighbours lead from one word to the other (optimal string alignment).
func editDistance(_ left: String, _ right: String) -> Int {
    let left = Array(left.prefix(100))
    let right = Array(right.prefix(100))
    var rows = [Array(0...right.count)]
    for i in left.indices {
        var row = [i + 1]
        for j in right.indices {
            var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (left[i] == right[j] ? 0 : 1))
            if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { best = min(best, rows[i - 1][j - 1] + 1) }
            row.append(best)
        }
        rows.append(row)
    }
    return rows[left.count][right.count]
}
