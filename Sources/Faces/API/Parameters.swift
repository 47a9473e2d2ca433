internal import SerinModel
internal import SerinPolicies

// Reading what a request says.
extension Request {
    /// The document in the body.
    func document<Document>(_ decode: (JSONValue) throws(DocumentError) -> Document) throws -> Document {
        try decode(try JSONValue(parsing: body, depthLimit: 16))
    }

    /// The number of the entry after which to read.
    func start(orAfter last: String? = nil) throws(Problem) -> Int64 {
        guard let after = Int64(parameter("after") ?? last ?? "0"), after >= 0 else {
            throw Problem(.malformed, "'after' is an entry's number")
        }
        return after
    }

    /// How many are asked for.
    func limit(most: Int, otherwise usual: Int) throws(Problem) -> Int {
        guard let limit = Int(parameter("limit") ?? "\(usual)"), (1...most).contains(limit) else {
            throw Problem(.malformed, "'limit' is 1…\(most)")
        }
        return limit
    }

    /// A length of time.
    func duration(_ name: String, otherwise usual: Duration) throws(Problem) -> Duration {
        guard let text = parameter(name) else { return usual }
        guard let duration = Duration(policyText: text), duration >= .zero else {
            throw Problem(.malformed, "'\(name)' is a length of time such as 30s")
        }
        return duration
    }
}
