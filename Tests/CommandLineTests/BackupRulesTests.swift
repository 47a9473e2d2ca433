import FoundationEssentials
import SerinAPI
import SerinCatalogue
import SerinModel
import SerinPorts
import SerinProcesses
import Testing

/// The alert rules in examples/ by Prometheus' own tool.
@Suite struct BackupRulesTests {
    private let folder = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/examples/monitoring"

    @Test func theAlertRulesDoWhatTheirTestsSay() async throws {
        for arguments in [
            ["check", "rules", "\(folder)/backup-rules.yaml"], ["test", "rules", "\(folder)/backup-rules.test.yaml"],
        ] {
            let done = try await Program("/usr/bin/promtool", arguments, deadline: .minutes(2)).run()
            #expect(done.termination == .exited(0), "\(done.text)")
        }
    }

    @Test func everyMetricOfRulesAndDashboardIsWritten() async throws {
        let program = try TestProgram()
        let id = try await program.backups.add(1, Instant(millisecondsSince1970: 1_790_000_000_000))
        // Opened once.
        let use = Hold(.use("orders.dump"), reason: "it is being exported", until: Instant(millisecondsSince1970: 0))
        try await program.backups.catalogue.append([
            CatalogueEvent(backup: id, at: Instant(millisecondsSince1970: 1_790_000_100_000), by: .serin, .held(use))
        ])
        #expect(await program.run("backup", "metrics", program.policy()) == .ok)
        let written = program.takeOutput()
        #expect(written.contains("backup_reads_total{project=\"shop\",database=\"checkout-db\"} 1\n"))
        for file in ["backup-rules.yaml", "backup-dashboard.json"] {
            let text = try String(contentsOf: URL(filePath: "\(folder)/\(file)"), encoding: .utf8)
            let words = text.split { !($0.isLetter || $0.isNumber || $0 == "_") }
            // Those of the log are written for plans that receive it, which the tests of that look at.
            let names = Set(words.filter { $0.hasPrefix("backup_") && !$0.hasPrefix("backup_log_") })
            #expect(!names.isEmpty)
            for name in names { #expect(written.contains("# TYPE \(name) "), "\(file): \(name)") }
        }
    }
}
