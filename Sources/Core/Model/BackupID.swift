/// Identifies one backup: a UUID in lower case. Made outside the core; those of version 7 sort by age.
public struct BackupID: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// The identifier itself: `01934b5e-6d00-7abc-8def-0123456789ab`.
    public let description: String

    /// An identifier; nil when the text is no UUID of 36 characters. Capitals are lowered.
    public init?(_ text: String) {
        let lowered = text.lowercased()
        let bytes = Array(lowered.utf8)
        guard bytes.count == 36 else { return nil }
        for (index, byte) in bytes.enumerated() {
            let isDash = [8, 13, 18, 23].contains(index)
            let isHexadecimal = (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
            guard isDash ? byte == 0x2D : isHexadecimal else { return nil }
        }
        description = lowered
    }

    /// A UUID of version 7 (RFC 9562, section 5.7) from a time and ten random bytes; fewer bytes count as followed by zeros.
    public init(millisecondsSince1970 time: Int64, random: [UInt8]) {
        var bytes: [UInt8] = []
        for shift in stride(from: 40, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: time >> Int64(shift))) }
        for index in 0..<10 { bytes.append(index < random.count ? random[index] : 0) }
        bytes[6] = bytes[6] & 0x0F | 0x70
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = Array("0123456789abcdef")
        var text = ""
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text.append("-") }
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        description = text
    }

    /// Reads the identifier, refusing what is none.
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let identifier = BackupID(text), identifier.description == text else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "not a backup's identifier"))
        }
        self = identifier
    }

    /// Writes the identifier.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// In the order of the alphabet, which for version 7 is the order of age.
    public static func < (left: BackupID, right: BackupID) -> Bool { left.description < right.description }
}
