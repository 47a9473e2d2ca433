internal import Glibc
internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// `serin migrate up` and `down` by a policy: with the backup, the fence and the probes that a rollout would have around its migration.
struct GatedMigration: Sendable {
    let release: LoadedPolicy
    let migrate: MigrateSession
    /// Why no backup is made; nil: one is made where the policy says how.
    let withoutBackup: String?

    private var session: Session { migrate.session }
    private var rules: MigrationPolicy { migrate.target.policy }
    private var service: ServiceName { release.policy.service }

    /// Moves the schema forward as far as it may go now.
    func up(to wanted: RevisionID?, _ plan: MigrationPlan, contracts: Bool) async throws -> ExitCode {
        var target = wanted
        switch try await bound(wanted, plan, contracts: contracts) {
        case .refused: return .refused
        case .nothing: return .ok
        case .upTo(let found): target = found
        }
        let wanted = target
        let (revisions, judged) = plan.revisions(to: wanted)
        return try await go(revisions, plan) { await migrate.up(to: wanted, judged: judged) }
    }

    /// Moves the schema back, by the plan of the way back.
    func down(to wanted: RevisionID?, _ plan: MigrationPlan) async throws -> ExitCode {
        try await go(plan.pending, plan) { await migrate.down(to: wanted, judged: plan.pending) }
    }

    /// Does something else that may destroy data.
    func alone(
        _ danger: PlannedRevision, _ plan: MigrationPlan, _ body: @escaping @Sendable () async -> ExitCode
    ) async throws -> ExitCode {
        try await go([danger], plan, body)
    }

    private func go(
        _ revisions: [PlannedRevision], _ plan: MigrationPlan, _ body: @escaping @Sendable () async -> ExitCode
    ) async throws -> ExitCode {
        guard mayGoWithoutBackup(revisions) else { return .refused }
        let agreed: ChangeApproval?
        switch try await agreement(to: revisions, plan) {
        case .refused: return .refused
        case .notNeeded: agreed = nil
        case .given(let request): agreed = request
        }
        let code = try await around(revisions, plan, body)
        // Not while it has to be repeated.
        if let agreed, code == .ok || code == .verificationFailed {
            try await note(ChangeApproval.usedTopic, agreed.code)
        }
        return code
    }

    // MARK: People

    private enum Agreement {
        case notNeeded
        case given(ChangeApproval)
        case refused
    }

    /// Whether as many other people as the policy says agreed to what may destroy data; who asks first is told how they do.
    private func agreement(to revisions: [PlannedRevision], _ plan: MigrationPlan) async throws -> Agreement {
        let dangerous = revisions.filter(\.kind.mayDestroy)
        guard let first = dangerous.first else { return .notNeeded }
        if try await migrate.isEmpty(plan) {
            session.note("nobody is asked: no table has a row yet")
            return .notNeeded
        }
        guard rules.destructive == .allow || rules.contract != nil && dangerous.allSatisfy({ $0.phase == .contract }) else {
            session.complain("refused: \(plain(first.words)), and the policy refuses what may destroy data")
            session.complain(
                "hint: migrations: {destructive: allow} in the policy, with backup, maintenance, restore and approvals")
            return .refused
        }
        let request = ChangeApproval(
            migrating: dangerous, of: plan.database, withoutBackup: withoutBackup, policy: release.hash)
        let subject = ChangeSubject(schemaOf: migrate.target.lease)
        let people = try await ChangeApprovals(of: subject, in: migrate.store, at: session.now)
            .people(for: request, except: BackupSession.own(session.environment))
        guard people.count < rules.approvals else {
            session.note("agreed to by \(people.map(\.description).joined(separator: ", ")): \(plain(request.words))")
            return .given(request)
        }
        try await note(ChangeApproval.askedTopic, "\(request.code) \(request.words)")
        session.complain(
            "approvals needed by other people than you: \(rules.approvals), there are \(people.count), for this: \(plain(request.words))"
        )
        session.complain(
            "hint: \(subject.verb(request.code)) --reason TEXT, by each of them under a login of their own; it counts for 24 hours, once; "
                + "then repeat the command")
        return .refused
    }

