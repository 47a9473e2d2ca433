internal import Glibc
public import SerinCatalogue
internal import SerinCrypto
internal import SerinDatabase
public import SerinModel
public import SerinPolicies
public import SerinPorts
internal import SerinProcesses

/// Rehearses a recovery: restores a backup into a server of its own, checks what came out, measures how long it took and how much
/// would be lost, and removes everything again.
public struct BackupDrill: Sendable {
    /// What is rehearsed.
    public struct Settings: Sendable {
        /// Which backup, and how long it may take.
        public var policy: DrillPolicy
        /// What must hold in the restored database.
        public var checks: RestoreChecks
        /// The content of the plan's file of statements that must return no row.
        public var integrity: String?
        /// How much may be lost, and how long a recovery may take.
        public var targets: BackupPlan.Targets
        /// An existing folder for the server, with a short name: sockets allow no more than about 100 bytes.
        public var folder: String
        /// Folders in which the server's programs are looked for first.
        public var toolFolders: [String]
        /// Asks the application, where the plan names addresses.
        public var probe: RestoreSettings.Probe?
        /// The content of the plan's file of statements that erase one subject again.
        public var erasure: String?
        /// The largest share of a table's rows that erasing may take.
        public var maximumErased = 0.5
        /// Restores a backup that is no dump of a database into an empty folder; nil where nothing can.
        public var unpack: (@Sendable (BackupRecord, _ folder: String) async throws(Failure) -> RestoredFolder)?
        /// Asks the server that restores go to whether it has the roles that a backup names; nil where there is none to ask.
        public var roles: (@Sendable (BackupRecord) async -> BackupCheck)?
        /// Whether the database has a heartbeat, by which the loss of data is measured; otherwise the backup's own moment has to do.
        public var hasHeartbeat: Bool

        /// Settings.
        public init(
            _ policy: DrillPolicy, checks: RestoreChecks = RestoreChecks(), integrity: String? = nil,
            targets: BackupPlan.Targets = BackupPlan.Targets(), folder: String = "/tmp", toolFolders: [String] = [],
            probe: RestoreSettings.Probe? = nil, hasHeartbeat: Bool = false
        ) {
            self.hasHeartbeat = hasHeartbeat
            self.policy = policy
            self.checks = checks
            self.integrity = integrity
            self.targets = targets
            self.folder = folder
            self.toolFolders = toolFolders
            self.probe = probe
        }
    }

    private let pipeline: PipelineSettings
    private let settings: Settings
    private let identities: [EnvelopeIdentity]
    private let catalogue: any CatalogueStore
    private let now: @Sendable () -> Instant
    private let progress: @Sendable (JobProgress) -> Void

    /// A drill.
    public init(
        _ pipeline: PipelineSettings, _ settings: Settings, identities: [EnvelopeIdentity], catalogue: any CatalogueStore,
        now: @escaping @Sendable () -> Instant, progress: @escaping @Sendable (JobProgress) -> Void = { _ in }
    ) {
        self.pipeline = pipeline
        self.settings = settings
        self.identities = identities
        self.catalogue = catalogue
        self.now = now
        self.progress = progress
    }

    /// Rehearses, and tells the catalogue what came of it.
    ///
    /// - Parameters:
    ///   - chosen: The backup; nil for the one that the policy selects.
    ///   - seed: For the policy's random choice; nil for an unpredictable one. The report names it.
    public func run(
        _ source: any BackupSource, backup chosen: BackupID? = nil, seed: UInt64? = nil, by principal: Principal
    ) async throws(Failure) -> DrillReport {
        let (found, selection) = try await select(source.kind, chosen, seed)
        if !found.state.isVerified {
            let verifier = BackupVerifier(pipeline, identities: identities, catalogue: catalogue, now: now)
            let outcome = try await verifier.verify(found.id, source: source, by: principal)
            guard outcome.result.isProof else {
                let why = outcome.result.shortfall.map { ": \($0)" } ?? ""
                throw Failure(
                    .invalid, "backup \(found.id) does not pass its verification, so there is nothing to rehearse with\(why)",
                    hint: why.isEmpty ? nil : "give a recipient's key with --identity CERTIFICATE,KEY")
            }
        }
        var clock = begunClock()
        let id = String(try randomName().prefix(8))
        let attempt =
            found.kind == .logical ? await rehearse(found, source, principal, &clock) : await unpack(found, &clock)
        // What was called off says nothing of the backup.
        guard !Task.isCancelled else {
            throw Failure(
                .unknown, "the drill of backup \(found.id) was interrupted: it neither passed nor failed, and is not kept")
        }
        let open = try await openItems()
        let checks = attempt.checks + (open.map { [$0.finding] } ?? [])
        let end = now()
        // What lies ahead of the end is of another clock; what was written since the declaration is not lost.
        let ahead = attempt.newest.flatMap { $0 > end ? $0 - end : nil }
        var result = DrillResult(
            id: id, at: end, destination: attempt.destination, restored: attempt.isRestored, checks: checks,
            clock: clock,
            recoveryPoint: ahead == nil ? attempt.newest.map { max(.zero, (clock[.declared] ?? $0) - $0) } : nil)
        if attempt.isOnlyUnpacked { result.onlyUnpacked = true }
        result.actionItems = actionItems(result, ahead)
        for item in open?.items ?? [] where !result.actionItems.contains(item) { result.actionItems.append(item) }
        try await tell(CatalogueEvent(backup: found.id, at: result.at, by: principal, .drilled(result)))
        return DrillReport(
            of: found, selection: selection, environment: attempt.environment, result: result,
            recoveryPointTarget: settings.targets.recoveryPoint, recoveryTimeTarget: settings.targets.recoveryTime)
    }

