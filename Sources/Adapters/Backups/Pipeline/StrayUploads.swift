public import SerinCatalogue
public import SerinModel

/// What uploads of a target left that the catalogue knows nothing of: their state folder was lost, or they were another machine's,
/// which may be at work on those that are young.
public struct StrayUploads: Sendable {
    /// Of this age nobody is at work on one any more.
    private static let age = Duration.hours(24)

    private let prefix: String
    private let busy: Set<ObjectKey>
    private let now: Instant

    /// Those of a target.
    ///
    /// - Parameter state: What is known; uploads of backups that are being made are none of these.
    public init(of target: String, in state: CatalogueState, layout: ObjectLayout, at now: Instant) {
        prefix = "\(target)/"
        self.now = now
        let running = state.records.filter { $0.order.target == target && $0.state == .running }
        // One whose plan made other keys is told by its age.
        let keys = running.compactMap { try? layout.key(of: $0.order) }
        busy = Set(keys + keys.compactMap { Manifest.key(beside: $0) })
    }

    /// What there is: begun at least a day ago, or at a time that the destination does not say.
    public func found(at place: BackupPlace) async throws(Failure) -> [PendingUpload] {
        try await place.destination.pending().filter { upload in
            (upload.key?.description ?? upload.reference).hasPrefix(prefix)
                && upload.key.map { !busy.contains($0) } ?? true
                && upload.started.map { now - $0 >= Self.age } ?? true
        }
    }

    /// Removes what is old enough. What cannot be removed is found again by the next backup, and by a check of the catalogue.
    func remove(at place: BackupPlace) async {
        do throws(Failure) {
            for upload in try await found(at: place) where upload.started != nil {
                // One that is seen to be under way is refused.
                do throws(Failure) { try await place.destination.abort(upload) } catch  where error.kind == .conflict {}
            }
        } catch { return }
    }
}
