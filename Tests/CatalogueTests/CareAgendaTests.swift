import SerinCatalogue
import SerinModel
import SerinPolicies
import Testing

@Suite struct CareAgendaTests {
    private let made = moment("2026-03-01", 2)

    private func plan(
        verify: Duration? = .hours(24), drills: [DrillPolicy] = [], windows: BackupWindows = BackupWindows(), prunes: Bool = true
    ) throws -> BackupPlan {
        BackupPlan(
            target: try #require(ServiceName("checkout-db")), project: "shop",
            source: .postgres(PostgresDumpSource(url: .environment("URL"))),
            destinations: [
                DestinationPolicy(
                    name: "bucket", settings: DriverSettings(driver: "s3", settings: [:]), isOffsite: true)
            ], encryption: EncryptionPolicy(key: .passphrase(.file("/k"))), windows: windows,
            verify: VerifyPolicy(every: verify), drills: drills, prunesInDaemon: prunes)
    }

    private func notes(_ all: (topic: String, at: Instant, text: String)...) -> TargetNotes {
        var notes = TargetNotes(of: "checkout-db")
        notes.take(
            all.enumerated().map { index, note in
                CatalogueEntry(
                    sequence: Int64(index + 1),
                    line: .note(
                        AuditNote(at: note.at, by: .serin, topic: note.topic, target: "checkout-db", text: note.text)))
            })
        return notes
    }

    private func agenda(
        _ plan: BackupPlan, _ state: BackupState, _ notes: TargetNotes? = nil, at now: Instant
    ) throws -> CareAgenda {
        CareAgenda(
            of: plan, [try record(order(1, made), state)], notes ?? self.notes(), at: now, offsets: { _, _ in nil })
    }

    @Test func aCopyIsReadWhenItWasNeverVerifiedAndAgainAfterItsTime() throws {
        let plan = try plan(prunes: false)
        #expect(
            try agenda(plan, .available, at: made + .minutes(10)).copies == [.init(backup: identifier(1), destination: "bucket")])
        let verified = try agenda(plan, .verified, at: made + .hours(1))
        #expect(verified.copies == [])
        #expect(verified.next == made + .minutes(4) + .hours(24))
        #expect(try agenda(plan, .verified, at: made + .hours(25)).copies.count == 1)
        #expect(try agenda(try self.plan(verify: nil, prunes: false), .available, at: made + .hours(1)).copies == [])
    }

    @Test func whatCouldNotBeReadIsLeftAloneForAWhile() throws {
        let plan = try plan(prunes: false)
        var notes = TargetNotes(of: "checkout-db")
        let note = AuditNote(
            at: made + .hours(1), by: .serin, topic: CareAgenda.unreadTopic, target: "checkout-db", backup: identifier(1),
            text: "bucket: no answer")
        notes.take([CatalogueEntry(sequence: 1, line: .note(note))])
        let soon = try agenda(plan, .available, notes, at: made + .hours(1) + .minutes(5))
        #expect(soon.copies == [])
        #expect(soon.next == made + .hours(1) + CareAgenda.retryPause)
        #expect(try agenda(plan, .available, notes, at: made + .hours(1) + CareAgenda.retryPause).copies.count == 1)
    }

    @Test func retentionIsLookedThroughOnceADayAndSoonerAfterAFailure() throws {
        let plan = try plan(verify: nil)
        #expect(try agenda(plan, .verified, at: made + .hours(1)).isPruneDue)
        let ran = notes((CareAgenda.pruneTopic, made + .hours(1), "0 copies deleted"))
        #expect(try !agenda(plan, .verified, ran, at: made + .hours(24)).isPruneDue)
        #expect(try agenda(plan, .verified, ran, at: made + .hours(24)).next == made + .hours(25))
        #expect(try agenda(plan, .verified, ran, at: made + .hours(25)).isPruneDue)
        // One that waits for a person is looked at again after a day, and is no run.
        let waits = notes((CareAgenda.waitingTopic, made + .hours(1), "9 deletions wait"))
        #expect(try agenda(plan, .verified, waits, at: made + .hours(24)).next == made + .hours(25))
        #expect(waits[CareAgenda.pruneTopic] == nil)
        let failed = notes((CareAgenda.unprunedTopic, made + .hours(2), "no right"))
        #expect(try agenda(plan, .verified, failed, at: made + .hours(2) + .minutes(1)).next == made + .hours(2) + .minutes(15))
        #expect(try !agenda(try self.plan(prunes: false), .verified, at: made + .hours(1)).isPruneDue)
    }

    @Test func aDrillIsCountedFromTheFirstBackupOnAndOneMakesUpForThoseThatWereMissed() throws {
        let weekly = DrillPolicy(.cron(try CronExpression("0 10 * * sun")))
        let plan = try plan(verify: nil, drills: [weekly], prunes: false)
        // The backup is of a Sunday, 02:00.
        #expect(try agenda(plan, .verified, at: made + .hours(1)).next == moment("2026-03-01", 10))
        #expect(try agenda(plan, .verified, at: moment("2026-03-20", 3)).drills == [weekly])
        let held = notes((weekly.topic, moment("2026-03-20", 4), "drill d of backup b passed"))
        #expect(try agenda(plan, .verified, held, at: moment("2026-03-20", 5)).drills == [])
        #expect(try agenda(plan, .verified, held, at: moment("2026-03-20", 5)).next == moment("2026-03-22", 10))
        let broken = notes((weekly.topic, moment("2026-03-20", 4), CareAgenda.again + "no room"))
        #expect(try agenda(plan, .verified, broken, at: moment("2026-03-20", 4, 15)).drills == [weekly])
        #expect(try agenda(plan, .running, at: moment("2026-03-20", 3)).drills == [], "there is nothing to rehearse with")
    }

    @Test func nothingBeginsInABlackout() throws {
        let blackout = try Blackout("2026-03-01..2026-03-02")
        let plan = try plan(drills: [DrillPolicy(.every(.hours(1)))], windows: BackupWindows(blackouts: [blackout]))
        let quiet = try agenda(plan, .available, at: made + .hours(5))
        #expect(quiet.copies == [] && quiet.drills == [] && !quiet.isPruneDue)
        #expect(quiet.next == moment("2026-03-03"))
        #expect(try agenda(plan, .available, at: moment("2026-03-03")).drills.count == 1)
    }
}
