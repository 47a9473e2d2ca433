import SerinCatalogue
import SerinModel
import SerinPolicies
import Testing

@Suite struct BackupAgendaTests {
    private let noon = moment("2026-03-04", 12)

    private func plan(_ schedules: [BackupSchedule], windows: BackupWindows = BackupWindows()) throws -> BackupPlan {
        BackupPlan(
            target: try #require(ServiceName("checkout-db")), project: "shop",
            source: .postgres(PostgresDumpSource(url: .environment("URL"))),
            destinations: [
                DestinationPolicy(
                    name: "bucket", settings: DriverSettings(driver: "s3", settings: [:]), isOffsite: true)
            ], encryption: EncryptionPolicy(key: .passphrase(.file("/k"))), schedules: schedules, windows: windows,
            maximumAge: .hours(26))
    }

    private func agenda(
        _ plan: BackupPlan, _ records: [BackupRecord], _ notes: TargetNotes = TargetNotes(of: "checkout-db"), at now: Instant,
        chance: Double = 0
    ) -> BackupAgenda {
        BackupAgenda(of: plan, records, notes, at: now, chance: { _ in chance }, offsets: { _, _ in nil })
    }

    private var nightly: BackupSchedule {
        get throws { BackupSchedule(.cron(try CronExpression("0 2 * * *")), kind: .logical, label: "daily") }
    }

    @Test func whatWasNeverMadeIsDueAtOnceAndWhatWasMadeAtItsTime() throws {
        let plan = try plan([try nightly])
        #expect(agenda(plan, [], at: noon).due == [.init(kind: .logical, label: "daily")])
        let made = try record(order(1, moment("2026-03-04", 2, 1)), .available)
        let later = agenda(plan, [made], at: noon)
        #expect(later.due == [])
        #expect(later.next == moment("2026-03-05", 2))
        #expect(agenda(plan, [made], at: moment("2026-03-05", 2)).due.map(\.since) == [moment("2026-03-05", 2)])
    }

    @Test func oneRunMakesUpForThoseThatWereMissed() throws {
        let made = try record(order(1, moment("2026-03-01", 2, 1)), .available)
        let agenda = agenda(try plan([try nightly]), [made], at: noon)
        #expect(agenda.due == [.init(kind: .logical, label: "daily", since: moment("2026-03-04", 2), missed: 2)])
    }

    @Test func aFailedOneIsTriedAgainAfterAPause() throws {
        let order = order(1, moment("2026-03-04", 2))
        var failed = try record(order, .running)
        failed.state = .failed
        failed.failedAt = moment("2026-03-04", 2, 5)
        let plan = try plan([try nightly])
        let early = agenda(plan, [failed], at: moment("2026-03-04", 2, 10))
        #expect(early.due == [])
        #expect(early.next == moment("2026-03-04", 2, 20))
        #expect(agenda(plan, [failed], at: moment("2026-03-04", 2, 20)).due.map(\.kind) == [.logical])
    }

    @Test func aRunThatWasCalledOffIsNoFailureAndIsMadeUpForAtOnce() throws {
        let plan = try plan([try nightly])
        func run(_ why: Failure) throws -> (record: BackupRecord, metrics: String, due: Int) {
            var state = CatalogueState()
            for event in history(of: order(1, noon - .minutes(2)), until: .running) { try state.apply(event) }
            try state.apply(CatalogueEvent(backup: identifier(1), at: noon - .minutes(1), by: .serin, .failed(why)))
            var metrics = BackupMetrics(isCatalogueReadable: true)
            metrics.add(plan, state, reads: nil, at: noon)
            let agenda = agenda(plan, state.records, at: noon)
            return (try #require(state[identifier(1)]), metrics.text, agenda.due.count)
        }
        func failures(_ metrics: String) -> [Substring] {
            metrics.split(separator: "\n").filter { $0.hasPrefix("backup_failure_total{") }.compactMap {
                $0.split(separator: " ").last
            }
        }
        let interrupted = try run(.runWasInterrupted)
        #expect(BackupJob(of: interrupted.record).state == .cancelled)
        #expect(BackupJob(of: interrupted.record).errorMessage == Failure.runWasInterrupted.message)
        #expect(interrupted.record.stateWord == "interrupted")
        #expect(failures(interrupted.metrics).allSatisfy { $0 == "0" }, "\(interrupted.metrics)")
        #expect(interrupted.due == 1)
        let failed = try run(Failure(.transient, "dump: the server does not answer"))
        #expect(BackupJob(of: failed.record).state == .failed)
        #expect(failures(failed.metrics).contains("1"), "\(failed.metrics)")
        #expect(failed.due == 0, "it is tried again later")
    }

    @Test func blackoutsAndJitterDelayAndNothingIsLost() throws {
        let made = try record(order(1, moment("2026-03-03", 2, 1)), .available)
        let dark = BackupWindows(blackouts: [try Blackout("01:00-04:00")])
        let delayed = agenda(try plan([try nightly], windows: dark), [made], at: moment("2026-03-04", 2, 30))
        #expect(delayed.due == [])
        #expect(delayed.next == moment("2026-03-04", 4))
        var schedule = try nightly
        schedule.jitter = .minutes(30)
        let late = agenda(try plan([schedule]), [made], at: moment("2026-03-04", 2, 5), chance: 0.5)
        #expect(late.due == [])
        #expect(late.next == moment("2026-03-04", 2, 15))
    }

    @Test func twoSchedulesOfAKindMakeOne() throws {
        let plan = try plan([try nightly, BackupSchedule(.every(.hours(6)), kind: .logical)])
        #expect(agenda(plan, [], at: noon).due.count == 1)
    }

    @Test func theSteadyChanceIsSteadyAndSpread() {
        let chances = (0..<1000).map { BackupAgenda.steadyChance(of: "checkout-db logical \($0)") }
        #expect(chances == (0..<1000).map { BackupAgenda.steadyChance(of: "checkout-db logical \($0)") })
        #expect(chances.allSatisfy { (0..<1).contains($0) })
        for tenth in 0..<10 {
            let share = chances.count { Int($0 * 10) == tenth }
            #expect((60...140).contains(share), "\(tenth): \(share)")
        }
    }

    @Test func metricsCountWhatSucceededAndFailedAtEachDestination() throws {
        let good = try record(order(1, noon - .hours(3)), .verified)
        var bad = try record(order(2, noon - .hours(1)), .running)
        bad.state = .failed
        var metrics = BackupMetrics(isCatalogueReadable: true)
        var state = CatalogueState()
        for event in history(of: order(1, noon - .hours(3)), until: .verified) { try state.apply(event) }
        try state.apply(history(of: order(2, noon - .hours(1)), until: .running)[0])
        try state.apply(
            CatalogueEvent(backup: bad.id, at: noon, by: .serin, .failed(Failure(.transient, "the disk is full"))))
        metrics.add(try plan([try nightly]), state, reads: nil, at: noon)
        let labels = #"{project="shop",database="checkout-db",kind="logical",destination="bucket"}"#
        for line in [
            "backup_success_total\(labels) 1", "backup_failure_total\(labels) 1", "backup_duration_seconds\(labels) 60",
            "backup_size_bytes\(labels) 1000", "backup_age_seconds\(labels) 10800", "backup_max_age_seconds\(labels) 93600",
            "backup_last_success_timestamp_seconds\(labels) \(good.createdAt.millisecondsSince1970 / 1000)",
        ] { #expect(metrics.text.contains("\n\(line)\n"), "\(metrics.text)") }
    }
}
