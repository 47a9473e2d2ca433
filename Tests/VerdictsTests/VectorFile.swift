import FoundationEssentials
import SerinModel
import Testing

/// A file of expected values, and the comparison that it asks for.
struct VectorFile {
    let path: String
    let root: JSONValue

    init(_ path: String) throws {
        self.path = path
        let bytes = try #require(FileManager.default.contents(atPath: path), "cannot read \(path)")
        root = try JSONValue(parsing: bytes)
    }

    /// The folder of the vectors that belong to this suite.
    static var folder: String {
        let here = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        return here.joined(separator: "/") + "/Vectors"
    }

    /// The files to compare with: those of `SERIN_VECTORS`, else those beside the suite.
    static var paths: [String] {
        let named = ProcessInfo.processInfo.environment["SERIN_VECTORS"] ?? ""
        if !named.isEmpty { return named.split(separator: ":").map(String.init) }
        return [folder + "/vectors.json", folder + "/vectors-calibration.json"]
    }
}

/// Counts comparisons of one file.
struct Comparison {
    var count = 0

    /// 1e-9 relative, absolute near 0; `null` is absent and `"inf"` infinite.
    mutating func expect(_ expected: JSONValue?, _ actual: Double?, _ place: String) {
        count += 1
        guard let expected, expected != .null else {
            #expect(actual == nil, "\(place)")
            return
        }
        guard let actual else {
            Issue.record("\(place): nothing instead of \(expected)")
            return
        }
        if expected.text == "inf" {
            #expect(actual == .infinity, "\(place)")
        } else if let value = expected.double {
            #expect(isClose(actual, value), "\(place): \(actual) instead of \(value)")
        } else {
            Issue.record("\(place): \(expected) is no number")
        }
    }

    mutating func expect(_ expected: JSONValue?, _ actual: Int?, _ place: String) {
        count += 1
        #expect(expected?.integer.map { Int($0) } == actual, "\(place)")
    }

    mutating func expect(_ expected: JSONValue?, _ actual: String, _ place: String) {
        count += 1
        #expect(expected?.text == actual, "\(place)")
    }

    mutating func expect(_ expected: JSONValue?, _ actual: [Double?], _ place: String) {
        let items = expected?.items ?? []
        #expect(items.count == actual.count, "\(place)")
        for (k, pair) in zip(items, actual).enumerated() { expect(pair.0, pair.1, "\(place)[\(k)]") }
    }
}

/// Whether two numbers agree to 1e-9, relative, or absolute near 0.
func isClose(_ a: Double, _ b: Double) -> Bool { a == b || abs(a - b) <= 1e-9 * max(1, abs(b)) }

extension JSONValue {
    /// The numbers of an array.
    var doubles: [Double] { (items ?? []).compactMap(\.double) }
    /// The numbers of an array of arrays.
    var rows: [[Double]] { (items ?? []).map(\.doubles) }
    /// A number that must be there.
    func number(_ key: String) throws -> Double { try #require(self[key]?.double, "no number '\(key)'") }
    /// A whole number that must be there.
    func whole(_ key: String) throws -> Int { Int(try #require(self[key]?.integer, "no whole number '\(key)'")) }
    /// An array that must be there.
    func list(_ key: String) throws -> [JSONValue] { try #require(self[key]?.items, "no list '\(key)'") }
}
