internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// The backup of one rollout: one at the most, made under the rollout's name.
struct RolloutBackup: Sendable {
    private let backups: (any Backups)?
    private let request: RolloutBackupRequest
    /// How long it may take.
    private let longest: Duration
    /// For every other question.
    private let limit: Duration
    /// Finished to ask the one under way, or the one not begun yet, to end.
    private let end: AsyncStream<Never>
    private let endInlet: AsyncStream<Never>.Continuation

    init(of charter: Charter, by backups: (any Backups)?, limits: CallLimits) {
        self.backups = backups
        request = RolloutBackupRequest(
            rollout: charter.id, service: charter.policy.service, version: charter.version, author: charter.author)
        longest = charter.policy.backup?.deadline ?? .zero
        limit = limits.backup
        (end, endInlet) = AsyncStream.makeStream()
    }

    private static let nobody = Failure(.invalid, "nothing makes backups here")

    /// Makes it, until `stop`.
    func take() async -> BackupOutcome {
        guard let backups else { return .failed(Self.nobody) }
        return await outcome(of: { await backups.take(request, deadline: longest) }, until: end)
            ?? .unknown(Failure(.unknown, "it was ended"))
    }

    /// Ends it.
    func stop() { endInlet.finish() }

    /// What the catalogue knows of it.
    func check() async -> BackupOutcome {
        guard let backups else { return .failed(Self.nobody) }
        return await backups.check(request, deadline: limit)
    }

    /// Ends its hold; why that was not possible.
    func release() async -> Failure? {
        guard let backups else { return Self.nobody }
        do throws(Failure) {
            try await backups.release(request, deadline: limit)
            return nil
        } catch {
            return error
        }
    }

    /// What would keep it from being made.
    func preflight() async -> BackupPreflight {
        guard let backups else { return BackupPreflight(problems: [Self.nobody]) }
        return await backups.preflight(request, deadline: limit)
    }
}
