import SerinLocks
import SerinModel
import SerinPorts
import SerinTransport
import Testbed
import Testing

@testable import SerinNotifications

/// A clock that a test moves by hand and whose sleepers wake when it is moved.
final class HandClock: Clock {
    private struct State: Sendable {
        var now: Instant
        var offset: Int64 = 0
        var sleepers: [(id: Int, due: Instant, continuation: CheckedContinuation<Void, Never>)] = []
        var last = 0
    }

    private let state: Locked<State>

    init(_ moment: Instant = firstMoment) { state = Locked(State(now: moment)) }

    func now() -> Instant { state.withLock { $0.now } }
    func wallClockOffset() -> Int64 { state.withLock { $0.offset } }

    /// Sets the computer's clock, not this one.
    func setWallClock(ahead offset: Duration) { state.withLock { $0.offset = offset.milliseconds } }

    func sleep(for duration: Duration) async {
        let id = state.withLock { state in
            state.last += 1
            return state.last
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if duration <= .zero || Task.isCancelled { return true }
                    state.sleepers.append((id, state.now + duration, continuation))
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                state.sleepers.firstIndex { $0.id == id }.map { state.sleepers.remove(at: $0).continuation }
            }
            sleeper?.resume()
        }
    }

    /// How many sleep.
    var sleeping: Int { state.withLock { $0.sleepers.count } }

    /// Moves time on.
    func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now = state.now + duration
            let now = state.now
            defer { state.sleepers.removeAll { $0.due <= now } }
            return state.sleepers.filter { $0.due <= now }.map(\.continuation)
        }
        for continuation in due { continuation.resume() }
    }
}

/// The moment at which a test's clock begins.
let firstMoment = now

/// A channel that notes what it is given and fails as a test says.
final class NotedChannel: NotificationChannel {
    private let state = Locked<(subjects: [String], failures: [Failure], moments: [Instant])>(([], [], []))

    /// What time it was said to be, each time.
    var moments: [Instant] { state.withLock { $0.moments } }
    var subjects: [String] { state.withLock { $0.subjects } }
    func fail(_ failures: [Failure]) { state.withLock { $0.failures += failures } }

    func deliver(_ message: OutboundMessage, at now: Instant, through transport: Transport) async throws(Failure) {
        let failure: Failure? = state.withLock { state in
            state.moments.append(now)
            if !state.failures.isEmpty { return state.failures.removeFirst() }
            state.subjects.append(message.notification.subject)
            return nil
        }
        if let failure { throw failure }
    }
}

@Suite struct OutboxNotifierTests {
    let clock = HandClock()
    let channel = NotedChannel()
    let reports = Locked<[OutboxNotifier.Report]>([])

    private func notifier(_ outbox: any Outbox, _ routes: [OutboxNotifier.Route]? = nil) throws -> OutboxNotifier {
        OutboxNotifier(
            routes: routes ?? [.init(name: "chat", channel: channel)], outbox: outbox, transport: try Transport(), clock: clock,
            unit: { 1 }, report: { [reports] report in reports.withLock { $0.append(report) } })
    }

    private func subject(
        _ text: String, _ severity: Notification.Severity = .info, of key: String? = nil, at moment: Instant = now
    ) -> Notification {
        Notification(.rolloutChanged, severity, subject: text, text: "", deduplicationKey: key ?? text, at: moment)
    }

    @Test func whatIsNotifiedIsDeliveredOnceAndCallsFirst() async throws {
        let outbox = MemoryMessages()
        let notifier = try notifier(outbox)
        await notifier.notify(subject("a"))
        await notifier.notify(subject("b"))
        await notifier.notify(subject("a"))
        await notifier.notify(subject("call", .critical))
        #expect(channel.subjects.isEmpty)
        let running = Task { await notifier.run() }
        try await waitUntil("everything is delivered") { channel.subjects.count >= 3 }
        #expect(channel.subjects == ["call", "a", "b"])
        // One that comes while it runs is sent at once: the bell wakes it.
        await notifier.notify(subject("later"))
        try await waitUntil("the later one is delivered") { channel.subjects.last == "later" }
        running.cancel()
        await running.value
    }

