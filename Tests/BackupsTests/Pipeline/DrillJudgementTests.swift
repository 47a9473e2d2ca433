import SerinCatalogue
import SerinCrypto
import SerinModel
import SerinPolicies
import SerinPorts
import Testbed
import Testing

@testable import SerinBackups

/// What a drill concludes, without a server: the restore is the test's.
@Suite struct DrillJudgementTests {
    private struct Scene {
        let scratch: Scratch
        let catalogue = MemoryCatalogue(digest: SHA256.digestOrEmpty)

        init() throws { scratch = try Scratch("serin-drill") }

        func add(_ number: Int, at time: Instant, consistentAt: Instant? = nil) async throws {
            var events = try Sample.available(number, kind: .files, at: time)
            let evidence = CopyEvidence(size: 100, sha256: String(repeating: "b", count: 64))
            events.append(
                Sample.event(
                    number, at: time + .seconds(20),
                    .verified(
                        VerificationResult(
                            at: time + .seconds(20), destination: "bucket", evidence: evidence,
                            checks: [BackupCheck("mac", passed: true)]))))
            try await catalogue.append(events)
        }

        func drill(
            at now: Instant, _ unpack: @escaping @Sendable (BackupRecord, String) async throws(Failure) -> RestoredFolder
        ) async throws -> DrillReport {
            var drill = BackupDrill.Settings(
                DrillPolicy(.every(.hours(24))), targets: BackupPlan.Targets(recoveryPoint: .hours(1)), folder: scratch.path)
            drill.unpack = unpack
            var key = Array("the key of all the manifests".utf8)
            let settings = PipelineSettings(
                project: "shop", target: try #require(ServiceName("checkout")), places: [],
                envelope: EnvelopeSettings(.none), key: .unencrypted, manifestKey: Secret(wiping: &key),
                workFolder: scratch.file("work"))
            let source = FilesBackupSource(
                FilesSource(paths: [scratch.path]), environment: SourceEnvironment(scratch: scratch.file("work")))
            return try await BackupDrill(settings, drill, identities: [], catalogue: catalogue, now: { now }).run(
                source, by: .serin)
        }

        func drills() async throws -> [DrillResult] { try await catalogue.state().records.compactMap(\.drill) }
    }

    private static func restored(_ record: BackupRecord, _ folder: String) -> RestoredFolder {
        var restored = RestoredFolder(backup: record.id, kind: record.kind, folder: folder)
        restored.checks = [BackupCheck("unpacked", passed: true)]
        return restored
    }

    @Test func aDrillThatWasInterruptedIsNotHeld() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        try await scene.add(1, at: Sample.start)
        let (begun, begin) = AsyncStream.makeStream(of: Void.self)
        let drill = Task {
            try await scene.drill(at: Sample.start + .minutes(30)) { _, _ throws(Failure) in
                begin.yield()
                while !Task.isCancelled { await Task.yield() }
                throw Failure(.unknown, "the restore was given up")
            }
        }
        for await _ in begun { break }
        drill.cancel()
        let result = await drill.result
        #expect(throws: Failure.self) { try result.get() }
        #expect(try await scene.drills().isEmpty)
        // Nothing of it is left to be done.
        let next = try await scene.drill(at: Sample.start + .minutes(40)) { Self.restored($0, $1) }
        #expect(next.result.passed, "\(next.result)")
    }

    @Test func aBackupFromAheadOfTheClockIsNoMeasureOfWhatWouldBeLost() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        try await scene.add(1, at: Sample.start)
        let right = try await scene.drill(at: Sample.start + .minutes(30)) { Self.restored($0, $1) }
        #expect(right.result.recoveryPoint == .minutes(30) && right.result.actionItems.isEmpty)
        let behind = try await scene.drill(at: Sample.start - .minutes(30)) { Self.restored($0, $1) }
        #expect(behind.result.recoveryPoint == nil)
        #expect(behind.result.actionItems.first?.contains("30m ahead of the clock here") == true, "\(behind.result.actionItems)")
    }

    @Test func theLatestIsTheOneThatWasMadeLastWhateverItsClockSaid() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        try await scene.add(1, at: Sample.start + .hours(2))
        try await scene.add(2, at: Sample.start)
        let report = try await scene.drill(at: Sample.start + .minutes(5)) { Self.restored($0, $1) }
        #expect(report.backup == Sample.id(2))
    }
}
