public import SerinBackups
public import SerinCatalogue
public import SerinController
public import SerinModel
public import SerinPolicies
public import SerinPorts

/// A backup plan after validation.
public struct LoadedBackupPlan: Sendable, Hashable {
    /// Its file, for messages.
    public var file: String
    /// The plan.
    public var plan: BackupPlan
    /// What is allowed and should be looked at.
    public var warnings: [Diagnostic]
    /// SHA-256 of the file's text, lower-case hexadecimal.
    public var hash: String

    /// A plan.
    public init(file: String, plan: BackupPlan, warnings: [Diagnostic] = [], hash: String) {
        self.file = file
        self.plan = plan
        self.warnings = warnings
        self.hash = hash
    }
}

/// What a plan's probes are to find out.
public enum ProbePurpose: Sendable, Hashable {
    /// Whether a release can stand on its backups: they are verified here and at once, and who restores them may be another machine.
    case release
    /// Whether backups are made; restores are another machine's.
    case backups
    /// Whether backups are made, and a restore would not be refused.
    case restores
    /// The same, and that what was restored can take the live one's place.
    case swaps
}

/// What the verbs of backups ask of a plan's own parts: its source, destinations and keys.
public protocol BackupWork: Sendable {
    /// Tries the source, the key, every destination, and what a restore needs, and changes nothing.
    ///
    /// - Parameter purpose: What the plan is to be good for.
    func probes(for purpose: ProbePurpose) async -> [Probe]
    /// Which Postgres is backed up; nil when it is none, or nobody could tell.
    func database() async -> DatabaseIdentity?
    /// Makes a backup of a kind.
    func create(_ kind: BackupKind, _ request: BackupRequest) async throws(BackupRunFailure) -> BackupRunResult
    /// Tells whom the plan names of a run that was cut off.
    func tellCutOff(_ record: BackupRecord)
    /// Reads a copy again and judges it.
    ///
    /// - Parameter isRightPlace: Whether somebody says that the destination is the one that it was, so that what is not there is lost.
    func verify(_ record: BackupRecord, at destination: String?, isRightPlace: Bool, by principal: Principal)
        async throws(Failure) -> BackupVerifier.Outcome
    /// Makes the copies of a backup that destinations lack.
    func copy(_ record: BackupRecord, by principal: Principal) async throws(Failure)
        -> (record: BackupRecord, missing: [BackupRunResult.MissingCopy])
    /// Warns and deletes as the plan says.
    func prune(lastRun: Instant?, agreed: Bool, by principal: Principal) async throws(Failure)
        -> (plan: PrunePlan, report: BackupPruner.Report)
    /// Restores a dump beside the live database.
    func restore(_ record: BackupRecord, _ wish: RestoreWish, permit: RestorePermit) async throws(Failure) -> RestoredDatabase
    /// Looks again at a database that was restored before.
    func inspect(_ database: String, permit: RestorePermit) async throws(Failure) -> RestoredDatabase
    /// Whether a swap of a database, nil for one that is not made yet, would be refused for rights, or for the owners in the backup that
    /// it is restored from; nil for one that was live.
    func expectSwapRights(_ incoming: String?, of backup: BackupID?) async throws(Failure)
    /// Puts a restored database in the live one's place.
    func swap(_ restored: RestoredDatabase, permit: RestorePermit) async throws(Failure) -> DatabaseSwap.Outcome
    /// Puts a database back that a swap replaced.
    func undo(_ replaced: String, permit: RestorePermit) async throws(Failure) -> DatabaseSwap.Outcome
    /// The database that a swap has put in the live one's place though it was killed before it could say so.
    func unfinishedSwap() async throws(Failure) -> SideDatabase?
    /// Does what is left of such a swap.
    func finish(_ placed: SideDatabase, permit: RestorePermit) async throws(Failure) -> DatabaseSwap.Outcome
    /// Counts what a merge of a table would bring back from a database beside, and does it when so many rows were agreed to.
    func merge(_ table: String, from database: String, agreed: Int64?, permit: RestorePermit) async throws(Failure)
        -> (plan: TableMerge.Plan, merged: TableMerge.Merged?)
    /// The databases that restores and swaps left.
    func sideDatabases() async throws(Failure) -> [SideDatabases.Entry]
    /// Drops one of them.
    func drop(_ database: String, by principal: Principal) async throws(Failure)
    /// Drops the replaced ones whose time is over.
    func dropDue(by principal: Principal) async throws(Failure) -> SideDatabases.Pruned
    /// Gives a person a backup as a file: its plain bytes, or those that are stored with the manifest beside.
    func export(
        _ record: BackupRecord, to file: String, destination: String?, isStored: Bool, reason: String, by principal: Principal
    ) async throws(Failure) -> BackupExport.Exported
    /// Restores what is no dump of a database into a folder, or into the server of `restore.url`.
    func unpack(_ record: BackupRecord, _ wish: RestoreWish, by principal: Principal) async throws(Failure) -> RestoredFolder
    /// Restores a cluster of its own and recovers it to a point in time; without a backup, the nearest one before it.
    func recover(_ record: BackupRecord?, _ wish: RestoreWish, to cluster: ClusterRestore.Wish, by principal: Principal)
        async throws(Failure) -> RestoredFolder
    /// The name of the database that a restore may replace.
    func liveDatabase() throws(Failure) -> String
    /// The number that its server gave it; nil when there is none of that name.
    func liveNumber() async throws(Failure) -> String?
    /// Rehearses a restore into an isolated server; nil chooses the backup as the policy says.
    func drill(_ policy: DrillPolicy, _ backup: BackupID?, seed: UInt64?, by principal: Principal) async throws(Failure)
        -> DrillReport
    /// What seals what this plan's backups say: the key of their manifests, and those that were used before.
    var seal: ManifestSeal { get throws(Failure) }
    /// Keeps the write-ahead log followed until its task is cancelled, where the plan asks for it, and tells each change.
    func follow(_ told: @escaping @Sendable (LogFollower.Status) async -> Void) async throws(Failure)
    /// How many bytes of write-ahead log the server has that were not received; nil where the plan receives none.
    func logLag() async throws(Failure) -> Int64?
    /// The deletions that the write-ahead log in the plan's folder has, of a span.
    func moments(_ span: ClosedRange<Instant>) async throws(Failure) -> LogMoments
    /// Makes the catalogue's mirror equal to it; nil where the plan asks for none.
    func mirror() async throws(Failure) -> CatalogueMirror.Report?
    /// Writes the row by which drills measure what would be lost; nothing where the plan asks for none.
    func beat() async throws(Failure)
    /// Asks the tool that keeps the bytes itself, where the plan has one, what its own retention has removed since, and tells the
    /// catalogue: that is quarantined, and counts nowhere as a backup any more.
    ///
    /// - Returns: What is gone since the last time.
    /// - Throws: When the tool cannot say, which says nothing about any backup.
    func noteExpired(by principal: Principal) async throws(Failure) -> [BackupID]
    /// What a destination really holds.
    func contents(of destination: String) async throws(Failure) -> DestinationContents
    /// Makes the backups of a destination's manifests known again.
    func importBackups(from destination: String, by principal: Principal) async throws(Failure) -> CatalogueRebuild.Report
    /// Writes what is held and who was erased beside the objects, where something else stands there: at one destination, or at all.
    ///
    /// - Returns: The destinations where that was not possible.
    func keepRegister(at destination: String?) async throws(Failure) -> [RegisterKeeper.Unkept]
    /// Reads it again, for imported backups: at one destination, or at all.
    func recallRegister(from destination: String?, by principal: Principal) async throws(Failure) -> RegisterKeeper.Recalled
}

