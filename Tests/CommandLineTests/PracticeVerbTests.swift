import FoundationEssentials
import Glibc
import SerinAPI
import SerinCatalogue
import SerinLocks
import SerinModel
import SerinPorts
import Testing

@testable import SerinBackups
@testable import SerinCommandLine

/// The verbs around a practice of backups: what is held beside the objects, the checklist, the moment of a deletion, what helpers need.
@Suite struct PracticeVerbTests {
    private func now() -> Instant { SystemClock().now() }

    private func messages(_ program: TestProgram) -> String { program.messages.withLock { $0 } }

    @Test func aHoldWithAPlanIsNotedBesideTheObjectsAtOnceAndSaysWhenNot() async throws {
        let program = try TestProgram()
        let id = "\(try await program.backups.add(1, now() - .hours(1)))"
        #expect(await program.run(["backup", "hold", id, "--reason", "x"]) == .ok)
        #expect(program.backups.registers.withLock { $0 } == 0)
        let plan = program.policy()
        #expect(await program.run(["backup", "hold", id, "--legal", "--reason", "case 42", "--plan", plan]) == .ok)
        #expect(program.backups.registers.withLock { $0 } == 1)
        let failure = Failure(.transient, "it does not answer")
        program.backups.unkept.withLock { $0 = [.init(destination: "local", failure: failure)] }
        #expect(await program.run(["backup", "release", id, "--legal", "--reason", "closed", "--plan", plan]) == .unexpected)
        #expect(messages(program).contains("could not be noted at local"))
        #expect(try await program.backups.catalogue.state().records[0].holds.map(\.kind) == [.permanent])
        #expect(await program.run(["backup", "erasure", plan, "184467"]) == .unexpected)
        program.backups.unkept.withLock { $0 = [] }
        #expect(await program.run(["backup", "erasure", plan, "184467"]) == .ok)
    }

    @Test func aReleaseNamesTheHoldWhereThereAreSeveral() async throws {
        let program = try TestProgram()
        let id = "\(try await program.backups.add(1, now() - .hours(1)))"
        for reason in ["case of Ann", "case of Bob"] {
            #expect(await program.run(["backup", "hold", id, "--legal", "--reason", reason]) == .ok)
        }
        #expect(await program.run(["backup", "release", id, "--legal", "--reason", "closed"]) == .refused)
        let holds = try await program.backups.catalogue.state().records[0].holds
        #expect(holds.map(\.reason) == ["case of Ann", "case of Bob"])
        for hold in holds { #expect(messages(program).contains("\(hold.id)  \(hold.reason)")) }
        let released = await program.run(["backup", "release", id, "--legal", "--hold", holds[1].id, "--reason", "closed"])
        #expect(released == .ok)
        #expect(try await program.backups.catalogue.state().records[0].holds.map(\.reason) == ["case of Ann"])
        #expect(await program.run(["backup", "release", id, "--legal", "--hold", "no such", "--reason", "closed"]) == .refused)
        #expect(await program.run(["backup", "release", id, "--legal", "--reason", "closed"]) == .ok)
    }

    @Test func theChecklistNamesWhatDoesNotHoldAndTakesWhatPeopleSay() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        try await program.backups.add(1, now() - .hours(1))
        #expect(await program.run(["backup", "readiness", plan]) == .verificationFailed)
        let before = program.takeOutput()
        #expect(before.contains("nobody has said: is the runbook found"))
        #expect(before.contains("no drill was held") && before.contains("no route to host"))
        #expect(await program.run(["backup", "readiness", plan, "--attest", "runbook"]) == .usage)
        let said = await program.run([
            "backup", "readiness", plan, "--attest", "runbook", "--attest", "team", "--reason", "printed, rehearsed", "-o",
            "json",
        ])
        #expect(said == .verificationFailed)
        let after = program.takeOutput()
        #expect(after.contains(#""name":"runbook","passed":true"#) && after.contains(#""name":"team","passed":true"#))
        #expect(after.contains(#""name":"keys","passed":false"#) && after.contains(#""ok":false"#))
        #expect(after.contains(#""name":"newest backup","passed":true"#))
    }

    @Test func whatItsToolRemovedIsNoBackupToRecoverFrom() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        let id = try await program.backups.add(1, now() - .hours(1))
        program.backups.expired.withLock { $0 = .success([id]) }
        #expect(await program.run(["backup", "readiness", plan, "-o", "json"]) == .verificationFailed)
        let output = program.takeOutput()
        #expect(
            output.contains(#""detail":"there is none of the kind logical","name":"newest backup","passed":false"#), "\(output)")
    }

