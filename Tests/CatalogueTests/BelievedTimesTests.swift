import SerinCatalogue
import SerinModel
import SerinPolicies
import Testing

/// Clocks that ran ahead, and runs that nobody goes on with.
@Suite struct BelievedTimesTests {
    private let now = moment("2026-03-04", 12)

    private func plan() throws -> BackupPlan {
        BackupPlan(
            target: try #require(ServiceName("checkout-db")), project: "shop",
            source: .postgres(PostgresDumpSource(url: .environment("URL"))),
            destinations: [
                DestinationPolicy(name: "bucket", settings: DriverSettings(driver: "s3", settings: [:]), isOffsite: true)
            ], encryption: EncryptionPolicy(key: .passphrase(.file("/k"))),
            schedules: [BackupSchedule(.every(.hours(6)), kind: .logical)], maximumAge: .hours(7))
    }

    private func agenda(_ records: [BackupRecord], at now: Instant) throws -> BackupAgenda {
        BackupAgenda(
            of: try plan(), records, TargetNotes(of: "checkout-db"), at: now, chance: { _ in 0 }, offsets: { _, _ in nil })
    }

    private func state(_ orders: [(BackupOrder, BackupState)]) throws -> CatalogueState {
        try CatalogueState(replaying: orders.flatMap { history(of: $0.0, until: $0.1) })
    }

    @Test func aBackupFromTheFutureKeepsNoScheduleQuiet() throws {
        let odd = try record(order(1, now + day * 30), .available)
        let agenda = try agenda([odd], at: now)
        #expect(agenda.due.map(\.kind) == [.logical])
        #expect(agenda.remark?.contains("\(odd.id)") == true, "\(agenda.remark ?? "nothing")")
        var failed = odd
        failed.state = .failed
        failed.failedAt = now + day * 30
        #expect(try self.agenda([failed], at: now).due.count == 1)
        // Within what clocks differ by nothing is said.
        let soon = try record(order(2, now + .minutes(2)), .available)
        #expect(try self.agenda([soon], at: now).remark == nil)
        #expect(try self.agenda([soon], at: now).due == [])
    }

    @Test func theNewestIsTheOneThatWasBegunLast() throws {
        let state = try state([
            (order(1, now - day), .available), (order(2, now + day * 30), .available), (order(3, now), .available),
        ])
        #expect(state.history().map(\.id) == [3, 2, 1].map(identifier))
        // The same once the wrong time has come.
        let later = try self.state([
            (order(1, now - day), .available), (order(2, now + day * 30), .available), (order(3, now), .available),
            (order(4, now + day), .available),
        ])
        #expect(later.history().map(\.id) == [4, 3, 2, 1].map(identifier))
    }

