import SerinCatalogue
import SerinCrypto
import SerinModel
import SerinPorts
import SerinSQLite
import Testing

/// What every store of the catalogue must do.
@Suite struct CatalogueStoreContract {
    private func open(_ kind: StoreKind, in folder: Folder) async throws -> any CatalogueStore {
        switch kind {
        case .sqlite: try await SQLiteCatalogue.open(SQLiteCatalogue.path(under: folder.root))
        case .memory: MemoryCatalogue(digest: SHA256.digestOrEmpty, isAlive: { $0.isAlive })
        }
    }

    @Test(arguments: StoreKind.allCases) func whatWasAppendedIsReadBackInOrder(kind: StoreKind) async throws {
        let folder = try Folder()
        let store = try await open(kind, in: folder)
        #expect(try await store.state().records.isEmpty)
        #expect(try await store.append([Sample.begun(1), Sample.begun(2)]) == 2)
        try await store.note(AuditNote(at: .start, by: .uid(7), topic: "read", backup: Sample.id(1), text: "shown"))
        #expect(try await store.append([Sample.failed(1)]) == 4)
        let state = try await store.state()
        #expect(state[Sample.id(1)]?.state == .failed)
        #expect(state[Sample.id(2)]?.state == .running)
        let entries = try await store.entries(after: 1, limit: 2)
        #expect(entries.map(\.sequence) == [2, 3])
        #expect(entries.first?.line == .event(Sample.begun(2)))
        await store.close()
    }

