import Glibc
import SerinAPI
import SerinCatalogue
import SerinLocks
import SerinModel
import SerinPorts
import Testbed
import Testing

@testable import SerinCommandLine

/// The verbs of backups with everything real, in a folder of their own.
struct RestoreStage {
    let scratch: Scratch
    /// What the program finds in its environment beside `PATH`.
    var environment: [String: String] = [:]

    init() throws { scratch = try Scratch("serin-backup") }

    struct Answer {
        var code: ExitCode
        var output: String
        var messages: String

        /// The one JSON document.
        var json: JSONValue? { try? JSONValue(parsing: Array(output.utf8)) }
        /// The names of the checks that failed.
        var failed: [String] {
            (json?["checks"]?.items ?? []).filter { $0["passed"] == .bool(false) }.compactMap { $0["name"]?.text }
        }
    }

    /// Writes a plan for a source into the folder, stored beside it and encrypted with a passphrase.
    func plan(_ source: String, more: String = "") throws -> String {
        try scratch.write("key", String(repeating: "k", count: 44), mode: 0o600)
        return try scratch.write(
            "plan.yaml",
            """
            version: 1
            target: shop
            source: \(source)
            destinations: {local: {folder: {path: "\(scratch.file("store"))"}}}
            encryption: {key_file: "\(scratch.file("key"))"}
            retention: {keep_all: 14d}
            \(more)
            """)
    }

    private var surroundings: [String: String] {
        let usual = ["SERIN_STATE": scratch.file("state"), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]
        return usual.merging(environment) { _, last in last }
    }

    @discardableResult func run(_ arguments: String...) async -> Answer { await run(arguments) }

    func run(_ arguments: [String]) async -> Answer {
        let output = Locked("")
        let messages = Locked("")
        let console = Console(
            writeData: { text in output.withLock { $0 += text } }, writeMessage: { text in messages.withLock { $0 += text } })
        let (signals, _) = AsyncStream.makeStream(of: Int32.self)
        let program = CommandLineProgram(
            assembly: .production(environment: surroundings, output: Output()), console: console, environment: surroundings,
            interruptions: signals, endNow: { _ in })
        let code = await program.run(["backup"] + arguments)
        return Answer(code: code, output: output.withLock { $0 }, messages: messages.withLock { $0 })
    }

    /// Lets somebody else approve a backup.
    func approve(_ backup: String, by principal: Principal) async throws {
        let assembly = Assembly.production(environment: surroundings, output: Output())
        let root = StateRoot(option: nil, environment: surroundings, isRoot: geteuid() == 0)
        let store = try await assembly.backups.openCatalogue(root)
        let record = try #require(try await store.state().records.first { "\($0.id)" == backup })
        _ = try await ChangeApprovals.approve(
            ChangeSubject(record), code: nil, reason: "incident 7", by: principal, in: store, at: SystemClock().now())
        await store.close()
    }
}
