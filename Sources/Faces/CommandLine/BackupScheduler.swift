internal import Glibc
internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts

/// Does for one plan what its schedules want, as long as it runs: makes backups, deletes what is no longer kept, reads copies again,
/// rehearses restores, writes the heartbeat. The catalogue is its memory, so nothing is done twice beside a cron job, and one run makes
/// up for those that were missed.
struct BackupScheduler {
    /// It looks at the catalogue at least so often, since others make backups too.
    static let longestPause = Duration.minutes(5)

    let backups: BackupSession
    let loaded: LoadedBackupPlan
    /// Asked for the computer's time as it is set: the times of backups are compared with it, which other programs make too.
    let clock: any Clock
    /// A number from 0 up to 1 for a text: its share of a schedule's jitter.
    let chance: @Sendable (String) -> Double

    /// Runs until its task is cancelled. What fails is said and tried again later. What changes the target goes one after the other
    /// under its lease; what only reads goes beside it, so that a long rehearsal delays no backup.
    func run() async {
        backups.mirrorLater(loaded)
        let (nudges, nudge) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            group.addTask {
                while !Task.isCancelled {
                    let pause = await tick()
                    nudge.yield()
                    await clock.sleep(for: pause)
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    await clock.sleep(for: BackupCaretaker.pause)
                    nudge.yield()
                }
            }
            group.addTask { await BackupCaretaker(backups: backups, loaded: loaded, clock: clock).run(nudges) }
            if let heartbeat = loaded.plan.heartbeat { group.addTask { await beat(heartbeat) } }
            if loaded.plan.source.receivesLog { group.addTask { await follow() } }
        }
    }

    /// Makes what is due now, and deletes what is no longer kept.
    ///
    /// - Returns: How long to wait before the next look.
    func tick() async -> Duration {
        let session = backups.session
        let target = loaded.plan.target
        do throws(Failure) {
            try await backups.closeDeadRuns(loaded, at: clock.wall)
            let agenda = try await agenda()
            if !agenda.due.isEmpty, let remark = agenda.remark { session.complain("\(target): \(remark)") }
            for item in agenda.due {
                guard !Task.isCancelled else { return .zero }
                await make(item)
            }
            var notes = TargetNotes(of: target.description)
            let prune = try await prune(&notes)
            let next = [try await self.agenda().next, prune].compactMap { $0 }.min()
            guard let next else { return BackupScheduler.longestPause }
            return min(BackupScheduler.longestPause, max(.seconds(1), next - clock.wall))
        } catch {
            session.complain("the schedules of \(target) cannot be looked at: \(error)")
            return .minutes(1)
        }
    }

    private func make(_ item: BackupAgenda.Item) async {
        let session = backups.session
        let target = loaded.plan.target
        let missed = item.missed > 0 ? ", for \(item.missed) missed ones as well" : ""
        session.note("\(clock.wall) \(target): \(item.kind.rawValue) is due\(missed)")
        let request = BackupRequest(
            by: .serin, purpose: loaded.plan.purpose, label: item.label, tier: item.label ?? "scheduled")
        do throws(BackupRunFailure) {
            let work: any BackupWork
            do throws(Failure) { work = try await backups.work(loaded, "serin daemon") } catch {
                throw BackupRunFailure(.preflight, error)
            }
            let record = try await work.create(item.kind, request).record
            session.note("\(clock.wall) \(target): \(record.id) is stored and read back")
        } catch {
            if Task.isCancelled {
                session.note(
                    "\(clock.wall) \(target): the \(item.kind.rawValue) backup was interrupted: serin is stopping, or the "
                        + "plan is no longer in force; it is made when the plan runs again")
                return
            }
            if error.isNothing {
                session.note("\(clock.wall) \(target): nothing to back up: \(error.failure.message)")
                await backups.noteNothing(item.kind, target.description, error, at: clock.wall)
            } else {
                session.complain("no backup of \(target) was made: \(error)")
            }
        }
        backups.mirrorLater(loaded)
    }

    /// Looks retention through when that is due.
    ///
    /// - Returns: When it will be due next; nil for never.
    private func prune(_ notes: inout TargetNotes) async throws(Failure) -> Instant? {
        let plan = loaded.plan
        let target = plan.target.description
        try await backups.read(&notes)
        let agenda = CareAgenda(
            of: plan, try await backups.state().records, notes, at: clock.wall, offsets: backups.session.assembly.backups.offsets
        )
        guard agenda.isPruneDue, !Task.isCancelled else { return plan.prunesInDaemon ? agenda.next : nil }
        let now = clock.wall
        do throws(Failure) {
            let done = try await backups.work(loaded, "serin daemon").prune(
                lastRun: notes[CareAgenda.pruneTopic]?.at, agreed: false, by: .serin)
            var words = done.report.words
            if done.plan.needsApproval {
                words =
                    "\(done.plan.deletions.count) deletions wait for a person: serin backup prune \(plain(loaded.file)) --dry-run"
                // Not as a run: the next one measures the clock by the last that was one.
                try await backups.note(CareAgenda.waitingTopic, target, nil, words, at: now)
            }
            backups.session.note("\(now) \(target): retention: \(words)")
        } catch {
            backups.session.complain("what is no longer kept of \(target) was not deleted: \(error)")
            try await backups.note(CareAgenda.unprunedTopic, target, nil, error.message, at: now)
        }
        backups.mirrorLater(loaded)
        return now + CareAgenda.retryPause
    }

    /// Writes the heartbeat until its task is cancelled. What fails is said once, and again when it works.
    private func beat(_ heartbeat: HeartbeatPolicy) async {
        var isBroken = false
        while !Task.isCancelled {
            do throws(Failure) {
                try await backups.work(loaded, "serin daemon").beat()
                if isBroken { backups.session.note("\(clock.wall) \(loaded.plan.target): the heartbeat is written again") }
                isBroken = false
            } catch {
                if !isBroken, !Task.isCancelled {
                    backups.session.complain("the heartbeat of \(loaded.plan.target) is not written: \(error)")
                }
                isBroken = true
            }
            await clock.sleep(for: heartbeat.every)
        }
    }

    /// Keeps the write-ahead log followed until its task is cancelled.
    private func follow() async {
        let target = loaded.plan.target
        while !Task.isCancelled {
            do throws(Failure) {
                try await backups.work(loaded, "serin daemon").follow { status in await note(status) }
            } catch {
                if !Task.isCancelled { backups.session.complain("the write-ahead log of \(target) is not followed: \(error)") }
            }
            await clock.sleep(for: .seconds(15))
        }
    }

    private func note(_ status: LogFollower.Status) async {
        let target = loaded.plan.target.description
        let words: String
        switch status {
        case .stopped: return
        case .following: words = BackupMetrics.following
        case .failing(let failure): words = "not followed: \(failure.message)"
        case .gap(let failure): words = "log is lost, a new base backup is needed: \(failure.message)"
        }
        if words == BackupMetrics.following {
            backups.session.note("\(clock.wall) \(target): the write-ahead log is followed")
        } else {
            backups.session.complain("the write-ahead log of \(target): \(words)")
        }
        // Whether it is followed also shows in the server's slot.
        try? await backups.note(BackupMetrics.logTopic, target, nil, words, at: clock.wall)
    }

    private func agenda() async throws(Failure) -> BackupAgenda {
        try await backups.agenda(of: loaded.plan, at: clock.wall, chance: chance)
    }
}
