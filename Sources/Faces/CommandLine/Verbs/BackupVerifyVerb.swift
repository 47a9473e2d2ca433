internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let backupVerify = Subcommand(
        "backup verify", summary: "read copies again completely and judge them",
        details: """
            Without a key that opens it, only the stored bytes are compared, and the backup is not verified by that unless the plan says
            verify: {proof: stored_bytes}; --identity gives a recipient's key. --due verifies what the
            plan's verify.every asks for. A copy that is found bad is quarantined: exit 8. What could not be read is no finding. One that
            could not be opened or authenticated with the keys at hand stays as it is: exit 7. Where nothing of the target is found, as
            on a disk that is not mounted, nothing is condemned; --from with a backup's name says that the place is the right one, and
            what is not there is lost.
            """,
        examples: [
            "serin backup verify backups/checkout.yaml latest", "serin backup verify backups/checkout.yaml --due --limit 5",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let due = try input.flag("--due", help: "those that were not read for too long")
        let limit =
            try input.option("--limit", value: "N", help: "at most so many (default: 10)") { text in
                Int(text).flatMap { $0 > 0 ? $0 : nil }
            } ?? 10
        let destination = try input.text("--from", value: "DESTINATION", help: "whose copy (default: the first usable one)")
        let identities = try PlanArgument.identities(&input)
        let argument = try PlanArgument(&input)
        let name = try input.optionalPositional("BACKUP", help: "an identifier, the end of one, or latest (the default)")
        return { session in
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let work = try await backups.work(loaded, "serin backup verify", identities: identities)
                let target = loaded.plan.target.description
                var copies: [(record: BackupRecord, destination: String?)] = []
                if due {
                    let state = try await backups.state()
                    let reading = loaded.plan.copiesToRead(state.live(target: target), at: session.now)
                    for copy in reading.due.prefix(limit) {
                        if let record = state[copy.backup] { copies.append((record, copy.destination)) }
                    }
                    if copies.isEmpty { session.note("nothing is due") }
                } else {
                    copies = [(try await backups.record(name ?? "latest", target: target, at: destination), destination)]
                }
                var code = ExitCode.ok
                for (record, destination) in copies {
                    code = worse(
                        code, try await verify(record, destination, isRightPlace: !due && destination != nil, work, backups))
                }
                backups.mirrorLater(loaded)
                return code
            }
        }
    }

    private static func worse(_ one: ExitCode, _ other: ExitCode) -> ExitCode { one.rawValue >= other.rawValue ? one : other }

    private static func verify(
        _ record: BackupRecord, _ destination: String?, isRightPlace: Bool, _ work: any BackupWork, _ backups: BackupSession
    ) async throws -> ExitCode {
        let session = backups.session
        let outcome: BackupVerifier.Outcome
        do throws(Failure) {
            outcome = try await work.verify(record, at: destination, isRightPlace: isRightPlace, by: backups.principal)
        } catch {
            session.complain("\(record.id) could not be read, which says nothing about it: \(error)")
            return .unexpected
        }
        let result = outcome.result
        session.data(
            .object([
                "schema": .string("serin.dev/backup-verification/v1"), "backup": .string("\(record.id)"),
                "ok": .bool(result.isProof), "result": try BackupText.document(result),
                "shortfall": result.shortfall.map { .string($0) } ?? .null,
                "warnings": .array(outcome.warnings.map { .string($0) }),
            ])
        ) { style in BackupText.table(result.checks).lines(style) }
        for warning in outcome.warnings { session.note("warning: \(plain(warning))") }
        if result.passed, result.shortfall != nil {
            session.note(
                "\(record.id) at \(result.destination) is as it was stored, and stays \(record.state.rawValue); to verify it name the "
                    + "key that it was made with: a recipient's with --identity CERTIFICATE,KEY, a former passphrase's file under "
                    + "encryption.former_key_files in the plan, a former manifest.key in its old place")
            return .refused
        }
        let others = try await backups.state()[record.id]?.usableCopies.map(\.destination) ?? []
        let next =
            others.isEmpty
            ? "it is never restored from; make a new one: serin backup create PLAN"
            : "that at \(others.joined(separator: ", ")) is usable, and serin backup copy PLAN makes another"
        session.note("\(record.id) at \(result.destination) is " + (result.passed ? "good" : "BAD; \(next)"))
        return result.passed ? .ok : .verificationFailed
    }
}
