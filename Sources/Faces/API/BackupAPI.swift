public import SerinCatalogue
public import SerinController
public import SerinModel
internal import SerinRecords

/// What is asked of an export.
public struct ExportOrder: Sendable, Hashable {
    /// In what form data is asked for.
    public enum Format: String, Sendable, Hashable, CaseIterable {
        /// Whatever dump of SQL the plan makes.
        case sql
        /// A dump of that form of pg_dump, and no other.
        case tar, custom, directory
    }

    /// The project of the plan.
    public var project: String
    /// The target of the plan; nil where the project has one alone.
    public var target: String?
    /// Whether logs are asked for, and not data.
    public var isLogs: Bool
    /// The form of data; nil for what the plan makes.
    public var format: Format?
    /// The form of logs, `json` or `text`; nil for what the plan makes.
    public var logFormat: String?
    /// Whether it may be compressed.
    public var compress = true
    /// What was asked for that only a plan can say.
    public var unsupported: [String] = []

    /// The order in a document; unknown members are refused.
    static func decode(_ value: JSONValue, isLogs: Bool) throws(DocumentError) -> ExportOrder {
        let reader = try DocumentReader(value, name: "request")
        let own = isLogs ? ["date_range"] : ["compress", "notify_email", "storage_path"]
        try reader.allowOnly(["project_id", "target", "format"] + own)
        let project = try reader.text("project_id")
        guard ServiceName(project) != nil else { throw reader.wrong("project_id", "a project's name") }
        var order = ExportOrder(
            project: project, target: try reader.optional("target", "a text") { $0.text }, isLogs: isLogs)
        if isLogs {
            order.logFormat = try reader.optional("format", "json or text") { value in
                value.text.flatMap { ["json", "text"].contains($0) ? $0 : nil }
            }
            if reader.present("date_range") != nil { order.unsupported.append("date_range") }
        } else {
            order.format = try reader.optional("format", "sql, tar, custom or directory") {
                $0.text.flatMap { Format(rawValue: $0) }
            }
            if reader.present("compress") != nil { order.compress = try reader.flag("compress") }
            order.unsupported = ["notify_email", "storage_path"].filter { reader.present($0) != nil }
        }
        return order
    }
}

/// A change of a live database that somebody approved.
public struct ApprovedBackup: Sendable, Hashable {
    private let backup: BackupID
    private let request: String
    private let change: String
    private let by: Principal

    /// What was approved: its code, and what it is in words.
    public init(_ backup: BackupID, _ request: String, _ change: String, by principal: Principal) {
        self.backup = backup
        self.request = request
        self.change = change
        by = principal
    }

    /// As it is answered.
    public var document: JSONValue {
        .sortedObject([
            JSONValue.Member("schema", .string("serin.dev/backup-approval/v1")),
            JSONValue.Member("backup", .string("\(backup)")), JSONValue.Member("request", .string(request)),
            JSONValue.Member("change", .string(change)), JSONValue.Member("by", .string("\(by)")),
        ])
    }
}

/// What carries out what is asked of backups: the catalogue, and the plans that this process knows.
public protocol BackupDesk: Sendable {
    /// The catalogue now.
    func state() async throws(OperationError) -> CatalogueState
    /// All jobs, the newest first.
    func jobs() async throws(OperationError) -> [BackupJob]
    /// Queues an export; returns once the job is durable.
    func export(_ order: ExportOrder, by principal: Principal) async throws(OperationError) -> BackupJob
    /// Queues a restore beside what is live; returns once the job is durable.
    func restore(_ record: BackupRecord, by principal: Principal) async throws(OperationError) -> BackupJob
    /// Approves a swap or merge that waits for it; without the code of one, the only one.
    func approve(
        _ record: BackupRecord, request: String?, reason: String, by principal: Principal
    ) async throws(OperationError) -> ApprovedBackup
}

/// Backups over the API. Whoever is confined to projects sees and makes theirs alone; what is another's is not there.
public struct BackupAPI: Sendable {
    private let desk: any BackupDesk

    /// An API over a desk.
    public init(_ desk: any BackupDesk) { self.desk = desk }

    private static let reading = Access.any(of: [.viewer], orScope: .backupRead)
    private static let writing = Access.any(of: [.releaser], orScope: .backupWrite)
    private static let restoring = Access.any(of: [.admin], orScope: .backupRestore)

