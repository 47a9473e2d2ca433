import Glibc
import SerinLocks
import SerinModel
import Testbed
import Testing

/// Looks at a service's weight at the balancer all the time, past the program.
final class WeightWatch: Sendable {
    /// One look.
    struct Sample: Sendable, Hashable {
        /// When the answer had come, on the computer's clock.
        var at: Instant
        var basisPoints: Int
    }

    private let samples = Locked<[Sample]>([])
    private let task: Task<Void, Never>

    init(_ scene: Scene) {
        let samples = self.samples
        task = Task {
            // It ends by being cancelled.
            try? await waitUntil("the end of a test", within: .hours(1)) {
                if let weight = await scene.weight() {
                    let sample = Sample(at: .wall, basisPoints: weight)
                    samples.withLock { if $0.last?.basisPoints != weight { $0.append(sample) } }
                }
                return Task.isCancelled
            }
        }
    }

    /// The changes seen so far.
    var changes: [Sample] { samples.withLock { $0 } }

    /// Stops looking; S1: no weight was seen above the highest raise journaled until then.
    func check(_ proof: JournalProof, sourceLocation: SourceLocation = #_sourceLocation) {
        task.cancel()
        for sample in changes {
            let highest = proof.journaledRaises.filter { $0.at <= sample.at }.map(\.basisPoints).max() ?? 0
            #expect(
                sample.basisPoints <= highest, "S1: \(sample), journaled \(proof.journaledRaises)", sourceLocation: sourceLocation
            )
        }
    }

    deinit { task.cancel() }
}

extension Instant {
    /// The computer's clock.
    static var wall: Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(millisecondsSince1970: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
