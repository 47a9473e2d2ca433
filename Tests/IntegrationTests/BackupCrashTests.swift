import FoundationEssentials
import Glibc
import SerinCatalogue
import SerinCrypto
import SerinModel
import SerinProcesses
import Testbed
import Testing

/// The program is killed (signal 9) while it makes a backup: whenever it asks a tool or the store anything, at its writes of the
/// catalogue, and at the moments when files get their names. Older backups stay, nothing is called available that is not there, and
/// the next run leaves nothing of the killed ones.
@Suite(.serialized) struct BackupCrashTests {
    /// 1 kills at every call; 2, the usual, at every other one, of which half by chance.
    private static let step = getenv("SERIN_KILL_STRIDE").flatMap { Int(String(cString: $0)) } ?? 2

    /// What must hold after each run, killed or not: every backup that is called good has its bytes, and the older ones are among them.
    private func check(_ stage: KillStage, _ store: KillStage.Store, keeps good: Set<BackupID>, _ comment: Comment)
        async throws
        -> Set<BackupID>
    {
        let restorable = try await stage.records().filter { $0.state.isRestorable }
        #expect(good.isSubset(of: Set(restorable.map(\.id))), comment)
        for record in restorable {
            let copy = try #require(record.copies.first, comment)
            let name = store == .programs ? "objects/" + copy.key.description.replacing("/", with: "_") : "store/\(copy.key)"
            let bytes = FileManager.default.contents(atPath: stage.scratch.file(name)) ?? Data()
            #expect(
                Hexadecimal.text(of: SHA256.digestOrEmpty(Array(bytes))) == record.facts?.envelope.storedSHA256,
                "\(comment): \(record.id)")
            #expect(access(stage.scratch.file(name + ".manifest.json"), F_OK) == 0, comment)
        }
        return Set(restorable.map(\.id))
    }

    /// After a run that was not killed there is nothing but what is available.
    private func expectTidy(_ stage: KillStage, _ store: KillStage.Store, _ comment: Comment) async throws {
        let records = try await stage.records()
        #expect(!records.contains { $0.state == .running || $0.state == .uploaded }, comment)
        let objects = try await stage.objects(store)
        #expect(objects.count == 2 * records.filter { $0.state.isRestorable }.count, "\(comment): \(objects)")
        let left = try await stage.leftovers()
        #expect(left.isEmpty, "\(comment): \(left)")
        #expect(try await stage.leases().isEmpty, comment)
        try await waitUntil("the end of all sessions") { try await stage.sessions() == 0 }
    }

    @Test(.timeLimit(.minutes(8))) func wheneverItAsksAToolOrTheStore() async throws {
        let stage = try await KillStage(.programs)
        defer { stage.end() }
        #expect(try await stage.create() == 0, "\(stage.text("serin.log"))")
        let calls = stage.seen
        for needed in ["in the middle of pg_dump", "pg_restore --file=/dev/null", "put", "after put", "get", "after replace"] {
            #expect(calls.contains(needed), "\(calls)")
        }
        var good = try await check(stage, .programs, keeps: [], "the first")
        #expect(good.count == 1)
        var killed = 0
        let offset = Int.random(in: 0..<Self.step)
        print("seed \(offset)")
        // A run after a killed one asks a few questions more: the loop ends when one gets through.
        var number = 1 + offset
        while number < 2 * calls.count {
            try stage.setFatal(number)
            let status = try await stage.create()
            let call = stage.seen.last ?? "nothing"
            good = try await check(stage, .programs, keeps: good, "killed at \(number), \(call)")
            if status == 128 + SIGKILL { killed += 1 } else if number > stage.seen.count { break }
            number += Self.step
        }
        #expect(killed >= calls.count / Self.step - 2, "\(killed) of \(calls.count) calls")
        try stage.setFatal(0)
        #expect(try await stage.create() == 0, "\(stage.text("serin.log"))")
        _ = try await check(stage, .programs, keeps: good, "the last")
        try await expectTidy(stage, .programs, "after \(killed) kills")
    }

    @Test(.timeLimit(.minutes(8))) func atItsWritesOfTheCatalogueAndWhenFilesGetTheirNames() async throws {
        let stage = try await KillStage(.folder)
        defer { stage.end() }
        #expect(try await stage.create() == 0, "\(stage.text("serin.log"))")
        var good = try await check(stage, .folder, keeps: [], "the first")
        // The catalogue has one thread, whose calls are counted; files are named by threads of their own, each of which begins at 1.
        var places = [("link", 1), ("linkat", 1), ("renameat", 1), ("fsync", 1)]
        places += stride(from: 1, through: 13, by: Self.step).map { ("fdatasync", $0) }
        places += stride(from: 2, through: 26, by: 3 * Self.step).map { ("pwrite64", $0) }
        var killed = 0
        for (call, number) in places {
            let status = try await stage.create(by: [
                "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e",
                "inject=\(call):signal=SIGKILL:when=\(number)",
            ])
            if status == 128 + SIGKILL { killed += 1 }
            good = try await check(stage, .folder, keeps: good, "killed at \(call) \(number)")
        }
        #expect(killed > places.count / 2, "\(killed) of \(places)")
        #expect(try await stage.create() == 0, "\(stage.text("serin.log"))")
        _ = try await check(stage, .folder, keeps: good, "the last")
        try await expectTidy(stage, .folder, "after \(killed) kills")
    }

    @Test func aToolThatDoesNotNoticeTheEndOfItsStarterIsEndedByTheNextRun() async throws {
        let stage = try await KillStage(.folder)
        defer { stage.end() }
        // It holds a session at the server, and writes nothing by which it would find out.
        try stage.scratch.write(
            "instead",
            "touch \(stage.scratch.file("mark"))\nexec /usr/bin/psql -X -c 'SET client_connection_check_interval = 500' -c 'SELECT pg_sleep(600)'\n"
        )
        let run = try stage.start()
        try await waitUntil("the dump (\(stage.text("serin.log")))") {
            try await stage.cluster.primary.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)'") != "0"
        }
        kill(run.pid, SIGKILL)
        try await waitUntil("the end of the program") { !run.isRunning }
        // The snapshot's session ends with its process; this one stays.
        try await waitUntil("one session") { try await stage.sessions() == 1 }
        unlink(stage.scratch.file("instead"))
        #expect(try await stage.create() == 0, "\(stage.text("serin.log"))")
        try await expectTidy(stage, .folder, "after an orphan")
        #expect(try await stage.records().map(\.state) == [.failed, .available])
    }

    @Test func ofTwoAtOnceOneIsToldToComeLater() async throws {
        let stage = try await KillStage(.folder)
        defer { stage.end() }
        let go = stage.scratch.file("go")
        try stage.scratch.write("instead", "touch \(stage.scratch.file("mark"))\nwhile [ ! -e \(go) ]; do sleep 0.02; done\n")
        let first = try stage.start(log: "first.log")
        try await waitUntil("the first run (\(stage.text("first.log")))") { access(stage.scratch.file("mark"), F_OK) == 0 }
        #expect(try await stage.create(log: "second.log") == 7, "\(stage.text("second.log"))")
        close(open(go, O_WRONLY | O_CREAT, 0o644))
        try await waitUntil("the end of the first", within: .seconds(60)) { !first.isRunning }
        #expect(first.exitStatus == 0, "\(stage.text("first.log"))")
        #expect(try await stage.records().map(\.state) == [.available])
        try await expectTidy(stage, .folder, "after two at once")
    }

    @Test(.enabled(if: geteuid() == 0, "only root may mount a small disk"))
    func aFullDiskUnderTheCatalogueLosesNoOlderBackup() async throws {
        let stage = try await KillStage(.folder)
        defer { stage.end() }
        let state = stage.scratch.file("state")
        mkdir(state, 0o700)
        try await stage.shell("mount -t tmpfs -o size=24m,mode=0700 serin-test '\(state)'")
        defer { umount2(state, Int32(MNT_DETACH)) }
        #expect(try await stage.create() == 0, "\(stage.text("serin.log"))")
        var good = try await check(stage, .folder, keeps: [], "the first")
        // The disk fills up in the middle of the dump, for good.
        try stage.scratch.write("instead", "dd if=/dev/zero of=\(state)/ballast bs=64k 2>/dev/null\n")
        let status = try await stage.create()
        #expect(status == 1, "\(status): \(stage.text("serin.log"))")
        good = try await check(stage, .folder, keeps: good, "full")
        #expect(good.count == 1)
        unlink(state + "/ballast")
        unlink(stage.scratch.file("instead"))
        #expect(try await stage.create() == 0, "\(stage.text("serin.log"))")
        _ = try await check(stage, .folder, keeps: good, "the last")
        try await expectTidy(stage, .folder, "after a full disk")
    }
}