    private struct Attempt {
        var destination = ""
        var isRestored = false
        /// Whether nothing but a tool that unpacks has had it.
        var isOnlyUnpacked = false
        var checks: [BackupCheck] = []
        var environment = "no server"
        /// The moment to which the restored data reach; nil when nothing was restored, or there should be a heartbeat and is none.
        var newest: Instant?
    }

    /// In a folder of its own, for what is no dump of a database.
    private func unpack(_ record: BackupRecord, _ clock: inout DrillClock) async -> Attempt {
        var attempt = Attempt()
        attempt.environment = "a folder"
        do throws(Failure) {
            guard let unpack = settings.unpack else {
                throw Failure(.invalid, "backups of the kind \(record.kind.rawValue) cannot be rehearsed here")
            }
            let parent = settings.folder
            let place = try await onOwnThread { _ throws(Failure) in
                IsolatedServer.sweep(parent)
                return try TemporaryFolder(in: parent, prefix: IsolatedServer.prefix)
            }
            let folder = place.path
            do throws(Failure) {
                let restored = try await unpack(record, folder)
                attempt.destination = restored.destination
                attempt.isRestored = true
                // Only the owner's own test loads these; files and rows of a log are back once they are unpacked.
                attempt.isOnlyUnpacked = [.clickhouse, .command].contains(record.kind) && settings.checks.smoke.isEmpty
                attempt.checks = restored.checks
                attempt.newest = restored.recovery?.lastCommit ?? record.consistentAt
                if let recovery = restored.recovery {
                    attempt.environment = "a Postgres server of its own, recovered to \(recovery.position)"
                }
                for step in restored.reached { clock.reach(step.mark, at: step.at) }
                clock.reach(.cutOver, at: now())
            } catch { attempt.checks.append(BackupCheck("restore", passed: false, detail: error.message)) }
            let isGone = try await onOwnThread { _ throws(Failure) in
                RecoveryServer.stopLeftover(in: folder + "/data")
                removeTree(place.path)
                return access(place.path, F_OK) != 0
            }
            attempt.checks.append(BackupCheck("environment removed", passed: isGone, detail: isGone ? "" : folder))
        } catch { attempt.checks.append(BackupCheck("environment", passed: false, detail: error.message)) }
        return attempt
    }

    /// It was decided at once: nobody had to be asked.
    private func begunClock() -> DrillClock {
        let moment = now()
        var clock = DrillClock(declaredAt: moment)
        clock.reach(.decided, at: moment)
        return clock
    }

    /// Whatever happens is a finding; the server is gone in the end.
    private func rehearse(
        _ record: BackupRecord, _ source: any BackupSource, _ principal: Principal, _ clock: inout DrillClock
    ) async -> Attempt {
        var attempt = Attempt()
        do throws(Failure) {
            let (settings, major) = (settings, Int(record.facts?.server?.version.prefix { $0 != "." } ?? "") ?? 0)
            let facts = record.facts?.server
            let server = try await onOwnThread { (stop) throws(Failure) in
                let server = try IsolatedServer(in: settings.folder, major: major, toolFolders: settings.toolFolders, stop: stop)
                try server.makeRoles(owners: facts?.owners?.map(\.role) ?? [], grantees: facts?.grantees ?? [])
                return server
            }
            let template = try await onOwnThread { _ throws(Failure) in
                try server.template(with: facts?.dumpedExtensions ?? [], for: "rehearsal")
            }
            // A recovery has its server: making one for the rehearsal is no part of what is measured.
            clock = begunClock()
            attempt.environment = "Postgres \(server.version)"
            do throws(Failure) {
                let restored = try await restore(
                    record, source, server.url(user: "rehearsal", database: "drill"), template, principal)
                attempt.destination = restored.destination
                attempt.isRestored = true
                attempt.checks = restored.checks
                if let roles = settings.roles { attempt.checks.append(await roles(record)) }
                for step in restored.reached { clock.reach(step.mark, at: step.at) }
                clock.reach(.cutOver, at: now())
                attempt.newest = record.consistentAt
                if settings.hasHeartbeat {
                    let target = pipeline.target
                    attempt.newest = try await onOwnThread { _ throws(Failure) in
                        try server.heartbeat(of: target, in: restored.name)
                    }
                }
            } catch {
                let hint = error.hint.map { "; \($0)" } ?? ""
                attempt.checks.append(BackupCheck("restore", passed: false, detail: error.message + hint))
            }
            let isGone = try await onOwnThread { _ throws(Failure) in server.destroy() }
            attempt.checks.append(BackupCheck("environment removed", passed: isGone, detail: isGone ? "" : server.folder))
        } catch { attempt.checks.append(BackupCheck("environment", passed: false, detail: error.message)) }
        return attempt
    }

