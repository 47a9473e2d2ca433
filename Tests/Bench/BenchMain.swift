internal import Glibc
internal import SerinModel

/// `serin-bench [GROUP…]`: measures, prints a table, and with `BENCH_JSON=FILE` writes the same as JSON. Nothing is asserted.
@main struct BenchMain {
    static func main() async {
        if CommandLine.arguments.count == 4, CommandLine.arguments[1] == MessageFlood.word {
            let token = getenv("HOOK_TOKEN").map { String(cString: $0) } ?? ""
            return await MessageFlood.send(
                MessageFlood.Rate(CommandLine.arguments[2]), to: CommandLine.arguments[3], token: token)
        }
        var groups: [BenchGroup] = []
        for argument in CommandLine.arguments.dropFirst() {
            guard let group = BenchGroup(rawValue: argument) else {
                let names = BenchGroup.allCases.map(\.rawValue).joined(separator: ", ")
                progress("there is no group '\(argument)': expected any of \(names)")
                exit(2)
            }
            groups.append(group)
        }
        if groups.isEmpty { groups = BenchGroup.allCases }
        var report = Report(machine: await Machine.current())
        var isWhole = true
        for group in groups {
            do {
                report.sections.append((group, try await group.run()))
            } catch {
                progress("\(group.rawValue) could not be measured: \(error)")
                isWhole = false
            }
        }
        print(report.text, terminator: "")
        if let path = getenv("BENCH_JSON").map({ String(cString: $0) }), !path.isEmpty {
            isWhole = write(report.document.canonicalText + "\n", to: path) && isWhole
        }
        fflush(nil)
        // Servers of the tests hold threads of their own, so the end is said aloud.
        exit(isWhole ? 0 : 1)
    }

    private static func write(_ text: String, to path: String) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        let bytes = Array(text.utf8)
        let isWritten = descriptor >= 0 && Glibc.write(descriptor, bytes, bytes.count) == bytes.count
        if !isWritten { progress("cannot write \(path): \(String(cString: strerror(errno)))") }
        if descriptor >= 0 { close(descriptor) }
        return isWritten
    }
}
