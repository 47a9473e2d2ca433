internal import SerinModel

/// What a watchdog sees of the controller it stands beside.
enum SignOfLife: Sendable, Hashable {
    /// It has decided something since the last look.
    case alive
    /// Its process is there and decides nothing.
    case silent
    /// Its process has ended; the one that holds the service's lock now, if any.
    case gone(successor: Int32?)

    /// Whether its process has ended.
    var isGone: Bool {
        switch self {
        case .alive, .silent: false
        case .gone: true
        }
    }
}

/// Tells for how long nobody has been in charge of a service. A value; time comes in.
struct Vigil: Sendable, Hashable {
    private let after: Duration
    private var lastSign: Instant
    private var successor: Int32?

    /// A vigil that begins now, as if someone had just been in charge.
    init(after: Duration, from now: Instant) {
        self.after = after
        lastSign = now
    }

    /// Takes one look; true when nobody has shown life for long enough.
    mutating func look(_ sign: SignOfLife, at now: Instant) -> Bool {
        switch sign {
        case .alive: lastSign = now
        case .silent: break
        case .gone(let found):
            // Whoever takes over has the same time until its own watchdog stands beside it.
            if let found, found != successor { lastSign = now }
            successor = found
        }
        return now - lastSign >= after
    }
}
