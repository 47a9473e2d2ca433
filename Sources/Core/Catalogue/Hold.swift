public import SerinModel

/// Why a backup must not be deleted.
public struct Hold: Sendable, Hashable, Codable {
    /// What kind of reason.
    public enum Kind: Sendable, Hashable, Codable {
        /// The law asks for it.
        case legal
        /// Kept for ever, for the archive.
        case permanent
        /// The restore point of a rollout.
        case rollout(RolloutID)
        /// A restore or drill reads it; its identifier.
        case use(String)
    }

    /// What kind.
    public var kind: Kind
    /// Why, in the words of whoever set it.
    public var reason: String
    /// Until when; nil until it is released. A legal one never ends by itself.
    public var until: Instant?
    /// Since when; nil in an event of which the time says it, and in registers from before it was noted.
    public var since: Instant?
    /// Who set it; nil as `since` is.
    public var by: Principal?

    /// A hold.
    public init(_ kind: Kind, reason: String, until: Instant? = nil, since: Instant? = nil, by: Principal? = nil) {
        self.kind = kind
        self.reason = reason
        self.until = kind == .legal ? nil : until
        self.since = since
        self.by = by
    }

    /// Whether it holds at a time.
    public func holds(at now: Instant) -> Bool { until.map { now < $0 } ?? true }

    /// Whether it is a person's or the law's: it outlives the catalogue, and any number of them stand side by side. What a rollout or a
    /// restore under way needs is one each, which it sets anew itself, and which ends with it.
    public var isOfPeople: Bool {
        switch kind {
        case .legal, .permanent: true
        case .rollout, .use: false
        }
    }

    /// What it is called among those of one backup: eight hexadecimal digits made of what it says (FNV-1a, folded), so that it is the
    /// same in every catalogue.
    public var id: String {
        let said =
            "\(kind == .legal ? "legal" : "")\n\(since?.description ?? "")\n\(by?.description ?? "")\n\(until?.description ?? "")\n\(reason)"
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in said.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let text = String((hash ^ (hash >> 32)) & 0xFFFF_FFFF, radix: 16)
        return String(repeating: "0", count: 8 - text.utf8.count) + text
    }

    /// Whether both are the same one, of which one may come from a register that did not note since when.
    func isSame(as other: Hold) -> Bool {
        kind == other.kind && reason == other.reason && until == other.until
            && (since == nil || other.since == nil || since == other.since && by == other.by)
    }
}
