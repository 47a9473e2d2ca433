public import SerinModel

/// How far a job has come.
public enum JobState: String, Sendable, Hashable, Codable, CaseIterable {
    /// Waiting for a worker.
    case pending
    /// A worker has it.
    case running
    /// Done.
    case succeeded
    /// Not done, and why is known.
    case failed
    /// Called off.
    case cancelled
    /// Nobody was heard of for too long; its worker may still come back.
    case stuck

    /// Whether nothing more will happen to it.
    public var isFinal: Bool {
        switch self {
        case .succeeded, .failed, .cancelled: true
        case .pending, .running, .stuck: false
        }
    }
}

/// How much of a job is done.
public struct JobProgress: Sendable, Hashable, Codable {
    /// The stage: `dump`, `upload`, `verify`.
    public var stage: String
    /// Bytes done in this stage.
    public var done: Int64
    /// Bytes to do; nil when nobody can know.
    public var total: Int64?
    /// Bytes a second, over the last while.
    public var rate: Double?

    /// Progress.
    public init(stage: String, done: Int64, total: Int64? = nil, rate: Double? = nil) {
        self.stage = stage
        self.done = done
        self.total = total
        self.rate = rate
    }

    /// How long the rest of the stage takes at the present rate; nil when that cannot be said.
    public var timeLeft: Duration? {
        guard let total, let rate, rate > 0, total >= done else { return nil }
        let seconds = Double(total - done) / rate
        return seconds < 1e9 ? .milliseconds(Int64(seconds * 1000)) : nil
    }
}

/// What happens to a job.
public enum JobChange: Sendable, Hashable {
    /// A worker took it.
    case started(LeaseHolder)
    /// Its worker gave a sign of life.
    case progressed(JobProgress)
    /// It is done; the backup that it made or used.
    case succeeded(BackupID?)
    /// It is not done, because of this.
    case failed(String)
    /// It was called off, because of this.
    case cancelled(String)
    /// Nobody was heard of for too long.
    case stuck(String)
}

/// One thing that is done at length: a backup, a restore, a drill, a scrub.
public struct BackupJob: Sendable, Hashable, Codable {
    /// A UUID of the same form as a backup's.
    public var id: BackupID
    /// What is done: `export_backup`, `restore_backup`, `drill`, `verify`.
    public var type: String
    /// The project that owns it.
    public var project: String
    /// The target of the plan.
    public var target: String
    /// When it was asked for.
    public var createdAt: Instant
    /// Who asked for it.
    public var createdBy: Principal
    /// How far it is.
    public var state: JobState
    /// When it last changed.
    public var updatedAt: Instant
    /// When its worker was last heard of.
    public var heartbeatAt: Instant?
    /// Who works on it, or last did.
    public var worker: LeaseHolder?
    /// How much is done.
    public var progress: JobProgress?
    /// Why it failed, was called off or is stuck; without secrets.
    public var errorMessage: String?
    /// The backup that it makes or uses.
    public var backup: BackupID?

    /// A job that waits.
    public init(
        id: BackupID, type: String, project: String, target: String, createdAt: Instant, createdBy: Principal,
        backup: BackupID? = nil
    ) {
        self.id = id
        self.type = type
        self.project = project
        self.target = target
        self.createdAt = createdAt
        self.createdBy = createdBy
        self.backup = backup
        state = .pending
        updatedAt = createdAt
    }

    /// The job of a run that the catalogue knows: it was begun when the backup was, and ended when it was stored or failed.
    public init(of record: BackupRecord) {
        self.init(
            id: record.id, type: "export_backup", project: record.order.project, target: record.order.target,
            createdAt: record.createdAt, createdBy: record.order.createdBy, backup: record.id)
        switch record.state {
        case .running: state = .running
        case .failed: state = record.wasInterrupted ? .cancelled : .failed
        case .quarantined where record.facts == nil: state = .failed
        case .deleting where record.facts == nil, .deleted where record.facts == nil: state = .failed
        case .uploaded, .available, .verified, .drilled, .quarantined, .deleting, .deleted: state = .succeeded
        }
        updatedAt = record.facts?.finishedAt ?? record.failedAt ?? record.createdAt
        if state == .failed || state == .cancelled { errorMessage = record.failure?.message }
    }

    /// Takes a change in, or says why it cannot be. What is final stays; a worker that was thought lost may go on.
    public mutating func apply(_ change: JobChange, at now: Instant) throws(CatalogueRefusal) {
        guard !state.isFinal else { throw CatalogueRefusal("job \(id) is \(state.rawValue) already") }
        switch change {
        case .started(let worker):
            guard state != .running else { throw CatalogueRefusal("job \(id) is running already") }
            state = .running
            self.worker = worker
            heartbeatAt = now
            errorMessage = nil
        case .progressed(let progress):
            guard state != .pending else { throw CatalogueRefusal("job \(id) was not started") }
            state = .running
            self.progress = progress
            heartbeatAt = now
            errorMessage = nil
        case .succeeded(let backup):
            guard state != .pending else { throw CatalogueRefusal("job \(id) was not started") }
            state = .succeeded
            self.backup = backup ?? self.backup
            errorMessage = nil
        case .failed(let message): end(.failed, message)
        case .cancelled(let message): end(.cancelled, message)
        case .stuck(let message): end(.stuck, message)
        }
        updatedAt = now
    }

    private mutating func end(_ state: JobState, _ message: String) {
        self.state = state
        errorMessage = message
    }

    /// Why it counts as stuck; nil when it does not. A worker that is dead is not waited for.
    ///
    /// - Parameters:
    ///   - patience: How long nothing may be heard.
    ///   - isAlive: Whether its worker lives; nil when that cannot be seen from here.
    public func reasonForStuck(at now: Instant, patience: Duration, isAlive: Bool?) -> String? {
        switch state {
        case .pending:
            return now - createdAt > patience ? "no worker took it since \(createdAt)" : nil
        case .running:
            let worker = self.worker?.description ?? "its worker"
            if isAlive == false { return "\(worker) is dead" }
            let heard = heartbeatAt ?? updatedAt
            return now - heard > patience ? "\(worker) was not heard of since \(heard)" : nil
        case .succeeded, .failed, .cancelled, .stuck: return nil
        }
    }
}

extension CatalogueState {
    /// The runs that made a backup, or failed to, as jobs.
    ///
    /// - Parameter jobs: What tells of some of them already.
    public func runs(beside jobs: [BackupJob]) -> [BackupJob] {
        let told = Set(jobs.map(\.id) + jobs.filter { $0.type == "export_backup" }.compactMap(\.backup))
        return records.filter { !told.contains($0.id) }.map { BackupJob(of: $0) }
    }
}