    @Test func whatADrillLeftIsDoneWhenSomebodySaysSo() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        let time = now() - .hours(1)
        let id = try await program.backups.add(1, time - .hours(1))
        let evidence = CopyEvidence(size: 3000, sha256: String(repeating: "ab", count: 32))
        let verified = VerificationResult(
            at: time - .minutes(1), destination: "local", evidence: evidence, checks: [BackupCheck("mac", passed: true)])
        let drill = DrillResult(
            id: "5f0c1a2b", at: time, destination: "local", restored: true, checks: [BackupCheck("rows", passed: true)],
            clock: DrillClock(declaredAt: time), recoveryPoint: nil, actionItems: ["back up more often"])
        try await program.backups.catalogue.append([
            CatalogueEvent(backup: id, at: time - .minutes(1), by: .serin, .verified(verified)),
            CatalogueEvent(backup: id, at: time, by: .serin, .drilled(drill)),
        ])
        #expect(await program.run(["backup", "drill", plan, "--done", "another", "--reason", "x"]) == .refused)
        #expect(messages(program).contains("open is what drill 5f0c1a2b left"))
        #expect(await program.run(["backup", "drill", plan, "--done", "5f0c1a2b"]) == .usage)
        #expect(await program.run(["backup", "drill", plan, "--done", "5f0c1a2b", "--reason", "every 6 hours now"]) == .ok)
        #expect(program.takeOutput() == "back up more often\n")
        #expect(await program.run(["backup", "drill", plan, "--done", "5f0c1a2b", "--reason", "again"]) == .refused)
    }

    @Test func theMomentBeforeADeletionIsSaidAsARestoreTakesIt() async throws {
        let program = try TestProgram()
        let head = "rmgr: Heap len (rec/tot):     54/    54, tx:        745, lsn: 0/01A0B2C8, prev 0/01A0B288, desc: "
        program.backups.logLines.withLock {
            $0 = [
                head + "DELETE off 1 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/16384/16400 blk 0",
                head + "COMMIT 2026-11-21 10:05:00.123456 UTC",
            ]
        }
        let span = ["--from", "2026-11-21T10:00:00Z", "--to", "2026-11-21T11:00:00Z"]
        #expect(await program.run(["backup", "moments", program.policy()] + span) == .ok)
        #expect(program.takeOutput().contains("16384/16400: 1"))
        #expect(messages(program).contains("--to 2026-11-21T10:05:00.122Z"))
        #expect(messages(program).contains("pg_filenode_relation(0, 16400) in the database whose oid is 16384"))
        #expect(await program.run(["backup", "moments", program.policy()]) == .usage)
        let backwards = ["--from", "2026-11-21T11:00:00Z", "--to", "2026-11-21T10:00:00Z"]
        #expect(await program.run(["backup", "moments", program.policy()] + backwards) == .usage)
        let quiet = ["--from", "2026-11-21T10:06:00Z", "--to", "2026-11-21T11:00:00Z"]
        #expect(await program.run(["backup", "moments", program.policy()] + quiet) == .ok)
        #expect(messages(program).contains("nothing was deleted between them"))
    }

    @Test func whatHelpersGetNamesItsPartsAndHoldsNoSecret() async throws {
        let program = try TestProgram(environment: ["DATABASE_URL": "postgresql://u:swordfish-7@db/shop", "PGHOST": "db"])
        try await program.backups.add(1, now() - .hours(1))
        let failed = Failure(.transient, "postgresql://u:swordfish-7@db/shop does not answer")
        try await program.backups.catalogue.append([
            CatalogueEvent(
                backup: BackupID(millisecondsSince1970: 1, random: [1]), at: now(), by: .serin,
                .quarantined(destination: nil, failed))
        ])
        let plan = program.policy("url: postgresql://u:tr0ub4dor@db/shop\ntoken: abcdef\ntls_file: /etc/p\nname: shop\n")
        let file = program.file("junit.xml")
        #expect(await program.run(["support", file, "--with", plan]) == .ok)
        let text = try String(contentsOf: URL(filePath: file), encoding: .utf8)
        #expect(!text.contains("swordfish-7") && !text.contains("tr0ub4dor") && !text.contains("abcdef"), "\(text)")
        for part in [
            "- machine:", "- state folder:", "- backups: 1 lines", "- last failures of backups: 1 lines", "- last jobs:",
        ] {
            #expect(text.contains(part), "\(text)")
        }
        #expect(
            text.contains("checkout-db: 1 quarantined") && text.contains("tls_file: /etc/p") && text.contains("name: shop"))
        #expect(text.contains("variables that are set: PGHOST"))
        var status = stat()
        #expect(stat(file, &status) == 0 && status.st_mode & 0o777 == 0o600)
        // Nothing is overwritten.
        #expect(await program.run(["support", file]) != .ok)
    }
}
