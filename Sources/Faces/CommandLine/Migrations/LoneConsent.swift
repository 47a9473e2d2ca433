internal import Glibc
internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinMigrationTools
internal import SerinModel
internal import SerinPorts
internal import SerinRollouts

/// One person's word that what may destroy data is to be applied, to a database for which no policy says who must agree.
struct LoneConsent: Sendable {
    /// Why.
    let reason: String
    /// The name of the database that is meant, as its server calls it.
    let database: String

    /// The topic of the notes about what was done with it.
    static let topic = "migrate-alone"

    /// Reads the two options; nil without them.
    static func read(_ input: inout Arguments) throws(UsageError) -> LoneConsent? {
        let reason = try input.text(
            "--may-destroy", value: "REASON", help: "without a policy: also what may destroy data; one with a policy asks people")
        let database = try input.text(
            "--database", value: "NAME", help: "with --may-destroy: the name of the database that is meant")
        guard let reason, let database else {
            guard reason == nil && database == nil || input.isDescribing else {
                throw UsageError(
                    "--may-destroy and --database belong together",
                    hint: "--may-destroy REASON --database NAME: nobody destroys data in a database that they did not name")
            }
            return nil
        }
        return LoneConsent(reason: reason, database: database)
    }

    static var notByPolicy: UsageError {
        UsageError(
            "--may-destroy and --restore-of are for a run without a policy", hint: "the policy says what people must agree to")
    }
}

extension MigrateSession {
    /// Refuses what may destroy data where nobody has said who must agree to it; nil when nothing may, there is nothing, or one person
    /// alone may say so, which is then noted.
    func refusal(
        of revisions: [PlannedRevision], _ plan: MigrationPlan, _ consent: LoneConsent?, _ verb: String
    ) async throws -> ExitCode? {
        guard let revision = revisions.first(where: \.kind.mayDestroy), try await !isEmpty(plan) else { return nil }
        func refuse(_ why: String, _ hint: String) -> ExitCode {
            session.complain("refused: \(plain(revision.words)), and \(plain(why))")
            session.complain("hint: \(hint)")
            return .refused
        }
        let asking = "\(verb) POLICY with destructive: allow asks its people"
        if let policy = try await migrations.governing() {
            return refuse("this database is migrated by the policy of \(policy), whose people must agree to that", asking)
        }
        guard let consent else {
            return refuse(
                "there is no policy that says who must agree to that",
                "\(asking); --may-destroy REASON --database NAME is for a database that is nobody else's")
        }
        let name = plan.database?.name ?? ""
        guard consent.database == name else {
            return refuse("the database is called \(name), not \(consent.database)", "is this the one that is meant?")
        }
        let words = revisions.filter(\.kind.mayDestroy).map(\.words).joined(separator: "; ")
        try await note(LoneConsent.topic, "\(verb) of \(name): \(words): \(consent.reason)")
        session.note("noted that you alone do this to \(plain(name)): \(plain(consent.reason))")
        return nil
    }

    /// Refuses a way back that a policy's restore asks for while its rollout restores nothing: only then have people agreed to it.
    func refusal(ofRestoring service: ServiceName) async throws -> ExitCode? {
        let status: RolloutStatus
        do throws(OperationError) {
            let reader = try await ControllerLocator(session).reader(for: service.description, assembly: session.assembly)
            status = try await reader.status(of: service.description)
        } catch {
            session.complain("refused: whether \(service) is restoring cannot be read: \(error.description)")
            return .refused
        }
        let policy = try await migrations.governing()
        let why: String
        if !status.isRestoring {
            why = "the last rollout of \(service) is not restoring (\(status.state)), so nobody agreed to this"
        } else if policy?.hasPrefix("\(service) ") != true {
            why = "this database is not migrated by the policy of \(service)"
        } else {
            return nil
        }
        session.complain("refused: \(why)")
        session.complain("hint: --restore-of is for a policy's own restore, while it runs")
        return .refused
    }

    /// Whether nothing can be lost: nothing stays that was applied before, and no table has a row.
    func isEmpty(_ plan: MigrationPlan) async throws(Failure) -> Bool {
        guard plan.from == nil || plan.pending.contains(where: { $0.id == plan.from }) else { return false }
        return try await migrations.isEmpty()
    }

    /// Notes something in the catalogue, by whoever asks.
    func note(_ topic: String, _ text: String) async throws {
        let principal = BackupSession.principal(user: getuid(), session.environment)
        try await store.note(AuditNote(at: session.now, by: principal, topic: topic, target: target.lease, text: text))
    }
}
