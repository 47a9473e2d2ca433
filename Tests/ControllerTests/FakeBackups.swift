import SerinLocks
import SerinModel
import SerinPorts
import SerinRollouts

/// A catalogue in memory, which outlives the controllers that ask for backups.
final class FakeBackups: Backups {
    struct State: Sendable {
        /// What the catalogue has.
        var reference: CheckpointReference?
        /// How good the next one turns out.
        var quality = BackupState.verified
        /// Why the next one fails.
        var failure: Failure?
        /// What preflight finds.
        var problems: [Failure] = []
        /// What is backed up.
        var database: DatabaseIdentity? = DatabaseIdentity(system: "1", name: "checkout")
        /// A backup takes until its end.
        var gate: AsyncStream<Never>?
        var isHeld = false
        /// Why it cannot be released.
        var releaseFailure: Failure?
        var asked = 0
        var made = 0
        var ended = 0
        /// For whom.
        var requests: [RolloutBackupRequest] = []
    }

    let state = Locked(State())

    func preflight(_ request: RolloutBackupRequest, deadline: Duration) async -> BackupPreflight {
        state.withLock { BackupPreflight(problems: $0.problems, database: $0.database) }
    }

    func take(_ request: RolloutBackupRequest, deadline: Duration) async -> BackupOutcome {
        let gate = state.withLock { state in
            state.asked += 1
            state.requests.append(request)
            return state.gate
        }
        if let gate { for await _ in gate {} }
        return state.withLock { state in
            if gate != nil, Task.isCancelled {
                state.ended += 1
                return .failed(Failure(.transient, "it was ended"))
            }
            if let failure = state.failure { return .failed(failure) }
            guard let known = state.reference else {
                guard let id = BackupID("01934b5e-6d00-7abc-8def-0123456789ab") else {
                    return .failed(Failure(.invalid, "no id"))
                }
                let reference = CheckpointReference(backup: id, state: state.quality, at: Instant(millisecondsSince1970: 0))
                state.reference = reference
                state.made += 1
                state.isHeld = true
                return .made(reference)
            }
            return .made(known)
        }
    }

    func check(_ request: RolloutBackupRequest, deadline: Duration) async -> BackupOutcome {
        state.withLock { state in
            state.reference.map { .made($0) } ?? .unknown(Failure(.unknown, "none of this rollout was finished"))
        }
    }

    func release(_ request: RolloutBackupRequest, deadline: Duration) async throws(Failure) {
        let failure = state.withLock { state in
            if state.releaseFailure == nil { state.isHeld = false }
            return state.releaseFailure
        }
        if let failure { throw failure }
    }
}
