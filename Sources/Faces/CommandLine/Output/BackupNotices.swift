internal import SerinBackups
internal import SerinCatalogue
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts

/// What people are told of a plan's backups.
struct BackupNotices {
    private let target: ServiceName
    private let project: String
    private let file: String

    init(of loaded: LoadedBackupPlan) {
        target = loaded.plan.target
        project = loaded.plan.project
        file = loaded.file
    }

    func begun(_ kind: BackupKind, at now: Instant) -> Notification {
        notification(
            .backupBegun, .info, "a \(kind.rawValue) backup begins", "a \(kind.rawValue) backup of \(target) begins",
            [("kind", kind.rawValue)], about: "backup \(target) \(kind.rawValue)", at: now)
    }

    func made(_ result: BackupRunResult, at now: Instant) -> Notification {
        let record = result.record
        let size = record.size ?? 0
        let missing = result.missing.map { "no copy at \($0.destination): \($0.failure.message)" }
        let places = record.usableCopies.map(\.destination).joined(separator: ", ")
        let took = record.facts.map { $0.finishedAt - $0.startedAt }
        return notification(
            .backupMade, missing.isEmpty ? .info : .warning,
            missing.isEmpty ? "\(byteWords(size)) backed up" : "backed up, but not everywhere",
            (["backup \(record.id) of \(target), \(byteWords(size)), was stored and read back at \(places)"] + missing)
                .joined(separator: "\n"),
            facts(of: record) + [("size", "\(size)")] + (took.map { [("took", "\($0)")] } ?? []),
            about: "backup \(target) \(record.kind.rawValue)", at: now)
    }

    func failed(_ kind: BackupKind, _ failure: BackupRunFailure, at now: Instant) -> Notification {
        notification(
            .backupFailed, .critical, "NO \(kind.rawValue) backup was made",
            "no \(kind.rawValue) backup of \(target) was made: \(failure)\nolder ones are untouched; look with: serin backup check \(file)",
            [("kind", kind.rawValue), ("stage", failure.stage.rawValue)]
                + (failure.backup.map { [("backup", "\($0)")] } ?? []), about: "backup \(target) \(kind.rawValue)", at: now)
    }

    func cutOff(_ record: BackupRecord, at now: Instant) -> Notification {
        notification(
            .backupFailed, .critical, "a \(record.kind.rawValue) backup was cut off",
            "the run of the \(record.kind.rawValue) backup \(record.id) of \(target) was ended before it was done: its process is gone\n"
                + "older ones are untouched, and the next run removes what it left; make one now: serin backup create \(file)",
            facts(of: record), about: "backup \(target) \(record.kind.rawValue)", at: now)
    }

    /// What is to be told of the follower of the log; nil where that is nothing for people.
    func log(_ status: LogFollower.Status, at now: Instant) -> Notification? {
        let key = "log \(target)"
        switch status {
        case .stopped, .following: return nil
        case .failing(let failure):
            return notification(
                .backupFailed, .warning, "the write-ahead log is not followed",
                "the write-ahead log of \(target) is not followed, and is tried again: \(failure)", [], about: key, at: now)
        case .gap(let failure):
            return notification(
                .backupFailed, .critical, "write-ahead log is LOST",
                "the server of \(target) has removed write-ahead log that was not received: \(failure)\nno point in time behind the gap "
                    + "can be reached before a new base backup: serin backup create \(file)", [], about: key, at: now)
        }
    }

    func bad(_ record: BackupRecord, _ result: VerificationResult) -> Notification {
        let why = result.checks.filter { !$0.passed }.map { "\($0.name): \($0.detail)" }.joined(separator: "; ")
        return notification(
            .verificationFailed, .critical, "a backup is BAD",
            "backup \(record.id) of \(target) at \(result.destination) is bad: \(why)\nit is never restored from; make a new one: "
                + "serin backup create \(file)",
            facts(of: record) + [("destination", result.destination)], about: "verify \(target) \(record.id)", at: result.at)
    }

    func unread(_ record: BackupRecord, _ failure: Failure, at now: Instant) -> Notification {
        notification(
            .verificationFailed, .warning, "a backup could not be read again",
            "backup \(record.id) of \(target) could not be read, which says nothing about it: \(failure)", facts(of: record),
            about: "verify \(target) \(record.id)", at: now)
    }

