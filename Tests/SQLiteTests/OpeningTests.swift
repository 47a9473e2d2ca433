import Glibc
import SerinModel
import SerinPorts
import SerinProcesses
import SerinRecords
import SerinSQLite
import Testbed
import Testing

@Suite struct OpeningTests {
    private func open(_ folder: Folder) async throws -> SQLiteStore {
        try await SQLiteStore.open(folder.state, purpose: "serin tests", at: .start, reserve: 1 << 16)
    }

    /// Opens what cannot be opened and returns the words.
    private func refusal(_ folder: Folder) async -> StoreError? {
        do {
            await (try open(folder)).close()
            return nil
        } catch {
            return error as? StoreError
        }
    }

    @Test func onlyItsOwnerCanReachTheFolderAndItsFiles() async throws {
        let folder = try Folder()
        let store = try await open(folder)
        _ = try await store.append([draft("something")])
        #expect(mode(of: folder.state.path) == 0o700)
        for file in [folder.state.journal, folder.state.journal + "-wal", folder.state.lock, folder.state.reserve] {
            #expect(mode(of: file) == 0o600, "\(file)")
        }
        #expect(!exists(folder.state.journal + "-shm"), "one exclusive connection needs no shared memory")
        await store.close()
    }

    @Test func theLogIsFoldedIntoTheFileAgainAndAgainAndStaysSmall() async throws {
        let folder = try Folder()
        let store = try await open(folder)
        let text = String(repeating: "0123456789abcdef", count: 1 << 12)
        for _ in 0..<80 { _ = try await store.append([draft(text)]) }
        // Done after the last append's answer, and before the next question's.
        _ = try await store.head()
        #expect(size(of: folder.state.journal) > 3 << 20)
        #expect(size(of: folder.state.journal + "-wal") < 2 << 20)
        await store.close()
        #expect(try await verify(folder.state.journal).faults.isEmpty)
    }

    @Test func rightsThatWereTooWideAreTakenBack() async throws {
        let folder = try Folder()
        await (try open(folder)).close()
        chmod(folder.state.path, 0o755)
        chmod(folder.state.journal, 0o644)
        await (try open(folder)).close()
        #expect(mode(of: folder.state.path) == 0o700)
        #expect(mode(of: folder.state.journal) == 0o600)
    }

    @Test func aFileThatIsNoDatabaseIsRefused() async throws {
        let folder = try Folder()
        try folder.state.create()
        let text = String(repeating: "this is no database\n", count: 400)
        try write(text, to: folder.state.journal)
        #expect(await refusal(folder)?.description == "cannot open the journal \(folder.state.journal): it is no database")
        #expect(try read(folder.state.journal) == text, "what was refused is left alone")
    }

    @Test func anotherApplicationsDatabaseIsRefusedAndLeftAlone() async throws {
        let folder = try Folder()
        try folder.state.create()
        try await tamper(folder, "PRAGMA application_id = 77; CREATE TABLE other(x); INSERT INTO other VALUES(1)")
        let before = try read(folder.state.journal)
        let words = await refusal(folder)?.description
        #expect(words?.contains("it is another application's database (application id 77)") == true)
        #expect(try read(folder.state.journal) == before)
    }

    @Test func aDatabaseWithTablesAndNoApplicationIsRefused() async throws {
        let folder = try Folder()
        try folder.state.create()
        try await tamper(folder, "CREATE TABLE entry(x)")
        #expect(await refusal(folder)?.description.contains("another application's database") == true)
    }

    @Test func aNewerSchemaIsRefusedWithAHint() async throws {
        let folder = try Folder()
        await (try open(folder)).close()
        try await tamper(folder, "PRAGMA user_version = 2")
        let words = await refusal(folder)?.description
        #expect(words?.contains("it has schema 2, and this build knows 1\nhint: ") == true)
    }

    @Test func aSecondOpeningInTheSameProcessIsRefusedNamingTheHolder() async throws {
        let folder = try Folder()
        let store = try await open(folder)
        let error = await refusal(folder)
        guard case .locked(let words) = error else {
            Issue.record("expected a lock, found \(String(describing: error))")
            return
        }
        #expect(words.contains("serin tests (process \(getpid())) is already in charge of it"))
        #expect(try await store.append([draft("still working")]).map(\.sequence) == [2])
        await store.close()
        await (try open(folder)).close()
    }

    @Test func anotherProcessHoldsTheJournalUntilItDies() async throws {
        let folder = try Folder()
        let writer = try journalWriter()
        let holder = try ServerProcess(writer, ["hold", folder.root], log: folder.root + "/log")
        try await waitUntil("the other process takes the lock") { exists(folder.state.journal) && logged("opened", folder) }
        #expect(ServiceLock.holder(of: folder.state)?.purpose == "journal-writer")
        let words = await refusal(folder)?.description ?? ""
        #expect(words.contains("journal-writer (process ") && words.contains("hint: "))
        let reading = await #expect(throws: StoreError.self) { try await SQLiteStore.read(folder.state.journal) }
        guard case .locked(let text) = reading else {
            Issue.record("expected a lock, found \(String(describing: reading))")
            return
        }
        #expect(text.contains("journal-writer (process "))
        holder.stop(signal: SIGKILL)
        #expect(ServiceLock.holder(of: folder.state) == nil)
        let store = try await open(folder)
        #expect(store.epoch == 2)
        await store.close()
    }

    @Test func lookingForTheHolderNeverKeepsOneOut() async throws {
        let folder = try Folder()
        try folder.state.create()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for _ in 0..<2000 { _ = ServiceLock.holder(of: folder.state) } }
            for _ in 0..<200 { try ServiceLock.acquire(folder.state, purpose: "serin tests").release() }
            try await group.waitForAll()
        }
    }

    @Test func aLockOfTheCallersStaysTheCallers() async throws {
        let folder = try Folder()
        let lock = try ServiceLock.acquire(folder.state, purpose: "serin run")
        let store = try await SQLiteStore.open(folder.state, lock: lock, at: .start, reserve: 0)
        await store.close()
        #expect(lock.isHeld)
        #expect(ServiceLock.holder(of: folder.state)?.description == "serin run (process \(getpid()))")
        lock.release()
        #expect(ServiceLock.holder(of: folder.state) == nil)
    }

    @Test func aJournalOpenForReadingTakesNoEntries() async throws {
        let folder = try Folder()
        let store = try await open(folder)
        _ = try await store.append([draft("something")])
        await store.close()
        let reader = try await SQLiteStore.read(folder.state.journal)
        #expect(reader.epoch == 0)
        #expect(try await reader.entries(after: 0, rollout: nil, limit: 10).count == 2)
        #expect(try await reader.head()?.sequence == 2)
        await #expect(throws: StoreError.self) { try await reader.append([draft("no")]) }
        await reader.close()
        await #expect(throws: StoreError.self) { try await SQLiteStore.read(folder.root + "/nothing") }
    }

    @Test func aStateFolderThatIsAFileOrCannotBeMadeIsRefused() async throws {
        let folder = try Folder()
        try write("", to: folder.root + "/file")
        let inside = StateFolder(under: folder.root + "/file", service: folder.state.service)
        #expect(throws: StoreError.self) { try inside.create() }
        try write("", to: folder.state.path)
        #expect(throws: StoreError.self) { try folder.state.create() }
    }

    private func logged(_ word: String, _ folder: Folder) -> Bool {
        // Not there yet is not written yet.
        (try? read(folder.root + "/log"))?.contains(word) == true
    }
}
