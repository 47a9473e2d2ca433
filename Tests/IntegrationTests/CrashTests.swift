import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

extension Integration {
    /// The program is killed at its journal's writes, taken up again, killed again.
    @Suite(.serialized) struct Crashes {
        /// How a lane's rollout is to end.
        enum Story: Int, CaseIterable, Sendable { case promoted, failed, halted }

        /// How often all lanes are played, each time killed at other writes.
        static let rounds = getenv("SERIN_CRASH_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 2

        /// Each lane is a rollout of its own service; as many as there are services run side by side.
        @Test(.timeLimit(.minutes(5 * rounds))) func s1s2s3s7HoldWhereverTheProgramIsKilled() async throws {
            let rounds = Self.rounds
            var killed: Set<Kill> = []
            for round in 0..<rounds {
                try await withThrowingTaskGroup(of: [Kill].self) { group in
                    for (number, service) in Stage.services.enumerated() {
                        let lane = round * Stage.services.count + number
                        group.addTask { try await Lane(number: lane, service: service).run() }
                    }
                    for try await kills in group { killed.formUnion(kills) }
                }
            }
            #expect(killed.count >= 18 * rounds, "only \(killed.count) different writes were hit: \(killed)")
        }
    }
}

/// Where a rollout was killed.
private struct Kill: Sendable, Hashable {
    var lane: Int
    /// The last entry that survived.
    var head: Int64
}

/// One rollout that is killed again and again until it is over.
private struct Lane: Sendable {
    let number: Int
    let service: String

    private var story: Integration.Crashes.Story {
        Integration.Crashes.Story.allCases[number % Integration.Crashes.Story.allCases.count]
    }

    func run() async throws -> [Kill] {
        var policy = PolicyText()
        policy.times["bake"] = "1500ms"
        policy.times["poll"] = "400ms"
        var kills: [Kill] = []
        try await Scene.play(service, policy) { scene in
            let watch = WeightWatch(scene)
            async let isHalted = haltWhenRaised(scene)
            var isOver = false
            var attempt = 0
            while !isOver, attempt < 9 {
                let proof = try await JournalProof(of: scene)
                isOver = try await go(scene, attempt: attempt, isNew: proof.status == nil, isTraced: attempt < 8, into: &kills)
                attempt += 1
            }
            #expect(isOver, "lane \(number) did not end: \(scene.output())")
            let proof = try await JournalProof(of: scene)
            let wasHalted = try await isHalted
            watch.check(proof)
            try await proof.check(scene)
            try #require(proof.status?.isFinal == true, "lane \(number): \(scene.output())")
            switch story {
            case .promoted: #expect(proof.status?.ending == .promoted, "\(scene.output())")
            case .failed: #expect(proof.status?.ending == .failed, "\(scene.output())")
            case .halted:
                // It may have been promoted before anyone could halt it.
                if wasHalted {
                    #expect(proof.status?.ending == .halted, "\(scene.output())")
                    #expect(!proof.halts.isEmpty, "S7: an acknowledged halt is not in the journal")
                }
            }
        }
        return kills
    }

    /// Runs the program until it ends or is killed at one of its writes; true when the rollout is over.
    private func go(
        _ scene: Scene, attempt: Int, isNew: Bool, isTraced: Bool, into kills: inout [Kill]
    ) async throws -> Bool {
        let arguments = isNew ? scene.release(story == .failed ? Stage.bad : Stage.good) : scene.continuation
        // Every other lane is killed in the middle of a write, the others before its sync. An opening has about a dozen of either.
        let isWrite = number.isMultiple(of: 2)
        let place = (isWrite ? 16 : 5) + (number * 7 + attempt * 5) % (isWrite ? 26 : 8)
        let call = isWrite ? "pwrite64" : "fdatasync"
        let strace = [
            "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e",
            "inject=\(call):signal=SIGKILL:when=\(place)",
        ]
        let process = try scene.start(arguments, by: isTraced ? strace : [])
        let status = try await scene.end(of: process)
        guard status == 128 + SIGKILL else { return true }
        let weight = await scene.weight() ?? 0
        let proof = try await JournalProof(of: scene)
        kills.append(Kill(lane: number, head: proof.last))
        // What was not durable was not asked for.
        let highest = proof.journaledRaises.map(\.basisPoints).max() ?? 0
        #expect(weight <= highest, "S1: weight \(weight) after a kill at entry \(proof.last), journaled \(highest)")
        return false
    }

    /// In its story, halts the rollout once it has weight; true when the halt was acknowledged.
    private func haltWhenRaised(_ scene: Scene) async throws -> Bool {
        guard story == .halted else { return false }
        try await scene.awaitWeight(1000, within: .seconds(40))
        var wasHalted = false
        try await waitUntil("an answer to the halt of lane \(number)", within: .seconds(60)) {
            let completion = try await scene.serin("halt", scene.service, "--reason", "lane \(number)")
            wasHalted = completion.termination == .exited(0)
            return wasHalted || completion.termination == .exited(7)
        }
        return wasHalted
    }
}