    func expiring(_ entries: [PrunePlan.Entry], at now: Instant) -> Notification {
        let lines = entries.prefix(20).map { entry in
            "\(entry.backup) of \(entry.createdAt)" + (date(of: entry).map { " goes at \($0)" } ?? "")
        }
        let more = entries.count > 20 ? ["and \(entries.count - 20) more"] : []
        let first = entries.compactMap { date(of: $0) }.min()
        return notification(
            .backupsExpire, .warning, "\(entries.count) backups will be deleted",
            (["\(entries.count) backups of \(target) are no longer kept by the plan:"] + lines + more
                + ["to keep one: serin backup hold BACKUP"]).joined(separator: "\n"),
            [("count", "\(entries.count)")] + (first.map { [("first", "\($0)")] } ?? []), about: "prune \(target)", at: now)
    }

    func waiting(_ plan: PrunePlan) -> Notification {
        let count = plan.deletions.count
        return notification(
            .pruningFailed, .warning, "\(count) deletions wait for a person",
            "\(count) copies of \(target) are no longer kept, and a person has to agree; after a look at serin backup prune \(file) "
                + "--dry-run: serin backup prune \(file) --agree \(count)", [("deletions", "\(count)")],
            about: "prune \(target)", at: plan.at)
    }

    func notPruned(_ undone: [BackupPruner.Undone], at now: Instant) -> Notification {
        let lines = undone.prefix(10).map { "\($0.entry.backup) at \($0.entry.destination ?? "-"): \($0.failure.message)" }
        return notification(
            .pruningFailed, .warning, "\(undone.count) copies could not be deleted",
            (["\(undone.count) copies of \(target) that are no longer kept could not be deleted:"] + lines).joined(
                separator: "\n"),
            [("failures", "\(undone.count)")], about: "prune \(target)", at: now)
    }

    func notPruned(_ failure: Failure, at now: Instant) -> Notification {
        notification(
            .pruningFailed, .warning, "retention did not run",
            "what is no longer kept of \(target) could not be looked through: \(failure)", [], about: "prune \(target)", at: now)
    }

    func drilled(_ report: DrillReport) -> Notification {
        let result = report.result
        let isGood = result.passed
        let bad = result.checks.filter { !$0.passed }.map { "\($0.name): \($0.detail)" }
        let numbers = [
            result.clock.recoveryTime.map { ("recovery_time", "\($0)") },
            result.recoveryPoint.map { ("recovery_point", "\($0)") },
        ].compactMap { $0 }
        let measured = numbers.map { "\($0.0.split(separator: "_").joined(separator: " ")) \($0.1)" }
        return notification(
            isGood ? .drillPassed : .drillFailed, isGood && result.actionItems.isEmpty ? .info : .warning,
            !isGood
                ? "the rehearsal of a restore FAILED"
                : result.isProof ? "a restore was rehearsed" : "a backup was unpacked; its restore was not rehearsed",
            ([
                "drill \(result.id): backup \(report.backup) of \(target) "
                    + (!result.restored
                        ? "was not restored"
                        : "was \(result.onlyUnpacked == true ? "only unpacked" : "restored") into \(report.environment)")
            ] + measured + bad
                + result.actionItems.map { "to do: \($0)" }).joined(separator: "\n"),
            [("backup", "\(report.backup)"), ("drill", result.id)] + numbers, about: "drill \(target)", at: result.at)
    }

    func notDrilled(_ failure: Failure, at now: Instant) -> Notification {
        notification(
            .drillFailed, .warning, "no restore could be rehearsed", "no restore of \(target) could be rehearsed: \(failure)", [],
            about: "drill \(target)", at: now)
    }

    private func date(of entry: PrunePlan.Entry) -> Instant? {
        if case .warn(let date) = entry.step { return date }
        return entry.expiresAt
    }

    private func facts(of record: BackupRecord) -> [(String, String)] {
        [("backup", "\(record.id)"), ("kind", record.kind.rawValue)]
            + [
                record.order.rollout.map { ("rollout", "\($0)") }, record.order.releaseVersion.map { ("version", $0) },
            ].compactMap { $0 }
    }

    private func notification(
        _ kind: Notification.Kind, _ severity: Notification.Severity, _ subject: String, _ text: String,
        _ fields: [(String, String)], about key: String, at now: Instant
    ) -> Notification {
        Notification(
            kind, severity, subject: "\(target): \(subject)", text: text,
            fields: ([("target", target.description), ("project", project)] + fields).map { Notification.Field($0.0, $0.1) },
            deduplicationKey: key, at: now)
    }
}
