internal import SerinModel

/// Tells for how long nobody has been in charge of a service. A value; time comes in.
struct Vigil: Sendable, Hashable {
    private let after: Duration
    private var lastHeld: Instant

    /// A vigil that begins now, as if someone had just been in charge.
    init(after: Duration, from now: Instant) {
        self.after = after
        lastHeld = now
    }

    /// Takes one look at the lock; true when nobody has held it for long enough.
    mutating func look(isHeld: Bool, at now: Instant) -> Bool {
        if isHeld { lastHeld = now }
        return now - lastHeld >= after
    }
}
