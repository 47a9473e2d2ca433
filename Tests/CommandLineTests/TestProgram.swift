import FakeController
import Glibc
import SerinAPI
import SerinCatalogue
import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts
import SerinServer
import SerinTrials
import Testbed
import Testing

@testable import SerinCommandLine

/// A program under test: its state folder, what it wrote, and a controller that does what the test says.
final class TestProgram: Sendable {
    let state: StateRoot
    let operations = FakeOperations()
    let backups = FakeBackups()
    let output = Locked("")
    /// What opening the tokens gives; nil: what is in the state folder.
    let access = Locked<Result<any AccessStore, OperationError>?>(nil)
    /// What the last daemon lets rollouts start by.
    let startRule = Locked<StartRule?>(nil)
    let messages = Locked("")
    let endings = Locked<[ExitCode]>([])
    /// Why data cannot be written.
    let dataFailure = Locked<String?>(nil)
    let environment: [String: String]
    /// Whether the service's lock is held by another process.
    let isLocked = Locked(false)
    let probes = Locked<[Probe]>([])
    /// Whether probes and forecasts take until something was said of that.
    let isSlow = Locked(false)
    /// Whether probes wait until the test lets them go on.
    let isHeld = Locked(false)
    private var hasSpoken: Bool { messages.withLock { !$0.isEmpty } }
    let verification = Locked(Verification(service: "checkout", entries: 12, replayed: 3, head: "9f2c", faults: []))
    /// The folder of migrations that the policy names.
    let migrations = Locked<String?>(nil)
    /// Whether that policy lets data be destroyed.
    let destructive = Locked(MigrationPolicy.Destructive.refuse)
    /// The gates of that policy.
    let contract = Locked<MigrationPolicy.Contract?>(nil)
    /// The policy that is read, where it matters which.
    let tried = Locked<Policy?>(nil)
    /// Whether the past is read from that policy's Prometheus.
    let readsPast = Locked(false)
    /// What keeps writes away by that policy.
    let maintenance = Locked<MigrationPolicy.Maintenance?>(nil)
    let hasJournal: Bool
    /// The controllers of single services that were opened.
    let controllers = Locked<[FakeController]>([])
    /// Done when a controller is to be opened.
    let onOpening = Locked<(@Sendable () -> Void)?>(nil)
    private let signals: AsyncStream<Int32>
    private let signalInlet: AsyncStream<Int32>.Continuation

