internal import SerinCrypto
internal import SerinModel

/// The key set of one issuer, fetched when it is needed, and rarely.
///
/// Tokens that name keys which are not known ask for a new set: after a rotation rightly, else as a flood. So between two fetches
/// there is always a pause, in which such tokens are refused. When the issuer cannot be reached the last good set holds for a day.
actor KeySetCache {
    /// How old a set may be before it is fetched again.
    static let freshFor = Duration.hours(1)
    /// The least time between two fetches.
    static let pause = Duration.minutes(1)
    /// The least time between two fetches while there is no set at all.
    static let firstPause = Duration.seconds(5)
    /// How old a set may be that is still used while there is no newer one.
    static let staleFor = Duration.hours(24)

    private let fetch: @Sendable () async throws(Failure) -> KeySet
    private var set: KeySet?
    private var fetchedAt = Instant(millisecondsSince1970: 0)
    private var triedAt: Instant?
    private var failure: Failure?
    private var isLoading = false
    /// Those who wait for the fetch under way.
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(fetch: @escaping @Sendable () async throws(Failure) -> KeySet) { self.fetch = fetch }

    /// The keys that may have made a signature; none when the issuer has no such key. Fails when nobody can tell.
    func candidates(_ find: @Sendable (KeySet) -> [PublicKey], at now: Instant) async throws(CredentialError)
        -> [PublicKey]
    {
        if let set, now - fetchedAt < Self.freshFor {
            let found = find(set)
            if !found.isEmpty { return found }
        }
        await refresh(at: now)
        guard let set, now - fetchedAt < Self.staleFor else {
            throw .unavailable("the issuer's keys cannot be had: \(failure?.message ?? "they were just asked for")")
        }
        return find(set)
    }

    /// Fetches the set unless that was done a moment ago; everyone who asks meanwhile waits for the same answer.
    private func refresh(at now: Instant) async {
        if isLoading { return await withCheckedContinuation { waiting.append($0) } }
        // A clock that was set back must not keep keys away until it is there again.
        if let triedAt, now >= triedAt, now - triedAt < (set == nil ? Self.firstPause : Self.pause) { return }
        triedAt = now
        isLoading = true
        await load(at: now)
        isLoading = false
        let others = waiting
        waiting = []
        for other in others { other.resume() }
    }

    private func load(at now: Instant) async {
        do throws(Failure) {
            set = try await fetch()
            fetchedAt = now
            failure = nil
        } catch {
            failure = error
        }
    }
}
