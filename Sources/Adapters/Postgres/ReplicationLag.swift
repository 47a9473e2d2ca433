/// How far one replica is behind.
struct ReplicationLag: Sendable, Hashable {
    /// Larger than any limit and still an exact number: what a missing, paused or frozen replica is given.
    static let beyondEveryLimit = 1e15

    /// Behind in time; nil is not known.
    var seconds: Double?
    /// Behind in bytes; nil is not known.
    var bytes: Double?
    /// Which replica, and why.
    var detail: String

    /// A replica that replicates nothing now.
    static func broken(_ detail: String) -> ReplicationLag {
        ReplicationLag(seconds: beyondEveryLimit, bytes: beyondEveryLimit, detail: detail)
    }

    /// A replica about which nothing is known.
    static func unknown(_ detail: String) -> ReplicationLag { ReplicationLag(seconds: nil, bytes: nil, detail: detail) }

    /// The worst of several: broken before unknown before behind.
    static func worst(_ lags: [ReplicationLag], by value: KeyPath<ReplicationLag, Double?>) -> ReplicationLag? {
        func rank(_ lag: ReplicationLag) -> Double {
            guard let value = lag[keyPath: value] else { return beyondEveryLimit / 2 }
            return value
        }
        return lags.max { rank($0) < rank($1) }
    }
}

/// A number of seconds or bytes without its fraction.
func whole(_ value: Double) -> String { "\(Int64(max(0, min(value, 1e18))))" }
