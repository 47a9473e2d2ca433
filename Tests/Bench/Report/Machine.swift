internal import Glibc
internal import SerinModel
internal import SerinProcesses

/// The machine that the numbers are of.
struct Machine: Sendable {
    var processor: String
    var cores: Int
    var kernel: String
    var swift: String
    var isOptimized: Bool
    /// How many processes wanted a core in the minute before, without which no time can be judged.
    var load: Double

    static func current() async -> Machine {
        let model = readFile("/proc/cpuinfo").split(separator: "\n").first { $0.hasPrefix("model name") }
        let processor = model?.split(separator: ":", maxSplits: 1).last.map { trimmed($0) } ?? "unknown processor"
        var name = utsname()
        uname(&name)
        let release = withUnsafeBytes(of: &name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return Machine(
            processor: processor, cores: sysconf(Int32(_SC_NPROCESSORS_ONLN)), kernel: "Linux \(release)",
            swift: await compiler(), isOptimized: !isDebug,
            load: readFile("/proc/loadavg").split(separator: " ").first.flatMap { Double($0) } ?? .nan)
    }

    /// The compiler's first line, or what is known without one on this machine.
    private static func compiler() async -> String {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        let program = Program("/usr/bin/env", ["swift", "--version"], environment: ["PATH": path], deadline: .seconds(10))
        // Without a compiler the number below is as good.
        if let completion = try? await program.run() {
            let line = completion.text.split(separator: "\n").first { $0.contains("Swift version") }
            if let line { return trimmed(line) }
        }
        #if compiler(>=6.3)
            return "Swift 6.3 or later"
        #else
            return "Swift 6.2"
        #endif
    }

    private static var isDebug: Bool {
        #if DEBUG
            true
        #else
            false
        #endif
    }

    /// In one line.
    var text: String {
        "\(processor), \(cores) cores, \(kernel), \(swift)\(isOptimized ? "" : ", NOT OPTIMISED"), load before \(load)"
    }

    var document: JSONValue {
        .object([
            "processor": .string(processor), "cores": .number("\(cores)"), "kernel": .string(kernel), "swift": .string(swift),
            "optimized": .bool(isOptimized), "load_before": number(load),
        ])
    }
}

private func trimmed(_ text: some StringProtocol) -> String {
    text.split(separator: " ").joined(separator: " ").split(separator: "\t").joined()
}

/// A small file of the system as text; empty when it cannot be read.
func readFile(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return String(decoding: content, as: UTF8.self) }
        content += buffer[0..<count]
    }
}
