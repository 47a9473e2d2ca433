internal import FoundationEssentials
internal import Glibc
internal import SerinModel
internal import SerinProcesses

/// The release-built program beside the bench.
struct SerinProgram: Sendable {
    let path: String
    /// Everything that it is given of the environment.
    let environment = ["PATH": "/usr/bin:/bin", "NO_COLOR": "1"]

    init() throws(Failure) {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let folder = own.lastIndex(of: "/").map { String(own[..<$0]) } ?? "."
        path = folder + "/serin"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw Failure(.invalid, "there is no program \(path)", hint: "build the whole package first: make bench does")
        }
    }

    /// Runs a verb to its end.
    func run(_ arguments: [String]) async throws(Failure) -> Completion {
        try await Program(path, arguments, environment: environment, deadline: .seconds(60)).run()
    }
}

/// Processes as the kernel shows them.
enum ProcessTable {
    /// The resident memory of a process in megabytes (10^6 bytes); nil when it is gone.
    static func residentMegabytes(_ pid: Int32) -> Double? {
        let line = readFile("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        let kibibytes = line?.split { $0 == " " || $0 == "\t" }.dropFirst().first.flatMap { Double($0) }
        return kibibytes.map { $0 * 1024 / 1e6 }
    }

    /// The memory that is a process' own share, in megabytes: shared pages count by how many share them.
    static func proportionalMegabytes(_ pid: Int32) -> Double? {
        let line = readFile("/proc/\(pid)/smaps_rollup").split(separator: "\n").first { $0.hasPrefix("Pss:") }
        let kibibytes = line?.split { $0 == " " || $0 == "\t" }.dropFirst().first.flatMap { Double($0) }
        return kibibytes.map { $0 * 1024 / 1e6 }
    }

    /// The processor time of a process in seconds, in user and kernel.
    static func processorSeconds(_ pid: Int32) -> Double {
        let text = readFile("/proc/\(pid)/stat")
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let kernel = Double(fields[13]) else { return .nan }
        return (user + kernel) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// How many threads a process has.
    static func threads(_ pid: Int32) -> Int {
        let line = readFile("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("Threads:") }
        return line?.split { $0 == " " || $0 == "\t" }.last.flatMap { Int($0) } ?? 0
    }

    /// The processes that were given this folder as an argument, such as the watchdogs of its rollouts.
    static func processes(of folder: String) -> [Int32] {
        // Without the list nothing is found, and nothing is ended.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.sorted().filter { pid in
            pid != getpid() && readFile("/proc/\(pid)/cmdline").split(separator: "\0").contains { $0.hasPrefix(folder) }
        }
    }

    /// Waits until the processes of a folder have ended; ends those that have not, one by one.
    static func endProcesses(of folder: String, after grace: Swift.Duration) async {
        let clock = ContinuousClock()
        let limit = clock.now + grace
        while !processes(of: folder).isEmpty, clock.now < limit { try? await Task.sleep(for: .milliseconds(50)) }
        for pid in processes(of: folder) { kill(pid, SIGTERM) }
    }
}
