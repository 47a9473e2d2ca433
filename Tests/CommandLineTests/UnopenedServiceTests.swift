import FakeController
import Glibc
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinPorts
import SerinRollouts
import Testbed
import Testing

@testable import SerinCommandLine
@testable import SerinNotifications

/// A daemon whose services cannot be opened, and halts that come all the same.
@Suite struct UnopenedServiceTests {
    private let scratch: Scratch
    private let state: StateRoot
    private let service: ServiceName
    private let daemon: OpenedDaemon

    init() async throws {
        scratch = try Scratch()
        state = StateRoot(path: scratch.path)
        service = try #require(ServiceName("checkout"))
        try state.create(for: service)
        daemon = OpenedDaemon(
            state: state, peers: Authenticators([]), retries: RetryBudget(clock: SystemClock()) { 0.5 },
            measures: ControllerMeasures(), unwrittenHalts: UnwrittenHalts(), report: { _ in },
            open: { _, _ throws(OperationError) in throw .unavailable("the journal is damaged") },
            readPolicy: { _ throws(OperationError) in throw .unavailable("nothing is read") })
        try await daemon.openAll()
    }

    private var file: HaltFile { HaltFile(path: state.haltFile(of: service)) }

    @Test func s7AHaltOfAServiceThatCouldNotBeOpenedIsLeftAsAFileAndSaidNotToBeRecorded() async throws {
        defer { scratch.remove() }
        let error = await #expect(throws: OperationError.self) {
            try await daemon.perform(Command(.halt, by: .uid(1000), reason: "payments fail"), on: "checkout")
        }
        guard case .unavailable(let text)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(text.contains("the journal is damaged") && text.contains("not recorded"), "\(text)")
        #expect(file.command()?.reason == "uid:1000: payments fail")
        // Also by a rollout's name; what does not stop is not left for later.
        file.remove()
        await #expect(throws: OperationError.self) {
            try await daemon.perform(Command(.halt, by: .uid(1000), reason: ""), on: "checkout-01k5")
        }
        #expect(file.exists)
        file.remove()
        await #expect(throws: OperationError.self) {
            try await daemon.perform(Command(.promote, by: .uid(1000), reason: ""), on: "checkout")
        }
        #expect(!file.exists)
        let check = try #require(await daemon.readiness().first { $0.name == "journal of checkout" })
        #expect(check.isFatal && check.complaint == "the journal is damaged")
    }

    private func order(_ verb: ChannelCommand.Verb, of name: String) throws -> ChannelCommand {
        let hook = InboundHook(name: "ops", kind: .hmac, secrets: [])
        let message = VerifiedMessage(
            request: HookRequest(
                headers: [], body: Array(#"{"verb":"\#(verb.rawValue)","service":"\#(name)"}"#.utf8)), isReplayProof: false,
            fingerprint: "1")
        guard case .commands(let commands, _) = hook.read(message, at: SystemClock().now()) else {
            throw Failure(.invalid, "\(name) is no order")
        }
        return try #require(commands.first)
    }

    @Test func s7AMessageThatHaltsItIsAskedForAgain() async throws {
        defer { scratch.remove() }
        let orders = ChannelOrders(operations: daemon, state: state, unwrittenHalts: UnwrittenHalts())
        await #expect(throws: Failure.self) { try await orders.perform(order(.halt, of: "checkout")) }
        #expect(file.exists)
        #expect(try await orders.perform(order(.status, of: "checkout")).kind == .told)
        #expect(try await orders.perform(order(.halt, of: "chekout")).kind == .unknown)
        #expect(!state.hasFolder(try #require(ServiceName("chekout"))))
    }

    @Test func aHaltOfEveryRolloutReachesAllThatAreLiveAndSaysSo() async throws {
        defer { scratch.remove() }
        var order = try order(.halt, of: "checkout")
        order.target = .every
        let operations = FakeOperations()
        let deed = try await ChannelOrders(operations: operations, state: state, unwrittenHalts: UnwrittenHalts()).perform(order)
        #expect(deed.kind == .done && deed.words.contains("cannot be told which service is meant"), "\(deed.words)")
        #expect(deed.words.contains("checkout 1.9.0"), "\(deed.words)")
        #expect(operations.state.withLock { $0.commands.map(\.verb) } == [.halt])
        // Of one that could not be halted the sender is asked to send again.
        await #expect(throws: Failure.self) {
            try await ChannelOrders(operations: daemon, state: state, unwrittenHalts: UnwrittenHalts()).perform(order)
        }
        #expect(file.exists)
    }

    @Test func nothingBeginsUnderANameThatTheStateFolderNeeds() async throws {
        defer { scratch.remove() }
        #expect(throws: Failure.self) { try state.create(for: try #require(ServiceName("halt"))) }
        // One of an older version goes on, and halts nothing.
        try #require(mkdir(state.haltFile, 0o700) == 0)
        #expect(!HaltFile(path: state.haltFile).exists)
        #expect(try state.services().map(\.description) == ["checkout", "halt"])
    }

    /// An inbox on a disk that stands still.
    private struct StalledInbox: Inbox {
        let settled = Locked(0)

        private func stall() async {
            // sleeps: the disk stands still for longer than anyone waits; a cancelled pause ends with the test
            try? await Task.sleep(for: .seconds(3))
        }

        func claim(_ key: ReplayKey, isSafeToRepeat: Bool, at now: Instant) async throws(Failure) -> InboxEntry.Claim {
            await stall()
            return .taken
        }
        func settle(_ key: ReplayKey, answer: [UInt8]) async throws(Failure) { await stall() }
        func release(_ key: ReplayKey) async throws(Failure) { await stall() }
    }

    @Test func l1AHaltDoesNotWaitForTheMemoryOfMessages() async throws {
        defer { scratch.remove() }
        let inbox = PatientInbox(inbox: StalledInbox())
        let key = ReplayKey(hook: "ops", message: "1", keptFor: .minutes(10))
        let began = ContinuousClock.now
        await #expect(throws: Failure.self) { try await inbox.claim(key, isSafeToRepeat: true, at: SystemClock().now()) }
        await #expect(throws: Failure.self) { try await inbox.settle(key, answer: []) }
        #expect(ContinuousClock.now - began < .seconds(2.5))
        #expect(try await inbox.claim(key, isSafeToRepeat: false, at: SystemClock().now()) == .taken)
    }
}
