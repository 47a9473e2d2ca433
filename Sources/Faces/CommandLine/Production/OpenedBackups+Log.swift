internal import SerinBackups
internal import SerinCatalogue
internal import SerinModel
internal import SerinPolicies
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
        var last = LogFollower.Status.stopped
        while !Task.isCancelled {
            let status = follower.status
            if !status.isLike(last) {
                last = status
                await told(status)
                if let notice = notices.log(status, at: Self.now()) { tell(.failure, notice) }
            }
            // A cancelled pause ends the loop.
            try? await Task.sleep(for: .seconds(1))
        }
        try await onOwnThread { _ throws(Failure) in try follower.stop() }
    }

    /// Whether the server keeps and hands out its log in a way that loses none.
    func archiveProbes() async -> [Probe] {
        guard case .postgresPhysical(let source) = plan.source, source.log != .none else { return [] }
        var isReceived = false
        if case .receive = source.log { isReceived = true }
        do throws(Failure) {
            let url = try secrets.read(source.url)
            let received = isReceived
            let found = try await onOwnThread { _ throws(Failure) in
                try ArchiveSettings(
                    url: url, isReceived: received, archiveTimeout: source.archiveTimeout, folder: source.log.folder)
            }
            return found.checks.map { Probe($0.name, $0.passed ? .ok : .warning, $0.detail) }
        } catch { return [Probe("archive", .warning, error.message)] }
    }
}