/// What a person gives beside a plan to open its backups, and who is told of progress.
public struct BackupWorkOptions: Sendable {
    /// What the process is called as the holder of leases.
    public var purpose: String
    /// Files of certificates and private keys that open backups.
    public var identities: [(certificate: String, key: String)]
    /// Told how far something is, from any thread.
    public var progress: @Sendable (JobProgress) -> Void
    /// Told what does not stop a backup and should be known before it is made.
    public var warning: @Sendable (Failure) -> Void = { _ in }
    /// Whether a key of the manifests is made where there is none: a new one believes nothing that is stored.
    public var makesKey = true
    /// Takes work that nobody waits for: telling people, writing the mirror.
    public var later: @Sendable (@escaping @Sendable () async -> Void) -> Void

    /// Who is told besides the program of the plan; nil for nobody.
    public var notifier: (any Notifier)?

    /// Options.
    public init(
        purpose: String, identities: [(certificate: String, key: String)] = [],
        later: @escaping @Sendable (@escaping @Sendable () async -> Void) -> Void,
        progress: @escaping @Sendable (JobProgress) -> Void = { _ in }
    ) {
        self.purpose = purpose
        self.identities = identities
        self.later = later
        self.progress = progress
    }
}

/// What is wished of a restore.
public struct RestoreWish: Sendable {
    /// Whose copy is read; nil for the first usable one.
    public var destination: String?
    /// Only these tables of a dump.
    public var tables: [String] = []
    /// Whether a dump is masked once it is restored.
    public var isMasked = false
    /// Whether the objects of a dump keep their owners and grants; otherwise all belong to the role that restores.
    public var keepsOwners = true
    /// The folder that is filled; nil where none is.
    public var folder: String?
    /// How long it may take; nil for as long as the plan says.
    public var deadline: Duration?

