import SerinAPI
import SerinCatalogue
import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import Testbed
import Testing

@testable import SerinCommandLine

@Suite struct BackupQueueTests {
    private let everything = Someone(scopes: Set(Scope.allCases))

    /// Takes everyone for the bearer of one token.
    private struct Someone: Authenticator {
        var roles: Set<Role> = []
        var scopes: Set<Scope> = []
        var projects: Set<String>?

        func identify(_: Request) -> Identity? {
            Identity(.token("ci"), roles: roles, scopes: scopes, projects: projects, isPerson: false, how: .token)
        }
    }

    /// A queue with one plan, over parts whose results a test sets.
    private struct Desk: Sendable {
        let program: TestProgram
        let queue: BackupQueue

        init() throws {
            program = try TestProgram()
            queue = BackupQueue(
                try program.session(), plans: [LoadedBackupPlan(file: "p", plan: try program.backups.plan, hash: "ab")])
        }

        func ask(_ method: String, _ path: String, _ body: String = "", by someone: Someone) async throws -> (Int, JSONValue) {
            let response = await Router(BackupAPI(queue).routes, authenticator: someone).respond(
                to: Request(method: method, path: path, body: Array(body.utf8)))
            return (response.status, try JSONValue(parsing: response.bytes ?? []))
        }
    }

    @Test func anExportIsAJobThatIsDoneByThePlan() async throws {
        let desk = try Desk()
        let (status, answer) = try await desk.ask(
            "POST", "/api/backup/export", #"{"project_id":"shop","format":"sql","compress":true}"#, by: everything)
        #expect(status == 202)
        #expect(answer["data"]?["status"]?.text == "pending")
        #expect(answer["data"]?["project_id"]?.text == "shop")
        let id = try #require(answer["data"]?["job_id"]?.text)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await desk.queue.run() }
            try await waitUntil("the job is done") {
                try await desk.ask("GET", "/api/jobs/\(id)", by: everything).1["state"]?.text == "failed"
            }
            group.cancelAll()
        }
        #expect(desk.program.backups.made.withLock { $0 } == [.logical])
        let job = try await desk.ask("GET", "/v1/jobs/\(id)", by: everything).1
        #expect(job["errorMessage"]?.text?.contains("the disk is full") ?? false, "\(job.canonicalText)")
    }