    private func note(_ topic: String, _ text: String) async throws { try await migrate.note(topic, text) }

    // MARK: What takes something away

    private enum Bound {
        case upTo(RevisionID?)
        case nothing
        case refused
    }

    /// How far a run may go.
    private func bound(_ wanted: RevisionID?, _ plan: MigrationPlan, contracts: Bool) async throws -> Bound {
        guard let contract = rules.contract else { return try await ungated(wanted, plan) }
        if contracts {
            let gates = ContractGates(contract: contract, service: service, migrations: migrate.migrations, session: session)
            let answers = await gates.answers(key: migrate.key)
            try await migrate.migrations.record(answers, key: migrate.key, by: MigrateSession.principal)
            for answer in answers { session.note("gate \(answer.gate): \(answer.passed ? "yes" : "NO"), \(plain(answer.words))") }
            let missing = answers.filter { !$0.passed }.map(\.gate)
            guard missing.isEmpty else {
                session.complain("refused by \(missing.joined(separator: ", ")); the answers are in serin.contract_gates")
                return .refused
            }
            return .upTo(wanted)
        }
        guard let revision = plan.afterPromotion.first else { return .upTo(wanted) }
        let first = plan.beforeCanary.count
        if let wanted, let place = plan.pending.firstIndex(where: { $0.id == wanted }) {
            guard place >= first else { return .upTo(wanted) }
            session.complain(
                "refused: \(revision.id) takes something away (\(plain(revision.reason))); --contract asks the gates")
            return .refused
        }
        session.note(
            "it ends before \(revision.id), which takes something away (\(plain(revision.reason))): --contract asks the gates")
        return plan.target.map { .upTo($0) } ?? .nothing
    }

    /// How far a run may go where the policy names no gates: what takes something away from the version before, and nobody is asked
    /// about, only once there is none.
    private func ungated(_ wanted: RevisionID?, _ plan: MigrationPlan) async throws -> Bound {
        let revision = plan.revisions(to: wanted).expected.first { $0.phase == .contract && !$0.kind.mayDestroy }
        guard let revision, try await !migrate.isEmpty(plan) else { return .upTo(wanted) }
        let answer = ContractGates.sincePromotion(
            await ContractGates.lastRollout(of: service, session), .zero, session.now, service)
        guard !answer.passed else { return .upTo(wanted) }
        session.complain("refused: \(plain(revision.words)), and \(plain(answer.words))")
        session.complain(
            "hint: promote the version that brings it first, or name gates in the policy (migrations: {contract: …}) and give --contract"
        )
        return .refused
    }

    // MARK: Around it

    /// Whether what is to be applied may destroy data.
    private func mayDestroy(_ revisions: [PlannedRevision]) -> Bool { revisions.contains(where: \.kind.mayDestroy) }

    private func mayGoWithoutBackup(_ revisions: [PlannedRevision]) -> Bool {
        guard let revision = revisions.first(where: { $0.kind.mayDestroy || $0.phase == .contract }),
            release.policy.backup == nil, withoutBackup == nil
        else { return true }
        session.complain("refused: \(plain(revision.words)), and the policy has no backup")
        session.complain("hint: add backup: {before: migrations, plan: FILE} to it, or give --without-backup REASON")
        return false
    }

    private func around(
        _ revisions: [PlannedRevision], _ plan: MigrationPlan, _ body: @escaping @Sendable () async -> ExitCode
    ) async throws -> ExitCode {
        if let withoutBackup, !revisions.isEmpty { session.note("no backup is made: \(plain(withoutBackup))") }
        do throws(Failure) {
            return try await migrate.migrations.alone { await alone(revisions, plan, body) }
        } catch {
            session.complain(error.description)
            return error.kind == .conflict ? .refused : .unexpected
        }
    }

