internal import Glibc
public import SerinCatalogue
internal import SerinCrypto
public import SerinModel
public import SerinPorts
internal import SerinProcesses

/// Makes backups of one target: from the lease to the pointer at the newest one. Nothing counts as a backup before every required
/// destination has given back exactly the bytes that were made; what a failed run began is removed, by it or by the next one.
public struct BackupPipeline: Sendable {
    /// What it knows of the plan.
    public let settings: PipelineSettings
    let catalogue: any CatalogueStore
    let holder: LeaseHolder
    let now: @Sendable () -> Instant
    let progress: @Sendable (JobProgress) -> Void
    let warning: @Sendable (Failure) -> Void

    /// A pipeline.
    ///
    /// - Parameters:
    ///   - holder: This process, as leases name it.
    ///   - progress: Told how far a run is, from any thread.
    ///   - warning: Told what the preflight of a run found that does not stop it, before it begins.
    public init(
        _ settings: PipelineSettings, catalogue: any CatalogueStore, holder: LeaseHolder, now: @escaping @Sendable () -> Instant,
        progress: @escaping @Sendable (JobProgress) -> Void = { _ in },
        warning: @escaping @Sendable (Failure) -> Void = { _ in }
    ) {
        self.settings = settings
        self.catalogue = catalogue
        self.holder = holder
        self.now = now
        self.progress = progress
        self.warning = warning
    }

    /// Makes a backup.
    public func run(_ source: any BackupSource, _ request: BackupRequest) async throws(BackupRunFailure) -> BackupRunResult {
        let keeper = LeaseKeeper(catalogue: catalogue, now: now, length: settings.leaseTime)
        let lease = LeaseRequest(
            target: "\(settings.target)", holder: holder, by: request.by, rollout: request.rollout, at: now(),
            duration: settings.leaseTime)
        let result: Result<BackupRunResult, BackupRunFailure>
        do throws(Failure) {
            // The failure of the run is a value here, so that it keeps its stage.
            result = try await keeper.hold(lease) { (lease) throws(Failure) in
                let run = PipelineRun(self, source, request, lease)
                do throws(BackupRunFailure) { return .success(try await run.perform()) } catch { return .failure(error) }
            }
        } catch {
            let failure = BackupRunFailure(.lease, error)
            if failure.isBusy {
                let note = AuditNote(
                    at: now(), by: request.by, topic: BackupPipeline.busyTopic, target: "\(settings.target)",
                    text: "\(source.kind.rawValue) was asked for and not begun: \(error.message)")
                // Only for those who look back; whoever asked is told.
                try? await catalogue.note(note)
            }
            throw failure
        }
        return try result.get()
    }

    /// The topic of the notes about runs that found the target busy, which are no failures.
    public static let busyTopic = "busy"

    /// Looks at everything that a backup of a kind would need, and makes none.
    ///
    /// - Parameters:
    ///   - source: Its source, or why there is none.
    ///   - key: Why the settings hold no key that could be used, in place of the one that they hold.
    public func preflight(
        _ kind: BackupKind, _ source: Result<any BackupSource, Failure>, key: Failure? = nil
    ) async throws(Failure) -> [PreflightFinding] {
        await PipelinePreflight(
            settings: settings, kind: kind, source: source, key: key, state: try await state(), now: now()
        ).look().all
    }

    /// Appends events.
    func append(_ events: [CatalogueEvent], under lease: TargetLease?) async throws(Failure) {
        do throws(CatalogueStoreError) { try await catalogue.append(events, under: lease) } catch { throw error.failure }
    }

    /// The catalogue as it is now.
    func state() async throws(Failure) -> CatalogueState {
        do throws(CatalogueStoreError) { return try await catalogue.state() } catch { throw error.failure }
    }
}

/// Makes a folder of this user alone, where there is none.
func makePrivateFolder(_ path: String) throws(Failure) {
    if mkdir(path, 0o700) != 0, errno != EEXIST { throw Failure(.denied, "cannot make \(path): \(systemWords())") }
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid() else {
        throw Failure(.denied, "cannot use \(path): it is no folder of this user")
    }
}

/// The bytes that are free where a folder is, or will be made.
func freeBytes(atOrAbove path: String) throws(Failure) -> Int64 {
    var status = statvfs()
    var place = path[...]
    while statvfs(place.isEmpty ? "/" : String(place), &status) != 0 {
        guard errno == ENOENT, let slash = place.lastIndex(of: "/") else {
            throw Failure(.transient, "cannot ask for the free space of \(path): \(systemWords())")
        }
        place = place[..<slash]
    }
    return Int64(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
}
