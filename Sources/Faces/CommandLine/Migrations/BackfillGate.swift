internal import SerinAPI
internal import SerinCrypto
internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies
internal import SerinSQL

/// What a backfill has to pass that may destroy data: nobody does that alone.
struct BackfillGate: Sendable {
    let release: LoadedPolicy?
    let reference: SecretReference
    let consent: LoneConsent?
    let withoutBackup: String?
    let session: Session

    /// What a statement may destroy, as a revision that people agree to; nil when it only adds rows, or fills columns that it demands
    /// to be NULL.
    static func danger(of backfill: Backfill) async -> PlannedRevision? {
        let sql = backfill.statement.rewriting(Backfill.range, as: "true")
        let text = SerinMigrations.MigrationText(file: backfill.name, sql: Array(sql.utf8), wrapping: .separate)
        let script = MigrationScript(revision: backfill.name, name: "", up: .text(text), down: .missing)
        let read = await StatementReader().read([script], applied: 0, version: LintSettings().version)
        let actions = (read.first?.up?.statements ?? []).flatMap(\.actions)
        let isFree =
            !actions.isEmpty
            && actions.allSatisfy { action in
                switch action {
                case .update(let change):
                    !change.columns.isEmpty && change.columns.allSatisfy(change.columnsThatAreNull.contains)
                case .insert, .givesValues, .bringsBack, .select, .calls, .harmless: true
                case .casts(let types): types.allSatisfy(\.comesWithServer)
                case .attributes(let attributes): attributes.allSatisfy { $0.tables != nil }
                case .createTable, .createTableAs, .alterTable, .createIndex, .drop, .dropWhole, .truncate, .rename, .move,
                    .reindex,
                    .cluster, .vacuum, .analyze, .refresh, .createTrigger, .createRule, .policy, .createView, .addEnumValue,
                    .renameEnumValue, .constrainDomain, .comment, .lock, .delete, .merge, .opaque, .createFunction, .set, .begin,
                    .commit, .rollback, .savepoint, .security, .unsettles, .settles, .alterSequence, .catchesUp, .create,
                    .createType,
                    .makesCode, .discardTemporary,
                    .needs, .metaCommand, .unknown, .unparsable:
                    false
                }
            }
        guard !isFree, let id = RevisionID("backfill-\(backfill.name)") ?? RevisionID("backfill") else { return nil }
        return PlannedRevision(
            id: id, name: backfill.name, kind: .destructive, phase: .migrate, hasDown: false, tables: [backfill.table],
            reason: "it may overwrite or delete what is there: \(backfill.statement)",
            upDigest: Hexadecimal.text(of: SHA256.digestOrEmpty(Array(backfill.statement.utf8))))
    }

    /// Runs a backfill once everybody who has to agree does.
    func pass(_ danger: PlannedRevision?, _ body: @escaping @Sendable () async throws -> ExitCode) async throws -> ExitCode {
        guard let danger else { return try await body() }
        let policy = release?.policy.migrations
        guard release == nil || consent == nil else { throw LoneConsent.notByPolicy }
        // No tool is asked anything.
        let rules = policy ?? MigrationPolicy(tool: .folder(path: "", table: ""))
        let target = MigrationTarget(
            policy: rules, database: reference,
            lease: try MigrateArguments.leaseName(release?.policy, reference, session), release: policy == nil ? nil : release)
        return try await MigrateSession.with(session, target) { migrate in
            if let refusal = await migrate.barred() { return refusal }
            let plan = MigrationPlan(
                from: RevisionID("before-the-backfill"), pending: [danger], database: try await migrate.migrations.identity())
            guard let release, policy != nil else {
                if let refusal = try await migrate.refusal(of: [danger], plan, consent, "serin migrate backfill") {
                    return refusal
                }
                return try await body()
            }
            return try await GatedMigration(release: release, migrate: migrate, withoutBackup: withoutBackup)
                .alone(danger, plan) {
                    do { return try await body() } catch {
                        session.complain(plain("\(error)"))
                        return .unexpected
                    }
                }
        }
    }
}
