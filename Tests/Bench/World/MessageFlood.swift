internal import Glibc
internal import SerinLocks
internal import SerinModel
internal import SerinProcesses
internal import SerinTransport
internal import Testbed

/// Messages of Alertmanager that ask for nothing, half of them of strangers. They come from a process of their own: what one machine has
/// left is theirs, and the client that is timed waits for none of them.
struct MessageFlood {
    /// The word that makes the bench's program such a process.
    static let word = "flood"

    private static let senders = 8

    /// How many messages come.
    enum Rate: Hashable, CustomStringConvertible {
        /// So many a second, or as many as are answered.
        case each(second: Int)
        /// As many as are answered.
        case mostAnswered

        init(_ text: String) { self = Int(text).map { .each(second: $0) } ?? .mostAnswered }

        var description: String {
            switch self {
            case .each(let count): "of \(count)/s"
            case .mostAnswered: "without pause"
            }
        }

        /// As an argument of the process.
        var word: String {
            switch self {
            case .each(let count): "\(count)"
            case .mostAnswered: "most"
            }
        }

        /// Between two messages of one of the senders.
        fileprivate var pause: Swift.Duration {
            switch self {
            case .each(let count): .nanoseconds(1_000_000_000 * senders / max(1, count))
            case .mostAnswered: .zero
            }
        }
    }

    /// Starts a flood that ends with the process.
    static func begin(_ rate: Rate, at address: String, token: String, log: String) throws -> ServerProcess {
        try ServerProcess(
            "/usr/bin/nice", ["-n", "19", CommandLine.arguments[0], word, rate.word, address],
            environment: ["HOOK_TOKEN": token], log: log)
    }

    /// How many messages a flood has sent, as it says itself ten times a second.
    static func sent(_ flood: ServerProcess) -> Int {
        flood.logTail().split(separator: "\n").last.flatMap { Int($0) } ?? 0
    }

    /// Sends until the process is ended.
    static func send(_ rate: Rate, to address: String, token: String) async {
        let sent = Locked(0)
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<senders {
                group.addTask { await send(rate.pause, to: address, token: number % 2 == 0 ? token : "another", sent) }
            }
            while !Task.isCancelled {
                print(sent.withLock { $0 })
                fflush(nil)
                guard (try? await Task.sleep(for: .milliseconds(100))) != nil else { break }
            }
        }
    }

    private static func send(_ pause: Swift.Duration, to address: String, token: String, _ sent: Locked<Int>) async {
        guard let transport = try? Transport(connectionLimit: 1) else { return }
        defer { transport.shutdown() }
        let clock = ContinuousClock()
        var next = clock.now
        while !Task.isCancelled {
            if next > clock.now { try? await clock.sleep(until: next, tolerance: .zero) }
            next += pause
            // One that is not answered is part of a flood, too.
            _ = try? await transport.send(
                alert(of: DaemonRig.name(DaemonRig.services), asksHalt: false, at: address, token: token))
            sent.withLock { $0 += 1 }
        }
    }

    /// A message that a service is failing.
    static func alert(of service: String, asksHalt: Bool, at address: String, token: String) -> HTTPRequest {
        let action = asksHalt ? #""serin_action":"halt","# : ""
        let body =
            #"{"version":"4","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"Errors",\#(action)"service":"\#(service)"}}]}"#
        return HTTPRequest(
            method: "POST", url: "\(address)/hooks/alertmanager/alerts",
            headers: [HTTPHeader("Authorization", "Bearer \(token)")],
            body: Array(body.utf8), timeout: .seconds(20))
    }
}
