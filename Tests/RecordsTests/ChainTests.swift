import SerinCrypto
import SerinModel
import SerinRecords
import SerinRollouts
import Testing

@Suite struct ChainTests {
    private let rollout = RolloutID("checkout-1")

    private func journal(_ count: Int) throws -> [Entry] {
        let opening = Draft(rollout: nil, at: instant(0), record: .opened(epoch: 1, engine: engineVersion))
        let rest = (1..<count).map { number in
            Draft(rollout: rollout, at: instant(Int64(number)), record: .effect(.setWeight(IntentID(number), .zero)))
        }
        return try chain.link([opening] + rest, after: nil, epoch: 1)
    }

    /// The bytes under the first hash, written out by hand from the documented layout.
    @Test func theHashCoversTheDocumentedLayout() throws {
        let draft = Draft(rollout: RolloutID("ab-1"), at: Instant(millisecondsSince1970: 258), record: .event(.started))
        let entry = try #require(try chain.link([draft], after: nil, epoch: 2).first)
        let body = Array(#"{"event":{"_0":{"started":{}}}}"#.utf8)
        #expect(entry.body == body)
        var bytes: [UInt8] = Array("serin journal entry".utf8) + [0, 1]
        bytes += [0, 0, 0, 0, 0, 0, 0, 1] + [0, 0, 0, 0, 0, 0, 0, 2] + [0, 0, 0, 0, 0, 0, 1, 2]
        bytes += [1, 0, 0, 0, 4] + Array("ab-1".utf8) + [UInt8](repeating: 0, count: 32)
        bytes += [0, 0, 0, 0, 0, 0, 0, UInt8(body.count)] + body
        #expect(entry.hash == (try SHA256.digest(bytes)))
    }

    @Test func aWholeChainHasNoFaultsWhereverTheCheckBegins() throws {
        let entries = try journal(20)
        #expect(chain.verify(entries, from: nil).isEmpty)
        #expect(chain.verify(Array(entries[7...]), from: entries[6]).isEmpty)
        #expect(entries.first?.previous == Chain.genesis)
    }

    @Test func everyChangedFieldOfAnEntryIsFound() throws {
        let entries = try journal(6)
        let changes: [(inout Entry) -> Void] = [
            { $0.sequence += 1 }, { $0.epoch += 1 }, { $0.rollout = nil }, { $0.rollout = RolloutID("checkout-2") },
            { $0.at = $0.at + .milliseconds(1) }, { $0.body[$0.body.count - 8] ^= 1 }, { $0.previous[31] ^= 1 },
            { $0.hash[0] ^= 1 },
        ]
        for (number, change) in changes.enumerated() {
            var changed = entries
            change(&changed[3])
            let faults = chain.verify(changed, from: nil)
            #expect(faults.contains { $0.sequence == changed[3].sequence }, "change \(number): \(faults)")
        }
    }

    @Test func aRewrittenEntryWithItsOwnHashBreaksTheNextLink() throws {
        var entries = try journal(6)
        entries[3].at = entries[3].at + .seconds(1)
        entries[3].hash = chain.hash(of: entries[3])
        #expect(chain.verify(entries, from: nil) == [ChainFault(5, .wrongLink)])
    }

    @Test func missingAndSwappedEntriesAreFound() throws {
        var missing = try journal(6)
        missing.remove(at: 2)
        #expect(chain.verify(missing, from: nil) == [ChainFault(4, .gap(expected: 3)), ChainFault(4, .wrongLink)])
        var swapped = try journal(6)
        swapped.swapAt(2, 3)
        #expect(chain.verify(swapped, from: nil).contains(ChainFault(4, .gap(expected: 3))))
    }

    @Test func aCutEndIsFoundAgainstACheckpointOnly() throws {
        let entries = try journal(6)
        let checkpoint = try #require(Checkpoint(Checkpoint(entries.last).description))
        var short = ChainVerification(chain: chain, checkpoint: checkpoint)
        for entry in entries.dropLast() { short.take(entry) }
        #expect(short.faults.isEmpty)
        short.finish()
        #expect(short.faults == [ChainFault(5, .truncated(checkpoint))])
        var grown = ChainVerification(chain: chain, checkpoint: Checkpoint(entries[3]))
        for entry in entries { grown.take(entry) }
        grown.finish()
        #expect(grown.faults.isEmpty)
    }

    @Test func aWhollyRewrittenJournalIsFoundAgainstACheckpoint() throws {
        let checkpoint = Checkpoint(try journal(6)[3])
        var other = try journal(6)
        other[1].at = instant(100)
        for index in other.indices {
            other[index].previous = index == 0 ? Chain.genesis : other[index - 1].hash
            other[index].hash = chain.hash(of: other[index])
        }
        #expect(chain.verify(other, from: nil).isEmpty)
        var verification = ChainVerification(chain: chain, checkpoint: checkpoint)
        for entry in other { verification.take(entry) }
        #expect(verification.faults == [ChainFault(4, .otherHead(checkpoint))])
    }

    @Test func epochsThatGoBackwardsOrBeginUnannouncedAreFound() throws {
        let first = try journal(2)
        let opening = Draft(rollout: nil, at: instant(9), record: .opened(epoch: 2, engine: engineVersion))
        let note = Draft(rollout: rollout, at: instant(9), record: .event(.ticked))
        let second = try chain.link([opening, note], after: first.last, epoch: 2)
        #expect(chain.verify(first + second, from: nil).isEmpty)
        let back = try chain.link([note], after: second.last, epoch: 1)
        #expect(chain.verify(first + second + back, from: nil) == [ChainFault(5, .epochBackwards(from: 2))])
        let unannounced = try chain.link([note], after: second.last, epoch: 3)
        #expect(chain.verify(first + second + unannounced, from: nil) == [ChainFault(5, .epochNotOpened)])
        let wrong = try chain.link([opening], after: second.last, epoch: 3)
        #expect(chain.verify(first + second + wrong, from: nil) == [ChainFault(5, .epochNotOpened)])
    }

    @Test func anUnknownEngineAndABodyThatIsNoRecordAreFound() throws {
        let opening = Draft(rollout: nil, at: instant(0), record: .opened(epoch: 1, engine: "99"))
        var entries = try chain.link([opening], after: nil, epoch: 1)
        #expect(chain.verify(entries, from: nil) == [ChainFault(1, .unknownEngine("99"))])
        entries[0].body = Array("{}".utf8)
        let faults = chain.verify(entries, from: nil)
        #expect(faults.map(\.isOfAnotherVersion) == [false, false], "\(faults)")
        guard case .undecodable = faults.last?.kind else {
            Issue.record("an empty body was taken for a record")
            return
        }
    }

    /// An entry whose hash holds is as it was written: what this build cannot read of it is no sign of tampering.
    @Test func anIntactEntryOfAnUnknownFormIsOfAnotherVersionOfSerin() throws {
        var entries = try journal(3)
        entries[2].body = Array(#"{"event":{"_0":{"paused":{}}}}"#.utf8)
        entries[2].hash = chain.hash(of: entries[2])
        let faults = chain.verify(entries, from: nil)
        #expect(faults.map(\.isOfAnotherVersion) == [true])
        #expect(
            faults.first?.description
                == "entry 3: written by another version of Serin (engine \(engineVersion), this is \(engineVersion)); its hash holds, but its form is not known "
                + "here: at event._0: unknown case 'paused' of RolloutEvent")
    }

    @Test func anEpochOfAnotherEngineIsNamedOnce() throws {
        let opening = Draft(rollout: nil, at: instant(0), record: .opened(epoch: 1, engine: "99"))
        let rest = (1..<4).map { Draft(rollout: rollout, at: instant(Int64($0)), record: .event(.ticked)) }
        var entries = try chain.link([opening] + rest, after: nil, epoch: 1)
        for index in entries.indices.dropFirst() {
            entries[index].body = Array(#"{"event":{"_0":{"paused":{}}}}"#.utf8)
            entries[index].previous = entries[index - 1].hash
            entries[index].hash = chain.hash(of: entries[index])
        }
        #expect(chain.verify(entries, from: nil) == [ChainFault(1, .unknownEngine("99"))])
    }

    @Test func aDigestThatFailsLinksNothing() {
        let broken = Chain(digest: { _ in [] })
        #expect(throws: RecordError.self) {
            try broken.link([Draft(rollout: nil, at: instant(0), record: .event(.ticked))], after: nil, epoch: 1)
        }
    }

    @Test func aRecordTooLongToBeReadBackIsNotWritten() throws {
        let short = Chain(digest: SHA256.digestOrEmpty, bodyLimit: 100)
        func link(_ words: String) throws -> [Entry] {
            try short.link([Draft(rollout: nil, at: instant(0), record: .event(.doubted(words)))], after: nil, epoch: 1)
        }
        #expect(try link("short").count == 1)
        #expect(throws: RecordError.self) { try link(String(repeating: "x", count: 100)) }
    }

    @Test(arguments: [
        "", ":", "5", "5:", "-1:\(String(repeating: "0", count: 64))", "5:\(String(repeating: "0", count: 63))",
        "5:\(String(repeating: "g", count: 64))", "5:\(String(repeating: "0", count: 64)):",
    ])
    func textThatIsNoCheckpointIsRefused(text: String) { #expect(Checkpoint(text) == nil) }
}
