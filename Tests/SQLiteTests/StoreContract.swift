import MemoryJournal
import SerinCrypto
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRecords
import SerinRollouts
import SerinSQLite
import SerinVerdicts
import Testing

/// A kind of store, and how to open, close and open it again.
enum StoreKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sqlite
    case memory

    var testDescription: String { rawValue }
}

/// One journal that outlives its openings.
struct Journal {
    let kind: StoreKind
    let folder: Folder

    init(_ kind: StoreKind) throws {
        self.kind = kind
        folder = try Folder()
    }

    /// Opens it; `left` is what the opening before left behind, which a store in memory has to be given.
    func open(at now: Instant = .start, left: [Entry] = []) async throws -> any Store {
        switch kind {
        case .sqlite: try await SQLiteStore.open(folder.state, purpose: "serin tests", at: now, reserve: 1 << 16)
        case .memory: try MemoryStore(holding: left, at: now, digest: SHA256.digestOrEmpty)
        }
    }
}

extension Instant {
    static let start = Instant(millisecondsSince1970: 1_795_000_000_000)
}

extension RolloutID {
    static var first: RolloutID { named("checkout-1") }
    static var second: RolloutID { named("checkout-2") }

    private static func named(_ name: String) -> RolloutID {
        // traps: these names are written here and valid
        guard let rollout = RolloutID(name) else { preconditionFailure("\(name) is a valid name") }
        return rollout
    }
}

/// A draft that says something.
func draft(_ text: String, of rollout: RolloutID? = .first, at now: Instant = .start) -> Draft {
    Draft(rollout: rollout, at: now, record: .effect(.record(Decision(topic: "state", text: text))))
}

