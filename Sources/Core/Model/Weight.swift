/// The share of traffic that the canary receives, in basis points: 0 is none, 10 000 is all.
public struct Weight: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// No traffic: the safe element. Anyone may set it at any time.
    public static let zero = Weight(unchecked: 0)
    /// All traffic.
    public static let all = Weight(unchecked: 10_000)

    /// Hundredths of a per cent, 0…10 000.
    public let basisPoints: Int

    private init(unchecked basisPoints: Int) { self.basisPoints = basisPoints }

    /// A weight of so many basis points; nil outside 0…10 000.
    public init?(basisPoints: Int) {
        guard (0...10_000).contains(basisPoints) else { return nil }
        self.basisPoints = basisPoints
    }

    /// A weight from a whole number of per cent; nil outside 0…100.
    public init?(percent: Int) {
        guard (0...100).contains(percent) else { return nil }
        self.basisPoints = percent * 100
    }

    /// Reads the number of basis points, refusing one out of range.
    public init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer().decode(Int.self)
        guard let weight = Weight(basisPoints: value) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "a weight is 0…10000 basis points, not \(value)"))
        }
        self = weight
    }

    /// Writes the number of basis points.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(basisPoints)
    }

    /// The share as a fraction, 0…1.
    public var fraction: Double { Double(basisPoints) / 10_000 }

    /// As people write it: `25%`, `2.5%`, `0.25%`.
    public var description: String {
        let whole = basisPoints / 100
        let rest = basisPoints % 100
        if rest == 0 { return "\(whole)%" }
        if rest % 10 == 0 { return "\(whole).\(rest / 10)%" }
        return "\(whole).\(rest < 10 ? "0" : "")\(rest)%"
    }

    /// Less traffic first.
    public static func < (left: Weight, right: Weight) -> Bool { left.basisPoints < right.basisPoints }
}
