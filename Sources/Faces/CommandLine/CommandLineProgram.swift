internal import Glibc
public import SerinAPI
internal import SerinController
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
        verbs: [
            .check, .plan, .run, .start, .status, .wait, .halt, .hold, .resume, .promote, .rollback, .approve, .why, .log,
            .verify,
            .schema, .daemon, .hookTest, .notifyTest, .support, .version, .watchdog,
        ] + Subcommand.tokens + Subcommand.configuration + Subcommand.backups + Subcommand.migrations,
        groups: [
            .init(name: "token", summary: "tokens for the API: create, list, revoke, approve", notes: []),
            .init(name: "config", summary: "the daemon's configuration: show, propose, approve", notes: []),
            .init(name: "hook", summary: "hooks: test", notes: []), .init(name: "notify", summary: "channels: test", notes: []),
            .init(name: "backup", summary: "backups: make, list, verify, restore, prune", notes: BackupExit.notes),
            .init(name: "migrate", summary: "migrations: lint, plan, up, down, status, backfill", notes: MigrateExit.notes),
        ])

    /// Does what the arguments ask for.
    public func run(_ arguments: [String]) async -> ExitCode {
        let resolution: CommandTable.Resolution
        do throws(UsageError) {
            resolution = try Self.table.resolve(arguments)
        } catch {
            console.writeMessage("serin: \(plainLines(error.description))\n")
            return .usage
        }
        switch resolution {
        case .help(let text):
            console.writeData(text + "\n")
            return .ok
        case .run(let verb, let globals, let action):
            // Those that handle signals themselves are, or may become, a controller.
            if verb.interruption == .handled { console.neverWait() }
            let session = Session(
                console: console, environment: environment, globals: globals,
                state: StateRoot(option: globals.state, environment: environment, isRoot: geteuid() == 0), assembly: assembly,
                interruptions: interruptions, endNow: endNow)
            return await session.perform(
                action, interruption: verb.interruption, limit: verb.name.hasPrefix("backup ") ? globals.timeout : nil)
        }
    }
}

extension Session {
    /// Runs a verb and turns whatever it throws into words and an exit code.
    ///
    /// - Parameter limit: After what time it is given up, as if it had been interrupted; nil where the verb itself knows of it.
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

    private func endingWhenInterrupted(
        _ words: String, limit: Duration? = nil, _ action: @escaping Subcommand.Action
    ) async throws -> ExitCode {
        try await withThrowingTaskGroup(of: ExitCode?.self) { group in
            group.addTask { try await action(self) }
            group.addTask {
                for await signal in interruptions {
                    complain("interrupted by \(Interruptions.name(of: signal))\(words)")
                    return .interrupted
                }
                return nil
            }
            if let limit {
                group.addTask {
                    do { try await Task.sleep(for: .milliseconds(limit.milliseconds)) } catch { return nil }
                    complain("given up after \(limit): --timeout")
                    return .unexpected
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