    init(environment: [String: String] = [:], hasJournal: Bool = false) throws {
        var template = Array("/tmp/serin-cli-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        state = StateRoot(path: String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        self.environment = environment
        self.hasJournal = hasJournal
        (signals, signalInlet) = AsyncStream.makeStream(of: Int32.self)
    }

    deinit {
        for service in ["checkout", "other"] {
            for file in ["serin.sock", "policy.yaml"] { unlink("\(state.path)/\(service)/\(file)") }
            rmdir("\(state.path)/\(service)")
        }
        for file in [
            "policy.yaml", "junit.xml", "quality.json", "summary.md", "outputs", "daemon.sock", "serin.yaml", "messages.db",
            "messages.db-wal",
            "messages.db-shm",
        ] { unlink("\(state.path)/\(file)") }
        rmdir(state.path)
    }

    func file(_ name: String) -> String { "\(state.path)/\(name)" }

    func contents(_ name: String) -> String {
        guard let file = fopen(file(name), "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = getc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes a policy and returns its path.
    func policy(_ text: String = "version: 1") -> String {
        write(text, to: "policy.yaml")
        return file("policy.yaml")
    }

    func interrupt(_ signal: Int32 = SIGINT) { signalInlet.yield(signal) }

    /// Runs one command line. With `terminal`, standard error is a terminal.
    func run(_ arguments: String..., terminal: Bool = false) async -> ExitCode {
        await run(all: arguments, terminal: terminal)
    }

    private func run(all arguments: [String], terminal: Bool = false) async -> ExitCode {
        let console = Console(
            writeData: { text in self.output.withLock { $0 += text } },
            writeMessage: { text in self.messages.withLock { $0 += text } },
            dataFailure: { self.dataFailure.withLock { $0 } }, isDataTerminal: terminal, isMessageTerminal: terminal,
            width: { 60 })
        let program = CommandLineProgram(
            assembly: assembly, console: console, environment: environment.merging(["SERIN_STATE": state.path]) { old, _ in old },
            interruptions: signals, endNow: { code in self.endings.withLock { $0.append(code) } })
        // The rule holds its daemon, which holds this.
        defer { if arguments.contains("daemon") { startRule.withLock { $0 = nil } } }
        return await program.run(arguments)
    }

    /// What a verb would work with.
    func session() throws -> Session {
        var input = Arguments(tokens: [])
        return Session(
            console: Console(
                writeData: { text in self.output.withLock { $0 += text } },
                writeMessage: { text in self.messages.withLock { $0 += text } }), environment: environment,
            globals: try Globals(&input), state: state, assembly: assembly, interruptions: signals,
            endNow: { code in self.endings.withLock { $0.append(code) } })
    }

    /// The same with the arguments in a list.
    func run(_ arguments: [String]) async -> ExitCode { await run(all: arguments) }

    /// What was written since the last time.
    func takeOutput() -> String {
        output.withLock { output in
            defer { output = "" }
            return output
        }
    }

    /// Serves the operations at a socket while the body runs.
    func serve(
        at socket: String? = nil, authenticator: any Authenticator = SocketPeers(),
        _ body: () async throws -> Void
    ) async throws {
        try state.create(for: service)
        let socket = try UnixSocket(listeningAt: socket ?? state.socket(of: service))
        let checkpoints = CheckpointAPI(operations, signer: SigningKey.signer(of: state))
        let server = try HTTPServer(
            socket: socket, router: Router(RolloutAPI(operations).routes + checkpoints.routes, authenticator: authenticator))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await server.run() }
            do { try await body() } catch {
                server.stop()
                throw error
            }
            server.stop()
            try await group.waitForAll()
        }
    }

    var service: ServiceName { RolloutStatus.sample().service }

    private var assembly: Assembly {
        Assembly(
            readPolicy: { source throws(OperationError) in
                if source.text.contains("wrong") {
                    throw .invalid([
                        Diagnostic(
                            file: source.file, mark: Mark(line: 1, column: 1), message: "unknown key 'wrong'",
                            hint: "did you mean bake?"),
                        Diagnostic(file: source.file, mark: Mark(line: 2, column: 3), message: "missing unit"),
                    ])
                }
                var policy = Policy.sample()
                if let tried = self.tried.withLock({ $0 }) { policy = tried }
                if let folder = self.migrations.withLock({ $0 }) {
                    policy.migrations = MigrationPolicy(
                        tool: .folder(path: folder, table: "schema_migrations"), database: .environment("SHOP"),
                        destructive: self.destructive.withLock { $0 }, contract: self.contract.withLock { $0 })
                    policy.migrations?.maintenance = self.maintenance.withLock { $0 }
                }
                return LoadedPolicy(policy: policy, hash: "ab12")
            },
            probe: { _, _, _ in
                try? await waitUntil("probes may go on", within: .seconds(60)) { !self.isHeld.withLock { $0 } }
                if self.isSlow.withLock({ $0 }) { try? await waitUntil("it says what it waits for") { self.hasSpoken } }
                return self.probes.withLock { $0 }
            },
            forecast: { _, _, _, note in
                if self.isSlow.withLock({ $0 }) {
                    note(Wait("asking Prometheus at http://127.0.0.1:9090", limit: .seconds(20)))
                    try? await waitUntil("it says what it waits for") { self.hasSpoken }
                }
                return Forecast(
                    sentences: ["errors: at the present 50 req/s and 5% this takes 4.0 h"], warnings: ["thin traffic"])
            },
            pastReadings: { policy, request, range throws(OperationError) in
                if self.readsPast.withLock({ $0 }) {
                    return try await Probing(environment: self.environment, output: Output { _, _ in })
                        .past(policy, request, range)
                }
                let nothing = HistoryReading(
                    start: range.lowerBound, step: .seconds(60), series: [], scrapeInterval: nil, warnings: [])
                let cohort = PastReadings.Cohort(values: nothing, ages: nothing)
                return PastReadings(before: nothing, canary: cohort, control: cohort)
            },
            openController: { service, _ throws(OperationError) in
                if self.isLocked.withLock({ $0 }) { throw .refused(Refusal("another controller holds \(service)")) }
                self.onOpening.withLock { $0 }?()
                let controller = FakeController(self.operations)
                self.controllers.withLock { $0.append(controller) }
                return controller
            },
            openDaemon: { _, _, _, rule throws(OperationError) in
                self.startRule.withLock { $0 = rule }
                return FakeController(self.operations)
            },
            openAccess: { state throws(OperationError) in
                if let access = self.access.withLock({ $0 }) { return try access.get() }
                return try await Assembly.tokens(of: state)
            },
            openJournal: { _, _ throws(OperationError) in self.hasJournal ? self.operations : nil },
            verify: { service, _, _, _ throws(OperationError) in
                guard service == self.service else { throw .notFound("there is no journal of \(service)") }
                return self.verification.withLock { $0 }
            },
            policySchema: { "{\"title\":\"policy\"}" },
            backups: backups.assembly,
            daemon: Assembly.daemon(environment: environment, output: Output { _, _ in }),
            migrations: Assembly.migrations(environment: environment),
            migrationScripts: Assembly.migrationScripts(environment: environment),
            watchdog: { _, _, _ throws(OperationError) in .ok })
    }
}

/// A controller that drives nothing and runs until it is stopped.
final class FakeController: OpenedController {
    let operations: any RolloutOperations
    private let stops: AsyncStream<Void>
    private let inlet: AsyncStream<Void>.Continuation
    let abandoned = Locked(false)

