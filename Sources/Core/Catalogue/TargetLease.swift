public import SerinModel

/// A process that may hold a lease or work on a job.
public struct LeaseHolder: Sendable, Hashable, Codable, CustomStringConvertible {
    /// Where its process id means anything: the boot of the machine and the namespace of process ids.
    public var place: String
    /// Its process id.
    public var pid: Int32
    /// When it was started, in the kernel's ticks since boot: tells it from a later process with the same id. 0: not known.
    public var startTicks: UInt64
    /// What it is, in its own words: `serin backup create`.
    public var purpose: String

    /// A holder.
    public init(place: String, pid: Int32, startTicks: UInt64, purpose: String) {
        self.place = place
        self.pid = pid
        self.startTicks = startTicks
        self.purpose = purpose
    }

    /// `serin backup create (process 4711)`
    public var description: String { "\(purpose) (process \(pid))" }
}

/// The right to change or back up one target, shared by backups, migrations and rollouts: one holds it at a time.
public struct TargetLease: Sendable, Hashable, Codable {
    /// The target's name in the plan.
    public var target: String
    /// Who holds it.
    public var holder: LeaseHolder
    /// On whose behalf.
    public var by: Principal
    /// The rollout for which it is held.
    public var rollout: RolloutID?
    /// Larger for each later lease of any target; what a lease that was lost is told by.
    public var token: Int64
    /// When it was taken.
    public var takenAt: Instant
    /// When its holder was last heard of.
    public var renewedAt: Instant
    /// When it ends unless it is renewed; a holder that is seen to live keeps it beyond.
    public var expiresAt: Instant

    /// A lease.
    public init(
        target: String, holder: LeaseHolder, by: Principal, rollout: RolloutID? = nil, token: Int64, takenAt: Instant,
        expiresAt: Instant
    ) {
        self.target = target
        self.holder = holder
        self.by = by
        self.rollout = rollout
        self.token = token
        self.takenAt = takenAt
        renewedAt = takenAt
        self.expiresAt = expiresAt
    }

    /// Why another may take it over; nil when it may not. Expiry alone takes nothing from a process that lives: it may be stopped,
    /// and go on.
    ///
    /// - Parameter isAlive: Whether the holder lives; nil when that cannot be seen from here.
    public func reasonForTakeover(at now: Instant, isAlive: Bool?) -> String? {
        switch isAlive {
        case true: nil
        case false: "\(holder) is dead"
        case nil: now < expiresAt ? nil : "\(holder) was not heard of since \(renewedAt)"
        }
    }

    /// The same, with a later sign of life.
    public func renewed(at now: Instant, for duration: Duration) -> TargetLease {
        var renewed = self
        renewed.renewedAt = now
        renewed.expiresAt = now + duration
        return renewed
    }

    /// A note of taking it over.
    public func takeover(by principal: Principal, holder next: LeaseHolder, because reason: String, at now: Instant) -> AuditNote
    {
        AuditNote(
            at: now, by: principal, topic: "lease", target: target,
            text: "\(next) took the lease of \(target) over from \(holder), who had it since \(takenAt): \(reason)")
    }
}

/// What is asked for when a lease is taken.
public struct LeaseRequest: Sendable, Hashable {
    /// The target's name in the plan.
    public var target: String
    /// Who will hold it.
    public var holder: LeaseHolder
    /// On whose behalf.
    public var by: Principal
    /// The rollout for which it is held.
    public var rollout: RolloutID?
    /// Now.
    public var at: Instant
    /// How long it lasts unless it is renewed.
    public var duration: Duration

    /// A request.
    public init(
        target: String, holder: LeaseHolder, by: Principal, rollout: RolloutID? = nil, at: Instant,
        duration: Duration = .seconds(60)
    ) {
        self.target = target
        self.holder = holder
        self.by = by
        self.rollout = rollout
        self.at = at
        self.duration = duration
    }

    /// The lease that answers it.
    public func lease(token: Int64) -> TargetLease {
        TargetLease(
            target: target, holder: holder, by: by, rollout: rollout, token: token, takenAt: at, expiresAt: at + duration)
    }
}
