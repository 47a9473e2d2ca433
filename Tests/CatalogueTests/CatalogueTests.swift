import SerinCatalogue
import SerinModel
import SerinRecords
import Testing

@Suite struct CatalogueTests {
    let time = moment("2026-03-01", 2)

    func apply(_ change: CatalogueEvent.Change, to record: [CatalogueEvent], after: Duration = .hours(1)) throws -> BackupRecord?
    {
        var catalogue = try CatalogueState(replaying: record)
        let id = identifier(1)
        try catalogue.apply(CatalogueEvent(backup: id, at: time + after, by: .uid(7), change))
        return catalogue[id]
    }

    @Test func aBackupGoesThroughItsStatesInOrder() throws {
        let order = order(1, time)
        for state in [BackupState.running, .uploaded, .available, .verified] {
            #expect(try record(order, state).state == state)
        }
        #expect(try record(order, .verified).fileReference == "bucket:logical/\(order.id)#v1")
        #expect(try record(order, .verified).size == 1000)
    }

    @Test func aCopyThatReadsOtherwiseIsNeverAvailable() throws {
        let stored = history(of: order(1, time), until: .uploaded)
        for evidence in [
            CopyEvidence(size: 999, sha256: digest), CopyEvidence(size: 1000, sha256: String(digest.reversed())),
            CopyEvidence(size: 1000, sha256: digest, versionID: "v2"),
        ] {
            #expect(throws: CatalogueRefusal.self) { try apply(.confirmed(destination: "bucket", evidence), to: stored) }
        }
    }

    @Test func verificationMustBeLaterThanTheReadBack() throws {
        let available = history(of: order(1, time), until: .available)
        let evidence = CopyEvidence(size: 1000, sha256: digest)
        let early = VerificationResult(
            at: time + .minutes(3), destination: "bucket", evidence: evidence, checks: [BackupCheck("mac", passed: true)])
        #expect(throws: CatalogueRefusal.self) { try apply(.verified(early), to: available) }
    }

    @Test func aFailedVerificationQuarantinesUnlessAnotherCopyIsGood() throws {
        let evidence = CopyEvidence(size: 1000, sha256: digest)
        let bad = VerificationResult(
            at: time + .hours(1), destination: "bucket", evidence: evidence, checks: [BackupCheck("mac", passed: false)])
        let single = try apply(.verified(bad), to: history(of: order(1, time), until: .available))
        #expect(single?.state == .quarantined)
        let double = try apply(
            .verified(bad), to: history(of: order(1, time), until: .available, destinations: ["bucket", "local"]))
        #expect(double?.state == .available)
        #expect(double?.usableCopies.map(\.destination) == ["local"])
    }

    @Test func aReadingThatProvesTooLittleIsNotedAndChangesNothing() throws {
        let evidence = CopyEvidence(size: 1000, sha256: digest, versionID: "v1")
        let partial = VerificationResult(
            at: time + .hours(1), destination: "bucket", evidence: evidence, checks: [BackupCheck("digest", passed: true)],
            shortfall: "no key at hand opens it")
        let fresh = try apply(.verified(partial), to: history(of: order(1, time), until: .available))
        #expect(fresh?.state == .available)
        #expect(fresh?.copies.first?.state == .confirmed)
        #expect(fresh?.copies.first?.verifiedAt == partial.at, "it was read, so a scrub need not read it again at once")
        #expect(fresh?.verification == partial)
        let known = try apply(.verified(partial), to: history(of: order(1, time), until: .verified))
        #expect(known?.state == .verified)
        #expect(known?.verification?.isProof == true)
        // What was found bad by its contents has the same stored bytes.
        var events = history(of: order(1, time), until: .available)
        let bad = VerificationResult(
            at: time + .minutes(30), destination: "bucket", evidence: evidence, checks: [BackupCheck("mac", passed: false)])
        events.append(CatalogueEvent(backup: identifier(1), at: bad.at, by: .serin, .verified(bad)))
        #expect(try apply(.verified(partial), to: events)?.state == .quarantined)
    }

    @Test func nothingCheckedIsNoVerification() throws {
        let empty = VerificationResult(
            at: time + .hours(1), destination: "bucket", evidence: CopyEvidence(size: 1000, sha256: digest), checks: [])
        #expect(try apply(.verified(empty), to: history(of: order(1, time), until: .available))?.state == .quarantined)
    }

