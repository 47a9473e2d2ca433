/// What was noted of a journal outside of it, to be found in it again.
public enum NotedJournal: Sendable, Hashable {
    /// The hash of its last entry.
    case head(Checkpoint)
    /// The root of its Merkle tree.
    case tree(TreeHead)
}

/// A journal's size and the hash of its last entry, noted outside of it: a later journal that is shorter, or has another entry
/// there, has been cut or rewritten.
public struct Checkpoint: Sendable, Hashable, CustomStringConvertible {
    /// How many entries the journal had.
    public var size: Int64
    /// The hash of the last of them, 32 bytes; zeros for an empty journal.
    public var head: [UInt8]

    /// A note of a journal that ended in this entry; nil is an empty journal.
    public init(_ last: Entry?) {
        size = last?.sequence ?? 0
        head = last?.hash ?? Chain.genesis
    }

    /// Reads `SIZE:HASH`; nil when it is not of that form.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let size = Int64(parts[0]), size >= 0, parts[1].utf8.count == 64 else { return nil }
        var head: [UInt8] = []
        let digits = Array(parts[1].utf8)
        for index in stride(from: 0, to: 64, by: 2) {
            guard let high = Checkpoint.value(digits[index]), let low = Checkpoint.value(digits[index + 1]) else { return nil }
            head.append(high << 4 | low)
        }
        self.size = size
        self.head = head
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x61 + 10
        case 0x41...0x46: digit - 0x41 + 10
        default: nil
        }
    }

    /// `SIZE:HASH`, the hash in lower-case hexadecimal.
    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        let text = head.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return "\(size):\(String(decoding: text, as: UTF8.self))"
    }
}