    @Test(arguments: StoreKind.allCases) func aRefusedEventLeavesNothingOfItsBatch(kind: StoreKind) async throws {
        let folder = try Folder()
        let store = try await open(kind, in: folder)
        let error = await #expect(throws: CatalogueStoreError.self) {
            try await store.append([Sample.begun(1), Sample.failed(2)])
        }
        #expect(error?.failure.kind == .invalid)
        if case .refused(let refusal) = error {
            #expect(refusal.description.contains("no backup"))
        } else {
            Issue.record("not a refusal: \(String(describing: error))")
        }
        #expect(try await store.state().records.isEmpty)
        #expect(try await store.append([Sample.begun(1)]) == 1)
        await store.close()
    }

    @Test(arguments: StoreKind.allCases) func oneHoldsATargetAtATime(kind: StoreKind) async throws {
        let folder = try Folder()
        let store = try await open(kind, in: folder)
        let own = LeaseHolder.current(purpose: "serin tests")
        let lease = try await store.takeLease(Sample.request(own))
        let error = await #expect(throws: CatalogueStoreError.self) {
            // Long after its end: a process that lives keeps what it has.
            try await store.takeLease(Sample.request(Sample.far, at: .start + .hours(5)))
        }
        #expect(error == .held(lease))
        try await store.releaseLease(lease)
        let next = try await store.takeLease(Sample.request(Sample.far))
        #expect(next.token > lease.token)
        #expect(try await store.leases() == [next])
        await #expect(throws: CatalogueStoreError.leaseLost(target: "checkout")) {
            try await store.renewLease(lease, at: .start, for: .seconds(60))
        }
        await #expect(throws: CatalogueStoreError.leaseLost(target: "checkout")) {
            try await store.append([Sample.begun(1)], under: lease)
        }
        try await store.releaseLease(lease)
        #expect(try await store.leases() == [next], "a lost lease gives nothing back")
        await store.close()
    }

    @Test(arguments: StoreKind.allCases) func aSilentHolderFromElsewhereIsFollowedOnlyAfterItsEnd(kind: StoreKind) async throws {
        let folder = try Folder()
        let store = try await open(kind, in: folder)
        let own = LeaseHolder.current(purpose: "serin tests")
        let lease = try await store.takeLease(Sample.request(Sample.far))
        let renewed = try await store.renewLease(lease, at: .start + .seconds(50), for: .seconds(60))
        await #expect(throws: CatalogueStoreError.held(renewed)) {
            try await store.takeLease(Sample.request(own, at: .start + .seconds(100)))
        }
        _ = try await store.takeLease(Sample.request(own, at: .start + .seconds(111)))
        let entries = try await store.entries(after: 0, limit: 10)
        guard case .note(let note) = try #require(entries.last).line else {
            Issue.record("no note of the takeover")
            return
        }
        #expect(note.topic == "lease" && note.target == "checkout" && note.text.contains("was not heard of"))
        await store.close()
    }

    @Test(arguments: StoreKind.allCases) func aDeadHoldersLeaseIsTakenOverAtOnce(kind: StoreKind) async throws {
        let folder = try Folder()
        let store = try await open(kind, in: folder)
        let own = LeaseHolder.current(purpose: "serin tests")
        // The same process id with another start: its process is gone.
        var dead = own
        dead.startTicks += 1
        _ = try await store.takeLease(Sample.request(dead))
        let lease = try await store.takeLease(Sample.request(own, at: .start + .seconds(1)))
        #expect(lease.holder == own)
        let text = try await store.entries(after: 0, limit: 10).map { "\($0.line)" }.joined()
        #expect(text.contains("is dead"))
        await store.close()
    }

    @Test(arguments: StoreKind.allCases) func aJobGoesFromWaitingToItsEndAndNoFurther(kind: StoreKind) async throws {
        let folder = try Folder()
        let store = try await open(kind, in: folder)
        let own = LeaseHolder.current(purpose: "serin tests")
        #expect(try await store.claimJob(for: own, at: .start) == nil)
        try await store.addJob(Sample.job(2, at: .start + .seconds(1)))
        try await store.addJob(Sample.job(1))
        await #expect(throws: CatalogueStoreError.self) { try await store.addJob(Sample.job(1)) }
        #expect(try await store.claimJob(for: own, at: .start)?.id == Sample.job(1).id, "the oldest first")
        let progress = JobProgress(stage: "dump", done: 10, total: 30, rate: 2)
        #expect(progress.timeLeft == .seconds(10))
        let job = try await store.changeJob(Sample.job(1).id, .progressed(progress), at: .start + .seconds(2))
        #expect(job.state == .running && job.progress == progress && job.heartbeatAt == .start + .seconds(2))
        try await store.changeJob(job.id, .succeeded(Sample.id(1)), at: .start + .seconds(3))
        await #expect(throws: CatalogueStoreError.self) {
            try await store.changeJob(job.id, .failed("late"), at: .start + .seconds(4))
        }
        #expect(try await store.jobs().map(\.state) == [.pending, .succeeded])
        await store.close()
    }

    @Test(arguments: StoreKind.allCases) func jobsOfDeadOrSilentWorkersAreFoundStuck(kind: StoreKind) async throws {
        let folder = try Folder()
        let store = try await open(kind, in: folder)
        let own = LeaseHolder.current(purpose: "serin tests")
        var dead = own
        dead.startTicks += 1
        for (number, worker) in [(1, dead), (2, own), (3, Sample.far)] {
            try await store.addJob(Sample.job(number))
            try await store.changeJob(Sample.job(number).id, .started(worker), at: .start)
        }
        try await store.addJob(Sample.job(4))
        let first = try await store.reapJobs(at: .start + .seconds(1), patience: .seconds(60))
        #expect(first.map(\.id) == [Sample.job(1).id])
        #expect(first.first?.errorMessage?.contains("is dead") == true)
        try await store.changeJob(
            Sample.job(2).id, .progressed(JobProgress(stage: "upload", done: 1)), at: .start + .seconds(50))
        let second = try await store.reapJobs(at: .start + .seconds(61), patience: .seconds(60))
        #expect(Set(second.map(\.id)) == [Sample.job(3).id, Sample.job(4).id])
        let back = try await store.changeJob(
            Sample.job(3).id, .progressed(JobProgress(stage: "upload", done: 2)), at: .start + .seconds(70))
        #expect(back.state == .running && back.errorMessage == nil, "a worker that was thought lost may come back")
        await store.close()
    }
}
