internal import SerinAPI
internal import SerinController
internal import SerinModel

extension Subcommand {
    static let backupRequest = Subcommand(
        "backup request", summary: "ask the daemon for a backup now, and wait for it",
        details: """
            For pipelines, and people who may not read the plan, its secrets or the state folder: the daemon makes it by a plan that it
            has loaded. Exit 0 once it is stored, 1 when it failed, 7 when it is refused, 75 when the daemon does not answer, 124 when
            --timeout is over first; the daemon goes on with it in both cases.
            """,
        examples: ["serin backup request shop --timeout 2h", "serin backup request shop --target orders -o json"]
    ) { input throws(UsageError) in
        let target = try input.text("--target", value: "TARGET", help: "of which of the project's plans")
        let project = try input.positional("PROJECT", help: "the project of a plan that the daemon has loaded")
        return { session in
            guard let daemon = try ControllerLocator(session).daemon() else {
                throw OperationError.unavailable(
                    "no daemon answers at \(session.state.daemonSocket)\nhint: serin backup create PLAN needs none")
            }
            var order = [JSONValue.Member("project_id", .string(project))]
            if let target { order.append(JSONValue.Member("target", .string(target))) }
            let answer = try await daemon.ask("POST", "/api/backup/export", body: .sortedObject(order))
            guard let id = answer.at(pointer: "/data/job_id")?.text else {
                throw OperationError.unavailable("the daemon answered something else than a job")
            }
            session.note("the daemon has it as job \(id)")
            let end = session.globals.timeout.map { ContinuousClock().now + .milliseconds($0.milliseconds) }
            let wait = Wait("waiting for the backup of \(project)", limit: session.globals.timeout)
            let job = try await session.showingWaits(from: wait) { _ in try await follow(id, on: daemon, until: end) }
            guard let job else {
                session.complain("stopped waiting; the daemon goes on with the backup\nhint: serin backup list shows it")
                return .timedOut
            }
            let isDone = job["state"]?.text == "succeeded"
            session.data(job) { _ in [isDone ? "stored: \(job["backup"]?.text ?? id)" : "not made: job \(id)"] }
            if !isDone { session.complain("the backup failed: \(plain(job["errorMessage"]?.text ?? "no reason was given"))") }
            return isDone ? .ok : .unexpected
        }
    }

    /// The job once nothing more happens to it; nil when the time is over first. A daemon that starts anew answers again soon.
    private static func follow(
        _ id: String, on daemon: RemoteController, until end: ContinuousClock.Instant?
    ) async throws -> JSONValue? {
        let clock = ContinuousClock()
        var heard = clock.now
        while true {
            do throws(OperationError) {
                let job = try await daemon.ask("GET", "/api/jobs/\(id)")
                heard = clock.now
                if ["succeeded", "failed", "cancelled"].contains(job["state"]?.text ?? "") { return job }
            } catch {
                guard case .unavailable = error, clock.now - heard < .seconds(60) else { throw error }
            }
            if let end, clock.now >= end { return nil }
            try await Task.sleep(for: .seconds(1))
        }
    }
}