    @Test func aDrillWithoutARestoredDatabaseIsNoSuccess() throws {
        let clock = DrillClock(declaredAt: time)
        for (restored, checks, state) in [
            (true, [BackupCheck("rows", passed: true)], BackupState.drilled),
            (false, [BackupCheck("rows", passed: true)], .verified),
            (true, [], .verified),
        ] {
            let drill = DrillResult(
                id: "d", at: time + .hours(1), destination: "bucket", restored: restored, checks: checks, clock: clock,
                recoveryPoint: nil)
            #expect(try apply(.drilled(drill), to: history(of: order(1, time), until: .verified))?.state == state)
        }
    }

    @Test func aBackupThatWasOnlyUnpackedIsNotDrilled() throws {
        var drill = DrillResult(
            id: "d", at: time + .hours(1), destination: "bucket", restored: true, checks: [BackupCheck("unpacked", passed: true)],
            clock: DrillClock(declaredAt: time), recoveryPoint: nil)
        drill.onlyUnpacked = true
        #expect(drill.passed && !drill.isProof)
        #expect(try apply(.drilled(drill), to: history(of: order(1, time), until: .verified))?.state == .verified)
    }

    @Test func aHeldOrLockedBackupIsNotDeleted() throws {
        var events = history(of: order(1, time), until: .verified)
        #expect(try apply(.deleting(destination: "bucket", reason: "old"), to: events)?.state == .deleting)
        events.append(
            CatalogueEvent(backup: identifier(1), at: time, by: .uid(7), .held(Hold(.legal, reason: "case 12", until: time))))
        #expect(throws: CatalogueRefusal.self) { try apply(.deleting(destination: "bucket", reason: "old"), to: events) }
    }