/// What every store must do.
@Suite struct StoreContract {
    @Test(arguments: StoreKind.allCases)
    func aNewStoreBeginsWithTheRecordOfItsOpening(kind: StoreKind) async throws {
        let store = try await Journal(kind).open()
        let entries = try await store.entries(after: 0, rollout: nil, limit: 10)
        #expect(store.epoch == 1)
        #expect(entries.map(\.sequence) == [1])
        let record = try CanonicalDecoder.decode(Record.self, from: try #require(entries.first).body)
        #expect(record == .opened(epoch: 1, engine: engineVersion))
        #expect(try await store.head() == entries.first)
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func appendedEntriesComeBackNumberedAndLinked(kind: StoreKind) async throws {
        let store = try await Journal(kind).open()
        let written = try await store.append([draft("a"), draft("b", of: .second), draft("c", of: nil)])
        #expect(written.map(\.sequence) == [2, 3, 4])
        #expect(try await store.entries(after: 1, rollout: nil, limit: 10) == written)
        #expect(try await store.head() == written.last)
        #expect(try await store.verifyChain(digest: SHA256.digestOrEmpty).faults.isEmpty)
        #expect(try await store.append([]).isEmpty)
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func readsArePagedAndMayBeOfOneRollout(kind: StoreKind) async throws {
        let store = try await Journal(kind).open()
        for number in 0..<10 {
            _ = try await store.append([draft("\(number)", of: number.isMultiple(of: 2) ? .first : .second)])
        }
        let all = try await store.entries(after: 0, rollout: nil, limit: 100)
        #expect(all.map(\.sequence) == Array(1...11))
        #expect(try await store.entries(after: 3, rollout: nil, limit: 2).map(\.sequence) == [4, 5])
        #expect(try await store.entries(after: 0, rollout: .first, limit: 3).map(\.sequence) == [2, 4, 6])
        #expect(try await store.entries(after: 6, rollout: .first, limit: 9).map(\.sequence) == [8, 10])
        #expect(try await store.entries(after: 11, rollout: nil, limit: 9).isEmpty)
        #expect(try await store.entries(after: 0, rollout: nil, limit: 0).isEmpty)
        #expect(try await store.rollouts() == [.first, .second])
        #expect(try await store.controllerEntries().map(\.sequence) == [1])
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func eachOpeningRaisesTheEpochAndKeepsWhatWasWritten(kind: StoreKind) async throws {
        let journal = try Journal(kind)
        var left: [Entry] = []
        for epoch in Int64(1)...3 {
            let store = try await journal.open(left: left)
            #expect(store.epoch == epoch)
            _ = try await store.append([draft("in epoch \(epoch)")])
            left = try await store.entries(after: 0, rollout: nil, limit: 100)
            await store.close()
        }
        #expect(left.map(\.epoch) == [1, 1, 2, 2, 3, 3])
        #expect(left.map(\.sequence) == Array(1...6))
        #expect(Chain(digest: SHA256.digestOrEmpty).verify(left, from: nil).isEmpty)
    }

    @Test(arguments: StoreKind.allCases)
    func anOpeningIsNeverJournaledBeforeTheLastEntry(kind: StoreKind) async throws {
        let journal = try Journal(kind)
        let store = try await journal.open()
        let late = Instant.start + .hours(5)
        _ = try await store.append([draft("late", at: late)])
        let left = try await store.entries(after: 0, rollout: nil, limit: 100)
        await store.close()
        let again = try await journal.open(at: .start, left: left)
        #expect(try await again.head()?.at == late)
        await again.close()
    }

    @Test(arguments: StoreKind.allCases)
    func aBatchWithAValueThatCannotBeWrittenLeavesNothingBehind(kind: StoreKind) async throws {
        let store = try await Journal(kind).open()
        let before = try await store.head()
        var assessment = SignalAssessment(name: "errors")
        assessment.phi = .nan
        let bad = Draft(
            rollout: .first, at: .start, record: .effect(.record(Decision(topic: "verdict", text: "", signals: [assessment]))))
        await #expect(throws: StoreError.self) { try await store.append([draft("good"), bad]) }
        #expect(try await store.head() == before)
        #expect(try await store.append([draft("after")]).map(\.sequence) == [2])
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func appendsFromManyTasksAreEachWholeAndInOneChain(kind: StoreKind) async throws {
        let store = try await Journal(kind).open()
        try await withThrowingTaskGroup(of: [Entry].self) { group in
            for number in 0..<40 {
                group.addTask { try await store.append([draft("\(number) a"), draft("\(number) b")]) }
            }
            for try await pair in group { #expect(pair[1].sequence == pair[0].sequence + 1) }
        }
        let entries = try await store.entries(after: 0, rollout: nil, limit: 1000)
        #expect(entries.map(\.sequence) == Array(1...81))
        #expect(try await store.verifyChain(digest: SHA256.digestOrEmpty).faults.isEmpty)
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func aClosedStoreAnswersThatItIsClosed(kind: StoreKind) async throws {
        let store = try await Journal(kind).open()
        await store.close()
        await #expect(throws: StoreError.self) { try await store.append([draft("late")]) }
        await #expect(throws: StoreError.self) { try await store.entries(after: 0, rollout: nil, limit: 1) }
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func aRolloutIsReplayedFromItsOwnEntriesOverSeveralPagesAndEpochs(kind: StoreKind) async throws {
        let journal = try Journal(kind)
        let charter = try charter(.first)
        var machine = Counter(charter: charter, createdAt: .start)
        var left: [Entry] = []
        for epoch in 1...2 {
            let store = try await journal.open(left: left)
            if epoch == 1 { _ = try await store.append([Draft(rollout: .first, at: .start, record: .created(charter))]) }
            for _ in 0..<50 {
                let effects = machine.handle(.ticked, at: .start).map { Draft(rollout: .first, at: .start, record: .effect($0)) }
                _ = try await store.append([Draft(rollout: .first, at: .start, record: .event(.ticked))] + effects)
                _ = try await store.append([draft("not of this rollout", of: .second)])
            }
            let replayed = try await store.replay(.first, as: Counter.self).get()
            #expect(replayed.machine == machine)
            #expect(replayed.openEffects == (1...50 * epoch).map { .setWeight(IntentID($0), .zero) })
            let other = try await store.replay(.second, as: Counter.self)
            #expect(throws: ReplayError.self) { try other.get() }
            left = try await store.entries(after: 0, rollout: nil, limit: 1000)
            await store.close()
        }
    }

    @Test func aFaultOfTheStoreInMemoryStandsBeforeItsSuccess() async throws {
        let store = try MemoryStore(at: .start, digest: SHA256.digestOrEmpty)
        let full = StoreError.unavailable("the disk is full")
        await store.setFault { _ throws(StoreError) in throw full }
        await #expect(throws: full) { try await store.append([draft("refused")]) }
        await store.setFault(nil)
        #expect(try await store.append([draft("taken")]).map(\.sequence) == [2])
        #expect(await store.entries.count == 2)
        #expect(throws: StoreError.self) {
            try MemoryStore(holding: [], at: .start, digest: { _ in [] })
        }
    }
}

/// A machine that asks for the weight at every tick.
struct Counter: Replayable, Hashable {
    var count = 0

    init(charter: Charter, createdAt: Instant) {}

    mutating func handle(_ event: RolloutEvent, at now: Instant) -> [Effect] {
        count += 1
        return [.setWeight(IntentID(count), .zero)]
    }
}

/// The charter of a rollout that judges nothing.
func charter(_ rollout: RolloutID) throws -> Charter {
    let service = try #require(ServiceName("checkout"))
    let policy = Policy(
        service: service, environment: .demo,
        traffic: TrafficPolicy(driver: DriverSettings(driver: "none", settings: [:]), steps: []),
        prometheus: PrometheusPolicy(
            endpoint: HTTPEndpoint(url: "http://127.0.0.1:9090"), instanceLabel: "instance", canary: [], control: [],
            staleAfter: nil,
            timeout: .seconds(1)),
        signals: [], alerts: nil, postgres: nil, deploy: nil, promote: nil, rollback: nil, onFailure: .rollback,
        onInconclusive: .hold, onTelemetryLoss: .hold, onDrift: .hold, timing: TimingPolicy())
    return Charter(
        id: rollout, policy: policy, policyHash: "", version: "2", previous: "1", author: .serin, overrides: [])
}
