import FoundationEssentials
import Glibc
import SerinCatalogue
import SerinModel
import SerinPorts
import SerinProcesses
import SerinSQLite
import Testing

/// The catalogue's file: several writers, sudden ends, full disks, strangers' hands.
@Suite struct CatalogueFileTests {
    private func shell(_ folder: Folder, _ statements: String) async throws -> String {
        try await run("sqlite3", ["-bail", SQLiteCatalogue.path(under: folder.root), statements]).text
    }

    private func open(_ folder: Folder) async throws -> SQLiteCatalogue {
        try await SQLiteCatalogue.open(SQLiteCatalogue.path(under: folder.root))
    }

    @Test func twoStoresSeeWhatTheOtherAppended() async throws {
        let folder = try Folder()
        let (first, second) = (try await open(folder), try await open(folder))
        try await first.append([Sample.begun(1)])
        #expect(try await second.state().records.count == 1)
        await #expect(throws: CatalogueStoreError.self) { try await second.append([Sample.begun(1)]) }
        #expect(try await second.append([Sample.failed(1)]) == 2)
        #expect(try await first.append([Sample.begun(2)]) == 3)
        #expect(try await first.state() == second.state())
        #expect(mode(of: SQLiteCatalogue.path(under: folder.root)) == 0o600)
        await first.close()
        await second.close()
    }

    @Test func severalProcessesAppendAtOnceToANewFileAndNothingIsLost() async throws {
        let folder = try Folder()
        let writer = try journalWriter()
        let script = (1...4).map { "\(writer) catalogue \(folder.root) \($0 * 100_000) 25 & " }.joined() + "wait"
        let output = try await run("sh", ["-c", script], deadline: .seconds(120)).text
        #expect(numbers(after: "acked", in: output).count == 100, "\(output.suffix(400))")
        let store = try await open(folder)
        #expect(try await store.state().records.count == 100)
        await store.close()
    }

    /// At an n-th write or sync, from the making of the file to the tenth transaction and beyond.
    @Test(arguments: ["pwrite64", "fdatasync"], [1, 2, 3, 5, 8, 11, 14, 18, 23, 29, 36, 50])
    func whatWasAcknowledgedSurvivesAKill(call: String, number: Int) async throws {
        let folder = try Folder()
        let arguments = [
            "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e", "inject=\(call):signal=SIGKILL:when=\(number)",
            try journalWriter(), "catalogue", folder.root, "100", "60",
        ]
        let output = try await run("strace", arguments).text
        try #require(!output.contains("done"), "the writer was not killed: \(output)")
        let acknowledged = numbers(after: "acked", in: output).max() ?? 0
        let store = try await open(folder)
        let count = Int64(try await store.state().records.count)
        #expect(number < 50 || acknowledged > 3, "the late kills come after some entries: \(output)")
        #expect(count >= acknowledged, "acknowledged entries are lost")
        #expect(count <= acknowledged + 1, "more than the one open transaction came to light")
        #expect(try await store.append([Sample.begun(1)]) == count + 1)
        await store.close()
    }

    @Test func aFullDiskRefusesAndLosesNothing() async throws {
        let folder = try Folder()
        // ThreadSanitizer needs a file of 512 KiB to start a program.
        let output = try await run(
            "prlimit", ["--fsize=1000000", "--", try journalWriter(), "catalogue", folder.root, "100", "2000"],
            deadline: .seconds(120)
        ).text
        #expect(output.contains("failed cannot write the catalogue"), "\(output.suffix(300))")
        let acknowledged = numbers(after: "acked", in: output).max() ?? 0
        let store = try await open(folder)
        #expect(Int64(try await store.state().records.count) >= acknowledged && acknowledged > 0)
        await store.close()
    }

    @Test(.enabled(if: geteuid() == 0)) func aDiskWithoutRoomIsCalledThatWhenTheCatalogueIsOpened() async throws {
        let folder = try Folder()
        let script = """
            mount -t tmpfs -o size=4m,mode=0777 serin \(folder.root) && \(try journalWriter()) catalogue \(folder.root) 100 5
            cat /dev/zero > \(folder.root)/ballast 2>/dev/null
            \(try journalWriter()) catalogue \(folder.root) 200 1
            """
        let output = try await run("unshare", ["--mount", "sh", "-c", script]).text
        #expect(output.contains("no space is left on its disk"), "\(output.suffix(400))")
    }

    /// How the disk is left for whoever reads.
    enum Ground: String, CaseIterable {
        case full = "cat /dev/zero > $ROOT/ballast 2>/dev/null"
        /// Two readers at once; each may need the file for itself.
        case fullForTwo = "cat /dev/zero > $ROOT/ballast 2>/dev/null; $WRITER look $ROOT & $WRITER look $ROOT & wait"
        /// Not even an empty file can be made.
        case withoutNames = "i=0; while touch $ROOT/$i 2>/dev/null; do i=$((i+1)); done; cat /dev/zero > $ROOT/0 2>/dev/null"
        case forReadingOnly = "mount -o remount,ro $ROOT"
    }

