import Glibc
import SerinLocks
import Testing

/// Backups of a database that is written to all the time, each restored and compared with the snapshot that it was made from.
///
/// Two lanes run at a time, each a target of its own on one server and one catalogue. Every round draws anew: form of the dump,
/// compression and level, encryption and kind of key, destination, and which tables. `SERIN_BACKUP_ROUNDS` (100) says how many,
/// `SERIN_BACKUP_SCALE` (1: 20 MB) how large, `SERIN_BACKUP_SEED` repeats a run.
@Suite(.serialized) struct RoundTripTests {
    static func number(_ name: String, _ usual: UInt64) -> UInt64 {
        getenv(name).flatMap { UInt64(String(cString: $0)) } ?? usual
    }

    static let rounds = Int(number("SERIN_BACKUP_ROUNDS", 100))
    static let scale = Int(number("SERIN_BACKUP_SCALE", 1))

    @Test(.timeLimit(.minutes(10 + rounds * scale / 10))) func everyRestoreEqualsTheSnapshotRowForRow() async throws {
        let seed = Self.number("SERIN_BACKUP_SEED", UInt64.random(in: 0...9_999_999))
        print("seed \(seed)")
        let course = try await RoundTripCourse(scale: Self.scale)
        defer { course.end() }
        let numbers = Locked(0)
        try await withThrowingTaskGroup(of: [String].self) { group in
            for lane in 1...2 {
                group.addTask {
                    var generator = SplitMix(seed: seed &+ UInt64(lane))
                    var seen: [String] = []
                    while true {
                        let round = numbers.withLock { number in
                            number += 1
                            return number
                        }
                        guard round <= Self.rounds else { return seen }
                        let draw = RoundTripDraw(&generator)
                        try await course.play(draw, lane: lane, "round \(round) of seed \(seed): \(draw)")
                        seen.append("\(draw.format) \(draw.profile) \(draw.place)")
                    }
                }
            }
            var seen: [String] = []
            for try await some in group { seen += some }
            #expect(seen.count == Self.rounds)
            if Self.rounds >= 100 { #expect(Set(seen).count > 20, "the rounds hardly differ: \(Set(seen))") }
        }
        try await course.expectOrder(rounds: Self.rounds)
    }
}
