import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies

/// What a round is about.
struct RoundTripDraw: CustomStringConvertible {
    enum Place: CaseIterable { case folder, bucket, program }
    enum Tables: CaseIterable { case some, one, app, whole }

    var format: PostgresDumpSource.Format
    var compression: EnvelopeCompression
    var level: Int
    var profile: EnvelopeProfile
    var hasRecipients: Bool
    var place: Place
    var tables: Tables

    init(_ generator: inout SplitMix) {
        func pick<Value>(_ values: [Value], _ generator: inout SplitMix) -> Value {
            values[Int(generator.next() % UInt64(values.count))]
        }
        format = pick(PostgresDumpSource.Format.allCases, &generator)
        compression = pick([.zstd, .zstd, .gzip, .none], &generator)
        level = pick([1, 1, 3, 6], &generator)
        profile = pick([.enc1, .enc1, .gcm1, .gcm1, .none], &generator)
        hasRecipients = pick([true, false], &generator)
        place = pick(Place.allCases, &generator)
        // Large ones are rarer: each takes as long as three small ones.
        tables = pick([.some, .some, .one, .one, .app, .whole], &generator)
    }

    var description: String {
        "\(format) \(compression)-\(level) \(profile)\(hasRecipients ? " recipients" : "") \(place) \(tables)"
    }
}
