internal import FoundationEssentials
internal import Glibc
internal import SerinController
internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses
internal import SerinRollouts
internal import SerinSQLite

/// Sees to it that a live rollout has a watchdog: writes the handover, starts the process with a line to this one, starts another
/// when it ends, and ends both with the rollout.
final class WatchdogKeeper: Sendable {
    private let folder: StateFolder
    private let root: String
    private let environment: [String: String]
    private let retries: RetryBudget
    private let output: Output
    /// This end of the line to the watchdog, a socket; nil while there is no watchdog. A socket needs no disk, tells both sides of
    /// the other's end, and takes what nobody reads without waiting.
    private let line = Locked<Int32?>(nil)
    private let lastSign: LastSign

    init(folder: StateFolder, root: String, surroundings: Surroundings) {
        self.folder = folder
        self.root = root
        lastSign = Self.lastSign(folder)
        environment = surroundings.environment
        retries = surroundings.retries
        output = surroundings.output
    }

    deinit { leave() }

    /// Where the handover stands.
    static func handoverPath(_ folder: StateFolder) -> String { folder.path + "/handover.json" }

    /// Where it stands when a controller in charge last showed life.
    static func lastSign(_ folder: StateFolder) -> LastSign { LastSign(path: folder.path + "/sign") }

    /// Reads the handover; nil when there is none, which means that there is nothing to watch.
    static func handover(_ folder: StateFolder) throws(Failure) -> Handover? {
        let path = handoverPath(folder)
        guard let bytes = try contents(ofFile: path, limit: 64 << 10) else { return nil }
        do throws(JSONError) {
            if let handover = Handover(try JSONValue(parsing: bytes)) { return handover }
        } catch {
            throw Failure(.invalid, "cannot read \(path): \(error)")
        }
        throw Failure(.invalid, "cannot read \(path): it is no handover")
    }

    /// Follows the controller's rollouts until the task is cancelled.
    func run(_ controller: ServiceController) async {
        var seen: RolloutStatus?
        var starts = 0
        var nextStart = ContinuousClock().now
        while !Task.isCancelled {
            let status: RolloutStatus
            do throws(OperationError) {
                status = try await controller.statusChange(of: controller.service.description, from: seen, timeout: .seconds(5))
            } catch {
                // No rollout yet. A cancelled pause ends the loop.
                try? await Task.sleep(for: .milliseconds(100))
                continue
            }
            let isKnownToBeOver = seen?.id == status.id && seen?.isFinal == true
            if seen?.id != status.id { starts = 0 }
            seen = status
            if status.isFinal {
                if !isKnownToBeOver { end() }
            } else if starts == 0 || !hasWatchdog && ContinuousClock().now >= nextStart {
                if starts > 0 { say("the watchdog of \(status.id) has ended, see \(folder.path)/watchdog.log; starting another") }
                handOver(controller.handover(of: status.id))
                starts += 1
                let pause = retries.pause(Self.restart, after: starts)
                nextStart = ContinuousClock().now + .milliseconds(pause.milliseconds)
            }
        }
    }

    private static let restart = Backoff(first: .seconds(2), longest: .minutes(1))

    /// Takes the handover away, which ends the watchdog. A file that is not there is what is wanted.
    func end() {
        unlink(Self.handoverPath(folder))
        lastSign.remove()
        leave()
    }

    /// Lets go of the watchdog, as this process' end would: it lowers the weight unless another controller comes.
    func leave() { hold(nil) }

    /// Tells the watchdog that this controller takes what comes, and whether it is in charge. Never waits.
    func showLife(isInCharge: Bool) {
        if isInCharge { lastSign.touchSoon() }
        line.withLock { line in
            guard let open = line else { return }
            var pulse = isInCharge ? ControllerSight.inCharge : 0
            guard send(open, &pulse, 1, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)) < 0 else { return }
            // One that is slow to read has enough to read.
            guard errno != EAGAIN, errno != EINTR else { return }
            close(open)
            line = nil
        }
    }

    private var hasWatchdog: Bool { line.withLock { $0 != nil } }

    private func hold(_ descriptor: Int32?) {
        line.withLock { line in
            if let old = line { close(old) }
            line = descriptor
        }
    }

    private func handOver(_ charter: Charter?) {
        guard let charter else { return }
        let handover = Handover(
            rollout: charter.id, driver: charter.policy.traffic.driver, version: charter.version, previous: charter.previous,
            after: charter.policy.timing.watchdogAfter, controller: Int64(getpid()))
        let path = Self.handoverPath(folder)
        do {
            // The patience for one rollout goes on from controller to controller.
            let before = try? Self.handover(folder)  // One that cannot be read is replaced.
            if before?.rollout != charter.id || lastSign.moment == nil { lastSign.touch() }
            try Data(handover.document.canonicalBytes).write(to: URL(fileURLWithPath: path), options: .atomic)
            chmod(path, 0o600)
            var ends: [Int32] = [-1, -1]
            guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
                throw Failure(.transient, "cannot make a line to it: \(String(cString: strerror(errno)))")
            }
            hold(ends[0])
            defer { close(ends[1]) }
            try startWatchdog(of: charter.policy.service, after: handover.after, line: ends[1])
        } catch {
            leave()
            say("no watchdog for \(charter.id): \(error)")
        }
    }

    /// A rollout was left behind that cannot be taken over, by a damaged journal for example: nobody but a watchdog lowers its weight.
    ///
    /// - Parameter atOnce: Whether no controller can come in time, so that the patience with one has no use.
    /// - Returns: What becomes of the weight, in words.
    @discardableResult func lowerUnattended(_ service: ServiceName, atOnce: Bool = false) -> String {
        let byHand = "look at the load balancer, and set the canary's weight to 0 there"
        do {
            guard let handover = try Self.handover(folder) else {
                return "which rollout is live, if any, is not known: \(byHand)"
            }
            try startWatchdog(of: service, after: atOnce ? .zero : handover.after)
            return "the weight of \(handover.rollout) is lowered to 0 "
                + (atOnce ? "now" : "once nobody has been in charge of it for \(handover.after)")
        } catch {
            say("no watchdog for \(service): \(error)")
            return "its weight cannot be lowered (\(error)): \(byHand)"
        }
    }

    /// Before a rollout is taken over that nobody has been in charge of for half its patience: a controller that ends while it reads
    /// the journal would leave no watchdog, and the one before may be gone as well. The handover of one that gets further dismisses it.
    func expectLittle(of service: ServiceName) {
        // Without a handover there is nothing to watch, and one that cannot be read is complained of when it is needed.
        guard let handover = try? Self.handover(folder) else { return }
        if let moment = lastSign.moment, (SystemClock().now() - moment) * 2 < handover.after { return }
        lowerUnattended(service)
    }

    private func startWatchdog(of service: ServiceName, after: Duration, line: Int32? = nil) throws {
        let program = Program(
            try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
            ["watchdog", service.description, "--state", root, "--after", after.description], environment: environment,
            deadline: .zero)
        try program.startDetached(log: folder.path + "/watchdog.log", line: line)
    }

    private func say(_ text: String) {
        output.write("serin: \(text)\n", isKept: true)
    }
}
