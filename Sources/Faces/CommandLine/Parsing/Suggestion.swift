/// The word most like another, when it is like enough to be what was meant.
func nearest(to word: String, among known: [String]) -> String? {
    let limit = word.count <= 4 ? 1 : 2
    return known.map { (word: $0, distance: editDistance($0, word)) }.filter { $0.distance <= limit }
        .min { ($0.distance, $0.word) < ($1.distance, $1.word) }?.word
}

/// Levenshtein's distance: how many insertions, deletions and replacements of characters lead from one word to the other.
func editDistance(_ left: String, _ right: String) -> Int {
    let left = Array(left.prefix(100))
    let right = Array(right.prefix(100))
    var row = Array(0...right.count)
    for i in left.indices {
        var diagonal = row[0]
        row[0] = i + 1
        for j in right.indices {
            let next = min(row[j + 1] + 1, row[j] + 1, diagonal + (left[i] == right[j] ? 0 : 1))
            diagonal = row[j + 1]
            row[j + 1] = next
        }
    }
    return row[right.count]
}
