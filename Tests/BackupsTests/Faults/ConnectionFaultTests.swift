import FoundationEssentials
import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import Testbed
import Testing

/// The line between a dump and its server is cut in the middle of a table.
@Suite(.serialized) struct ConnectionFaultTests {
    private func source(
        _ scene: BackupScene, _ format: PostgresDumpSource.Format, port: Int, stall: Duration
    ) throws -> PostgresLogical {
        try PostgresLogical(
            PostgresDumpSource(url: .environment("UNUSED"), format: format, jobs: 2),
            url: "postgresql://keeper@127.0.0.1:\(port)/shop",
            environment: SourceEnvironment(scratch: scene.scratch.file("work"), deadline: .seconds(60), stall: stall))
    }

    @Test func aLineThatIsCutMidDumpIsAFailedBackup() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let good = try await scene.backUp(try scene.source()).record
        for cut in CutLine.Cut.allCases { try await isCut(cut, scene, good) }
    }

    private func isCut(_ cut: CutLine.Cut, _ scene: BackupScene, _ good: BackupRecord) async throws {
        // A line that falls silent is waited for; the others are seen at once.
        let formats = cut == .falls ? [.custom] : PostgresDumpSource.Format.allCases
        for format in formats {
            let line = try CutLine(to: scene.server.port, cut, after: 4 << 20)
            defer { line.stop() }
            let source = try source(scene, format, port: line.port, stall: cut == .falls ? .seconds(4) : .seconds(60))
            let failure = await scene.failure(source)
            #expect(failure?.stage == .dump, "\(cut) \(format): \(String(describing: failure))")
            #expect(line.cuts == 1)
            let state = try await scene.catalogue.state()
            #expect(state.records.filter { $0.state.isRestorable }.map(\.id) == [good.id], "\(format)")
            #expect(state.records.last?.state == .failed)
            #expect(scene.leftovers.isEmpty && scene.files(scene.store).count == 3, "\(format)")
            #expect(children(named: "pg_dump").isEmpty)
            // The line is whole again: once each way of cutting it.
            guard format == formats.last else { continue }
            let again = try await scene.backUp(try self.source(scene, format, port: line.port, stall: .seconds(60))).record
            #expect(again.state == .available)
            for copy in again.copies {
                unlink("\(scene.store)/\(copy.key)")
                if let key = Manifest.key(beside: copy.key) { unlink("\(scene.store)/\(key)") }
            }
            try await scene.catalogue.append([
                CatalogueEvent(
                    backup: again.id, at: BackupScene.now(), by: BackupScene.principal,
                    .quarantined(destination: nil, Failure(.invalid, "removed by the test")))
            ])
        }
    }

    /// The usual way in a shell, with the same cut: it ends with status 0, its file passes every test of gzip, and psql restores it
    /// without a word. Only this suite's other tests stand between it and a lost table.
    @Test func theUsualPipelineOfAShellLosesRowsWithoutAWord() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let line = try CutLine(to: scene.server.port, .ends, after: 4 << 20)
        defer { line.stop() }
        let script = """
            cd \(scene.scratch.path)
            pg_dump --format=plain --dbname='postgresql://keeper@127.0.0.1:\(line.port)/shop' 2>/dev/null | gzip >usual.gz
            echo "dump $?"
            gunzip -t usual.gz; echo "test $?"
            createdb -h 127.0.0.1 -p \(scene.server.port) -U restorer usual
            gunzip -c usual.gz | psql -q -h 127.0.0.1 -p \(scene.server.port) -U restorer -d usual >/dev/null 2>&1
            echo "restore $?"
            """
        let done = try await Program(
            "/bin/sh", ["-c", script], environment: ["PATH": "/usr/bin:/bin"], deadline: .seconds(60)
        ).run()
        #expect(done.text.contains("dump 0") && done.text.contains("test 0") && done.text.contains("restore 0"), "\(done.text)")
        let rows = "SELECT (SELECT count(*) FROM pgbench_accounts) + (SELECT count(*) FROM app.orders)"
        let live = try await scene.server.sql(rows, database: "shop")
        let restored = try? await scene.server.sql(rows, database: "usual")
        #expect(restored != live, "nothing was lost: the cut came too late to show anything")
    }
}
