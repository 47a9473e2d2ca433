import SerinAPI
import SerinBackups
import SerinCatalogue
import SerinLocks
import SerinModel
import SerinPorts
import Testing

@testable import SerinCommandLine

@Suite struct RestoreVerbTests {
    private func now() -> Instant { SystemClock().now() }

    @Test func aTargetIsReadOnlyWithItsZone() {
        let moment = Instant(postgres: "2026-11-21 13:27:38.500+00")
        func target(_ text: String) -> PointInTimeRestore.Target? { PointInTimeRestore.Target(argument: text) }
        #expect(moment != nil)
        for text in [
            "2026-11-21T13:27:38.5Z", "2026-11-21 13:27:38.5Z", "2026-11-21T14:27:38.500+01:00", "2026-11-21T15:57:38.5+02:30",
            "2026-11-21 08:27:38.5-05",
        ] { #expect(target(text) == moment.map { .time($0) }, "\(text)") }
        #expect(target("latest") == .latest)
        #expect(target("16/B374D848") == LogPosition("16/B374D848").map { .position($0) })
        #expect(target("lsn:0/3000028") == LogPosition("0/3000028").map { .position($0) })
        #expect(target("name:before the migration") == .name("before the migration"))
        #expect(target("xid:742") == .transaction(742))
        for text in [
            "2026-11-21T13:27:38", "2026-11-21", "13:27", "2026-11-21T13:27:38+99:00", "now", "xid:abc", "xid:2", "name:", "",
            "2026-13-21T13:27:38Z", "16/", "lsn:x",
        ] { #expect(target(text) == nil, "\(text)") }
    }

    @Test func aTargetThatCannotBeReachedIsRefused() async throws {
        let program = try TestProgram()
        try await program.backups.add(1, now(), kind: .baseFull)
        let restore = ["backup", "restore", program.policy(), "latest", "--into", "/nonexistent/r", "--to"]
        #expect(await program.run(restore + ["2026-11-21T13:27:38Z"]) == .refused)
        #expect(program.messages.withLock { $0 }.contains("/nonexistent/r is as it was"))
        #expect(await program.run(restore + ["13:27"]) == .usage)
        #expect(program.messages.withLock { $0 }.contains("name:RESTORE_POINT"))
        #expect(program.backups.recoveries.withLock { $0 }.count == 1)
        #expect(await program.run(["backup", "restore", program.policy(), "latest", "--to", "latest"]) == .usage)
    }

    @Test func aSwapIsTakenBackWithTheSameConfirmation() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        let id = try await program.backups.add(1, now())
        #expect(await program.run(["backup", "swap", plan, "--undo", "--confirm", "checkout"]) == .usage)
        #expect(program.messages.withLock { $0 }.contains("no database is left that a swap replaced"))
        func side(_ name: String, _ role: SideDatabase.Role) -> SideDatabases.Entry {
            SideDatabases.Entry(
                name: name,
                known: SideDatabase(name: name, number: name, live: "checkout", role: role, backup: id, at: now()), size: 5000,
                sessions: 0)
        }
        let all = [
            side("checkout_restore_1", .restored), side("checkout_replaced_1", .replaced), side("checkout_replaced_2", .replaced),
            SideDatabases.Entry(name: "checkout_restore_x", known: nil, size: nil, sessions: 0),
        ]
        program.backups.sides.withLock { $0 = all }
        #expect(await program.run(["backup", "swap", plan, "--undo"]) == .refused)
        #expect(await program.run(["backup", "swap", plan, "checkout_restore_1", "--undo"]) == .usage)
        #expect(await program.run(["backup", "swap", plan]) == .usage)
        #expect(program.backups.permits.withLock { $0 }.isEmpty)
        _ = program.takeOutput()
        #expect(await program.run(["backup", "swap", plan, "--undo", "--confirm", "checkout", "-o", "json"]) == .ok)
        #expect(program.takeOutput().contains(#""from":"checkout_replaced_2""#))
        #expect(await program.run(["backup", "swap", plan, "checkout_restore_1", "--confirm", "checkout"]) == .ok)
        #expect(program.backups.permits.withLock { $0 }.map(\.scope) == [.swap, .swap])
        program.backups.checks.withLock { $0 = [BackupCheck("rows", passed: false)] }
        #expect(
            await program.run(["backup", "swap", plan, "checkout_restore_1", "--confirm", "checkout"]) == .verificationFailed)

        _ = program.takeOutput()
        #expect(await program.run(["backup", "restored", "list", plan]) == .ok)
        #expect(program.takeOutput().contains("checkout_restore_x   unknown"))
        #expect(await program.run(["backup", "restored", "drop", plan, "checkout_restore_x"]) == .refused)
        #expect(await program.run(["backup", "restored", "drop", plan, "checkout_replaced_1"]) == .refused)
        #expect(await program.run(["backup", "restored", "drop", plan, "checkout_restore_1"]) == .ok)
        let confirmed = ["backup", "restored", "drop", plan, "checkout_replaced_1", "--confirm", "checkout_replaced_1"]
        #expect(await program.run(confirmed) == .ok)
        #expect(program.backups.sides.withLock { $0.count } == 2)
    }