    @Test func aFailureIsTriedAgainAfterItsPauseAndNothingOvertakesIt() async throws {
        let outbox = MemoryMessages()
        let notifier = try notifier(outbox)
        channel.fail([Failure(.transient, "503"), Failure(.throttled, "429", retryAfter: .seconds(60))])
        await notifier.notify(subject("first"))
        await notifier.notify(subject("second"))
        let route = OutboxNotifier.Route(name: "chat", channel: channel)
        #expect(await notifier.step(route) == .zero)
        #expect(await notifier.step(route) == .seconds(2))
        clock.advance(by: .seconds(2))
        #expect(await notifier.step(route) == .zero)
        #expect(await notifier.step(route) == .seconds(60))
        clock.advance(by: .seconds(60))
        for _ in 0..<2 { #expect(await notifier.step(route) == .zero) }
        #expect(await notifier.step(route) == nil)
        #expect(channel.subjects == ["first", "second"])
    }

    @Test func whatIsSentCarriesTheTimeOfTheComputersClockAndWaitsByTheOther() async throws {
        let notifier = try notifier(MemoryMessages())
        let route = OutboxNotifier.Route(name: "chat", channel: channel)
        channel.fail([Failure(.transient, "503")])
        await notifier.notify(subject("first"))
        clock.setWallClock(ahead: .hours(48))
        #expect(await notifier.step(route) == .zero)
        #expect(await notifier.step(route) == .seconds(2))
        clock.advance(by: .seconds(2))
        #expect(await notifier.step(route) == .zero)
        #expect(channel.subjects == ["first"])
        #expect(channel.moments == [now + .hours(48), now + .hours(48) + .seconds(2)])
    }

    @Test func whatIsRefusedIsGivenUpReportedAndSeen() async throws {
        let outbox = MemoryMessages()
        let notifier = try notifier(outbox)
        channel.fail([Failure(.invalid, "cannot notify chat: 400 bad")])
        await notifier.notify(subject("first"))
        let route = OutboxNotifier.Route(name: "chat", channel: channel)
        #expect(await notifier.step(route) == .zero)
        #expect(reports.withLock { $0 } == [.givenUp(route: "chat", "cannot notify chat: 400 bad")])
        #expect(try await outbox.dead(limit: 5).map(\.failure) == ["cannot notify chat: 400 bad"])
    }

    @Test func aRouteIsToldOfItsKindsAndOfWhatIsUrgentEnough() async throws {
        let pager = NotedChannel()
        let outbox = MemoryMessages()
        let routes = [
            OutboxNotifier.Route(name: "chat", channel: channel, kinds: [.backupFailed]),
            .init(name: "pager", channel: pager, atLeast: .critical),
        ]
        let notifier = try notifier(outbox, routes)
        await notifier.notify(subject("news"))
        await notifier.notify(subject("call", .critical))
        await notifier.notify(
            Notification(.backupFailed, .warning, subject: "backup", text: "", deduplicationKey: "b", at: now))
        for route in routes { while await notifier.step(route) == .zero {} }
        #expect(channel.subjects == ["backup"] && pager.subjects == ["call"])
    }

    @Test func stepsGoToWhatFollowsThemAndToWhoeverAsks() async throws {
        let repository = GitHubChannel(repository: "acme/api", token: secret("t"), environment: "production")
        let step = notification(.rolloutProgressed)
        let (asked, unasked) = (
            OutboxNotifier.Route(name: "chat", channel: channel, kinds: [.rolloutProgressed]),
            OutboxNotifier.Route(name: "chat", channel: channel)
        )
        #expect(asked.takes(step) && !unasked.takes(step) && unasked.takes(notification()))
        #expect(OutboxNotifier.Route(name: "github", channel: repository).takes(step))
    }

    @Test func aFullOutboxGivesUpTheOldestAndKeepsTheCalls() async throws {
        let outbox = MemoryMessages()
        let notifier = try notifier(outbox)
        try await outbox.add(
            (0..<OutboxEntry.limit + 5).map { number in
                let notification = subject("n\(number)", number == 0 ? .critical : .info)
                return OutboxEntry(
                    id: "\(number)", destination: "chat", isCall: number == 0, payload: OutboundMessage.bytes(of: notification),
                    at: now)
            })
        #expect(await notifier.step(.init(name: "chat", channel: channel)) == .zero)
        #expect(channel.subjects == ["n0"])
        #expect(try await outbox.dead(limit: 10).map(\.id) == ["5", "4", "3", "2", "1"])
        #expect(try await outbox.waitingCount(for: "chat") == OutboxEntry.limit - 1)
    }

    @Test func aStoreThatFailsIsReportedAndHoldsNobodyUp() async throws {
        let notifier = try notifier(BrokenOutbox())
        await notifier.notify(subject("lost"))
        #expect(await notifier.step(.init(name: "chat", channel: channel)) == .seconds(5))
        #expect(reports.withLock { $0 }.count == 2)
    }

    @Test func aCallThatCannotBeWrittenIsSentOnceAndWrittenLater() async throws {
        let disk = FullDisk()
        let outbox = SteadyOutbox(disk)
        let notifier = try notifier(outbox)
        let route = OutboxNotifier.Route(name: "chat", channel: channel)
        channel.fail([Failure(.transient, "503")])
        await notifier.notify(subject("news"))
        await notifier.notify(subject("call", .critical))
        #expect(await outbox.trouble?.message == "disk full")
        #expect(try await outbox.waitingCount(for: "chat") == 1)
        _ = await notifier.step(route)
        #expect(try await outbox.waiting(for: "chat", limit: 5).map(\.failure) == ["503"])
        clock.advance(by: .seconds(2))
        _ = await notifier.step(route)
        #expect(channel.subjects == ["call"])
        #expect(await notifier.step(route) == nil)
        #expect(try await outbox.waitingCount(for: "chat") == 0)
        disk.hasRoom.withLock { $0 = true }
        #expect(await notifier.step(route) == nil)
        #expect(await outbox.trouble == nil)
        #expect(try await disk.messages.deliveredCalls(to: "chat", limit: 5).map(\.attempts) == [2])
        #expect(channel.subjects == ["call"])
    }

    @Test func aCallIsSentThoughTheStoreCannotEvenBeRead() async throws {
        let notifier = try notifier(SteadyOutbox(BrokenOutbox()))
        await notifier.notify(subject("call", .critical))
        let route = OutboxNotifier.Route(name: "chat", channel: channel)
        _ = await notifier.step(route)
        _ = await notifier.step(route)
        #expect(channel.subjects == ["call"])
    }

    @Test func aCallDoesNotWaitBehindThePauseOfAnEarlierOne() async throws {
        let notifier = try notifier(MemoryMessages())
        let route = OutboxNotifier.Route(name: "chat", channel: channel)
        channel.fail([Failure(.throttled, "429", retryAfter: .hours(25))])
        await notifier.notify(subject("first", .critical))
        #expect(await notifier.step(route) == .zero)
        await notifier.notify(subject("second", .critical))
        #expect(await notifier.step(route) == .zero)
        #expect(channel.subjects == ["second"])
        #expect(await notifier.step(route) == .minutes(5))
    }

    @Test func theNewestOfARolloutIsTheLastWordThoughACallOvertookOlderOnes() async throws {
        let outbox = MemoryMessages()
        let notifier = try notifier(outbox)
        let route = OutboxNotifier.Route(name: "chat", channel: channel)
        channel.fail([Failure(.transient, "500")])
        await notifier.notify(subject("awaiting approval", .critical, of: "rollout r"))
        #expect(await notifier.step(route) == .zero)
        await notifier.notify(subject("started", of: "rollout r", at: now + .seconds(1)))
        await notifier.notify(subject("another", of: "rollout s", at: now + .seconds(1)))
        await notifier.notify(subject("rollback incomplete", .critical, of: "rollout r", at: now + .seconds(2)))
        clock.advance(by: .seconds(1))
        while await notifier.step(route) == .zero {}
        clock.advance(by: .minutes(10))
        while await notifier.step(route) == .zero {}
        #expect(channel.subjects == ["rollback incomplete", "another"])
        #expect(try await outbox.dead(limit: 10).allSatisfy(\.isOvertaken), "they are not missed")
        #expect(try await outbox.dead(limit: 10).count == 2)
    }

    @Test func whatIsTooOldIsGivenUpBeforeItIsTold() async throws {
        let notifier = try notifier(MemoryMessages())
        let route = OutboxNotifier.Route(name: "chat", channel: channel)
        await notifier.notify(subject("rollback incomplete", .critical))
        clock.advance(by: .hours(25))
        #expect(await notifier.step(route) == .zero)
        #expect(await notifier.step(route) == nil)
        #expect(channel.subjects.isEmpty)
        #expect(reports.withLock { $0 } == [.givenUp(route: "chat", "not delivered within 24h")])
    }

    @Test func aChannelThatIsGoneKeepsNothingForEver() async throws {
        let outbox = MemoryMessages()
        await (try notifier(outbox)).notify(subject("a"))
        clock.advance(by: .hours(25))
        let later = try notifier(outbox, [])
        let running = Task { await later.run() }
        try await waitUntil("it is given up") { try await outbox.destinations().isEmpty }
        running.cancel()
        await running.value
        #expect(try await outbox.dead(limit: 10).count == 1)
    }

    /// What PagerDuty was asked for: `trigger` or `resolve` with the alert's key, without the part that tells calls apart.
    private func events(_ server: ScriptedServer) throws -> [String] {
        try server.requests.filter { $0.target == "/v2/enqueue" }.map { request in
            let body = try JSONValue(parsing: request.body)
            return "\(body["event_action"]?.text ?? "") \(body["dedup_key"]?.text ?? "")"
        }
    }

    private func pager(_ url: String, atLeast: Notification.Severity) -> OutboxNotifier.Route {
        OutboxNotifier.Route(name: "pager", channel: PagerDutyChannel(routingKey: secret("R"), api: url), atLeast: atLeast)
    }

    @Test func goodNewsThatACallOvertookEndNothingThatIsNewer() async throws {
        let server = try ScriptedServer { _ in [.http(202, #"{"status":"success"}"#)] }
        defer { server.stop() }
        let route = pager(server.url, atLeast: .info)
        let notifier = try notifier(MemoryMessages(), [route])
        for (kind, key) in [(Notification.Kind.rolloutChanged, "rollout r"), (.backupMade, "backups b")] {
            for (severity, seconds) in [(Notification.Severity.info, 0), (.critical, 1)] {
                await notifier.notify(
                    Notification(
                        kind, severity, subject: "s", text: "", fields: [.init("state", "baking")], deduplicationKey: key,
                        at: now + .seconds(Int64(seconds))))
            }
        }
        while await notifier.step(route) == .zero {}
        let events = try events(server)
        #expect(events.count == 2 && events.allSatisfy { $0.hasPrefix("trigger") }, "\(events)")
    }

    @Test func eachCallOfARolloutPagesAndIsEndedOnceItIsOver() async throws {
        let server = try ScriptedServer { _ in [.http(202, #"{"status":"success"}"#)] }
        defer { server.stop() }
        let route = pager(server.url, atLeast: .critical)
        let notifier = try notifier(MemoryMessages(), [route])
        let course: [(Notification.Kind, Notification.Severity, String)] = [
            (.rolloutChanged, .info, "preflight"), (.rolloutChanged, .critical, "awaiting approval"),
            (.rolloutProgressed, .info, "raising"), (.rolloutProgressed, .info, "baking"), (.rolloutChanged, .critical, "held"),
            (.rolloutChanged, .warning, "rolling back"), (.rolloutChanged, .critical, "rollback incomplete"),
            (.rolloutEnded, .warning, "rolled back"),
        ]
        var counts: [Int] = []
        for (number, (kind, severity, state)) in course.enumerated() {
            await notifier.notify(
                Notification(
                    kind, severity, subject: state, text: "", fields: [.init("state", state)], deduplicationKey: "rollout r",
                    at: now + .seconds(Int64(number))))
            while await notifier.step(route) == .zero {}
            counts.append(server.requests.count)
        }
        let events = try events(server)
        let words = events.map { $0.split(separator: " ").first.map(String.init) ?? "" }
        #expect(server.requests.count == events.count, "nothing but pages and their ends goes to who wants calls alone")
        #expect(words == ["trigger", "resolve", "trigger", "resolve", "trigger", "resolve"], "\(events)")
        #expect(counts == [0, 1, 2, 2, 3, 4, 5, 6])
        func keys(_ word: String) -> Set<Substring> { Set(events.filter { $0.hasPrefix(word) }.map { $0.dropFirst(word.count) }) }
        #expect(keys("trigger").count == 3 && keys("resolve") == keys("trigger"), "\(events)")
    }

    @Test func whoWaitsDoesNotAskAgainAndAgain() async throws {
        let outbox = CountingOutbox()
        let notifier = try notifier(outbox)
        let running = Task { await notifier.run() }
        for hour in 1...3 {
            try await waitUntil("both loops sleep") { clock.sleeping == 2 && outbox.looks >= hour }
            #expect(outbox.looks == hour)
            clock.advance(by: .hours(1))
        }
        running.cancel()
        await running.value
    }

    @Test func aChannelThatHangsHoldsUpNoOther() async throws {
        let server = try ScriptedServer { _ in [.hang] }
        defer { server.stop() }
        let outbox = MemoryMessages()
        let notifier = try notifier(
            outbox,
            [
                .init(name: "slow", channel: MattermostChannel(address: secret(server.url + "/hooks/x"))),
                .init(name: "chat", channel: channel),
            ])
        let running = Task { await notifier.run() }
        for number in 0..<5 { await notifier.notify(subject("n\(number)")) }
        try await waitUntil("the other channel has everything", within: .seconds(10)) { channel.subjects.count == 5 }
        running.cancel()
        await running.value
        // The one that was under way is sent again after a restart.
        #expect(try await outbox.waitingCount(for: "slow") == 5)
    }
}

/// An outbox that cannot be reached.
struct BrokenOutbox: Outbox {
    private var failure: Failure { Failure(.transient, "disk full") }
    func add(_ entries: [OutboxEntry]) async throws(Failure) { throw failure }
    func waiting(for destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] { throw failure }
    func destinations() async throws(Failure) -> [String] { throw failure }
    func waitingCount(for destination: String) async throws(Failure) -> Int { throw failure }
    func put(_ entry: OutboxEntry) async throws(Failure) { throw failure }
    func dead(limit: Int) async throws(Failure) -> [OutboxEntry] { throw failure }
    func deliveredCalls(to destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] { throw failure }
    func forget(before moment: Instant) async throws(Failure) { throw failure }
}

/// An outbox that can be read, and written once there is room.
final class FullDisk: Outbox {
    let messages = MemoryMessages()
    let hasRoom = Locked(false)
    private func write() throws(Failure) { if !hasRoom.withLock({ $0 }) { throw Failure(.transient, "disk full") } }
    func add(_ entries: [OutboxEntry]) async throws(Failure) {
        try write()
        try await messages.add(entries)
    }
    func waiting(for destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] {
        try await messages.waiting(for: destination, limit: limit)
    }
    func destinations() async throws(Failure) -> [String] { try await messages.destinations() }
    func waitingCount(for destination: String) async throws(Failure) -> Int {
        try await messages.waitingCount(for: destination)
    }
    func put(_ entry: OutboxEntry) async throws(Failure) {
        try write()
        try await messages.put(entry)
    }
    func dead(limit: Int) async throws(Failure) -> [OutboxEntry] { try await messages.dead(limit: limit) }
    func deliveredCalls(to destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] {
        try await messages.deliveredCalls(to: destination, limit: limit)
    }
    func forget(before moment: Instant) async throws(Failure) { try write() }
}

/// An empty outbox that counts how often it is looked into.
final class CountingOutbox: Outbox {
    private let count = Locked(0)
    var looks: Int { count.withLock { $0 } }
    func add(_ entries: [OutboxEntry]) async throws(Failure) {}
    func waiting(for destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] {
        count.withLock { $0 += 1 }
        return []
    }
    func destinations() async throws(Failure) -> [String] { [] }
    func waitingCount(for destination: String) async throws(Failure) -> Int { 0 }
    func put(_ entry: OutboxEntry) async throws(Failure) {}
    func dead(limit: Int) async throws(Failure) -> [OutboxEntry] { [] }
    func deliveredCalls(to destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] { [] }
    func forget(before moment: Instant) async throws(Failure) {}
}
