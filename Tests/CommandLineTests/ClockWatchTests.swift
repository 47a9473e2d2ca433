import SerinAPI
import SerinLocks
import SerinModel
import SerinPorts
import Testing

@testable import SerinCommandLine

/// A clock of which the computer's own runs away.
private final class SetClock: Clock {
    let offset = Locked<Int64>(0)

    func now() -> Instant { Instant(millisecondsSince1970: 1_800_000_000_000) }
    func wallClockOffset() -> Int64 { offset.withLock { $0 } }
    func sleep(for _: Duration) async {}
}

@Suite struct ClockWatchTests {
    @Test func aClockThatWasSetIsSaidOnceAndUntilItIsRightAgain() {
        let (clock, said) = (SetClock(), Locked<[String]>([]))
        let watch = ClockWatch(clock) { words in said.withLock { $0.append(words) } }
        for (offset, isAmiss, count) in [
            (0, false, 0), (59_000, false, 0), (-400_000, true, 1), (-401_000, true, 1), (9, false, 2),
        ] {
            clock.offset.withLock { $0 = Int64(offset) }
            watch.look()
            #expect((watch.readiness.complaint != nil) == isAmiss && !watch.readiness.isFatal, "\(offset)")
            #expect(said.withLock { $0.count } == count, "\(offset)")
        }
        #expect(said.withLock { $0.first }?.contains("was set 400s back") == true, "\(said.withLock { $0 })")
    }
}
