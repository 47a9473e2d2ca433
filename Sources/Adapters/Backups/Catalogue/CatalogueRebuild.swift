public import SerinCatalogue
public import SerinModel
public import SerinPorts

/// Makes backups known again from the manifests that stand beside them.
public struct CatalogueRebuild: Sendable {
    /// What was found and done.
    public struct Report: Sendable, Hashable {
        /// The backups that are known again. They are `uploaded`: reading them back makes them available.
        public var imported: [BackupID] = []
        /// Those that the catalogue refuses, with why.
        public var refused: [Refused] = []
        /// The manifests that could not be believed, and places in the chains that do not hold together.
        public var differences: [CatalogueDifference] = []

        /// Nothing yet.
        public init() {}
    }

    /// A backup that could not be imported.
    public struct Refused: Sendable, Hashable {
        /// The backup.
        public var backup: BackupID
        /// Why.
        public var reason: String
    }

    private let store: any CatalogueStore

    /// A rebuild of a catalogue, which may be empty or lack some backups.
    public init(_ store: any CatalogueStore) { self.store = store }

    /// Imports what a destination holds and the catalogue does not know.
    ///
    /// - Parameter target: Whose backups are compared afterwards; nil for all.
    public func run(
        _ reading: DestinationReading, of target: String? = nil, authenticate: @escaping CatalogueSurvey.Authentication,
        former: [CatalogueSurvey.Authentication] = [], at now: Instant,
        by principal: Principal
    ) async throws(Failure) -> Report {
        var contents = try await CatalogueSurvey(reading, authenticate: authenticate, former: former).contents()
        var report = Report()
        do throws(CatalogueStoreError) {
            for event in try await store.state().imports(of: contents, at: now, by: principal) {
                do throws(CatalogueStoreError) {
                    try await store.append([event])
                    report.imported.append(event.backup)
                } catch {
                    guard case .refused(let refusal) = error else { throw error }
                    report.refused.append(Refused(backup: event.backup, reason: refusal.description))
                }
            }
            let state = try await store.state()
            // A listing tells neither versions nor locks, which is no difference.
            for target in target.map({ [$0] }) ?? Array(Set(state.records.map(\.order.target))) {
                do throws(Failure) {
                    try await contents.complete(from: state, of: target, head: reading.head)
                } catch { throw .unavailable(error) }
            }
            report.differences = CatalogueCheck(state, of: target, against: contents).differences
        } catch { throw error.failure }
        return report
    }
}