    @Test(.enabled(if: geteuid() == 0), arguments: Ground.allCases, [false, true])
    func whereNothingCanBeWrittenItIsReadAllTheSame(ground: Ground, isKilled: Bool) async throws {
        let folder = try Folder()
        let kill = "strace -D -f -qq -o /dev/null -e trace=pwrite64 -e inject=pwrite64:signal=KILL:when=40"
        let script = """
            export ROOT=\(folder.root) WRITER=\(try journalWriter())
            mount -t tmpfs -o size=4m,nr_inodes=64,mode=0777 serin $ROOT
            \(isKilled ? kill : "") $WRITER catalogue $ROOT 100 \(isKilled ? 1000 : 5)
            rm -f $ROOT/catalogue.db-shm
            \(ground.rawValue)
            $WRITER look $ROOT; $WRITER look $ROOT
            """
        let output = try await run("unshare", ["--mount", "sh", "-c", script]).text
        let acknowledged = numbers(after: "acked", in: output).max() ?? 0
        #expect(acknowledged > 0 && output.contains("done") == !isKilled, "\(output)")
        // What is left in a log can only be read where a lock can be had.
        guard ground != .forReadingOnly || !isKilled else {
            #expect(output.contains("failed cannot read the catalogue"), "\(output)")
            return
        }
        let looked = numbers(after: "looked", in: output)
        #expect(looked.count == (ground == .fullForTwo ? 4 : 2), "\(output)")
        #expect(looked.allSatisfy { (acknowledged...acknowledged + (isKilled ? 1 : 0)).contains($0) }, "\(output)")
    }

    @Test func whoeverOnlyReadsMakesNothingAndWritesNothing() async throws {
        let folder = try Folder()
        let path = SQLiteCatalogue.path(under: folder.root)
        try write("", to: path)
        #expect(try await SQLiteCatalogue.read(path) == nil)
        #expect(size(of: path) == 0)
        let writer = try await open(folder)
        try await writer.append([Sample.begun(1)])
        let reader = try #require(try await SQLiteCatalogue.read(path))
        try await writer.append([Sample.begun(2)])
        #expect(try await reader.state() == writer.state())
        await #expect(throws: CatalogueStoreError.self) { try await reader.append([Sample.begun(3)]) }
        await reader.close()
        await writer.close()
    }

    @Test func theLogCanOnlyBeAppendedTo() async throws {
        let folder = try Folder()
        let store = try await open(folder)
        try await store.append([Sample.begun(1), Sample.begun(2)])
        for statement in [
            "UPDATE entry SET at = 0", "DELETE FROM entry WHERE sequence = 2", "INSERT OR REPLACE INTO entry SELECT * FROM entry",
        ] {
            #expect(try await shell(folder, statement).contains("only appended to"), "\(statement)")
        }
        #expect(try await store.state().records.count == 2)
        await store.close()
    }

    @Test(arguments: [
        "UPDATE entry SET body = replace(body, 'before a release', 'something else') WHERE sequence = 1",
        "DELETE FROM entry WHERE sequence = 1",
    ]) func aChangedLogIsFoundDamaged(statement: String) async throws {
        let folder = try Folder()
        let store = try await open(folder)
        try await store.append([Sample.begun(1), Sample.begun(2)])
        await store.close()
        _ = try await shell(folder, "DROP TRIGGER entry_is_not_changed; DROP TRIGGER entry_is_not_deleted; \(statement)")
        let error = await #expect(throws: CatalogueStoreError.self) { try await open(folder) }
        guard case .damaged(let failure) = error else {
            Issue.record("not found damaged: \(String(describing: error))")
            return
        }
        #expect(failure.message.contains("does not hold together"))
    }

    @Test func aCutLogIsSeenByWhoeverKnewItsEnd() async throws {
        let folder = try Folder()
        let store = try await open(folder)
        try await store.append([Sample.begun(1), Sample.begun(2)])
        _ = try await shell(folder, "DROP TRIGGER entry_is_not_deleted; DELETE FROM entry WHERE sequence = 2")
        let error = await #expect(throws: CatalogueStoreError.self) { try await store.append([Sample.begun(3)]) }
        #expect(error?.description.contains("was rewritten") == true, "\(String(describing: error))")
        await store.close()
    }

    @Test func aRemovedFileIsNotWrittenToInSilence() async throws {
        let folder = try Folder()
        let store = try await open(folder)
        try await store.append([Sample.begun(1)])
        unlink(SQLiteCatalogue.path(under: folder.root))
        let error = await #expect(throws: CatalogueStoreError.self) { try await store.append([Sample.begun(2)]) }
        #expect(error?.description.contains("removed or replaced") == true)
        await store.close()
    }

    @Test func aNewerVersionAndAnotherApplicationsFileAreRefused() async throws {
        let newer = try Folder()
        await (try await open(newer)).close()
        _ = try await shell(newer, "PRAGMA user_version=2")
        let error = await #expect(throws: CatalogueStoreError.self) { try await open(newer) }
        #expect(error?.description.contains("has schema 2") == true)
        let other = try Folder()
        _ = try await shell(other, "CREATE TABLE a(b)")
        let second = await #expect(throws: CatalogueStoreError.self) { try await open(other) }
        #expect(second?.description.contains("another application's") == true)
        let garbage = try Folder()
        try write(String(repeating: "no database ", count: 1000), to: SQLiteCatalogue.path(under: garbage.root))
        let third = await #expect(throws: CatalogueStoreError.self) { try await open(garbage) }
        guard case .damaged = third else {
            Issue.record("not found damaged: \(String(describing: third))")
            return
        }
    }

    @Test func aMissingFolderIsDenied() async throws {
        let error = await #expect(throws: CatalogueStoreError.self) { try await SQLiteCatalogue.open("/nowhere/catalogue.db") }
        #expect(error?.failure.kind == .denied)
    }
}