    @Test(arguments: [
        (#"{"project_id":"shop","format":"tar"}"#, 409), (#"{"project_id":"shop","notify_email":"a@example.org"}"#, 409),
        (#"{"project_id":"shop","storage_path":"/etc"}"#, 409), (#"{"project_id":"shop","compress":false}"#, 409),
        (#"{"project_id":"other"}"#, 409), (#"{"project_id":"shop","target":"x"}"#, 409), (#"{"project_id":"../shop"}"#, 400),
        (#"{"project_id":"shop","format":"zip"}"#, 400), (#"{}"#, 400), (#"{"project_id":"shop","x":1}"#, 400),
    ])
    func whatThePlanDoesNotMakeIsRefused(_ body: String, expected: Int) async throws {
        let desk = try Desk()
        #expect(try await desk.ask("POST", "/api/backup/export", body, by: everything).0 == expected)
        #expect(try await desk.queue.jobs().isEmpty)
    }

    @Test func metricsSayThatTheCatalogueCannotBeReadInsteadOfSayingNothing() async throws {
        let desk = try Desk()
        desk.program.backups.catalogueFailure.withLock { $0 = .unavailable("it is no database") }
        let broken = await desk.queue.metrics()
        #expect(broken.hasSuffix("# TYPE backup_catalogue_readable gauge\nbackup_catalogue_readable 0\n"), "\(broken)")
        #expect(!broken.contains("backup_last_success"))
        desk.program.backups.catalogueFailure.withLock { $0 = nil }
        let whole = await desk.queue.metrics()
        #expect(whole.contains("backup_catalogue_readable 1\n"))
        #expect(whole.contains("backup_last_success_timestamp_seconds{"))
    }

    @Test func howFarAWriteAheadLogIsBehindIsLookedAtBeforeAnyoneAsks() async throws {
        let program = try TestProgram()
        var plan = try program.backups.plan
        plan.source = .postgresPhysical(
            PostgresPhysicalSource(
                url: .environment("URL"), tool: .baseBackup,
                log: .receive(slot: "serin", folder: program.file("wal"), synchronous: false)))
        let queue = BackupQueue(try program.session(), plans: [LoadedBackupPlan(file: "p", plan: plan, hash: "ab")])
        #expect(!(await queue.metrics()).contains("backup_log"), "nobody has looked yet")
        program.backups.lag.withLock { $0 = 4096 }
        let note = AuditNote(
            at: SystemClock().now(), by: .serin, topic: BackupMetrics.logTopic, target: FakeBackups.target, backup: nil,
            text: BackupMetrics.following)
        try await program.backups.catalogue.note(note)
        await queue.lookAtLogs()
        // Whoever scrapes asks no server.
        program.backups.lag.withLock { $0 = 1 }
        let seen = await queue.metrics()
        let labels = #"{project="shop",database="checkout-db"}"#
        for line in [
            "backup_log_following\(labels) 1", "backup_log_received_timestamp_seconds\(labels) 0",
            "backup_log_lag_bytes\(labels) 4096",
        ] { #expect(seen.contains(line + "\n"), "\(line)") }
        await queue.use([])
        await queue.lookAtLogs()
        #expect(!(await queue.metrics()).contains("backup_log"), "of a plan that is gone nothing is said")
    }

    @Test func logsAreExportedByAPlanOfLogsAlone() async throws {
        let desk = try Desk()
        let (status, answer) = try await desk.ask(
            "POST", "/api/backup/export-logs", #"{"project_id":"shop","format":"json"}"#, by: everything)
        #expect(status == 409)
        #expect(answer["hint"]?.text?.contains("--backup") ?? false)
    }

    @Test func aRestoreHasToBeMeantAndTheBackupToBeThere() async throws {
        let desk = try Desk()
        let unknown = "01934b5e-6d00-7abc-8def-0123456789ab"
        for (body, expected) in [
            (#"{"backup_id":"\#(unknown)","confirm":true}"#, 404), (#"{"backup_id":"x","confirm":true}"#, 404),
            (#"{"backup_id":"\#(unknown)","confirm":false}"#, 400), (#"{"backup_id":"\#(unknown)"}"#, 400),
        ] {
            #expect(try await desk.ask("POST", "/api/backup/restore", body, by: everything).0 == expected)
        }
    }

    @Test func scopesAndProjectsConfine() async throws {
        let desk = try Desk()
        let body = #"{"project_id":"shop"}"#
        #expect(try await desk.ask("POST", "/api/backup/export", body, by: Someone(scopes: [.backupRead])).0 == 403)
        #expect(
            try await desk.ask("POST", "/api/backup/export", body, by: Someone(scopes: [.backupWrite], projects: ["other"])).0
                == 403)
        let (_, answer) = try await desk.ask("POST", "/api/backup/export", body, by: Someone(scopes: [.backupWrite]))
        let id = try #require(answer["data"]?["job_id"]?.text)
        #expect(try await desk.ask("GET", "/v1/backups", by: Someone(scopes: [.backupWrite])).0 == 403)
        #expect(try await desk.ask("GET", "/v1/backups", by: Someone(scopes: [.backupRead])).0 == 200)
        let foreign = Someone(scopes: [.backupRead], projects: ["other"])
        #expect(try await desk.ask("GET", "/v1/jobs/\(id)", by: foreign).0 == 404)
        #expect(try await desk.ask("GET", "/v1/jobs", by: foreign).1["jobs"]?.items?.isEmpty ?? false)
        let restore = #"{"backup_id":"01934b5e-6d00-7abc-8def-0123456789ab","confirm":true}"#
        #expect(try await desk.ask("POST", "/api/backup/restore", restore, by: Someone(scopes: [.backupWrite])).0 == 403)
    }
}
