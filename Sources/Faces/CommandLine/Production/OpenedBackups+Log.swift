internal import SerinBackups
internal import SerinCatalogue
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinProcesses

/// The write-ahead log of a cluster: followed, and asked for.
extension OpenedBackups {
    func follow(_ told: @escaping @Sendable (LogFollower.Status) async -> Void) async throws(Failure) {
        guard case .postgresPhysical(let source) = plan.source,
            case .receive(let slot, let folder, let isSynchronous) = source.log
        else { return }
        try Self.makeFolder(folder)
        let follower = try LogFollower(
            url: try secrets.read(source.url), slot: slot, folder: folder, isSynchronous: isSynchronous)
        try follower.start()
        // What was said since it last followed: each reason once.
        var said: [LogFollower.Status] = []
        var gapSince: Instant?
        func say(_ status: LogFollower.Status) async {
            await told(status)
            if let notice = notices.log(status, at: Self.now()) { tell(.failure, notice) }
        }
        while !Task.isCancelled {
            let status = follower.status
            if status == .following {
                if said != [.following] { await say(status) }
                (said, gapSince) = ([.following], nil)
            } else if !said.contains(where: { status.isLike($0) }) {
                said.append(status)
                await say(status)
            }
            if case .gap = status {
                let since = gapSince ?? Self.now()
                gapSince = since
                if let base = try await newestBase(), base.createdAt >= since {
                    let aside = try await onOwnThread { _ throws(Failure) in try follower.renew() }
                    let rest = aside.map { ": what was in \(folder) was moved to \($0), and nothing was deleted" } ?? ""
                    await say(
                        .failing(
                            Failure(
                                .transient,
                                "log is lost up to backup \(base.id), and it is followed anew from where the server is now\(rest)"
                            )))
                    gapSince = nil
                }
            }
            // A cancelled pause ends the loop.
            try? await Task.sleep(for: .seconds(1))
        }
        try await onOwnThread { _ throws(Failure) in try follower.stop() }
    }

    private func newestBase() async throws(Failure) -> BackupRecord? {
        let records: [BackupRecord]
        do throws(CatalogueStoreError) { records = try await catalogue.state().live(target: "\(plan.target)") } catch {
            throw error.failure
        }
        return records.filter { $0.kind.isPhysicalBase && $0.state.isRestorable }.max { $0.createdAt < $1.createdAt }
    }

    func logLag() async throws(Failure) -> Int64? {
        guard case .postgresPhysical(let source) = plan.source, case .receive(let slot, _, _) = source.log else { return nil }
        let url = try secrets.read(source.url)
        return try await onOwnThread { _ throws(Failure) in try LogFollower.lag(behind: url, slot: slot, within: .seconds(5)) }
    }

    func moments(_ span: ClosedRange<Instant>) async throws(Failure) -> LogMoments {
        guard case .postgresPhysical(let source) = plan.source, let path = source.log.folder else {
            throw Failure(
                .denied, "\(plan.source.word) keeps no write-ahead log in a folder here",
                hint: "a plan with source.postgres_physical.archive or receivewal does")
        }
        let records: [BackupRecord]
        do throws(CatalogueStoreError) { records = try await catalogue.state().records } catch { throw error.failure }
        let versions = records.filter { $0.order.target == plan.target.description }.compactMap { $0.facts?.server?.version }
        guard let major = versions.last.flatMap({ Int($0.prefix { $0 != "." }) }) else {
            throw Failure(.invalid, "no backup of \(plan.target) tells which version of Postgres wrote the log")
        }
        let tools = try PostgresTools(major: major)
        return try await onOwnThread { (stop) throws(Failure) in
            try LogFolder(path).moments(span, tools: tools, deadline: .minutes(30), stop: stop)
        }
    }

    /// Whether the server keeps and hands out its log in a way that loses none.
    func archiveProbes() async -> [Probe] {
        guard case .postgresPhysical(let source) = plan.source, source.log != .none else { return [] }
        return await settingProbes(source) + (await holeProbe().map { [$0] } ?? [])
    }

    /// Whether stored log is missing behind the newest base backup.
    private func holeProbe() async -> Probe? {
        do throws(Failure) {
            return try await continuation(of: .walRange).gap.map {
                Probe("write-ahead log", .warning, "\($0.words); \(RecoveryWindow.Gap.remedy)")
            }
        } catch { return Probe("write-ahead log", .warning, error.message) }
    }

    private func settingProbes(_ source: PostgresPhysicalSource) async -> [Probe] {
        var slot: String?
        if case .receive(let name, _, _) = source.log { slot = name }
        do throws(Failure) {
            let url = try secrets.read(source.url)
            let received = slot
            let found = try await onOwnThread { _ throws(Failure) in
                try ArchiveSettings(
                    url: url, slot: received, archiveTimeout: source.archiveTimeout, folder: source.log.folder)
            }
            return found.checks.map { check in
                let isOver = found.isStopped && check.name == "archiving works"
                return Probe(check.name, check.passed ? .ok : isOver ? .failed : .warning, check.detail)
            }
        } catch { return [Probe("archive", .warning, error.message)] }
    }
}
