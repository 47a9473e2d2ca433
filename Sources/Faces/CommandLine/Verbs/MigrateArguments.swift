internal import SerinController
internal import SerinDatabase
internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies

/// Which database a command line means.
struct DatabaseArguments: Sendable {
    private let variable: String?
    private let file: String?
    /// The policy's file, when one was named.
    let policy: String?

    /// Ask for this after all options.
    init(_ input: inout Arguments) throws(UsageError) {
        variable = try input.text("--url-env", value: "NAME", help: "the environment variable with the database's address")
        file = try input.text("--url-file", value: "PATH", help: "the file with the database's address")
        policy = try input.optionalPositional(
            "POLICY", help: "a policy with 'migrations:' (or 'postgres:'); - reads standard input")
        guard variable == nil || file == nil || input.isDescribing else {
            throw UsageError("--url-env and --url-file exclude each other")
        }
    }

    /// Reads the policy, when one was named.
    func load(_ session: Session) async throws(OperationError) -> LoadedPolicy? {
        guard let policy else { return nil }
        let source = PolicySource(
            file: policy == "-" ? PolicySource.standardInput : policy, text: try await PolicyArguments.text(of: policy))
        return try session.assembly.readPolicy(source)
    }

    /// Where the database's address is: as the command line says, else the policy.
    func reference(_ policy: Policy?) throws(UsageError) -> SecretReference {
        if let variable { return .environment(variable) }
        if let file { return .file(file) }
        if let reference = policy?.migrations?.database ?? policy?.postgres?.primary { return reference }
        throw UsageError("no database is named", hint: "name a policy, or give --url-env NAME")
    }
}

/// What a command line says of migrations: a policy, or options in its place.
struct MigrateArguments: Sendable {
    private let database: DatabaseArguments
    private let tool: MigrationPolicy.Tool?
    private let lockTimeout: Duration?
    private let statementTimeout: Duration?
    private let tries: Int?
    private let lease: String?
    private let mostQueued: Int?

    init(_ input: inout Arguments) throws(UsageError) {
        let config = try input.text("--alembic", value: "CONFIG", help: "Alembic's configuration file")
        let program = try input.text("--alembic-program", value: "PATH", help: "such as venv/bin/alembic (default: alembic)")
        let folder = try input.text("--sql", value: "DIR", help: "a folder of plain SQL, as golang-migrate or dbmate have it")
        let table = try input.text("--table", value: "NAME", help: "the folder's table of versions (default: schema_migrations)")
        lockTimeout = try input.option(
            "--lock-timeout", value: "TIME", help: "how long a statement waits for a lock (default: 2s)"
        ) {
            Duration(policyText: $0)
        }
        statementTimeout = try input.option(
            "--statement-timeout", value: "TIME", help: "how long a statement may run (default: 15m)"
        ) { Duration(policyText: $0) }
        tries = try input.option("--tries", value: "COUNT", help: "how often a revision is tried that gets no lock (default: 10)")
        {
            Int($0).flatMap { (1...1000).contains($0) ? $0 : nil }
        }
        mostQueued = try input.option(
            "--max-queued", value: "COUNT", help: "cancel a statement behind which more sessions wait (default: 20)"
        ) { Int($0).flatMap { $0 >= 0 ? $0 : nil } }
        lease = try input.text(
            "--lease", value: "NAME",
            help: "the target of the backup plan, whose lease is shared (default: the policy's, or the database)")
        database = try DatabaseArguments(&input)
        guard config == nil || folder == nil || input.isDescribing else {
            throw UsageError("--alembic and --sql exclude each other")
        }
        tool =
            if let config {
                .alembic(config: config, program: program ?? "alembic", directory: nil)
            } else if let folder {
                .folder(path: folder, table: table ?? "schema_migrations")
            } else { nil }
    }

    /// What is to be migrated, and for how long at most.
    func target(_ session: Session) async throws -> MigrationTarget {
        let release = try await database.load(session)
        let loaded = release?.policy
        var policy: MigrationPolicy
        if let tool {
            policy = loaded?.migrations ?? MigrationPolicy(tool: tool)
            policy.tool = tool
        } else if let migrations = loaded?.migrations {
            policy = migrations
        } else {
            throw UsageError(
                database.policy == nil ? "no migrations are named" : "the policy has no 'migrations:'",
                hint: "name a policy with 'migrations:', or give --alembic CONFIG or --sql DIR with --url-env NAME")
        }
        let reference = try database.reference(loaded)
        do throws(Failure) { _ = try Secrets(environment: session.environment).read(reference) } catch {
            throw UsageError(error.message, hint: error.hint)
        }
        policy.database = reference
        policy.lockTimeout = lockTimeout ?? policy.lockTimeout
        policy.statementTimeout = statementTimeout ?? policy.statementTimeout
        policy.lockTries = tries ?? policy.lockTries
        policy.deadline = max(session.globals.timeout ?? .zero, policy.deadline)
        var options = DatabaseMigrations.Options()
        options.mostQueued = mostQueued ?? options.mostQueued
        return MigrationTarget(
            policy: policy, database: reference, lease: try lease ?? Self.leaseName(loaded, reference, session), options: options,
            release: release)
    }

    /// What the lease of a database is called when nobody says it.
    static func leaseName(_ policy: Policy?, _ reference: SecretReference, _ session: Session) throws -> String {
        if case .file(let file)? = policy?.backup?.plan {
            let text = try PolicyArguments.text(ofRegular: file, kind: "plan")
            return try session.assembly.backups.readPlan(PolicySource(file: file, text: text)).plan.target.description
        }
        if let policy { return policy.service.description }
        // What has no name cannot be reached either, which is then said with better words.
        let url = try Secrets(environment: session.environment).read(reference)
        return ConnectionText.option("dbname", of: url) ?? "database"
    }
}
