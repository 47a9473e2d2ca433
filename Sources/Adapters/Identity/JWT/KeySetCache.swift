internal import SerinCrypto
internal import SerinModel

/// The key set of one issuer, fetched when it is needed, and rarely.
///
/// Tokens that name keys which are not known ask for a new set: after a rotation rightly, else as a flood. So between two fetches
/// there is always a pause, in which nobody can tell of such tokens. When the issuer cannot be reached the last good set holds for a day.
actor KeySetCache {
    /// How old a set may be before it is fetched again.
    static let freshFor = Duration.hours(1)
    /// The least time between two fetches.
    static let pause = Duration.minutes(1)
    /// The least time between two fetches while there is no set at all.
    static let firstPause = Duration.seconds(5)
    /// How old a set may be that is still used while there is no newer one.
    static let staleFor = Duration.hours(24)

    /// Nil where the set is the configuration's, and no other one is to be had.
    private let fetch: (@Sendable () async throws(Failure) -> KeySet)?
    private var set: KeySet?
    private var fetchedAt = Instant(millisecondsSince1970: 0)
    private var triedAt: Instant?
    private var failure: Failure?
    private var isLoading = false
    /// Those who wait for the fetch under way.
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(fetch: @escaping @Sendable () async throws(Failure) -> KeySet) { self.fetch = fetch }

    /// A set that stays as it is.
    init(_ fixed: KeySet) {
        fetch = nil
        set = fixed
    }

    /// The keys that may have made a signature; none when the issuer has no such key. Fails when nobody can tell.
    func candidates(_ find: @Sendable (KeySet) -> [PublicKey], at now: Instant) async throws(CredentialError)
        -> [PublicKey]
    {
        if let set, fetch == nil || now - fetchedAt < Self.freshFor {
            let found = find(set)
            if !found.isEmpty || fetch == nil { return found }
        }
        let isNew = await refresh(at: now)
        guard let set, now - fetchedAt < Self.staleFor else {
            throw .unavailable(
                "the issuer's keys cannot be had: \(failure?.message ?? "they were just asked for")", after: rest(at: now))
        }
        let found = find(set)
        // The key may be one that the issuer took up since the last fetch.
        guard isNew || !found.isEmpty else {
            throw .unavailable(
                "a token of a key that was not in the set fetched last, and no newer one can be had yet", after: rest(at: now))
        }
        return found
    }

    /// How long it is until the next fetch is allowed.
    private func rest(at now: Instant) -> Duration {
        guard let triedAt, now >= triedAt else { return .zero }
        return max(.zero, (set == nil ? Self.firstPause : Self.pause) - (now - triedAt))
    }

    /// Fetches the set unless that was done a moment ago; everyone who asks meanwhile waits for the same answer.
    ///
    /// - Returns: Whether the set is now one that was fetched for those who ask.
    private func refresh(at now: Instant) async -> Bool {
        if isLoading {
            await withCheckedContinuation { waiting.append($0) }
            return failure == nil
        }
        // A clock that was set back must not keep keys away until it is there again.
        guard let fetch, rest(at: now) == .zero else { return false }
        triedAt = now
        isLoading = true
        await load(at: now, fetch)
        isLoading = false
        let others = waiting
        waiting = []
        for other in others { other.resume() }
        return failure == nil
    }

    private func load(at now: Instant, _ fetch: @Sendable () async throws(Failure) -> KeySet) async {
        do throws(Failure) {
            set = try await fetch()
            fetchedAt = now
            failure = nil
        } catch {
            failure = error
        }
    }
}