    @Test func theListOfRestoredDatabasesSaysWhichChecksFailed() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        let id = try await program.backups.add(1, now())
        func side(_ name: String, _ failed: [BackupCheck]?, objection: String? = nil) -> SideDatabases.Entry {
            var known = SideDatabase(name: name, number: name, live: "checkout", role: .restored, backup: id, at: now())
            known.failed = failed
            known.objection = objection
            return SideDatabases.Entry(name: name, known: known, size: 5000, sessions: 0)
        }
        let rows = BackupCheck("rows", passed: false, detail: "public.orders: 9, expected 10")
        program.backups.sides.withLock {
            $0 = [
                side("checkout_restore_1", [rows]), side("checkout_restore_2", []), side("checkout_restore_3", nil),
                side("checkout_restore_4", nil, objection: "public.orders: 1 changed"),
            ]
        }
        let list = ["backup", "restored", "list", plan]
        #expect(await program.run(list) == .ok)
        let lines = program.takeOutput().split(separator: "\n").dropFirst()
        let expected = ["FAILED: rows", "passed", " - ", "FAILED: written once"]
        #expect(lines.count == 4 && zip(lines, expected).allSatisfy { $0.contains($1) }, "\(lines)")
        let messages = program.messages.withLock { $0 }
        #expect(messages.contains("checkout_restore_1: rows: public.orders: 9, expected 10"), "\(messages)")
        #expect(await program.run(list + ["-o", "json"]) == .ok)
        let found = try JSONValue(parsing: Array(program.takeOutput().utf8))["databases"]?.items ?? []
        #expect(found.first?["failed_checks"]?.items?.first?["name"]?.text == "rows")
        #expect(found.dropFirst().first?["failed_checks"]?.items == [])
        #expect(found.dropFirst(2).first?["failed_checks"] == .null)
        #expect(found.last?["failed_checks"]?.items?.first?["detail"]?.text == "public.orders: 1 changed")
    }

    @Test func whatAKilledSwapHasDoneIsFinishedAndNotDoneAgain() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        let id = try await program.backups.add(1, now())
        func side(_ name: String, _ role: SideDatabase.Role) -> SideDatabase {
            SideDatabase(name: name, number: name, live: "checkout", role: role, backup: id, at: now())
        }
        // An undoing that was killed once the databases had changed places: the next one must not take it back.
        let last = side("checkout_replaced_2", .replaced)
        program.backups.sides.withLock { $0 = [SideDatabases.Entry(name: last.name, known: last, size: 1, sessions: 0)] }
        program.backups.unfinished.withLock { $0 = side("checkout_replaced_1", .replaced) }
        #expect(await program.run(["backup", "swap", plan, "--undo"]) == .refused)
        #expect(await program.run(["backup", "swap", plan, "--undo", "--confirm", "checkout"]) == .ok)
        #expect(program.backups.finished.withLock { $0 } == ["checkout_replaced_1"])
        #expect(program.backups.permits.withLock { $0 }.isEmpty, "nothing was swapped")
        #expect(program.messages.withLock { $0 }.contains("checkout is again the database that was live until"))
        // One that put a restored database in place is taken back as any other.
        program.backups.unfinished.withLock { $0 = side("checkout_restore_1", .restored) }
        #expect(await program.run(["backup", "swap", plan, "checkout_restore_1", "--confirm", "checkout"]) == .ok)
        #expect(program.backups.finished.withLock { $0.count } == 2)
        #expect(await program.run(["backup", "swap", plan, "--undo", "--confirm", "checkout"]) == .ok)
        #expect(program.backups.permits.withLock { $0.count } == 1)
    }

    @Test func aMergeIsShownFirstAndDoneForSoManyRowsAsWereShown() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        let id = try await program.backups.add(1, now())
        let side = SideDatabase(
            name: "checkout_restore_1", number: "1", live: "checkout", role: .tables, backup: id, at: now())
        let merge = ["backup", "merge", plan, "checkout_restore_1", "public.orders"]
        #expect(await program.run(merge) == .usage)
        #expect(program.messages.withLock { $0 }.contains("is nothing that a restore or a swap left"))
        program.backups.sides.withLock { $0 = [SideDatabases.Entry(name: side.name, known: side, size: 1, sessions: 0)] }
        #expect(await program.run(merge) == .ok)
        #expect(program.takeOutput().contains("100   missing in checkout"))
        #expect(program.messages.withLock { $0 }.contains("--rows 100 --confirm checkout"))
        for wrong in [["--rows", "100"], ["--confirm", "checkout"], ["--rows", "-1", "--confirm", "checkout"]] {
            #expect(await program.run(merge + wrong) == .usage)
        }
        #expect(await program.run(["backup", "merge", plan, "checkout_restore_1", "orders"]) == .usage)
        #expect(await program.run(merge + ["--rows", "100", "--confirm", "shop"]) == .refused)
        program.backups.approvals.withLock { $0 = 1 }
        #expect(await program.run(merge + ["--rows", "100", "--confirm", "checkout"]) == .refused)
        program.backups.approvals.withLock { $0 = 0 }
        #expect(program.backups.permits.withLock { $0 }.map(\.scope) == [.beside])
        #expect(await program.run(merge + ["--rows", "100", "--confirm", "checkout", "-o", "json"]) == .ok)
        #expect(program.takeOutput().contains(#""added":100"#))
        #expect(program.backups.permits.withLock { $0 }.map(\.scope) == [.beside, .merge])
        let notes = try await program.backups.catalogue.notes("restore", of: FakeBackups.target)
        #expect(notes.map(\.text) == ["merge of 100 rows of public.orders from checkout_restore_1 into checkout"])
    }

    @Test func howLongItTakesIsSaidBeforeItIsConfirmed() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        let id = try await program.backups.add(1, now())
        let restore = ["backup", "restore", plan, "latest", "--swap"]
        #expect(await program.run(restore) == .refused)
        #expect(program.messages.withLock { $0 }.contains("nothing was restored yet"))
        let timing = RestoreTiming(kind: .logical, bytes: 9000, milliseconds: 95_000)
        try await program.backups.catalogue.note(
            AuditNote(
                at: now(), by: .serin, topic: RestoreTiming.topic, target: FakeBackups.target, backup: id,
                text: try timing.noteText()))
        #expect(await program.run(restore) == .refused)
        #expect(
            program.messages.withLock { $0 }.contains("takes about 1m 35s, up to 1m 35s (by the last 1 restores and drills)"))
        #expect(program.backups.permits.withLock { $0 }.isEmpty)
    }

    @Test func theReportOfADrillIsJudgedByItsCode() async throws {
        let program = try TestProgram()
        let id = try await program.backups.add(1, now())
        let record = try #require(try await program.backups.catalogue.state()[id])
        let result = DrillResult(
            id: "1a2b3c4d", at: now(), destination: "local", restored: true, checks: [BackupCheck("rows", passed: true)],
            clock: DrillClock(declaredAt: now()), recoveryPoint: nil)
        let report = DrillReport(of: record, selection: "latest", environment: "Postgres 15", result: result)
        program.backups.report.withLock { $0 = report }
        for form in ["table", "json"] {
            _ = program.takeOutput()
            #expect(await program.run(["backup", "drill", program.policy(), "-o", form]) == .ok)
            let text = program.takeOutput()
            let file = program.file("outputs")
            func judge(_ text: String) async throws -> ExitCode {
                Reports.append(text, to: file, replacing: true, try program.session())
                return await program.run(["backup", "drill", program.policy(), "--verify", file])
            }
            #expect(try await judge(text) == .ok, "\(text)")
            #expect(try await judge(text.replacing("latest", with: "oldest")) == .verificationFailed)
            #expect(await program.run(["backup", "drill", program.policy(), "latest", "--verify", file]) == .usage)
            // The key was changed since, and the former one is known or is not.
            let key = program.backups.manifestKeys.withLock { $0[0] }
            program.backups.manifestKeys.withLock { $0 = ["a new key of all the manifests", key] }
            #expect(try await judge(text) == .ok)
            program.backups.manifestKeys.withLock { $0 = ["a new key of all the manifests"] }
            #expect(try await judge(text) == .verificationFailed)
            program.backups.manifestKeys.withLock { $0 = [key] }
        }
    }

    @Test func behindSudoThePersonWhoCalledItCounts() {
        #expect(BackupSession.principal(user: 0, ["SUDO_UID": "1001"]) == .uid(1001))
        #expect(BackupSession.principal(user: 0, [:]) == .uid(0))
        #expect(BackupSession.principal(user: 0, ["SUDO_UID": "x"]) == .uid(0))
        // Anybody can set a variable.
        #expect(BackupSession.principal(user: 1000, ["SUDO_UID": "1001"]) == .uid(1000))
    }

    @Test func anErasureIsNotedAndAPlanWithoutAWayIsComplainedAbout() async throws {
        let program = try TestProgram()
        #expect(await program.run(["backup", "erasure", program.policy(), "184467"]) == .ok)
        #expect(program.takeOutput().contains("1 subjects of checkout-db"))
        #expect(program.messages.withLock { $0 }.contains("restore.erase_file"))
        let notes = try await program.backups.catalogue.notes(Erasure.topic, of: FakeBackups.target)
        #expect(notes.map(\.text) == ["184467"])
    }
}
