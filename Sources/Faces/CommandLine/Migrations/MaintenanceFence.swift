internal import SerinAPI
internal import SerinController
internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// Keeps writes away around a run of `serin migrate up`. Noted in the database before it is done, so that the next run lets writes in
/// when this one is killed.
struct MaintenanceFence: Sendable {
    let maintenance: MigrationPolicy.Maintenance
    let service: ServiceName
    let migrate: MigrateSession
    /// Between two tries to let writes in.
    private static let pauses: [Duration] = [.milliseconds(500), .seconds(2), .seconds(5)]

    /// Keeps writes away; whether that is proven.
    func close() async -> Bool {
        do throws(Failure) {
            if let objection = await Self.objection(to: service, migrate.session) { throw objection }
            try await migrate.migrations.noteFence(of: migrate.key, for: service, by: MigrateSession.principal)
            try await run(maintenance.on, "fence")
            migrate.session.note("writes are fenced")
            return true
        } catch {
            migrate.session.complain("writes are not fenced, so nothing was migrated: \(error.description)")
            return false
        }
    }

    /// Lets writes in that this run or a killed one of the same service keeps away; whether that is proven. Asked for again when it
    /// fails. What another service keeps away is its own.
    func open() async -> Bool {
        var number = 0
        while true {
            do throws(Failure) {
                let left = try await migrate.migrations.fences().filter { $0.service == service.description }
                guard !left.isEmpty else { return true }
                if let objection = await Self.objection(to: service, migrate.session) { throw objection }
                try await run(maintenance.off, "unfence-\(number)")
                try await migrate.migrations.forgetFences(of: service)
                migrate.session.note(
                    "writes are let in again (fenced by \(left.map { plain($0.words) }.joined(separator: ", ")))")
                return true
            } catch {
                migrate.session.complain("WRITES ARE FENCED, and cannot be let in: \(error.description)")
                guard number < Self.pauses.count else {
                    migrate.session.complain("hint: let them in by hand, or repeat the command once that is possible")
                    return false
                }
                // The pause may be cut short.
                try? await Task.sleep(for: .milliseconds(Self.pauses[number].milliseconds))
                number += 1
            }
        }
    }

    /// A rollout fences writes by the same hooks, and lets them in itself.
    static func objection(to service: ServiceName, _ session: Session) async -> Failure? {
        do throws(OperationError) {
            guard let status = try await ControllerLocator(session).unfinished(of: service, assembly: session.assembly) else {
                return nil
            }
            return Failure(
                .conflict, "rollout \(status.id) of \(service) is under way (\(status.state))", hint: "wait until it is over")
        } catch {
            return Failure(
                .unknown, "nobody can tell whether a rollout of \(service) is under way: \(error.description)",
                hint: "serin status \(service) has to answer first; --state or SERIN_STATE names another state folder")
        }
    }

    private func run(_ action: ActionPolicy, _ name: String) async throws(Failure) {
        let context = ActionContext(key: "\(migrate.key)-\(name)", service: service, version: "", previous: "")
        switch try await migrate.session.assembly.migrations.probe(action, context) {
        case .done: return
        case .failed(let failure, _), .unknown(let failure): throw failure
        }
    }
}

extension MigrateSession {
    /// Nothing is begun beside a rollout of the same service or behind fenced writes: what a killed run left is let in first, before
    /// anything else may refuse; what others keep away is named.
    ///
    /// - Returns: The exit code where nothing may be done; nil otherwise.
    func barred() async -> ExitCode? {
        let service = target.release?.policy.service
        do throws(Failure) {
            if let service, let objection = await MaintenanceFence.objection(to: service, session) { throw objection }
            var left = try await migrations.fences()
            if let service, let maintenance = target.policy.maintenance,
                left.contains(where: { $0.service == service.description })
            {
                let fence = MaintenanceFence(maintenance: maintenance, service: service, migrate: self)
                // Not while the run that fenced them is at work.
                guard try await migrations.alone({ await fence.open() }) else { return .verificationFailed }
                left = try await migrations.fences()
            }
            let ownHint = "put 'maintenance' back into the policy: its off hook lets them in"
            let isOwn = left.contains { $0.service == service?.description }
            if let objection = FenceNote.objection(to: left, in: target.lease, hint: isOwn ? ownHint : nil) { throw objection }
            return nil
        } catch {
            session.complain(error.description)
            switch error.kind {
            case .conflict, .unknown: return .refused
            case .invalid: return .usage
            case .denied, .throttled, .transient: return .unexpected
            }
        }
    }
}