    /// With nobody else at it; whatever happens, writes are let in again.
    private func alone(_ revisions: [PlannedRevision], _ plan: MigrationPlan, _ body: () async -> ExitCode) async -> ExitCode {
        // Again, as people took their time.
        if let objection = await MaintenanceFence.objection(to: service, session) {
            session.complain(objection.description)
            return .refused
        }
        let fence = rules.maintenance.map { MaintenanceFence(maintenance: $0, service: service, migrate: migrate) }
        let afterwork = Afterwork()
        return await afterwork.beside {
            let code = await work(revisions, plan, fence, backups(afterwork), body)
            // A signal that ends the work does not end this.
            let isOpen = await uncancelled { await fence?.open() ?? true }
            return isOpen || code != .ok ? code : .verificationFailed
        }
    }

    private func work(
        _ revisions: [PlannedRevision], _ plan: MigrationPlan, _ fence: MaintenanceFence?, _ backups: (any Backups)?,
        _ body: () async -> ExitCode
    ) async -> ExitCode {
        guard let last = revisions.last else { return await probed(body) }
        if mayDestroy(revisions), fence == nil {
            session.note("warning: nothing keeps writes away: what is written after the backup would be in neither")
        }
        let request = RolloutID("migrate-\(service)-\(session.now.millisecondsSince1970)").map {
            RolloutBackupRequest(
                rollout: $0, service: service, version: last.id.description, author: MigrateSession.principal)
        }
        if let backups, let request {
            let found = await backups.preflight(request, deadline: .minutes(2))
            for warning in found.warnings { session.note("warning: \(plain(warning))") }
            let problems = found.problems + [found.objection(toMigrating: plan.database)].compactMap { $0 }
            for problem in problems { session.complain("backup: \(problem.description)") }
            guard problems.isEmpty else { return .refused }
        }
        if mayDestroy(revisions), let fence, await !fence.close() { return .refused }
        guard let backups, let request else { return await probed(body) }
        guard await isBackedUp(backups, request) else { return .refused }
        let code = await probed(body)
        // Its time after a release begins now; without this it is kept until somebody ends its hold.
        do throws(Failure) { try await backups.release(request, deadline: .minutes(1)) } catch {
            session.note("warning: the backup is kept until 'serin backup release': \(plain(error.message))")
        }
        return code
    }

    private func backups(_ afterwork: Afterwork) -> (any Backups)? {
        guard withoutBackup == nil, release.policy.backup != nil else { return nil }
        let session = session
        return PolicyBackups(
            policy: release, state: session.state, assembly: session.assembly.backups, afterwork: afterwork, notifier: nil
        ) { session.note(plain($0)) }
    }

    private func isBackedUp(_ backups: any Backups, _ request: RolloutBackupRequest) async -> Bool {
        session.note("making and verifying a backup first")
        switch await backups.take(request, deadline: release.policy.backup?.deadline ?? .hours(1)) {
        case .made(let made) where made.state.isVerified:
            session.note("backup \(made.backup) of \(made.at) is \(made.state.rawValue)")
            return true
        case .made(let made): session.complain("backup \(made.backup) is \(made.state.rawValue): nothing was migrated")
        case .failed(let failure), .unknown(let failure):
            session.complain("no verified backup, so nothing was migrated: \(failure.description)")
        }
        return false
    }

    /// Moves the schema, and asks every probe.
    private func probed(_ body: () async -> ExitCode) async -> ExitCode {
        guard !Task.isCancelled else { return .interrupted }
        let code = await body()
        guard code == .ok else { return code }
        for (number, probe) in rules.probes.enumerated() {
            let context = ActionContext(key: "\(migrate.key)-probe-\(number + 1)", service: service, version: "", previous: "")
            do throws(Failure) {
                switch try await session.assembly.migrations.probe(probe, context) {
                case .done: continue
                case .failed(let failure, _), .unknown(let failure): throw failure
                }
            } catch {
                session.complain("probe \(number + 1) failed: \(error.description)")
                session.complain("hint: the schema was moved; serin migrate down takes it back")
                return .verificationFailed
            }
        }
        return .ok
    }
}
