internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinRecords
internal import SerinRollouts

/// What a daemon shows, and to whom: the one place where faces and authenticators are put together.
struct DaemonFaces {
    /// What is documented, the description of itself included.
    let documented: [Route]
    /// What finds out who asks, in the order in which it is tried.
    var authenticators: [any Authenticator]
    /// Routes of other faces: hooks, pages.
    var others: [Route] = []
    /// What those are answered with who ask for what is not there.
    var onUnknown: Router.UnknownAnswer = { _, _ in nil }
    private let traffic = RequestMetrics()
    private let limiter = RateLimiter()

    /// The faces of a controller.
    ///
    /// - Parameters:
    ///   - checks: What must hold to be ready.
    ///   - backups: What carries out what is asked of backups.
    ///   - configuration: What two people decide about.
    ///   - notifications: What people were told.
    ///   - authenticators: What finds out who asks, in the order in which it is tried.
    init(
        _ operations: any RolloutOperations, _ session: Session, backups: any BackupDesk,
        configuration: any ConfigurationDesk, checks: @escaping @Sendable () async -> [ReadinessCheck],
        authenticators: [any Authenticator] = [],
        notifications: @escaping NotificationAPI.Answer = { () throws(Failure) in NotificationAPI.nothing },
        metrics: @escaping @Sendable () async -> String = { "" }
    ) {
        let health = HealthAPI(
            operations, version: Release.version, checks: checks, traffic: traffic, limiter: limiter, others: metrics)
        let routes =
            health.routes + RolloutAPI(operations).routes
            + CheckpointAPI(operations, signer: SigningKey.signer(of: session.state)).routes
            + PolicyAPI(operations, session).routes
            + BackupAPI(backups).routes
            + ConfigurationAPI(configuration).routes + NotificationAPI(notifications).routes
        documented = routes + OpenAPI.routes(describing: routes, version: Release.version)
        self.authenticators = authenticators
    }

    /// What answers.
    var router: Router {
        Router(
            documented + others, authenticator: Authenticators(authenticators), limiter: limiter, traffic: traffic,
            onUnknown: onUnknown)
    }
}

/// Faces of nothing, to be described only.
private struct Nobody: RolloutOperations, BackupDesk, ConfigurationDesk {
    private var nobody: OperationError { .unavailable("nobody is in charge") }

    func start(_: StartRequest, by _: Principal) async throws(OperationError) -> RolloutStatus { throw nobody }
    func statuses() async throws(OperationError) -> [RolloutStatus] { throw nobody }
    func status(of _: String) async throws(OperationError) -> RolloutStatus { throw nobody }
    func perform(_: Command, on _: String) async throws(OperationError) -> RolloutStatus { throw nobody }
    func decisions(of _: String, after _: Int64, limit _: Int) async throws(OperationError) -> [LoggedDecision] { throw nobody }
    func entries(of _: ServiceName, after _: Int64, limit _: Int) async throws(OperationError) -> [Entry] { throw nobody }
    func head(of _: ServiceName) async throws(OperationError) -> Entry? { throw nobody }
    func statusChange(of _: String, from _: RolloutStatus?, timeout _: Duration) async throws(OperationError) -> RolloutStatus {
        throw nobody
    }
    func standing() async throws(OperationError) -> JSONValue { throw nobody }
    func propose(reason _: String, by _: Principal) async throws(OperationError) -> JSONValue { throw nobody }
    func propose(
        policy _: String, file _: String, reason _: String, by _: Principal
    ) async throws(OperationError) -> JSONValue { throw nobody }
    func approve(plan _: String?, by _: Principal) async throws(OperationError) -> JSONValue { throw nobody }
    func tokens() async throws(OperationError) -> [JSONValue] { throw nobody }
    func approveToken(_: String, by _: Principal) async throws(OperationError) -> JSONValue { throw nobody }
    func state() async throws(OperationError) -> CatalogueState { throw nobody }
    func jobs() async throws(OperationError) -> [BackupJob] { throw nobody }
    func export(_: ExportOrder, by _: Principal) async throws(OperationError) -> BackupJob { throw nobody }
    func restore(_: BackupRecord, by _: Principal) async throws(OperationError) -> BackupJob { throw nobody }
    func approve(
        _: BackupRecord, request _: String?, reason _: String, by _: Principal
    ) async throws(OperationError) -> ApprovedBackup { throw nobody }
}

extension DaemonFaces {
    /// The OpenAPI document of what a daemon of this build shows.
    static func description(_ session: Session) -> JSONValue {
        let faces = DaemonFaces(Nobody(), session, backups: Nobody(), configuration: Nobody(), checks: { [] })
        return OpenAPI.document(of: faces.documented, version: Release.version)
    }
}