    /// The routes.
    public var routes: [Route] {
        [
            exportRoute("/api/backup/export", "exportBackup", "make a backup now", "Export", isLogs: false),
            exportRoute("/api/backup/export-logs", "exportLogs", "make a backup of logs now", "LogExport", isLogs: true),
            restoreRoute, approveRoute,
            listRoute("/v1/backups", "listBackups", "the backups, the newest first", includingDead: false),
            listRoute("/api/backup/history", "readBackupHistory", "every backup that ever was", includingDead: true),
            showRoute, jobsRoute("/v1/jobs", "listJobs"), jobRoute("/v1/jobs/{id}", "showJob"),
            jobsRoute("/api/jobs", "listJobsOfBackups"), jobRoute("/api/jobs/{id}", "showJobOfBackups"),
        ]
    }

    private func exportRoute(
        _ path: String, _ id: String, _ summary: String, _ schema: String, isLogs: Bool
    ) -> Route {
        Route(
            "POST", path, summary: summary, access: Self.writing,
            operation: Operation(
                id, tag: "backups", body: .json("Of what, and in which form.", Schema.reference(schema)),
                answers: [202: .json("Queued, and durable.", Schema.reference("JobAnswer"), headers: ["Location"])])
        ) { request, _ in
            let identity = try request.identified()
            let order = try request.document { value throws(DocumentError) -> ExportOrder in
                try ExportOrder.decode(value, isLogs: isLogs)
            }
            try Self.require(order.project, identity)
            return Self.accepted(try await desk.export(order, by: identity.principal))
        }
    }

    private var restoreRoute: Route {
        Route(
            "POST", "/api/backup/restore", summary: "restore a dump beside what is live; nothing live is touched",
            access: Self.restoring,
            operation: Operation(
                "restoreBackup", tag: "backups", body: .json("Which, and that it is meant.", Schema.reference("Restore")),
                answers: [202: .json("Queued, and durable.", Schema.reference("JobAnswer"), headers: ["Location"])])
        ) { request, _ in
            let identity = try request.identified()
            let name = try request.document { value throws(DocumentError) -> String in
                let reader = try DocumentReader(value, name: "request")
                try reader.allowOnly(["backup_id", "confirm"])
                guard try reader.flag("confirm") else { throw reader.wrong("confirm", "true") }
                return try reader.text("backup_id")
            }
            return Self.accepted(try await desk.restore(try await record(name, identity), by: identity.principal))
        }
    }

    private var approveRoute: Route {
        Route(
            "POST", "/v1/backups/{id}:approve", summary: "agree to a swap or merge that waits for it",
            access: .any(of: [.approver], person: true),
            operation: Operation(
                "approveBackup", tag: "backups",
                parameters: [
                    Operation.Parameter(
                        "id", in: .path, "A UUID, or the end of one.", schema: Schema.text(pattern: "^[0-9a-f-]{4,36}$"))
                ], body: .json("Why, and which where several wait.", Schema.reference("BackupApproval")),
                answers: [200: .json("What was approved.", Schema.reference("ApprovedBackup"))])
        ) { request, names in
            let identity = try request.identified()
            let (code, reason) = try request.document { value throws(DocumentError) -> (String?, String) in
                let reader = try DocumentReader(value, name: "request")
                try reader.allowOnly(["request", "reason"])
                return (try reader.optional("request", "a text") { $0.text }, try reader.text("reason"))
            }
            let found = try await desk.state().history(BackupSelection(), includingDead: true).filter {
                identity.mayUse(project: $0.order.project) && names[0].count >= 4 && "\($0.id)".hasSuffix(names[0].lowercased())
            }
            guard let record = found.first, found.count == 1 else {
                let why = found.isEmpty ? "there is no backup '\(names[0])'" : "'\(names[0])' could be several backups"
                throw Problem(.notFound, why)
            }
            let approved = try await desk.approve(record, request: code, reason: reason, by: identity.principal)
            return .json(200, approved.document)
        }
    }

    private static func accepted(_ job: BackupJob) -> Response {
        var data = [
            JSONValue.Member("job_id", .string("\(job.id)")), JSONValue.Member("status", .string(job.state.rawValue)),
            JSONValue.Member("project_id", .string(job.project)),
            JSONValue.Member("created_at", .string(Notation.text(job.createdAt))),
        ]
        if let backup = job.backup { data.append(JSONValue.Member("backup_id", .string("\(backup)"))) }
        return .json(
            202, .object(["data": .sortedObject(data)]), headers: [Request.Pair("Location", "/v1/jobs/\(job.id)")])
    }

