internal import Glibc
internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts

/// Makes the backups of one plan when its schedules want them, as long as it runs. The catalogue is its memory, so nothing is made
/// twice beside a cron job, and one run makes up for those that were missed.
struct BackupScheduler {
    /// It looks at the catalogue at least so often, since others make backups too.
    static let longestPause = Duration.minutes(5)

    let backups: BackupSession
    let loaded: LoadedBackupPlan
    let clock: any Clock
    /// A number from 0 up to 1 for a text: its share of a schedule's jitter.
    let chance: @Sendable (String) -> Double

    /// Runs until its task is cancelled. What fails is said and tried again later.
    func run() async {
        while !Task.isCancelled {
            await clock.sleep(for: await tick())
        }
    }

    /// Makes what is due now.
    ///
    /// - Returns: How long to wait before the next look.
    func tick() async -> Duration {
        let session = backups.session
        let target = loaded.plan.target
        do throws(Failure) {
            let agenda = try await agenda()
            for item in agenda.due {
                guard !Task.isCancelled else { return .zero }
                let missed = item.missed > 0 ? ", for \(item.missed) missed ones as well" : ""
                session.note("\(clock.now()) \(target): \(item.kind.rawValue) is due\(missed)")
                let request = SerinBackups.BackupRequest(
                    by: .serin, purpose: loaded.plan.purpose, label: item.label, tier: item.label ?? "scheduled")
                do throws(BackupRunFailure) {
                    let work = try await opened()
                    let record = try await work.create(item.kind, request).record
                    session.note("\(clock.now()) \(target): \(record.id) is stored and read back")
                } catch {
                    session.complain("no backup of \(target) was made: \(error)")
                }
            }
            guard let next = try await self.agenda().next else { return BackupScheduler.longestPause }
            return min(BackupScheduler.longestPause, max(.seconds(1), next - clock.now()))
        } catch {
            session.complain("the schedules of \(target) cannot be looked at: \(error)")
            return .minutes(1)
        }
    }

    private func opened() async throws(BackupRunFailure) -> any BackupWork {
        do throws(Failure) { return try await backups.work(loaded, "serin daemon") } catch {
            throw BackupRunFailure(.preflight, error)
        }
    }

    private func agenda() async throws(Failure) -> BackupAgenda {
        BackupAgenda(
            of: loaded.plan, try await backups.state().records, at: clock.now(), chance: chance,
            offsets: backups.session.assembly.backups.offsets)
    }
}
