import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import SerinSQLite
import SerinServer
import Testbed
import Testing

/// The program on streams and disks that are not as usual. It needs no servers.
@Suite(.serialized) struct StreamTests {
    private static let limit = Duration.seconds(60)

    /// Runs a line of shell in which `$0` is the program.
    private func shell(_ line: String, _ environment: [String: String] = [:], by wrapper: [String] = []) async throws
        -> Completion
    {
        let command = wrapper + ["sh", "-c", line, try Scene.program()]
        return try await Program(
            command[0], Array(command.dropFirst()),
            environment: ["PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"].merging(environment) { $1 },
            deadline: Self.limit
        ).run()
    }

    private func started(_ line: String, _ scratch: Scratch) throws -> ServerProcess {
        try ServerProcess("/bin/sh", ["-c", line, try Scene.program()], log: scratch.file("log"))
    }

    private func status(of process: ServerProcess) async throws -> Int32? {
        try await waitUntil("the end of the program", within: Self.limit) { !process.isRunning }
        return process.exitStatus
    }

    /// A journal of one opening, closed in order.
    private func journal(_ scratch: Scratch) async throws -> StateFolder {
        let folder = StateFolder(under: scratch.file("state"), service: try #require(ServiceName("checkout")))
        try #require(mkdir(scratch.file("state"), 0o700) == 0)
        let store = try await SQLiteStore.open(folder, at: Instant(millisecondsSince1970: 1_795_217_000_000), reserve: 0)
        await store.close()
        return folder
    }

    // MARK: Closed streams

    @Test(arguments: ["", "0<&-", "1>&-", "2>&-", "0<&- 1>&-", "0<&- 2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
    func whicheverStreamsAreClosedACommandDoesItsWork(closed: String) async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        for verb in ["version", "status"] {
            let completion = try await shell("\"$0\" \(verb) \(closed)", ["SERIN_STATE": scratch.path])
            #expect(completion.termination == .exited(0), "\(verb) \(closed): \(completion.text)")
        }
    }

    @Test(arguments: ["1>&- 2>&-", "0<&- 2>&-", "0<&- 1>&- 2>&-"])
    func aDaemonWithoutStreamsTakesItsOwnWordsForNoSignal(closed: String) async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let daemon = try started("exec \"$0\" daemon --state \(scratch.path) \(closed)", scratch)
        defer { daemon.stop() }
        try await waitUntil("the daemon answers", within: Self.limit) {
            UnixSocket.answers(at: scratch.file("daemon.sock")) || !daemon.isRunning
        }
        let asked = try await shell("\"$0\" status", ["SERIN_STATE": scratch.path])
        #expect(asked.termination == .exited(0), "\(asked.text)")
        #expect(daemon.isRunning)
        daemon.signal(SIGTERM)
        #expect(try await status(of: daemon) == 0)
    }

    // MARK: Pipes

    @Test(arguments: [
        "check - --offline", "check PIPE --offline", "plan -", "run PIPE --version 2 --previous 1", "migrate lint -",
        "backup check PIPE",
    ])
    func whatWaitsForAPipeEndsWithASignal(line: String) async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let pipe = scratch.file("pipe")
        try #require(mkfifo(pipe, 0o600) == 0)
        // A writer who writes nothing; for a pipe that the program opens itself, only once it has.
        let readsInput = line.contains(" -") && !line.contains("PIPE")
        var writer: Int32 = readsInput ? open(pipe, O_RDWR | O_CLOEXEC) : -1
        defer { close(writer) }
        let words = line.split(separator: " ").map { $0 == "PIPE" ? pipe : String($0) }.joined(separator: " ")
        let process = try started("exec \"$0\" \(words) --state \(scratch.path) \(readsInput ? "< \(pipe)" : "")", scratch)
        defer { process.stop(signal: SIGKILL) }
        if readsInput {
            try await waitUntil("the program catches signals", within: Self.limit) {
                try catchesSignals(process) || !process.isRunning
            }
        } else {
            try await waitUntil("the program opens the pipe", within: Self.limit) {
                writer = open(pipe, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
                return writer >= 0 || !process.isRunning
            }
        }
        process.signal(SIGTERM)
        #expect(try await status(of: process) == 130, "\(process.logTail(2000))")
        #expect(process.logTail(2000).contains("interrupted by SIGTERM"))
    }

    private func catchesSignals(_ process: ServerProcess) throws -> Bool {
        let text = String(decoding: try Data(contentsOf: URL(filePath: "/proc/\(process.pid)/status")), as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix("SigCgt:") }
        let caught = line.flatMap { UInt64($0.dropFirst(7).drop { $0 == "\t" }, radix: 16) } ?? 0
        return caught & (1 << (SIGHUP - 1)) != 0
    }

    // MARK: Disks

    @Test(arguments: ["version", "schema -o json", "status -o json", "--help", "verify"])
    func dataThatAFullDiskDoesNotTakeIsAFailure(line: String) async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        _ = try await journal(scratch)
        let completion = try await shell("\"$0\" \(line) > /dev/full", ["SERIN_STATE": scratch.file("state")])
        #expect(completion.termination == .exited(1), "\(completion.text)")
        #expect(
            completion.text.ranges(of: "cannot write the output: No space left on device").count == 1,
            "\(completion.text)")
        // Who stops reading has what he wanted.
        let read = try await shell("\"$0\" schema -o json | head -c 10", ["SERIN_STATE": scratch.file("state")])
        #expect(!read.text.contains("cannot write"), "\(read.text)")
    }

    @Test(
        .enabled("needs the right to make a mount namespace") {
            try await Program("unshare", ["-rm", "true"], environment: ["PATH": "/usr/bin:/bin"], deadline: .seconds(5)).run()
                .termination == .exited(0)
        }) func aJournalOnADiskForReadingOnlyIsReadWhereThatIsSafe() async throws
    {
        let scratch = try Scratch("serin #%?")
        defer { scratch.remove() }
        let folder = try await journal(scratch)
        let fixed = "mount --bind \"$SERIN_STATE\" \"$SERIN_STATE\" && mount -o remount,bind,ro \"$SERIN_STATE\" || exit 99; "
        let environment = ["SERIN_STATE": scratch.file("state")]
        for verb in ["verify checkout", "verify", "status"] {
            let read = try await shell(fixed + "\"$0\" \(verb)", environment, by: ["unshare", "-rm"])
            #expect(read.termination == .exited(0), "\(verb): \(read.text)")
        }
        // What a killed controller left has to be folded in first.
        try #require(scratch.write("state/checkout/\(folder.journal.split(separator: "/").last ?? "")-wal", "something") != "")
        let refused = try await shell(fixed + "\"$0\" verify checkout", environment, by: ["unshare", "-rm"])
        #expect(refused.termination == .exited(75), "\(refused.text)")
        #expect(refused.text.contains("hint: copy the folder to a writable place"), "\(refused.text)")
    }
}
