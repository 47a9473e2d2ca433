public import SerinAccess
public import SerinModel

/// Where it is kept who may do what: an append-only log of changes, and when each token was last used. Several processes use it at
/// once, so every call first reads what others have appended: a token that was revoked anywhere is revoked here.
public protocol AccessStore: Sendable {
    /// Appends a line that is checked against the state before it; it survives power loss when this returns. Fails as `conflict` or
    /// `invalid` when the state does not allow it.
    ///
    /// - Returns: The number of its entry.
    @discardableResult
    func append(_ line: AccessLine) async throws(Failure) -> Int64

    /// What the log leads to.
    func state() async throws(Failure) -> AccessState

    /// Entries of the log after a number in order, at most `limit`.
    func entries(after sequence: Int64, limit: Int) async throws(Failure) -> [AccessEntry]

    /// Notes that a token was used, to within a minute. No part of the log, and allowed to be lost: whoever halts waits for no disk, so
    /// it is written later and this never waits.
    func noteUse(of token: String, at now: Instant)

    /// When each token was last used, by its number, with what this store has not written yet.
    func uses() async throws(Failure) -> [String: Instant]

    /// Ends the use. What was noted is written first, where the disk takes it within a moment.
    func close() async
}
