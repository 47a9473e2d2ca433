internal import Glibc
public import SerinAPI
internal import SerinController
internal import SerinLocks
internal import SerinModel

/// The program `serin`: reads the command line, does what it asks for, and says how it ended.
public struct CommandLineProgram: Sendable {
    private let assembly: Assembly
    private let console: Console
    private let environment: [String: String]
    private let interruptions: AsyncStream<Int32>
    private let endNow: @Sendable (ExitCode) -> Void

    /// A program of parts.
    ///
    /// - Parameters:
    ///   - assembly: How a controller is put together.
    ///   - console: Where it writes.
    ///   - environment: The environment's variables.
    ///   - interruptions: The signals that ask the process to end.
    ///   - endNow: Ends the process at once.
    public init(
        assembly: Assembly, console: Console, environment: [String: String], interruptions: AsyncStream<Int32>,
        endNow: @escaping @Sendable (ExitCode) -> Void
    ) {
        self.assembly = assembly
        self.console = console
        self.environment = environment
        self.interruptions = interruptions
        self.endNow = endNow
    }

    /// Every verb, in the order of the help.
    static let table = CommandTable(
        verbs: single + Subcommand.tokens + Subcommand.configuration + Subcommand.backups + Subcommand.migrations,
        groups: [
            .init(name: "token", summary: "tokens for the API: create, list, revoke, approve", notes: []),
            .init(name: "config", summary: "the daemon's configuration: show, propose, approve", notes: []),
            .init(name: "hook", summary: "hooks: test", notes: []), .init(name: "notify", summary: "channels: test", notes: []),
            .init(name: "backup", summary: "backups: make, list, verify, restore, prune", notes: BackupExit.notes),
            .init(name: "migrate", summary: "migrations: lint, plan, up, down, status, backfill", notes: MigrateExit.notes),
        ])

    /// The verbs without a group, and those whose group has no other.
    private static let single: [Subcommand] = [
        .check, .plan, .simulate, .backtest, .run, .start, .status, .wait, .halt, .hold, .resume, .promote, .rollback, .approve,
        .why, .log, .verify, .checkpoint, .schema, .daemon, .hookTest, .notifyTest, .support, .version, .watchdog,
    ]

    /// The verbs whose exit code says what became of a rollout, a backup or a schema. It stays what it is when the data about that
    /// cannot be written; whoever only asked for data got none.
    static let acting: Set<String> = [
        "run", "start", "wait", "halt", "hold", "resume", "promote", "rollback", "approve", "daemon", "watchdog",
        "config propose",
        "config approve", "backup create", "backup copy", "backup restore", "backup swap", "backup merge", "backup prune",
        "backup approve", "backup hold", "backup release", "backup restored drop", "migrate up", "migrate down",
        "migrate backfill",
    ]

    /// Does what the arguments ask for.
    public func run(_ arguments: [String]) async -> ExitCode {
        let (code, verb) = await perform(arguments)
        guard let failure = await console.dataFailure() else { return code }
        console.writeMessage("serin: cannot write the output: \(failure)\n")
        return code == .ok && !(verb.map(Self.acting.contains) ?? false) ? .unexpected : code
    }

    private func perform(_ arguments: [String]) async -> (code: ExitCode, verb: String?) {
        let resolution: CommandTable.Resolution
        do throws(UsageError) {
            resolution = try Self.table.resolve(arguments)
        } catch {
            console.writeMessage("serin: \(plainLines(error.description))\n")
            return (.usage, nil)
        }
        switch resolution {
        case .help(let text):
            console.writeData(text + "\n")
            return (.ok, nil)
        case .run(let verb, let globals, let action):
            // Those that handle signals themselves are, or may become, a controller.
            if verb.interruption == .handled { console.neverWait() }
            let session = Session(
                console: console, environment: environment, globals: globals,
                state: StateRoot(option: globals.state, environment: environment, isRoot: geteuid() == 0), assembly: assembly,
                interruptions: interruptions, endNow: endNow)
            let code = await session.perform(
                action, interruption: verb.interruption, limit: verb.endsWithTimeout ? globals.timeout : nil)
            return (code, verb.name)
        }
    }
}

