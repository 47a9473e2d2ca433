import SerinCatalogue
import SerinCommandLine
import SerinController
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts

@testable import SerinBackups

/// Backups whose results a test sets, over a real catalogue in memory.
final class FakeBackups: BackupWork {
    let catalogue = MemoryCatalogue(digest: SHA256.digestOrEmpty)
    let failure = Locked<BackupRunFailure?>(nil)
    /// Why the catalogue cannot be opened.
    let catalogueFailure = Locked<OperationError?>(nil)
    let checks = Locked([BackupCheck("mac", passed: true)])
    let made = Locked<[BackupKind]>([])
    let permits = Locked<[RestorePermit]>([])
    let approvals = Locked(0)
    /// Of the live database.
    let number = Locked<String?>("16384")
    let sides = Locked<[SideDatabases.Entry]>([])
    let recoveries = Locked<[PointInTimeRestore.Target]>([])
    let copied = Locked<[BackupID]>([])
    /// What a swap that was killed has put in place, and what was finished of it.
    let unfinished = Locked<SideDatabase?>(nil)
    let finished = Locked<[String]>([])
    /// The report of the next drill.
    let report = Locked<DrillReport?>(nil)
    /// How often the register was kept, and where it could not be.
    let registers = Locked(0)
    let unkept = Locked<[RegisterKeeper.Unkept]>([])
    /// How far the receiving of the write-ahead log is behind.
    let lag = Locked<Int64?>(nil)
    /// What pg_waldump says.
    let logLines = Locked<[String]>([])
    let cutOff = Locked<[BackupID]>([])
    /// Whether a reading succeeds, and why it proves too little.
    let verifies = Locked(false)
    /// Whether a backup takes until it is given up.
    let hangs = Locked(false)
    let shortfall = Locked<String?>(nil)
    /// What retention finds, and by which last run each look was measured.
    let retention = Locked<PrunePlan?>(nil)
    let lastRuns = Locked<[Instant?]>([])

    static let target = "checkout-db"

    var plan: BackupPlan {
        get throws(Failure) {
            guard let target = ServiceName(Self.target) else { throw Failure(.invalid, "no name") }
            return BackupPlan(
                target: target, project: "shop", source: .postgres(PostgresDumpSource(url: .environment("URL"))),
                destinations: [
                    DestinationPolicy(
                        name: "local", settings: DriverSettings(driver: "folder", settings: ["path": "/b"]), isOffsite: false,
                        warnSize: 10 << 30)
                ], encryption: EncryptionPolicy(key: .passphrase(.file("/k"))),
                schedules: [BackupSchedule(.every(.hours(6)), kind: .logical, label: "regular")], maximumAge: .hours(7),
                restore: RestorePolicy(approvals: approvals.withLock { $0 }),
                targets: BackupPlan.Targets(recoveryPoint: .hours(24)))
        }
    }

    var assembly: BackupAssembly {
        BackupAssembly(
            readPlan: { source throws(OperationError) in
                if source.text.contains("wrong") {
                    throw .invalid([
                        Diagnostic(file: source.file, mark: Mark(line: 1, column: 1), message: "unknown key 'wrong'", hint: nil)
                    ])
                }
                do throws(Failure) { return LoadedBackupPlan(file: source.file, plan: try self.plan, hash: "ab") } catch {
                    throw .unavailable("\(error)")
                }
            }, planSchema: { "{\"title\":\"plan\"}" },
            openCatalogue: { _ throws(OperationError) in try self.opened() },
            readCatalogue: { _ throws(OperationError) in try self.opened() },
            open: { _, _, _, options throws(Failure) in
                options.progress(JobProgress(stage: "dump", done: 50, total: 100, rate: 10))
                return self
            }, offsets: { _, _ in nil })
    }

    private func opened() throws(OperationError) -> any CatalogueStore {
        if let failure = catalogueFailure.withLock({ $0 }) { throw failure }
        return catalogue
    }

    func probes(for purpose: ProbePurpose) async -> [Probe] { [Probe("source", .failed, "no route to host")] }

    func database() async -> DatabaseIdentity? { nil }

    func create(
        _ kind: BackupKind, _ request: BackupRequest
    ) async throws(BackupRunFailure) -> BackupRunResult {
        if let failure = failure.withLock({ $0 }) { throw failure }
        made.withLock { $0.append(kind) }
        while hangs.withLock({ $0 }), !Task.isCancelled { await Task.yield() }
        throw BackupRunFailure(.store, Failure(.denied, "the disk is full"))
    }

    func tellCutOff(_ record: BackupRecord) { cutOff.withLock { $0.append(record.id) } }

