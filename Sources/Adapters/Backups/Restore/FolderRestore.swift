internal import Glibc
public import SerinCatalogue
public import SerinModel
internal import SerinPolicies
public import SerinPorts
internal import SerinProcesses

/// Restores a backup that is no dump of a database into an empty folder, or into an empty server of its kind: authenticates the
/// whole copy before any tool sees a byte of it, and looks at what came out.
public struct FolderRestore: Sendable {
    /// Where to.
    public enum Place: Sendable, Hashable {
        /// An absolute path; the folder is empty or does not exist.
        case folder(String)
        /// The server of `restore.url`, which must not be the one that is backed up.
        case server
    }

    private let reading: RestoreReading
    private let settings: RestoreSettings
    private let makesAppendOnlyFiles: Bool
    private let progress: @Sendable (JobProgress) -> Void

    /// A restore.
    ///
    /// - Parameter makesAppendOnlyFiles: For a snapshot of Redis whose server keeps append-only files: makes them from it, without
    ///   which such a server would begin empty.
    public init(
        _ pipeline: PipelineSettings, _ settings: RestoreSettings, identities: [EnvelopeIdentity], catalogue: any CatalogueStore,
        makesAppendOnlyFiles: Bool = false, now: @escaping @Sendable () -> Instant,
        progress: @escaping @Sendable (JobProgress) -> Void = { _ in }
    ) {
        reading = RestoreReading(pipeline: pipeline, identities: identities, catalogue: catalogue, now: now)
        self.settings = settings
        self.makesAppendOnlyFiles = makesAppendOnlyFiles
        self.progress = progress
    }

    /// Restores. A folder whose checks do not pass is kept and said; one that could not be filled is emptied again.
    ///
    /// - Parameter source: What made it.
    public func restore(
        _ id: BackupID, source: any BackupSource, destination: String? = nil, into place: Place, by principal: Principal
    ) async throws(Failure) -> RestoredFolder {
        let record = try await reading.record(id)
        var folder: RestorePlace?
        if case .folder(let path) = place { folder = try RestorePlace(path) }
        let name = folder?.path ?? "the plan's server"
        let restored = try await reading.holding([id], as: name, for: settings.policy.deadline, by: principal) {
            () throws(Failure) in try await perform(record, source, destination, folder?.path)
        }
        folder?.keep()
        return restored
    }

    private func perform(
        _ record: BackupRecord, _ source: any BackupSource, _ destination: String?, _ folder: String?
    ) async throws(Failure) -> RestoredFolder {
        let meter = ProgressMeter(progress)
        var restored = RestoredFolder(backup: record.id, kind: record.kind, folder: folder ?? "")
        func reach(_ mark: DrillClock.Mark) { restored.reached.append(.init(mark: mark, at: reading.now())) }
        reach(.located)
        if let folder, let facts = record.facts {
            try requireSpace(Int64(facts.envelope.plainBytes), in: folder, for: "the restored backup")
        }
        let fetched = try await reading.fetch(record, destination, into: settings.scratch, meter)
        restored.destination = fetched.copy.destination
        // It is decrypted on its way to the tool that restores it, which counts as restoring.
        reach(.downloaded)
        reach(.unpacked)
        meter.begin("restore", total: Int64(fetched.facts.envelope.plainBytes))
        let (settings, identities) = (settings, reading.identities)
        let findings = try await onOwnThread { (stop) throws(Failure) in
            let target = RestoreTarget(
                folder.map { .folder($0) } ?? .server(url: settings.url), keepsOwners: settings.keepsOwners, jobs: settings.jobs,
                scratch: settings.scratch, deadline: settings.policy.deadline)
            let consumer = try source.restoration(of: SourceProduct(fetched.facts), into: target, stop: stop)
            return try fetched.feed(consumer, identities, meter)
        }
        restored.checks = findings.checks
        restored.evidence = findings.evidence
        reach(.consistent)
        meter.begin("check")
        if let folder {
            if record.kind == .redisRDB { restored.checks.append(try await load(folder)) }
            for hook in settings.policy.checks.smoke { restored.checks.append(await smoke(hook, folder)) }
        }
        for address in settings.policy.checks.probes { restored.checks.append(await settings.ask(address)) }
        reach(.checked)
        return restored
    }

    /// Whether a server of its own loads the snapshot.
    private func load(_ folder: String) async throws(Failure) -> BackupCheck {
        let (makes, deadline) = (makesAppendOnlyFiles, settings.policy.deadline)
        return try await onOwnThread { (stop) throws(Failure) in
            defer { for name in ["serin.sock", "serin.log"] { unlink("\(folder)/\(name)") } }
            do throws(Failure) {
                let server = try RestoredRedis.start(folder: folder, makesAppendOnlyFiles: makes, deadline: deadline, stop: stop)
                server.end()
                let words = makes ? ", append-only files written" : ""
                return BackupCheck("redis loads it", passed: true, detail: "\(server.keys) keys\(words)")
            } catch { return BackupCheck("redis loads it", passed: false, detail: error.message) }
        }
    }

    /// Runs a program of the plan; `{{folder}}` in its arguments, and `SERIN_FOLDER`, name the folder.
    private func smoke(_ hook: BackupHook, _ folder: String) async -> BackupCheck {
        let name = "smoke " + hook.run.joined(separator: " ").prefix(80)
        guard let path = hook.run.first else { return BackupCheck(name, passed: false, detail: "a smoke test names no program") }
        do throws(Failure) {
            let tool = SourceTool(path, variables: ["SERIN_FOLDER": folder])
            let arguments = hook.run.dropFirst().map { $0.rewriting("{{folder}}", as: folder) }
            var program = tool.program(arguments, deadline: hook.deadline)
            program.outputLimit = 1 << 14
            let done = try await program.run()
            return BackupCheck(
                name, passed: done.termination == .exited(0),
                detail: "\(done.termination) \(Redaction()(String(done.text.suffix(200))))")
        } catch { return BackupCheck(name, passed: false, detail: error.message) }
    }
}