extension Session {
    /// Runs a verb and turns whatever it throws into words and an exit code.
    ///
    /// - Parameter limit: When it is given up as if it had been interrupted; nil where the verb itself knows of its time.
    func perform(
        _ action: @escaping Subcommand.Action, interruption: Subcommand.Interruption, limit: Duration? = nil
    ) async -> ExitCode {
        do {
            switch interruption {
            case .handled: return try await action(self)
            case .ends: return try await endingWhenInterrupted("", limit: limit, action)
            case .leavesRollout: return try await leavingRolloutWhenInterrupted(action)
            }
        } catch let error as UsageError {
            complain(error.description)
            return .usage
        } catch let error as OperationError {
            return complain(error)
        } catch let failure as Failure {
            complain(failure.description)
            switch failure.kind {
            case .conflict, .denied: return .refused
            case .invalid: return .usage
            case .throttled, .transient, .unknown: return .unexpected
            }
        } catch {
            complain("unexpected: \(error)")
            return .unexpected
        }
    }

    /// Runs an action of a client: a signal ends the waiting, never the rollout.
    func leavingRolloutWhenInterrupted(_ action: @escaping Subcommand.Action) async throws -> ExitCode {
        try await endingWhenInterrupted("; the rollout goes on", action)
    }

    /// Does what comes before this process is in charge of anything, such as reading from a pipe. Until then a signal ends it at once.
    ///
    /// - Parameter afterwards: What follows, given what came of it and a session that has the signals from then on.
    func untilInCharge<Value>(
        _ body: () async throws -> Value, afterwards: (Value, Session) async throws -> ExitCode
    ) async throws -> ExitCode {
        let isInCharge = Locked(false)
        let (signals, inlet) = AsyncStream.makeStream(of: Int32.self)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await signal in interruptions {
                    if isInCharge.withLock({ $0 }) {
                        inlet.yield(signal)
                    } else {
                        complain("interrupted by \(Interruptions.name(of: signal))")
                        endNow(.interrupted)
                    }
                }
            }
            defer { group.cancelAll() }
            let value = try await body()
            isInCharge.withLock { $0 = true }
            var session = self
            session.interruptions = signals
            return try await afterwards(value, session)
        }
    }

    private func endingWhenInterrupted(
        _ words: String, limit: Duration? = nil, _ action: @escaping Subcommand.Action
    ) async throws -> ExitCode {
        let (interruption, inlet) = AsyncStream.makeStream(of: Void.self)
        return try await withThrowingTaskGroup(of: ExitCode?.self) { group in
            // Outside the work's own group, so that it still takes signals when what was interrupted does not end.
            group.addTask {
                var isInterrupted = false
                for await signal in interruptions {
                    guard !isInterrupted else {
                        endNow(.interrupted)
                        break
                    }
                    isInterrupted = true
                    complain("interrupted by \(Interruptions.name(of: signal))\(words)")
                    inlet.yield()
                }
                return nil
            }
            group.addTask { try await ending(with: interruption, limit: limit, action) }
            defer { group.cancelAll() }
            while let code = try await group.next() {
                if let code { return code }
            }
            return .unexpected
        }
    }

    private func ending(
        with interruption: AsyncStream<Void>, limit: Duration?, _ action: @escaping Subcommand.Action
    ) async throws -> ExitCode {
        try await withThrowingTaskGroup(of: ExitCode?.self) { group in
            group.addTask { try await action(self) }
            group.addTask {
                for await _ in interruption { return .interrupted }
                return nil
            }
            if let limit {
                group.addTask {
                    do { try await Task.sleep(for: .milliseconds(limit.milliseconds)) } catch { return nil }
                    complain("given up after \(limit): --timeout")
                    return .timedOut
                }
            }
            defer { group.cancelAll() }
            while let code = try await group.next() {
                if let code { return code }
            }
            return .unexpected
        }
    }
}
