/// Names with `*` for any run of characters and `?` for one; everything else stands for itself.
struct NamePatterns: Sendable, Hashable {
    private let patterns: [[UInt8]]

    init(_ patterns: [String]) { self.patterns = patterns.map { Array($0.utf8) } }

    /// Whether one of them is the name of this file or folder, without its path.
    func matches(_ name: [UInt8]) -> Bool { patterns.contains { NamePatterns.match($0, name) } }

    /// Goes back to the last `*` when something does not fit: at most as many steps as the product of both lengths.
    private static func match(_ pattern: [UInt8], _ name: [UInt8]) -> Bool {
        var at = 0
        var position = 0
        var star: (pattern: Int, name: Int)?
        while position < name.count {
            if at < pattern.count, pattern[at] == 0x2A {
                star = (at, position)
                at += 1
            } else if at < pattern.count, pattern[at] == 0x3F || pattern[at] == name[position] {
                at += 1
                position += 1
                // `?` takes a whole character, not one byte of it.
                if pattern[at - 1] == 0x3F { while position < name.count, name[position] & 0xC0 == 0x80 { position += 1 } }
            } else if let back = star {
                star = (back.pattern, back.name + 1)
                at = back.pattern + 1
                position = back.name + 1
            } else {
                return false
            }
        }
        return pattern[at...].allSatisfy { $0 == 0x2A }
    }
}
