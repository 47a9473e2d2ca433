import Glibc
import SerinController
import SerinCrypto
import SerinModel
import SerinPorts
import SerinProcesses
import SerinRecords
import SerinRollouts
import SerinSQLite
import Testing

/// What a journal that nobody holds proves about its last rollout.
struct JournalProof: Sendable {
    /// A raise as it was journaled.
    struct Raise: Sendable, Hashable {
        var sequence: Int64
        var at: Instant
        var basisPoints: Int
    }

    /// The number of the last entry.
    private(set) var last: Int64 = 0
    /// Every weight above 0 that was asked for, in order.
    private(set) var journaledRaises: [Raise] = []
    /// The entry from which on the rollout was being taken back.
    private(set) var retreat: Int64?
    /// Entries with a halt from a person or a signal.
    private(set) var halts: [Int64] = []
    /// Intents that nothing has answered.
    private(set) var open: [Effect] = []
    /// Where it stands.
    private(set) var status: RolloutStatus?

    /// The weights of the raises, without repetitions of one.
    var raises: [Int] {
        journaledRaises.map(\.basisPoints).reduce(into: []) { list, next in if list.last != next { list.append(next) } }
    }

    /// Reads a scene's journal; one that is not there yet, or not made yet, proves nothing.
    init(of scene: Scene) async throws {
        guard access(scene.journal, F_OK) == 0 else { return }
        let store: SQLiteStore
        do throws(StoreError) {
            store = try await SQLiteStore.read(scene.journal)
        } catch {
            if error.description.contains("there is nothing in it") { return }
            throw error
        }
        do {
            try await read(store)
            await store.close()
        } catch {
            await store.close()
            throw error
        }
    }

    private mutating func read(_ store: SQLiteStore) async throws {
        var rollout: Rollout?
        while true {
            let page = try await store.entries(after: last, rollout: nil, limit: 500)
            guard let end = page.last else { break }
            for entry in page {
                switch try CanonicalDecoder.decode(Record.self, from: entry.body) {
                case .opened, .clockJumped: break
                case .created(let charter):
                    rollout = Rollout(charter: charter, createdAt: entry.at)
                    journaledRaises = []
                    retreat = nil
                case .event(let event):
                    if case .commanded(let command) = event, command.verb == .halt { halts.append(entry.sequence) }
                    _ = rollout?.handle(event, at: entry.at)
                    if retreat == nil, let ending = rollout?.status(at: entry.at).ending, ending != .promoted {
                        retreat = entry.sequence
                    }
                case .effect(.setWeight(_, let weight)) where weight > .zero:
                    journaledRaises.append(Raise(sequence: entry.sequence, at: entry.at, basisPoints: weight.basisPoints))
                case .effect: break
                }
            }
            last = end.sequence
        }
        guard let replayed = try await JournalReader(store).lastRollout() else { return }
        open = replayed.openEffects
        status = replayed.machine.status(at: replayed.lastAt)
    }

    /// S2 on this journal, S3 at a final state, and that `serin verify` finds it whole: the chain, the decisions, and S3, S6, S13 and L2.
    func check(_ scene: Scene, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        if let retreat {
            #expect(
                journaledRaises.allSatisfy { $0.sequence < retreat }, "S2: a raise after the rollout was being taken back",
                sourceLocation: sourceLocation)
        }
        if status?.isFinal == true {
            let unsettled = open.filter { effect in
                switch effect {
                case .setWeight, .lowerWeight, .runAction, .takeBackup, .migrate, .inspectSchema, .restore: true
                case .preflight, .readHistory, .endBackup, .releaseBackup, .endMigration, .record, .notify: false
                }
            }
            #expect(unsettled.isEmpty, "S3: an intent was never settled", sourceLocation: sourceLocation)
            #expect(await scene.weight() == 0, sourceLocation: sourceLocation)
        }
        let verified = try await scene.serin("verify", scene.service)
        #expect(verified.termination == .exited(0), "\(verified.text)", sourceLocation: sourceLocation)
    }
}
