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