    /// As a role with no more rights than one that really restores.
    private func restore(
        _ record: BackupRecord, _ source: any BackupSource, _ url: String, _ template: String?, _ principal: Principal
    ) async throws(Failure) -> RestoredDatabase {
        var policy = RestorePolicy(checks: settings.checks)
        policy.deadline = settings.policy.deadline
        policy.template = template
        policy.maximumErased = settings.maximumErased
        try makePrivateFolder(pipeline.workFolder)
        var restore = RestoreSettings(
            url: url, policy: policy, integrity: settings.integrity, scratch: pipeline.workFolder,
            toolFolders: settings.toolFolders, keepsOwners: record.facts?.server?.owners != nil,
            probe: settings.probe)
        restore.isRehearsal = true
        restore.erasure = settings.erasure
        let permit = RestorePermit(backup: record.id, database: "drill", scope: .beside, by: principal)
        return try await BackupRestore(
            pipeline, restore, identities: identities, catalogue: catalogue, holder: nil, now: now, progress: progress
        ).restore(record.id, source: source, permit: permit)
    }

    private func select(_ kind: BackupKind, _ chosen: BackupID?, _ seed: UInt64?) async throws(Failure) -> (BackupRecord, String)
    {
        let state: CatalogueState
        do throws(CatalogueStoreError) { state = try await catalogue.state() } catch { throw error.failure }
        if let chosen {
            guard let record = state[chosen], record.state.isRestorable else {
                throw Failure(.invalid, "there is no backup \(chosen) that can be restored")
            }
            return (record, "by hand")
        }
        // In the order in which they were begun, which no clock can change; the oldest first.
        let candidates = state.history(BackupSelection(target: "\(pipeline.target)")).filter {
            ($0.kind == kind || ($0.kind.isPhysicalBase && kind.isPhysicalBase)) && $0.state.isRestorable
                && !$0.usableCopies.isEmpty
        }.reversed()
        let moment = now()
        var seed = seed
        let found: BackupRecord?
        switch settings.policy.selection {
        case .latest: found = candidates.last
        case .oldest: found = candidates.first
        case .sampled:
            let recent = candidates.filter { moment - $0.createdAt <= settings.policy.within }
            let random = try hashing { () throws(CryptoError) in try randomBytes(8) }
            let value = seed ?? random.reduce(0) { $0 << 8 | UInt64($1) }
            seed = value
            found = recent.isEmpty ? nil : recent[Int(value % UInt64(recent.count))]
        }
        guard let found else { throw Failure(.invalid, "there is no backup of \(pipeline.target) to rehearse with") }
        let words = settings.policy.selection == .sampled ? "random, seed \(seed ?? 0)" : settings.policy.selection.rawValue
        return (found, words)
    }

    private func actionItems(_ result: DrillResult, _ ahead: Duration?) -> [String] {
        var items = result.checks.filter { !$0.passed && $0.name != DrillItems.check }.map {
            "find out why '\($0.name)' failed: \($0.detail)"
        }
        if !result.restored { items.append("make a backup that can be restored, and rehearse again") }
        if let ahead {
            items.append(
                "set the clocks right: the newest data are \(ahead) ahead of the clock here, so what would be lost was not measured"
            )
        } else if result.restored, result.recoveryPoint == nil {
            items.append(
                "find out why the restored database has no heartbeat of \(pipeline.target): what would be lost was not measured")
        }
        if let limit = settings.targets.recoveryTime, let time = result.clock.recoveryTime, time > limit {
            items.append("the recovery took \(time), and may take \(limit)")
        }
        if let limit = settings.targets.recoveryPoint, let lost = result.recoveryPoint, lost > limit {
            items.append("\(lost) of changes would be lost, and at most \(limit) may be: back up more often")
        }
        return items + result.clock.overBudget.map { "the phase '\($0.rawValue)' took longer than \($0.budget)" }
    }

    /// What earlier drills left to be done, and nobody has said to be done.
    private func openItems() async throws(Failure) -> DrillItems? {
        let target = "\(pipeline.target)"
        do throws(CatalogueStoreError) {
            return DrillItems(
                in: try await catalogue.state().records.filter { $0.order.target == target },
                notes: try await catalogue.notes(DrillItems.topic, of: target))
        } catch { throw error.failure }
    }

    private func tell(_ event: CatalogueEvent) async throws(Failure) {
        do throws(CatalogueStoreError) { try await catalogue.append([event]) } catch { throw error.failure }
    }
}
