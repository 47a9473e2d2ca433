import SerinModel
import SerinPorts
import SerinRecords
import SerinSQLite
import Testing

/// What someone with the sqlite3 shell can do to a closed journal, and how it is found.
@Suite struct TamperTests {
    /// A closed journal of one opening and `count` entries, with its last printed head.
    private func journal(_ count: Int = 60) async throws -> (folder: Folder, head: Checkpoint) {
        let folder = try Folder()
        let store = try await SQLiteStore.open(folder.state, purpose: "serin tests", at: .start, reserve: 0)
        for number in 0..<count { _ = try await store.append([draft("decision \(number)")]) }
        let head = Checkpoint(try await store.head())
        await store.close()
        return (folder, head)
    }

    @Test func anUntouchedJournalVerifiesAgainstItsHead() async throws {
        let (folder, head) = try await journal()
        let printed: Checkpoint? = Checkpoint(head.description)
        #expect(printed == head)
        let result = try await verify(folder.state.journal, against: printed)
        #expect(result.faults.isEmpty)
        #expect(result.head == head)
        #expect(head.size == 61)
    }

    @Test func anEditedBodyIsFound() async throws {
        let (folder, _) = try await journal()
        try await tamper(folder, "UPDATE entry SET body = replace(body, 'decision 5', 'decision 6') WHERE sequence = 7")
        #expect(try await verify(folder.state.journal).faults == [ChainFault(7, .wrongHash)])
    }

    @Test(arguments: ["epoch = epoch + 1", "at = at + 1", "rollout = NULL", "rollout = 'checkout-2'", "previous = zeroblob(32)"])
    func anyEditedColumnIsFound(change: String) async throws {
        let (folder, _) = try await journal()
        try await tamper(folder, "UPDATE entry SET \(change) WHERE sequence = 7")
        #expect(try await verify(folder.state.journal).faults.contains(ChainFault(7, .wrongHash)))
    }

    @Test func aDeletedEntryIsFound() async throws {
        let (folder, _) = try await journal()
        try await tamper(folder, "DELETE FROM entry WHERE sequence = 7")
        #expect(try await verify(folder.state.journal).faults == [ChainFault(8, .gap(expected: 7)), ChainFault(8, .wrongLink)])
    }

    @Test func aDeletedBeginningIsFound() async throws {
        let (folder, _) = try await journal()
        try await tamper(folder, "DELETE FROM entry WHERE sequence <= 20")
        #expect(try await verify(folder.state.journal).faults.first == ChainFault(21, .gap(expected: 1)))
    }

    @Test func twoSwappedEntriesAreFound() async throws {
        let (folder, _) = try await journal()
        try await tamper(
            folder,
            """
            UPDATE entry SET sequence = 1000 WHERE sequence = 7;
            UPDATE entry SET sequence = 7 WHERE sequence = 9;
            UPDATE entry SET sequence = 9 WHERE sequence = 1000;
            """)
        let faults = try await verify(folder.state.journal).faults
        #expect(faults.contains(ChainFault(7, .wrongHash)) && faults.contains(ChainFault(9, .wrongHash)))
    }

    @Test func entriesRenumberedOverADeletedOneAreFound() async throws {
        let (folder, _) = try await journal()
        try await tamper(
            folder,
            """
            DELETE FROM entry WHERE sequence = 7;
            UPDATE entry SET sequence = sequence + 100000 WHERE sequence > 7;
            UPDATE entry SET sequence = sequence - 100001 WHERE sequence > 100000;
            """)
        let faults = try await verify(folder.state.journal).faults
        #expect(faults.contains(ChainFault(7, .wrongLink)) && faults.contains(ChainFault(7, .wrongHash)))
    }

    @Test func aCutEndIsFoundAgainstTheLastPrintedHead() async throws {
        let (folder, head) = try await journal()
        try await tamper(folder, "DELETE FROM entry WHERE sequence > 50")
        #expect(try await verify(folder.state.journal).faults.isEmpty)
        #expect(try await verify(folder.state.journal, against: head).faults == [ChainFault(50, .truncated(head))])
    }

    @Test func aCutEndThatWasContinuedIsFoundAgainstTheLastPrintedHead() async throws {
        let (folder, head) = try await journal()
        try await tamper(folder, "DELETE FROM entry WHERE sequence > 50")
        let store = try await SQLiteStore.open(folder.state, purpose: "serin tests", at: .start, reserve: 0)
        for number in 0..<20 { _ = try await store.append([draft("another \(number)")]) }
        await store.close()
        #expect(try await verify(folder.state.journal).faults.isEmpty)
        #expect(try await verify(folder.state.journal, against: head).faults == [ChainFault(61, .otherHead(head))])
    }

    @Test func anAddedEntryIsFound() async throws {
        let (folder, _) = try await journal()
        try await tamper(
            folder,
            "INSERT INTO entry SELECT 62, epoch, rollout, at, body, previous, hash FROM entry WHERE sequence = 61")
        #expect(try await verify(folder.state.journal).faults == [ChainFault(62, .wrongLink), ChainFault(62, .wrongHash)])
    }

    @Test func aRolloutThatIsNoNameIsFound() async throws {
        let (folder, _) = try await journal()
        try await tamper(folder, "UPDATE entry SET rollout = 'a b' WHERE sequence = 7")
        let error = await #expect(throws: StoreError.self) { try await verify(folder.state.journal) }
        guard case .damaged(let text) = error else {
            Issue.record("expected damage, found \(String(describing: error))")
            return
        }
        #expect(text.contains("entry 7") && text.contains("'a b'"))
    }

    @Test func aJournalWhoseEndWasTouchedIsNotOpenedForWriting() async throws {
        let (folder, _) = try await journal()
        try await tamper(folder, "UPDATE entry SET at = at + 1 WHERE sequence = 58")
        let error = await #expect(throws: StoreError.self) {
            try await SQLiteStore.open(folder.state, purpose: "serin tests", at: .start, reserve: 0)
        }
        guard case .damaged(let text) = error else {
            Issue.record("expected damage, found \(String(describing: error))")
            return
        }
        #expect(text.contains("entry 58: its contents were changed after it was written"))
        #expect(ServiceLock.holder(of: folder.state) == nil, "a failed opening gives the lock back")
    }
}