    func verify(
        _ record: BackupRecord, at destination: String?, isRightPlace: Bool, by principal: Principal
    ) async throws(Failure) -> BackupVerifier.Outcome {
        guard verifies.withLock({ $0 }) else { throw Failure(.transient, "the destination does not answer") }
        let result = VerificationResult(
            at: record.createdAt + .seconds(30), destination: "local",
            evidence: CopyEvidence(size: 3000, sha256: String(repeating: "ab", count: 32)), checks: checks.withLock { $0 },
            shortfall: shortfall.withLock { $0 })
        do throws(CatalogueStoreError) {
            try await catalogue.append([CatalogueEvent(backup: record.id, at: result.at, by: principal, .verified(result))])
        } catch { throw error.failure }
        return BackupVerifier.Outcome(result: result, warnings: [], evidence: [])
    }

    func copy(
        _ record: BackupRecord, by principal: Principal
    ) async throws(Failure) -> (record: BackupRecord, missing: [BackupRunResult.MissingCopy]) {
        copied.withLock { $0.append(record.id) }
        return (record, [])
    }

    /// What exports were for.
    let exported = Locked<[String]>([])

    func export(
        _ record: BackupRecord, to file: String, destination: String?, isStored: Bool, reason: String, by principal: Principal
    ) async throws(Failure) -> BackupExport.Exported {
        exported.withLock { $0.append(reason) }
        return BackupExport.Exported(
            backup: record.id, destination: destination ?? "local", files: [file], bytes: 9000,
            sha256: record.facts?.envelope.plainSHA256 ?? "")
    }

    func prune(
        lastRun: Instant?, agreed: Bool, by principal: Principal
    ) async throws(Failure) -> (plan: PrunePlan, report: BackupPruner.Report) {
        lastRuns.withLock { $0.append(lastRun) }
        guard let plan = retention.withLock({ $0 }) else { throw Failure(.transient, "not asked for here") }
        return (plan, BackupPruner.Report())
    }

    func restore(
        _ record: BackupRecord, _ wish: RestoreWish, permit: RestorePermit
    ) async throws(Failure) -> RestoredDatabase {
        permits.withLock { $0.append(permit) }
        throw Failure(.transient, "the server does not answer")
    }

    func inspect(_ database: String, permit: RestorePermit) async throws(Failure) -> RestoredDatabase {
        RestoredDatabase(
            backup: permit.backup, name: database, live: permit.database, destination: "local",
            checks: checks.withLock { $0 }, evidence: [], reached: [])
    }

    func expectSwapRights(_ incoming: String?, of backup: BackupID?) async throws(Failure) {}

    func swap(_ restored: RestoredDatabase, permit: RestorePermit) async throws(Failure) -> DatabaseSwap.Outcome {
        permits.withLock { $0.append(permit) }
        return outcome(restored.live)
    }

    func undo(_ replaced: String, permit: RestorePermit) async throws(Failure) -> DatabaseSwap.Outcome {
        permits.withLock { $0.append(permit) }
        return outcome(permit.database)
    }

    func unfinishedSwap() async throws(Failure) -> SideDatabase? { unfinished.withLock { $0 } }

    func finish(_ placed: SideDatabase, permit: RestorePermit) async throws(Failure) -> DatabaseSwap.Outcome {
        finished.withLock { $0.append(placed.name) }
        return outcome(permit.database)
    }

    func merge(
        _ table: String, from database: String, agreed: Int64?, permit: RestorePermit
    ) async throws(Failure) -> (plan: TableMerge.Plan, merged: TableMerge.Merged?) {
        permits.withLock { $0.append(permit) }
        let plan = TableMerge.Plan(
            table: table, from: database, key: ["id"], restored: 1000, live: 900, missing: 110, conflicting: 10, differing: 7,
            leftOut: ["note"], statement: "INSERT")
        return (plan, agreed.map { TableMerge.Merged(added: min($0, plan.added), sequences: []) })
    }

    /// The key of the manifests, and those of before.
    let manifestKeys = Locked(["the key of all the manifests"])

    var seal: ManifestSeal {
        let keys = manifestKeys.withLock { $0 }.map { text in
            var key = Array(text.utf8)
            return Secret(wiping: &key)
        }
        return ManifestSeal(keys[0], former: Array(keys.dropFirst()))
    }

    private func outcome(_ live: String) -> DatabaseSwap.Outcome {
        DatabaseSwap.Outcome(replaced: live + "_replaced_1", live: live, interruption: .milliseconds(12), remarks: [])
    }

    func sideDatabases() async throws(Failure) -> [SideDatabases.Entry] { sides.withLock { $0 } }

    func drop(_ database: String, by principal: Principal) async throws(Failure) {
        sides.withLock { $0.removeAll { $0.name == database } }
    }

    func dropDue(by principal: Principal) async throws(Failure) -> SideDatabases.Pruned { SideDatabases.Pruned() }

