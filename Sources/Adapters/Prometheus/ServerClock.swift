internal import SerinModel

/// How far a server's clock is ahead of its reader's, as narrowly as its answers tell.
///
/// A server stamps its samples by its own clock. Asked at another's it answers with nothing, or with what was true some time ago;
/// so it is asked at the time that it shows itself, and every time in its answers is told on the reader's clock.
struct ServerClock: Sendable {
    /// Added to a moment of the reader's clock, it gives the server's; zero until an answer contradicts that.
    private(set) var lead = Duration.zero
    /// The latest time that the server has shown.
    private var latest: Instant?

    /// Takes what the server's clock showed at some moment between two of the reader's, and moves the lead no further than that
    /// asks for: how long the answer took is not known better than so.
    ///
    /// Fails for a clock that was set back by more than ten seconds: until it is where it was, its samples are either refused by the
    /// server itself or those of an earlier time, which must not be taken for new ones.
    mutating func take(_ shown: Instant, between first: Instant, and last: Instant) throws(Failure) {
        if let latest, latest - shown > .seconds(10) {
            throw Failure(
                .transient, "the clock of prometheus was set back by \(latest - shown): what it has for this time is not new",
                hint: "samples count again once its clock has passed \(latest)")
        }
        latest = max(latest ?? shown, shown)
        let most = shown - first
        lead = max(min(lead, most), min(most, shown - last))
    }
}