    init(_ operations: any RolloutOperations) {
        self.operations = operations
        (stops, inlet) = AsyncStream.makeStream(of: Void.self)
    }

    func run() async throws(Failure) { for await _ in stops {} }
    func stop() async { inlet.finish() }
    func abandon() async { abandoned.withLock { $0 = true } }
}

extension Policy {
    static func sample() -> Policy {
        let weights = [5, 25, 100].compactMap { Weight(percent: $0) }
        return Policy(
            service: RolloutStatus.sample().service, environment: .production,
            traffic: TrafficPolicy(
                driver: DriverSettings(driver: "haproxy", settings: [:]),
                steps: weights.map { StepPolicy(weight: $0, needsApproval: $0.basisPoints == 2500) }),
            prometheus: PrometheusPolicy(
                endpoint: HTTPEndpoint(url: "http://127.0.0.1:9090"), instanceLabel: "instance", canary: [], control: [],
                staleAfter: nil, timeout: .seconds(5)),
            signals: [], alerts: nil, postgres: nil,
            deploy: ActionPolicy(call: .run(["deploy.sh", "the canary"]), check: nil, deadline: .minutes(5)),
            promote: nil, rollback: nil, onFailure: .rollback, onInconclusive: .hold, onTelemetryLoss: .hold, onDrift: .hold,
            timing: TimingPolicy())
    }
}

extension TestProgram {
    /// Somebody agrees to the only migration that waits.
    func approveMigration(by person: Principal) async throws(OperationError) -> ChangeApproval {
        try await ChangeApprovals.approve(
            ChangeSubject(schemaOf: "checkout"), code: nil, reason: "release 41", by: person, in: backups.catalogue,
            at: SystemClock().now())
    }

    /// Somebody else approves what waits.
    ///
    /// - Parameter words: Of which change, where several wait.
    func approve(_ backup: BackupID, containing words: String? = nil) async throws {
        let now = SystemClock().now()
        let record = try #require(try await backups.catalogue.state()[backup])
        let open = try await ChangeApprovals(of: ChangeSubject(record), in: backups.catalogue, at: now).open.map(\.request)
        let code = words.flatMap { words in open.last { $0.words.contains(words) }?.code }
        _ = try await ChangeApprovals.approve(
            ChangeSubject(record), code: code, reason: "incident 7", by: .uid(4711), in: backups.catalogue, at: now)
    }
}
