import Glibc
import SerinLocks
import SerinModel
import SerinTransport
import Testbed

/// Runs six rollouts on real servers and compares how each ends with how it has to end.
///
///     serin-demo SERIN CHECKOUT_SERVICE FLEET_SCRIPT FOLDER
@main struct Demo {
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard arguments.count == 4 else {
            say("usage: serin-demo SERIN CHECKOUT_SERVICE FLEET_SCRIPT FOLDER")
            exit(2)
        }
        do {
            exit(try await run(serin: arguments[0], service: arguments[1], fleet: arguments[2], folder: arguments[3]) ? 0 : 1)
        } catch {
            say("demo: \(error)")
            exit(1)
        }
    }

    private static func run(serin: String, service: String, fleet: String, folder: String) async throws -> Bool {
        say("starting Postgres with a replica, eight instances of a service, HAProxy and Prometheus on free loopback ports")
        let stage = try await Stage.start(folder: folder, service: service, fleet: fleet)
        defer { stage.stop() }
        let show = Show(stage: stage, serin: serin)
        let isOver = Locked(false)
        let transport = try Transport()
        let load = LoadGenerator(
            transport: transport, url: "http://127.0.0.1:\(stage.balancer.port)/", runners: 8, rate: 400)
        return try await withThrowingTaskGroup(of: Bool?.self) { group in
            group.addTask {
                _ = await load.run(for: .minutes(10), limit: 400 * 600) { !isOver.withLock { $0 } }
                return nil
            }
            group.addTask {
                defer { isOver.withLock { $0 = true } }
                return try await show.play()
            }
            var result = false
            while let ended = try await group.next() { result = ended ?? result }
            return result
        }
    }
}

/// Writes a line at once.
func say(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    write(STDOUT_FILENO, bytes, bytes.count)
}