    /// A wish for everything.
    public init() {}
}

/// How the parts of backups are put together.
public struct BackupAssembly: Sendable {
    /// Reads and validates a plan; `invalid` carries every complaint.
    public var readPlan: @Sendable (PolicySource) throws(OperationError) -> LoadedBackupPlan
    /// The JSON Schema of plans.
    public var planSchema: @Sendable () -> String
    /// Opens the catalogue of a state folder, making it when it is missing.
    public var openCatalogue: @Sendable (StateRoot) async throws(OperationError) -> any CatalogueStore
    /// Opens the catalogue of a state folder for reading alone, also where nothing can be written; an empty one where there is none.
    public var readCatalogue: @Sendable (StateRoot) async throws(OperationError) -> any CatalogueStore
    /// Puts a plan's own parts together. Contacts nothing.
    public var open:
        @Sendable (LoadedBackupPlan, StateRoot, any CatalogueStore, BackupWorkOptions) async throws(Failure) -> any BackupWork
    /// The time zones that schedules may name.
    public var offsets: ZoneOffsets

    /// An assembly of parts.
    public init(
        readPlan: @escaping @Sendable (PolicySource) throws(OperationError) -> LoadedBackupPlan,
        planSchema: @escaping @Sendable () -> String,
        openCatalogue: @escaping @Sendable (StateRoot) async throws(OperationError) -> any CatalogueStore,
        readCatalogue: @escaping @Sendable (StateRoot) async throws(OperationError) -> any CatalogueStore,
        open:
            @escaping @Sendable (LoadedBackupPlan, StateRoot, any CatalogueStore, BackupWorkOptions) async throws(Failure) ->
            any BackupWork,
        offsets: @escaping ZoneOffsets
    ) {
        self.readPlan = readPlan
        self.planSchema = planSchema
        self.openCatalogue = openCatalogue
        self.readCatalogue = readCatalogue
        self.open = open
        self.offsets = offsets
    }
}

extension BackupAssembly {
    /// Makes the plan's mirror equal to the catalogue, later and on a catalogue of its own; nothing where the plan has none. That it
    /// failed is noted in the catalogue, and the next time brings what is missing.
    ///
    /// - Parameters:
    ///   - later: Takes work that nobody waits for.
    ///   - report: Told that it failed.
    func mirrorLater(
        _ loaded: LoadedBackupPlan, _ state: StateRoot, by later: (@escaping @Sendable () async -> Void) -> Void,
        report: @escaping @Sendable (String) -> Void
    ) {
        guard loaded.plan.mirror != nil else { return }
        let (openCatalogue, open) = (openCatalogue, open)
        later {
            do throws(OperationError) {
                let catalogue = try await openCatalogue(state)
                do throws(Failure) {
                    _ = try await open(loaded, state, catalogue, BackupWorkOptions(purpose: "serin mirror", later: { _ in }))
                        .mirror()
                } catch {
                    let target = loaded.plan.target.description
                    report("the catalogue of \(target) was not mirrored: \(error)")
                    // Only for those who look back.
                    try? await catalogue.note(
                        AuditNote(at: SystemClock().now(), by: .serin, topic: "mirror", target: target, text: error.message))
                }
                await catalogue.close()
            } catch { report("the catalogue could not be mirrored: \(error)") }
        }
    }
}