    func unpack(
        _ record: BackupRecord, _ wish: RestoreWish, by principal: Principal
    ) async throws(Failure) -> RestoredFolder {
        guard let folder = wish.folder else { throw Failure(.denied, "it needs a place") }
        var restored = RestoredFolder(backup: record.id, kind: record.kind, folder: folder)
        restored.checks = checks.withLock { $0 }
        return restored
    }

    func recover(
        _ record: BackupRecord?, _ wish: RestoreWish, to cluster: ClusterRestore.Wish, by principal: Principal
    ) async throws(Failure) -> RestoredFolder {
        recoveries.withLock { $0.append(cluster.target) }
        throw Failure(.denied, "cannot recover to \(cluster.target.words): it is before the earliest moment")
    }

    func drill(
        _ policy: DrillPolicy, _ backup: BackupID?, seed: UInt64?, by principal: Principal
    ) async throws(Failure) -> DrillReport {
        guard let report = report.withLock({ $0 }) else { throw Failure(.transient, "no server can be made") }
        return report
    }

    func follow(_ told: @escaping @Sendable (LogFollower.Status) async -> Void) async throws(Failure) {}

    func logLag() async throws(Failure) -> Int64? { lag.withLock { $0 } }

    func moments(_ span: ClosedRange<Instant>) async throws(Failure) -> LogMoments {
        var moments = LogMoments(span)
        for line in logLines.withLock({ $0 }) { moments.take(line[...]) }
        return moments
    }

    /// What the tool that keeps the bytes no longer has; a failure when it cannot be asked.
    let expired = Locked<Result<[BackupID], Failure>>(.success([]))

    func noteExpired(by principal: Principal) async throws(Failure) -> [BackupID] {
        let gone = try expired.withLock { $0 }.get()
        expired.withLock { $0 = .success([]) }
        do throws(CatalogueStoreError) {
            try await catalogue.append(
                gone.map { id in
                    CatalogueEvent(
                        backup: id, at: Instant(millisecondsSince1970: 1_900_000_000_000), by: principal,
                        .quarantined(destination: nil, .expiredByItsTool))
                })
        } catch { throw error.failure }
        return gone
    }

    func mirror() async throws(Failure) -> CatalogueMirror.Report? { nil }

    func beat() async throws(Failure) {}

    func liveDatabase() throws(Failure) -> String { "checkout" }

    func liveNumber() async throws(Failure) -> String? { number.withLock { $0 } }

    func contents(of destination: String) async throws(Failure) -> DestinationContents {
        DestinationContents(destination: destination, objects: [], manifests: [])
    }

    func keepRegister(at destination: String?) async throws(Failure) -> [RegisterKeeper.Unkept] {
        registers.withLock { $0 += 1 }
        return unkept.withLock { $0 }
    }

    func recallRegister(
        from destination: String?, by principal: Principal
    ) async throws(Failure) -> RegisterKeeper.Recalled { RegisterKeeper.Recalled() }

    func importBackups(from destination: String, by principal: Principal) async throws(Failure) -> CatalogueRebuild.Report {
        CatalogueRebuild.Report()
    }

    /// Puts a backup into the catalogue that went well.
    @discardableResult
    func add(
        _ number: Int64, _ createdAt: Instant, purpose: String? = nil, kind: BackupKind = .logical,
        rollout: RolloutID? = nil, target: String = FakeBackups.target, id: BackupID? = nil, isRead: Bool = true
    ) async throws -> BackupID {
        let id = id ?? BackupID(millisecondsSince1970: number, random: [UInt8(truncatingIfNeeded: number)])
        let order = BackupOrder(
            id: id, project: "shop", target: target, kind: kind, createdAt: createdAt, createdBy: .uid(1000),
            purpose: purpose, rollout: rollout)
        let digest = String(repeating: "ab", count: 32)
        let facts = BackupFacts(
            startedAt: createdAt, finishedAt: createdAt + .seconds(90),
            envelope: EnvelopeFacts(
                profile: .enc1, compression: .zstd, plainBytes: 9000, plainSHA256: digest, storedBytes: 3000,
                storedSHA256: digest), tool: ToolFacts(name: "pg_dump", version: "15.10", format: "custom"))
        guard let key = ObjectKey("logical/\(id)") else { throw Failure(.invalid, "no key") }
        let copy = BackupCopy(destination: "local", key: key, storedAt: createdAt)
        var changes: [CatalogueEvent.Change] = [.begun(order), .stored(copy, facts)]
        if isRead { changes.append(.confirmed(destination: "local", CopyEvidence(size: 3000, sha256: digest))) }
        try await catalogue.append(changes.map { CatalogueEvent(backup: id, at: createdAt, by: .serin, $0) })
        return id
    }
}
