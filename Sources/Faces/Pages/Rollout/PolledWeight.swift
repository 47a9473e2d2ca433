internal import SerinModel

/// The weight in a journaled poll, found without reading its thousands of samples.
///
/// The canonical form sorts keys, so `traffic` is the last member of an observation; and it escapes quotes, so that no text inside can
/// look like that key.
struct PolledWeight {
    private static let start = Array("{\"event\":{\"_0\":{\"observed\":".utf8)
    private static let key = Array("\"traffic\":".utf8)

    /// What was read back; nil when the weight could not be read.
    let weight: Weight?

    /// The weight in an entry's body; nil when the entry is no poll.
    init?(_ body: [UInt8]) {
        guard body.starts(with: Self.start) else { return nil }
        guard let place = Self.lastPlace(of: Self.key, in: body) else {
            weight = nil
            return
        }
        // What follows the value closes the poll's own objects.
        let value = body[(place + Self.key.count)...].dropLast(5)
        // A poll whose end is of another form shows no weight.
        let document = try? JSONValue(parsing: Array(value), depthLimit: 16)
        weight = document?["reading"]?["weight"]?.integer.flatMap { Int(exactly: $0) }.flatMap(Weight.init(basisPoints:))
    }

    private static func lastPlace(of key: [UInt8], in body: [UInt8]) -> Int? {
        var place = body.count - key.count
        while place >= 0 {
            if body[place..<(place + key.count)].elementsEqual(key) { return place }
            place -= 1
        }
        return nil
    }
}
