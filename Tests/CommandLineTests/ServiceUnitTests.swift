import FoundationEssentials
import SerinAPI
import SerinModel
import SerinPolicies
import SerinProcesses
import Testing

@testable import SerinCommandLine

/// The units and the cron table in examples/, by systemd's own judge and by the program's own help.
@Suite struct ServiceUnitTests {
    private let folder = "\(RequirementsTests.root)/examples"

    private func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(folder)/systemd").sorted()
    }

    private func analyze(_ arguments: [String]) async throws -> (isGood: Bool, text: String) {
        let done = try await Program("/usr/bin/systemd-analyze", arguments, deadline: .minutes(1)).run()
        return (done.termination == .exited(0), done.text)
    }

    /// Instances for a plan `checkout`, with a program that exists in place of ours.
    private func instances(in scratch: String, suffix: String) throws -> [String] {
        var paths: [String] = []
        for name in try names() {
            let text = try RequirementsTests.text("examples/systemd/\(name)").replacing("/usr/local/bin/serin", with: "/bin/true")
            let path = "\(scratch)/\(name.replacing("@", with: "@checkout"))"
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            if name.hasSuffix(suffix) { paths.append(path) }
        }
        return paths
    }

    private func scratch() throws -> String {
        let path = FileManager.default.temporaryDirectory.path + "/serin-units-\(UUID())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze")))
    func systemdFindsNothingWrongWithTheUnitsAndLittleThatTheyMayDo() async throws {
        let scratch = try scratch()
        // What stays is in the system's own folder for it.
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        let services = try instances(in: scratch, suffix: ".service")
        let timers = try instances(in: scratch, suffix: ".timer")
        #expect(services.count == 5 && timers.count == 4)
        for path in services + timers {
            let verified = try await analyze(["verify", "--man=no", path])
            #expect(verified.isGood && verified.text == "", "\(path): \(verified.text)")
        }
        for path in services {
            let judged = try await analyze(["security", "--offline=true", "--no-pager", "--threshold=25", path])
            #expect(judged.isGood, "\(path): exposed more than 2.5 of 10: \(judged.text.suffix(200))")
        }
        for name in try names() where name.hasSuffix(".timer") {
            for line in try RequirementsTests.text("examples/systemd/\(name)").split(separator: "\n") {
                guard let calendar = line.wholeMatch(of: /OnCalendar=(.*)/)?.1 else { continue }
                #expect(try await analyze(["calendar", String(calendar)]).isGood, "\(name): \(calendar)")
            }
        }
    }

    /// What the socket's group and folders need, and what the unit takes away in the order in which systemd reads it.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze")))
    func theDaemonsUnitLetsItDoWhatTheShippedConfigurationAsksFor() async throws {
        let configuration = try RequirementsTests.text("examples/daemon/serin.yaml")
        #expect(configuration.contains("group: deploy"))
        var sets: [String: Set<String>] = [:]
        var name = ""
        for line in try await analyze(["syscall-filter", "--no-pager"]).text.split(separator: "\n") {
            if line.hasPrefix("@") { name = String(line) } else { sets[name, default: []].insert(line.trimming(" ")) }
        }
        func calls(of word: String) -> Set<String> {
            word.hasPrefix("@") ? (sets[word] ?? []).reduce(into: []) { $0.formUnion(calls(of: $1)) } : [word]
        }
        #expect(calls(of: "@privileged").isSuperset(of: ["chown", "reboot"]))
        var allowed: Set<String> = []
        for line in try RequirementsTests.text("examples/systemd/serin.service").split(separator: "\n") {
            guard let value = line.wholeMatch(of: /SystemCallFilter=(~?)(.*)/) else { continue }
            let named = value.2.split(separator: " ").reduce(into: Set<String>()) { $0.formUnion(calls(of: String($1))) }
            if value.1.isEmpty { allowed.formUnion(named) } else { allowed.subtract(named) }
        }
        #expect(allowed.isSuperset(of: ["chown", "chmod", "socket", "bind", "listen", "accept4", "execve", "kill"]))
        #expect(allowed.isDisjoint(with: ["reboot", "mount", "setuid", "bpf", "init_module"]))
    }

    @Test func everyCommandOfTheUnitsAndOfTheCronTableIsOneOfTheProgram() throws {
        var shell = ""
        for name in try names() {
            let lines = try RequirementsTests.text("examples/systemd/\(name)").split(separator: "\n")
            shell += lines.filter { $0.hasPrefix("Exec") }.joined(separator: "\n") + "\n"
        }
        for line in try RequirementsTests.text("examples/cron/serin-backups").split(separator: "\n")
        where line.first?.isNumber == true || line.first == "*" {
            let fields = line.split(separator: " ", maxSplits: 6)
            #expect(fields.count == 7 && fields[5] == "serin", "\(line)")
            #expect(throws: Never.self) { try CronExpression(fields.prefix(5).joined(separator: " ")) }
            shell += fields[6] + "\n"
        }
        let commands = ShellCommands(shell)
        #expect(commands.commands.count == 13, "\(commands.commands)")
        #expect(commands.problems() == [])
    }

    @Test func everyCommandOfTheRunbooksIsOneOfTheProgram() throws {
        var (shell, isInside) = ("", false)
        for line in try RequirementsTests.text("docs/RUNBOOKS.md").split(separator: "\n") {
            if line.trimming(" ").hasPrefix("```") {
                isInside.toggle()
            } else if isInside {
                shell += line + "\n"
            }
        }
        let commands = ShellCommands(shell)
        #expect(commands.commands.count > 40)
        #expect(commands.problems() == [])
    }
}