    @Test func importedBackupsArePlacedByTheirTime() throws {
        var state = try state([(order(5, now), .available)])
        for (number, time) in [(2, now - day), (1, now - day * 2)] {
            let record = try record(order(number, time))
            let manifest = Manifest(order: record.order, facts: try #require(record.facts), copy: record.copies[0], sequence: 7)
            try state.apply(CatalogueEvent(backup: record.id, at: now + day, by: .serin, .imported(manifest)))
        }
        #expect(state.history().map(\.id) == [5, 2, 1].map(identifier))
        #expect(state[identifier(1)]?.copies.first?.sequence == 7)
    }

    @Test func aBackupFromTheFutureHidesNoAge() throws {
        let state = try state([(order(1, now - .hours(9)), .available), (order(2, now + day * 30), .available)])
        var metrics = BackupMetrics(isCatalogueReadable: true)
        metrics.add(try plan(), state, reads: nil, at: now)
        let labels = #"{project="shop",database="checkout-db",kind="logical",destination="bucket"}"#
        for line in [
            "backup_age_seconds\(labels) 32400", "backup_from_the_future\(labels) 1",
            "backup_last_success_timestamp_seconds\(labels) \((now - .hours(9)).millisecondsSince1970 / 1000)",
        ] { #expect(metrics.text.contains("\n\(line)\n"), "\(metrics.text)") }
    }

    @Test func whatWasReadInTheFutureIsReadAgain() throws {
        var read = try record(order(1, now - .hours(1)))
        read.copies[0].verifiedAt = now + day * 30
        var plan = try plan()
        plan.verify.every = .hours(24)
        #expect(plan.copiesToRead([read], at: now).due.count == 1)
    }

    @Test func aRunWhoseLeaseIsGoneIsDead() throws {
        let state = try state([(order(1, now - .hours(1)), .available), (order(2, now - .minutes(5)), .running)])
        let holder = LeaseHolder(place: "here", pid: 7, startTicks: 1, purpose: "serin backup create")
        let lease = TargetLease(
            target: "checkout-db", holder: holder, by: .serin, token: 1, takenAt: now - .minutes(5), expiresAt: now + .minutes(1))
        func dead(_ lease: TargetLease?, _ isAlive: Bool?, at time: Instant) -> [BackupID] {
            state.deadRuns(of: "checkout-db", lease: lease, isAlive: isAlive, at: time).map(\.id)
        }
        #expect(dead(nil, nil, at: now) == [identifier(2)])
        #expect(dead(lease, true, at: now + day) == [])
        #expect(dead(lease, false, at: now) == [identifier(2)])
        #expect(dead(lease, nil, at: now) == [])
        #expect(dead(lease, nil, at: now + .minutes(2)) == [identifier(2)])
    }

    @Test func runsAreJobs() throws {
        var state = try state([(order(1, now - .hours(1)), .available), (order(2, now - .minutes(5)), .running)])
        let failed = order(3, now - .minutes(30))
        for event in history(of: failed, until: .running) { try state.apply(event) }
        try state.apply(CatalogueEvent(backup: failed.id, at: now, by: .serin, .failed(.runWasCutOff)))
        let jobs = state.runs(beside: [])
        #expect(jobs.map(\.state) == [.succeeded, .running, .failed])
        #expect(jobs.map(\.backup) == [1, 2, 3].map(identifier))
        #expect(jobs.last?.errorMessage?.contains("process is gone") == true)
        #expect(state.runs(beside: [jobs[0]]).count == 2, "what a job tells already is told once")
    }

    @Test func oneBadCopyLeavesTheOthersToBeRead() throws {
        var state = try CatalogueState(
            replaying: history(of: order(1, now), until: .uploaded, destinations: ["bucket", "local"]))
        let id = identifier(1)
        func apply(_ change: CatalogueEvent.Change) throws {
            try state.apply(CatalogueEvent(backup: id, at: now + .minutes(9), by: .serin, change))
        }
        try apply(.quarantined(destination: "bucket", Failure(.invalid, "it is cut short")))
        #expect(state[id]?.state == .uploaded)
        try apply(.confirmed(destination: "local", CopyEvidence(size: 1000, sha256: digest, versionID: "v1")))
        #expect(state[id]?.state == .available)
        #expect(state[id]?.usableCopies.map(\.destination) == ["local"])
        try apply(.quarantined(destination: "local", Failure(.invalid, "it is gone")))
        #expect(state[id]?.state == .quarantined)
    }

    @Test func aCopyThatWasBadWhenItWasFirstReadBackIsReadLikeAnyOther() throws {
        var state = try CatalogueState(
            replaying: history(of: order(1, now), until: .uploaded, destinations: ["bucket", "local"]))
        let id = identifier(1)
        func apply(_ change: CatalogueEvent.Change) throws {
            try state.apply(CatalogueEvent(backup: id, at: now + .minutes(9), by: .serin, change))
        }
        func verified(_ evidence: CopyEvidence, _ passed: Bool, at time: Instant) -> CatalogueEvent.Change {
            .verified(
                VerificationResult(
                    at: time, destination: "bucket", evidence: evidence,
                    checks: [BackupCheck("digest", passed: passed, detail: "")]))
        }
        let evidence = CopyEvidence(size: 1000, sha256: digest, versionID: "v1")
        #expect(throws: CatalogueRefusal.self, "not read back, and not known to be bad") {
            try apply(verified(evidence, true, at: now + .minutes(10)))
        }
        try apply(.quarantined(destination: "bucket", Failure(.invalid, "it is cut short")))
        try apply(verified(CopyEvidence(size: 0, sha256: ""), false, at: now + .minutes(10)))
        #expect(state[id]?.state == .uploaded && state[id]?.usableCopies.isEmpty == true)
        #expect(throws: CatalogueRefusal.self, "other bytes") {
            try apply(verified(CopyEvidence(size: 999, sha256: digest), true, at: now + .minutes(11)))
        }
        try apply(verified(evidence, true, at: now + .minutes(11)))
        #expect(state[id]?.state == .verified && state[id]?.usableCopies.map(\.destination) == ["bucket"])
        #expect(state[id]?.copy(at: "bucket")?.confirmedAt == now + .minutes(11))
    }

    @Test func aCopyThatOnlyWasWrittenIsReadAgain() throws {
        var half = try record(order(1, now - .hours(1)), .available, at: ["bucket", "local"])
        half.copies[1].state = .stored
        var plan = try plan()
        plan.verify.every = .hours(24)
        #expect(plan.copiesToRead([half], at: now).due.map(\.destination) == ["bucket", "local"])
    }

    @Test func afterAnImportNothingIsDeletedBeforeAPersonAgrees() throws {
        let records =
            try (0..<4).map { try record(order($0 + 1, now - day * Int64(40 - $0))) }.map { record in
                var warned = record
                warned.warnedAt = now - day * 9
                warned.expiresAt = now - day * 2
                return warned
            } + [try record(order(9, now - .hours(1)))]
        let retention = Retention(standard: RetentionPlan(standard: RetentionPolicy(keepAll: day * 7, floor: 1)))
        func plan(_ imported: Int) -> PrunePlan {
            retention.evaluate(records, in: RetentionCircumstances(now: now, imported: imported))
        }
        #expect(!plan(3).deletions.isEmpty)
        #expect(plan(3).brakes.contains(.imported(3)))
        #expect(!plan(0).brakes.contains(.imported(0)))
    }
}
