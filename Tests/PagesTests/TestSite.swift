import FakeController
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinPages
import SerinRecords
import SerinRollouts
import SerinServer
import Testbed

/// Two tokens, and what was asked with them.
final class TestTokens: Authenticator {
    static let operating = "night-shift"
    static let viewing = "only-looking"
    /// The numbers with which streams were taken up again.
    let resumed = Locked<[String]>([])

    func identify(_ request: Request) -> Identity? {
        if let id = request.header("Last-Event-ID") { resumed.withLock { $0.append(id) } }
        switch request.header("Authorization") {
        case "Bearer \(Self.operating)":
            return Identity(
                Principal(channel: "token", identity: "ada"), roles: [.operator, .releaser, .approver], isPerson: true,
                how: .token)
        case "Bearer \(Self.viewing)":
            return Identity(Principal(channel: "token", identity: "eve"), roles: [.viewer], isPerson: true, how: .token)
        default: return nil
        }
    }
}

/// The pages over a controller whose answers a test sets, on a port of the loopback interface.
final class TestSite: Sendable {
    let operations: FakeOperations
    let tokens = TestTokens()
    let sessions: PageSessions
    let router: Router
    let port: Locked<UInt16> = Locked(0)

    init(
        _ sample: SampleRollout,
        decided: @escaping @Sendable () async throws(Failure) -> [AuditPage.Line] = { () throws(Failure) in [] },
        signIn: SignInWays = .none, checks: [HealthPage.Check] = []
    ) throws {
        operations = sample.operations()
        let now: @Sendable () -> Instant = { SampleRollout.begin + .minutes(41) }
        sessions = try PageSessions(over: tokens, now: now)
        let pages = Pages(
            PageSources(
                operations: operations, now: now,
                plan: { _ in
                    PlanWords(
                        stages: ["step 1: 5%"],
                        wayBack: [
                            "traffic: weight 0, read back", "code: /usr/bin/deploy --version 1.8.3", "schema: keep the schema",
                        ])
                }, decided: decided, signIn: signIn, checks: { checks }), sessions: sessions)
        router = Router(
            RolloutAPI(operations).routes + pages.routes, authenticator: Authenticators([sessions, tokens]),
            onUnknown: pages.unknown)
    }

    var url: String { "http://127.0.0.1:\(port.withLock { $0 })" }

    /// Serves while the body runs; a second time at the same port.
    func serve(_ body: () async throws -> Void) async throws {
        let socket = try TCPSocket(listeningAt: "127.0.0.1:\(port.withLock { $0 })")
        port.withLock { $0 = socket.port }
        var limits = Limits()
        limits.grace = .milliseconds(50)
        let server = try HTTPServer(listeners: [.tcp(socket)], router: router, limits: limits)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await server.run() }
            defer { server.stop() }
            try await body()
        }
    }

    /// Writes a decision down, as a controller does.
    func decide(_ text: String, _ change: @Sendable (inout RolloutStatus) -> Void = { _ in }) throws {
        try operations.state.withLock { state in
            let sequence = (state.entries.last?.sequence ?? 0) + 1
            let at = SampleRollout.begin + .minutes(41)
            let decision = Decision(topic: "state", text: text)
            state.entries.append(try SampleRollout.entry(sequence, state.status.id, at, .effect(.record(decision))))
            state.decisions.append(LoggedDecision(sequence: sequence, at: at, decision: decision))
            change(&state.status)
        }
    }

    func status(_ change: @escaping @Sendable (inout RolloutStatus) -> Void) { operations.state.withLock { change(&$0.status) } }
}
