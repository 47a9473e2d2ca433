internal import SerinAPI
internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let migrateUp = Subcommand(
        "migrate up", summary: "move a schema forward, one revision after the other",
        details: """
            What an earlier run left is settled first. Each revision waits for its locks no longer than --lock-timeout and is tried
            again; how long others waited for it is measured. Done means that the database was read again and is at the head. Where
            the policy has gates (contract), it ends before the first revision that takes something away from the previous version;
            --contract asks them, and goes on when all agree.
            """,
        examples: [
            "serin migrate up policy.yaml", "serin migrate up --sql migrations --url-env DATABASE_URL",
            "serin migrate up --alembic app/alembic.ini --alembic-program venv/bin/alembic --url-env DATABASE_URL --to b6e8dcb19a40",
            "serin migrate up policy.yaml --contract",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let revision = try RevisionArguments.revision(&input, help: "where to (default: the one head)")
        let accepts = try MigrateAcceptance(&input)
        let contracts = try input.flag("--contract", help: "also what takes something away, when the policy's gates agree")
        let arguments = try MigrateArguments(&input)
        return { session in
            let progress = MigrationProgressView(session)
            return try await MigrateSession.with(session, arguments, accepting: accepts, progress: progress) { migrate in
                var target = revision
                switch try await bound(revision, contracts: contracts, migrate) {
                case .refused: return .refused
                case .nothing: return .ok
                case .upTo(let found): target = found
                }
                let wanted = target
                let code = await migrate.run { () throws(MigrationRunFailure) in
                    try await migrate.migrations.up(
                        key: migrate.key, from: nil, to: wanted, by: MigrateSession.principal,
                        deadline: migrate.target.policy.deadline)
                }
                progress.end()
                return code
            }
        }
    }

    private enum Bound {
        case upTo(RevisionID?)
        case nothing
        case refused
    }

    /// How far a run may go.
    private static func bound(_ wanted: RevisionID?, contracts: Bool, _ migrate: MigrateSession) async throws -> Bound {
        guard let contract = migrate.target.policy.contract, let service = migrate.target.service else {
            guard !contracts else {
                throw UsageError("--contract needs a policy with 'migrations.contract'", hint: "it names what is asked first")
            }
            return .upTo(wanted)
        }
        let session = migrate.session
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
        let found = try await migrate.migrations.inspect(deadline: migrate.target.policy.deadline)
        // What is in the way is said by the run itself.
        guard found.problems.isEmpty else { return .upTo(wanted) }
        let judged = await Lint.classifier()(found.pending)
        guard let first = judged.firstIndex(where: { $0.planned.phase == .contract }) else { return .upTo(wanted) }
        let revision = judged[first].planned
        if let wanted, let place = found.pending.firstIndex(where: { $0.id == wanted }) {
            guard place >= first else { return .upTo(wanted) }
            session.complain(
                "refused: \(revision.id) takes something away (\(plain(revision.reason))); --contract asks the gates")
            return .refused
        }
        session.note(
            "it ends before \(revision.id), which takes something away (\(plain(revision.reason))): --contract asks the gates")
        return first == 0 ? .nothing : .upTo(judged[first - 1].planned.id)
    }
}

/// How a revision stands on a command line.
enum RevisionArguments {
    static func revision(_ input: inout Arguments, help: String) throws(UsageError) -> RevisionID? {
        try input.option("--to", value: "REVISION", help: help) { RevisionID($0) }
    }
}
