internal import FoundationEssentials
internal import Glibc
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses
internal import SerinRollouts
internal import SerinSQLite

/// Sees to it that a live rollout has a watchdog: writes the handover, starts the process, and ends both with the rollout.
struct WatchdogKeeper: Sendable {
    let folder: StateFolder
    let root: String
    let environment: [String: String]

    /// Where the handover stands.
    static func handoverPath(_ folder: StateFolder) -> String { folder.path + "/handover.json" }

    /// Reads the handover; nil when there is none, or no whole one.
    static func handover(_ folder: StateFolder) -> Handover? {
        // No handover means that there is nothing to watch.
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: handoverPath(folder))), data.count <= 64 << 10 else {
            return nil
        }
        // A damaged one is written anew by the next controller.
        return (try? JSONValue(parsing: data)).flatMap(Handover.init)
    }

    /// Follows the controller's rollouts until the task is cancelled.
    func run(_ controller: ServiceController) async {
        var seen: RolloutStatus?
        while !Task.isCancelled {
            let status: RolloutStatus
            do throws(OperationError) {
                status = try await controller.statusChange(of: controller.service.description, from: seen, timeout: .seconds(5))
            } catch {
                // No rollout yet. A cancelled pause ends the loop.
                try? await Task.sleep(for: .milliseconds(100))
                continue
            }
            guard status != seen else { continue }
            if status.isFinal {
                end()
            } else if seen?.id != status.id || seen?.isFinal == true {
                handOver(controller.handover(of: status.id))
            }
            seen = status
        }
    }

    /// Takes the handover away, which ends the watchdog. A file that is not there is what is wanted.
    func end() { unlink(Self.handoverPath(folder)) }

    private func handOver(_ charter: Charter?) {
        guard let charter else { return }
        let handover = Handover(
            rollout: charter.id, driver: charter.policy.traffic.driver, after: charter.policy.timing.watchdogAfter)
        let path = Self.handoverPath(folder)
        do {
            try Data(handover.document.canonicalBytes).write(to: URL(fileURLWithPath: path), options: .atomic)
            chmod(path, 0o600)
            try startWatchdog(of: charter.policy.service, after: handover.after)
        } catch {
            say("no watchdog for \(charter.id): \(error)")
        }
    }

    /// A rollout was left behind that cannot be taken over, by a damaged journal for example: nobody but a watchdog lowers its weight.
    func lowerUnattended(_ service: ServiceName) {
        guard let handover = Self.handover(folder) else { return }
        do {
            try startWatchdog(of: service, after: handover.after)
        } catch {
            say("no watchdog for \(handover.rollout): \(error)")
        }
    }

    private func startWatchdog(of service: ServiceName, after: Duration) throws {
        let program = Program(
            try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
            ["watchdog", service.description, "--state", root, "--after", after.description], environment: environment,
            deadline: .zero)
        try program.startDetached(log: folder.path + "/watchdog.log")
    }

    private func say(_ text: String) {
        let bytes = Array("serin: \(text)\n".utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
