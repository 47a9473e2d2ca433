internal import Glibc
internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinCrypto
internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts
internal import SerinTrials

extension PolicyAPI {
    /// The answers that the command line gives.
    init(_ operations: any RolloutOperations, _ session: Session) {
        let (assembly, state) = (session.assembly, session.state)
        let trials = Trials()
        self.init(
            check: { question throws(OperationError) in
                let source = PolicySource(question)
                let loaded = try assembly.readPolicy(source)
                let probes = question.isOffline ? [] : await assembly.probe(loaded, source, state)
                return Subcommand.checkDocument(loaded, probes, nil, lintFails: false)
            },
            plan: { question throws(OperationError) in
                let source = PolicySource(question)
                let loaded = try assembly.readPolicy(source)
                let forecast =
                    question.isOffline ? Forecast(sentences: []) : await assembly.forecast(loaded, source, state) { _ in }
                return Plan(loaded.policy, version: source.version, previous: source.previous, forecast)
                    .document(hash: loaded.hash)
            },
            migrations: { question throws(OperationError) in
                try await Self.migrations(try assembly.readPolicy(PolicySource(question)).policy, assembly)
            },
            simulate: { question throws(OperationError) in
                let policy = try assembly.readPolicy(PolicySource(file: question.file, text: question.text)).policy
                return try await trials.alone { () throws(OperationError) in
                    let summary = try await Trials.simulate(
                        policy, named: question.file, question.load, runs: question.runs, seed: question.seed,
                        most: Trials.sharedPolls)
                    return TrialDocuments.encode(summary, question.load, seed: question.seed)
                }
            },
            backtest: { question throws(OperationError) in
                let source = PolicySource(file: question.file, text: question.text)
                let hash = try assembly.readPolicy(source).hash
                return try await trials.alone { () throws(OperationError) in
                    let tried = try await Trials.backtest(
                        question.rollout, from: operations, named: question.file, read: source.reading(by: assembly))
                    return TrialDocuments.encode(tried, hash: hash)
                }
            })
    }

    /// Where the database of a policy is. Nothing is changed, so the lease of the catalogue is not asked for.
    private static func migrations(_ policy: Policy, _ assembly: Assembly) async throws(OperationError) -> JSONValue {
        guard let rules = policy.migrations else { throw .refused(Refusal("the policy has no 'migrations:'")) }
        guard let database = rules.database ?? policy.postgres?.primary else {
            throw .refused(Refusal("the policy migrates, and names no database"))
        }
        let target = MigrationTarget(policy: rules, database: database, lease: policy.service.description)
        let migrations = assembly.migrations.open(target, MemoryCatalogue(digest: SHA256.digestOrEmpty), .uid(getuid()))
        do {
            let found = try await migrations.inspect(withScripts: false, deadline: rules.deadline)
            return MigrationText.plan(found, found.problems, showsSQL: false)
        } catch {
            throw .unavailable("the migrations cannot be looked at: \(error)")
        }
    }
}

extension PolicySource {
    /// What a question is about.
    init(_ question: PolicyQuestion) {
        self.init(file: question.file, text: question.text, version: question.version, previous: question.previous)
    }
}