    private static func require(_ project: String, _ identity: Identity) throws(Problem) {
        guard identity.mayUse(project: project) else {
            throw Problem(.forbidden, "\(identity.principal) is confined to other projects than '\(project)'")
        }
    }

    /// One backup, if whoever asks may see it.
    private func record(_ name: String, _ identity: Identity) async throws -> BackupRecord {
        guard let id = BackupID(name), let record = try await desk.state()[id],
            identity.mayUse(project: record.order.project)
        else { throw Problem(.notFound, "there is no backup '\(name)'") }
        return record
    }

    private func listRoute(_ path: String, _ id: String, _ summary: String, includingDead: Bool) -> Route {
        Route(
            "GET", path, summary: summary, access: Self.reading,
            operation: Operation(
                id, tag: "backups",
                parameters: [
                    Operation.Parameter("project", in: .query, "Only of this project.", schema: Schema.text()),
                    Operation.Parameter("target", in: .query, "Only of this target.", schema: Schema.text()),
                    RolloutAPI.limitParameter(RolloutAPI.rolloutLimit),
                    Operation.Parameter(
                        "cursor", in: .query, "The `next` of the page before.", schema: Schema.text(pattern: Self.identifier)),
                ], answers: [200: .json("The newest first.", Schema.reference("Backups"))])
        ) { request, _ in
            let identity = try request.identified()
            let limit = try request.limit(most: RolloutAPI.rolloutLimit, otherwise: 100)
            let selection = BackupSelection(project: request.parameter("project"), target: request.parameter("target"))
            var records = try await desk.state().history(selection, includingDead: includingDead)
                .filter { identity.mayUse(project: $0.order.project) }
            if let cursor = request.parameter("cursor") {
                guard let index = records.firstIndex(where: { "\($0.id)" == cursor }) else {
                    throw Problem(.malformed, "'cursor' is the 'next' of another page")
                }
                records.removeFirst(index + 1)
            }
            let page = records.prefix(limit)
            let next = records.count > limit ? page.last.map { "\($0.id)" } : nil
            return .json(
                200,
                .object([
                    "schema": .string("serin.dev/backups/v1"), "backups": .array(try page.map { try Self.document($0) }),
                    "next": next.map { .string($0) } ?? .null,
                ]))
        }
    }

    private static let identifier = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

    private static let id = Operation.Parameter("id", in: .path, "A UUID.", schema: Schema.text(pattern: identifier))

    private var showRoute: Route {
        Route(
            "GET", "/v1/backups/{id}", summary: "everything about one backup", access: Self.reading,
            operation: Operation(
                "showBackup", tag: "backups", parameters: [Self.id],
                answers: [200: .json("The backup.", Schema.reference("Backup"))])
        ) { request, names in .json(200, try Self.document(try await record(names[0], try request.identified()))) }
    }

    private func jobsRoute(_ path: String, _ id: String) -> Route {
        Route(
            "GET", path, summary: "exports and restores, the newest first", access: Self.reading,
            operation: Operation(
                id, tag: "backups", parameters: [RolloutAPI.limitParameter(RolloutAPI.rolloutLimit)],
                answers: [200: .json("The newest first.", Schema.reference("Jobs"))])
        ) { request, _ in
            let identity = try request.identified()
            let limit = try request.limit(most: RolloutAPI.rolloutLimit, otherwise: 100)
            let jobs = try await desk.jobs().filter { identity.mayUse(project: $0.project) }.prefix(limit)
            return .json(
                200,
                .object([
                    "schema": .string("serin.dev/jobs/v1"), "jobs": .array(try jobs.map { try Self.document($0) }),
                ]))
        }
    }

    private func jobRoute(_ path: String, _ id: String) -> Route {
        Route(
            "GET", path, summary: "how far an export or a restore is", access: Self.reading,
            operation: Operation(
                id, tag: "backups", parameters: [Self.id], answers: [200: .json("The job.", Schema.reference("Job"))])
        ) { request, names in
            let identity = try request.identified()
            let job = try await desk.jobs().first { "\($0.id)" == names[0] && identity.mayUse(project: $0.project) }
            guard let job else { throw Problem(.notFound, "there is no job '\(names[0])'") }
            return .json(200, try Self.document(job))
        }
    }

    /// A value of the catalogue as it is recorded.
    private static func document(_ value: some Encodable) throws(Problem) -> JSONValue {
        do throws(RecordError) { return try CanonicalEncoder.encode(value) } catch {
            throw Problem(.broken, "a value of the catalogue cannot be written: \(error)")
        }
    }
}
