internal import Glibc
internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPorts
internal import SerinRollouts

extension Subcommand {
    static let migrateApprove = Subcommand(
        "migrate approve", summary: "agree to a migration that may destroy data",
        details: """
            Whoever migrates runs serin migrate up first: it is refused, and says what there is to approve and by which plan. What is
            approved is those revisions as they were judged, on that database, by that policy, once, within 24 hours. Who asked does
            not count, and nobody counts twice. It is noted in the catalogue of the state folder, so by an account that may write it;
            behind sudo whoever called it is meant. Within a rollout serin approve does the same.
            """,
        examples: ["serin migrate approve checkout --plan 3f9ac0d21b77 --reason 'release 41'"], interruption: .ends
    ) { input throws(UsageError) in
        let plan = try input.required("--plan", value: "CODE", help: "what is approved, as the refusal named it")
        let reason = try input.required("-m", "--reason", value: "TEXT", help: "why, for the log")
        let target = try input.positional("TARGET", help: "whose schema, as the refusal named it")
        return { session in
            let store = try await session.assembly.backups.openCatalogue(session.state)
            let principal = BackupSession.principal(user: getuid(), session.environment)
            let result: Result<ChangeApproval, OperationError>
            do throws(OperationError) {
                result = .success(
                    try await ChangeApprovals.approve(
                        ChangeSubject(schemaOf: target), code: plan, reason: reason, by: principal, in: store, at: session.now))
            } catch { result = .failure(error) }
            await store.close()
            let request = try result.get()
            session.data(
                .sortedObject([
                    JSONValue.Member("schema", .string("serin.dev/migration-approval/v1")),
                    JSONValue.Member("target", .string(target)), JSONValue.Member("plan", .string(request.code)),
                    JSONValue.Member("change", .string(request.words)), JSONValue.Member("by", .string("\(principal)")),
                ])
            ) { _ in
                ["\(plain(target))  approved by \(principal), for 24 hours and once:", "  \(plain(request.words))"]
            }
            return .ok
        }
    }
}