    @Test func severalHoldsStandSideBySideAndOneReleaseFreesOne() throws {
        var events = history(of: order(1, time), until: .verified)
        func tell(_ change: CatalogueEvent.Change, after: Duration = .zero) {
            events.append(CatalogueEvent(backup: identifier(1), at: time + after, by: .uid(7), change))
        }
        tell(.held(Hold(.permanent, reason: "case of Ann")))
        tell(.held(Hold(.permanent, reason: "Bob", until: time + .seconds(1))))
        tell(.held(Hold(.legal, reason: "case 1")), after: .seconds(1))
        tell(.held(Hold(.legal, reason: "case 2")), after: .seconds(2))
        let record = try CatalogueState(replaying: events).records[0]
        #expect(record.holds.map(\.reason) == ["case of Ann", "Bob", "case 1", "case 2"])
        #expect(Set(record.holds.map(\.id)).count == 4 && record.holds.allSatisfy { $0.id.count == 8 && $0.since != nil })
        #expect(record.holds(at: time + .hours(1)).map(\.reason) == ["case of Ann", "case 1", "case 2"])
        #expect(throws: CatalogueRefusal.self) { try apply(.releasedHold("no such"), to: events) }
        tell(.releasedHold(record.holds[2].id), after: .hours(1))
        let left = try CatalogueState(replaying: events).records[0]
        #expect(left.holds.map(\.reason) == ["case of Ann", "Bob", "case 2"])
        #expect(left.released.map(\.reason) == ["case 1"])
        #expect(throws: CatalogueRefusal.self) {
            try apply(.deleting(destination: "bucket", reason: "old"), to: events, after: .hours(2))
        }
        // A log from before they had identifiers releases all of a kind.
        tell(.released(.legal), after: .hours(1))
        #expect(try CatalogueState(replaying: events).records[0].holds.map(\.kind) == [.permanent, .permanent])
    }

    @Test func aRestorePointIsHeldOnceAndEndsWhenItsRolloutSaysSo() throws {
        var events = history(of: order(1, time), until: .verified)
        for until in [nil, time + .hours(1)] {
            let hold = Hold(.rollout(try #require(RolloutID("checkout-1"))), reason: "the restore point", until: until)
            events.append(CatalogueEvent(backup: identifier(1), at: time, by: .serin, .held(hold)))
        }
        #expect(try CatalogueState(replaying: events).records[0].holds.map(\.until) == [time + .hours(1)])
    }

    @Test func nothingLeavesTheTombstone() throws {
        var events = history(of: order(1, time), until: .verified)
        for change in [CatalogueEvent.Change.deleting(destination: "bucket", reason: "old"), .deleted(destination: "bucket")] {
            events.append(CatalogueEvent(backup: identifier(1), at: time + .hours(2), by: .uid(7), change))
        }
        let gone = try CatalogueState(replaying: events).records[0]
        #expect(gone.state == .deleted)
        #expect(gone.tombstone == Tombstone(at: time + .hours(2), by: .uid(7), reason: "old"))
        let copy = gone.copies[0]
        let changes: [CatalogueEvent.Change] = [
            .begun(order(1, time)), .stored(copy, facts()), .failed(Failure(.invalid, "x")), .held(Hold(.permanent, reason: "x")),
            .warned(expiresAt: time), .deleting(destination: "bucket", reason: "again"), .deleted(destination: "bucket"),
            .quarantined(destination: nil, Failure(.invalid, "x")),
            .confirmed(destination: "bucket", CopyEvidence(size: 1000, sha256: digest)),
        ]
        for change in changes { #expect(throws: CatalogueRefusal.self) { try apply(change, to: events, after: .hours(3)) } }
        #expect(BackupState.deleted.successors.isEmpty)
    }

    @Test func whatTheDestinationDoesNotDeleteIsWhatItWas() throws {
        var events = history(of: order(1, time), until: .verified)
        let before = try CatalogueState(replaying: events).records[0]
        let refusal = CatalogueEvent.Change.notDeleted(destination: "bucket", Failure(.denied, "it is locked"))
        #expect(throws: CatalogueRefusal.self) { try apply(refusal, to: events, after: .hours(2)) }
        for change in [CatalogueEvent.Change.deleting(destination: "bucket", reason: "old"), refusal] {
            events.append(CatalogueEvent(backup: identifier(1), at: time + .hours(2), by: .uid(7), change))
        }
        #expect(try CatalogueState(replaying: events).records[0] == before)
    }

    @Test func everyEventSurvivesTheCanonicalForm() throws {
        for event in history(of: order(1, time, rollout: RolloutID("checkout-1")), until: .verified) {
            let bytes = try CanonicalEncoder.bytes(of: event)
            #expect(try CanonicalDecoder.decode(CatalogueEvent.self, from: bytes) == event)
        }
        let record = try record(order(1, time))
        #expect(try CanonicalDecoder.decode(BackupRecord.self, from: CanonicalEncoder.bytes(of: record)) == record)
    }

    @Test func identifiersAreUUIDsThatSortByAge() {
        let first = BackupID(millisecondsSince1970: 1_700_000_000_000, random: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        #expect(first.description == "018bcfe5-6800-7102-8304-05060708090a")
        #expect(first < BackupID(millisecondsSince1970: 1_700_000_000_001, random: []))
        #expect(BackupID(first.description.uppercased()) == first)
        #expect(BackupID("018bcfe5-6800-7102-8304-05060708090") == nil)
        #expect(BackupID("018bcfe5-6800-7102-8304-05060708090g") == nil)
    }

    @Test func logPositionsAreReadAsPostgresWritesThem() {
        #expect(LogPosition("16/B374D848")?.bytes == 0x16_B374_D848)
        #expect(LogPosition(bytes: 0x16_B374_D848).description == "16/B374D848")
        for text in ["", "16", "16/", "/1", "123456789/0", "1/G", "1/2/3", "+1/2"] { #expect(LogPosition(text) == nil) }
    }

    @Test func rowsThatAreMissingAreFound() {
        let manifest = RowManifest(tables: [.init(schema: "b", table: "t", count: 3), .init(schema: "a", table: "t", count: 2)])
        #expect(manifest.tables.map(\.schema) == ["a", "b"])
        let found = RowManifest(tables: [.init(schema: "b", table: "t", count: 2), .init(schema: "c", table: "t", count: 1)])
        #expect(manifest.differences(from: found).map(\.schema) == ["a", "b", "c"])
        #expect(manifest.differences(from: manifest) == [])
    }

    @Test func theClockOfADrillAddsUpAndIsNeverNegative() {
        var clock = DrillClock(declaredAt: time)
        clock.reach(.decided, at: time + .minutes(10))
        clock.reach(.located, at: time + .minutes(5))
        clock.reach(.unpacked, at: time + .minutes(40))
        clock.reach(.checked, at: time + .minutes(60))
        clock.reach(.decided, at: time + .minutes(70))
        clock.reach(.cutOver, at: time + .minutes(80))
        #expect(DrillClock.Phase.allCases.map { clock.time(of: $0) } == [10, 0, 30, 20, 20].map { .minutes($0) })
        #expect(clock.recoveryTime == .minutes(80))
        #expect(clock.restoreTime == .minutes(50))
        #expect(clock.overBudget == [.download])
        #expect(DrillClock.Phase.allCases.map(\.budget).reduce(.zero, +) == .hours(2))
    }
}
