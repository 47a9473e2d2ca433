internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinSQLite

/// Reads the copies of one plan's backups again and rehearses restores when the plan wants it, as long as it runs. It works under a
/// lease of its own, so that two daemons do nothing twice, and no backup waits for it.
struct BackupCaretaker {
    let backups: BackupSession
    let loaded: LoadedBackupPlan
    /// Asked for the computer's time as it is set, as the schedules are.
    let clock: any Clock

    private var target: String { loaded.plan.target.description }

    /// It looks at the catalogue at least so often.
    static let pause = Duration.minutes(1)

    /// Looks whenever it is told to, until the stream or its task ends.
    func run(_ nudges: AsyncStream<Void>) async {
        var notes = TargetNotes(of: target)
        var kept: Int64 = 0
        var isUnkept = false
        for await _ in nudges {
            await tick(&notes)
            // Something happened since: a backup was made, held, released or deleted, or somebody was erased.
            if kept != notes.sequence || isUnkept { (kept, isUnkept) = (notes.sequence, await !keep(isRepeated: isUnkept)) }
        }
    }

    /// Keeps what is held and who was erased beside the objects.
    ///
    /// - Parameter isRepeated: Whether it was said already that it is not possible.
    private func keep(isRepeated: Bool) async -> Bool {
        do throws(Failure) {
            let unkept = try await backups.work(loaded, "serin daemon").keepRegister(at: nil)
            if let first = unkept.first, !isRepeated, !Task.isCancelled {
                backups.session.complain(
                    "what is held and erased of \(target) could not be noted at \(first.destination): \(first.failure)")
            }
            return unkept.isEmpty
        } catch {
            if !isRepeated, !Task.isCancelled {
                backups.session.complain("what is held and erased of \(target) could not be noted beside the objects: \(error)")
            }
            return false
        }
    }

    /// Does what is due now.
    func tick(_ notes: inout TargetNotes) async {
        do throws(Failure) {
            let agenda = try await agenda(&notes)
            guard !agenda.copies.isEmpty || !agenda.drills.isEmpty else { return }
            let clock = clock
            let keeper = LeaseKeeper(catalogue: backups.store, now: { clock.wall }, length: .seconds(60))
            let request = LeaseRequest(
                target: "\(target)/care", holder: .current(purpose: "serin daemon"), by: .serin, at: clock.wall)
            do throws(Failure) {
                try await keeper.hold(request) { _ throws(Failure) in try await carryOut(agenda) }
            } catch {
                // Another daemon of the same catalogue is at it.
                guard error.kind == .conflict else { throw error }
                return
            }
            backups.mirrorLater(loaded)
        } catch {
            backups.session.complain("the backups of \(target) cannot be looked after: \(error)")
        }
    }

    private func agenda(_ notes: inout TargetNotes) async throws(Failure) -> CareAgenda {
        try await backups.read(&notes)
        return CareAgenda(
            of: loaded.plan, try await backups.state().records, notes, at: clock.wall,
            offsets: backups.session.assembly.backups.offsets)
    }

    private func carryOut(_ agenda: CareAgenda) async throws(Failure) {
        for copy in agenda.copies where !Task.isCancelled { try await read(copy) }
        for drill in agenda.drills where !Task.isCancelled { try await rehearse(drill) }
    }

    private func read(_ copy: CareAgenda.Copy) async throws(Failure) {
        guard let record = try await backups.state()[copy.backup] else { return }
        let session = backups.session
        do throws(Failure) {
            let work = try await backups.work(loaded, "serin daemon")
            let outcome = try await work.verify(record, at: copy.destination, isRightPlace: false, by: .serin)
            for warning in outcome.warnings { session.note("\(clock.wall) \(target): \(record.id): \(plain(warning))") }
            if outcome.result.isProof {
                session.note("\(clock.wall) \(target): \(record.id) at \(copy.destination) was read again and is good")
            } else if !outcome.result.passed {
                session.complain("backup \(record.id) of \(target) at \(copy.destination) is BAD; make a new one")
            }
        } catch {
            if Task.isCancelled { return }
            session.complain("backup \(record.id) of \(target) at \(copy.destination) could not be read: \(error)")
            try await backups.note(
                CareAgenda.unreadTopic, target, record.id, "\(copy.destination): \(error.message)", at: clock.wall)
        }
    }

    private func rehearse(_ drill: DrillPolicy) async throws(Failure) {
        let session = backups.session
        let words: String
        do throws(Failure) {
            let work = try await backups.work(loaded, "serin daemon")
            let report = try await work.drill(drill, nil, seed: nil, by: .serin)
            words = "drill \(report.result.id) of backup \(report.backup) " + (report.result.passed ? "passed" : "FAILED")
            if report.result.passed {
                session.note("\(clock.wall) \(target): \(words)")
            } else {
                session.complain("\(target): \(words); serin backup show \(report.backup) tells why")
            }
        } catch {
            if Task.isCancelled { return }
            words = (error.kind == .transient ? CareAgenda.again : "not held: ") + error.message
            session.complain("no restore of \(target) could be rehearsed: \(error)")
        }
        try await backups.note(drill.topic, target, nil, words, at: clock.wall)
    }
}
