public import SerinCatalogue
internal import SerinCrypto
public import SerinModel
public import SerinPolicies
public import SerinPorts

/// A backup that was asked for and could not be begun: a failed one, of which the catalogue knows like of every other.
public struct UnbegunBackup: Sendable {
    private let order: BackupOrder
    private let failure: BackupRunFailure

    /// One of a plan, before there was a pipeline to make it: its key or its source cannot be used.
    ///
    /// - Parameter revision: The digest of the plan's file.
    public init(
        of plan: BackupPlan, revision: String?, _ kind: BackupKind, _ request: BackupRequest, at now: Instant, _ failure: Failure
    ) throws(Failure) {
        let order = try request.order(
            kind, of: plan.target, project: plan.project, retentionClass: plan.retentionClass,
            hasPersonalData: plan.hasPersonalData, revision: revision, at: now)
        self.init(order, BackupRunFailure(.preflight, failure, backup: order.id))
    }

    init(_ order: BackupOrder, _ failure: BackupRunFailure) {
        self.order = order
        self.failure = failure
    }

    /// Tells the catalogue. A catalogue that cannot be told has other troubles than this, which its next reader sees.
    ///
    /// - Returns: The failure as it is known there.
    public func record(in catalogue: any CatalogueStore, under lease: TargetLease? = nil) async -> BackupRunFailure {
        let changes: [CatalogueEvent.Change] = [.begun(order), .failed(failure.noted)]
        do throws(CatalogueStoreError) {
            try await catalogue.append(
                changes.map { CatalogueEvent(backup: order.id, at: order.createdAt, by: order.createdBy, $0) }, under: lease)
            return failure
        } catch { return BackupRunFailure(failure.stage, failure.failure) }
    }
}

extension BackupRequest {
    /// What it asks for, as the catalogue knows it from now on.
    func order(
        _ kind: BackupKind, of target: ServiceName, project: String, retentionClass: String, hasPersonalData: Bool,
        revision: String?, at now: Instant
    ) throws(Failure) -> BackupOrder {
        let random = try hashing { () throws(CryptoError) in try randomBytes(10) }
        return BackupOrder(
            id: BackupID(millisecondsSince1970: now.millisecondsSince1970, random: random), project: project,
            target: "\(target)", kind: kind, createdAt: now, createdBy: by, purpose: purpose, label: label,
            tags: tags + [BackupOrder.tag(ofTier: tier)], rollout: rollout, releaseVersion: releaseVersion,
            retentionClass: retentionClass, hasPersonalData: hasPersonalData, planRevision: revision)
    }
}
