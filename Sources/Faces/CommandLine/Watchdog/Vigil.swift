internal import SerinModel

/// What a watchdog sees of the controller it stands beside.
enum SignOfLife: Sendable, Hashable {
    /// It is in charge and has decided something since the last look.
    case alive
    /// Its process is there, and decides nothing or is not in charge yet.
    case silent
    /// Its process has ended.
    case gone
}

/// Tells for how long nobody has been in charge of a service. A value; time comes in.
struct Vigil: Sendable, Hashable {
    private let after: Duration
    private var lastSign: Instant

    /// A vigil that counts from the last sign of life that any controller in charge showed, as a chain of controllers that end
    /// before they are in charge must not be waited for without end.
    init(after: Duration, from lastSign: Instant) {
        self.after = after
        self.lastSign = lastSign
    }

    /// Takes one look; true when nobody has shown life for long enough.
    mutating func look(_ sign: SignOfLife, at now: Instant) -> Bool {
        if sign == .alive { lastSign = now }
        return silence(at: now) >= after
    }

    /// How long nobody has shown life.
    func silence(at now: Instant) -> Duration { now - lastSign }
}
