import SerinModel
import Testing

@testable import SerinPostgres

/// Counting from counters that may be reset, dropped or created.
@Suite struct DeadlockCountTests {
    private func counter(_ database: String, _ count: Double, reset: String = "") -> DeadlockCount.Counter {
        DeadlockCount.Counter(database: database, count: count, reset: reset)
    }

    @Test func theFirstReadingIsTheBeginning() {
        var count = DeadlockCount()
        #expect(count.advance([counter("a", 17), counter("b", 3)]) == 0)
        #expect(count.advance([counter("a", 18), counter("b", 5)]) == 3)
    }

    @Test func whoeverTakesOverCountsOn() {
        var start = DatabaseStart(started: "", system: "")
        (start.deadlocks, start.deadlocksSince) = ([counter("a", 20)], 4)
        var count = DeadlockCount(from: start)
        #expect(count.advance([counter("a", 24)]) == 8)
    }

    @Test func aResetHidesOneIntervalAndLosesNothingCountedBefore() {
        var count = DeadlockCount()
        _ = count.advance([counter("a", 17)])
        #expect(count.advance([counter("a", 20)]) == 3)
        #expect(count.advance([counter("a", 1, reset: "2026-01-01")]) == nil)
        #expect(count.advance([counter("a", 2, reset: "2026-01-01")]) == 5)
    }

    @Test func aCounterThatFellWithoutAResetTimeIsAResetToo() {
        var count = DeadlockCount()
        _ = count.advance([counter("a", 17)])
        #expect(count.advance([counter("a", 16)]) == nil)
    }

    @Test func aResetThatCaughtUpIsSeenByItsTime() {
        var count = DeadlockCount()
        _ = count.advance([counter("a", 2)])
        #expect(count.advance([counter("a", 2, reset: "2026-01-01")]) == nil)
    }

    @Test func databasesMayComeAndGo() {
        var count = DeadlockCount()
        _ = count.advance([counter("a", 5)])
        #expect(count.advance([counter("a", 6), counter("new", 1)]) == 2)
        #expect(count.advance([counter("new", 2)]) == 3)
    }
}
