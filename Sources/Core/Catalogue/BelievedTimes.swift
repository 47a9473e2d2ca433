public import SerinModel

extension Instant {
    /// Whether a clock that was right can have given it: it is not after now, but for a tolerance.
    func isBelievable(at now: Instant) -> Bool { self <= now + Retention.clockTolerance }
}

extension BackupRecord {
    /// Whether it says to be made later than now: some clock was wrong, then or now, and nothing is judged by its time.
    public func isFromTheFuture(at now: Instant) -> Bool { !createdAt.isBelievable(at: now) }

    /// Whether some clock that this backup's time came from cannot be believed; in words for people, nil where all is well.
    ///
    /// - Parameter records: The backups of its target.
    public static func wordsAboutFuture(_ records: [BackupRecord], at now: Instant) -> String? {
        let wrong = records.filter { $0.isLive && $0.isFromTheFuture(at: now) }
        guard let newest = wrong.last else { return nil }
        return "\(wrong.count) backups say to be made later than now (\(newest.id) of \(newest.createdAt)); their times are not "
            + "believed: a clock was wrong when they were made, or is now"
    }
}

extension CatalogueState {
    /// The running backups of a target on which nobody works any more: their process is gone, or was not heard of for too long.
    ///
    /// - Parameters:
    ///   - lease: The target's lease, read later than this state; a run holds it until the catalogue knows how the run ended.
    ///   - isAlive: Whether the lease's holder lives; nil when that cannot be seen from here.
    public func deadRuns(of target: String, lease: TargetLease?, isAlive: Bool?, at now: Instant) -> [BackupRecord] {
        if let lease, lease.reasonForTakeover(at: now, isAlive: isAlive) == nil { return [] }
        return records.filter { $0.state == .running && $0.order.target == target }
    }
}

extension Failure {
    /// Why a backup failed whose run nobody goes on with.
    public static let runWasCutOff = Failure(.transient, "the run was ended before it was done: its process is gone")

    /// Why there is no backup of a run that was called off: by who waited for it, or with the daemon that made it. Nothing is wrong
    /// with anything, so it counts as no failure.
    public static let runWasInterrupted = Failure(
        .transient, "the run was interrupted before it was done: serin is stopping, or was told to give it up")

    /// Why a backup is quarantined of which only the receipt is left.
    public static let expiredByItsTool = Failure(
        .invalid, "the repository that held it no longer has it: the tool's own retention removed it")
}
