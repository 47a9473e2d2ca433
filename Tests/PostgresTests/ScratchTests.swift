import Glibc
import Testbed
import Testing

/// The folders of tests.
@Suite struct ScratchTests {
    @Test func whatAKilledProcessLeftIsRemovedAndWhatIsInUseStays() throws {
        let scratch = try Scratch("serin-sweep")
        defer { scratch.remove() }
        for name in ["serin.left", "serin.used", "another"] {
            mkdir(scratch.file(name), 0o755)
            try scratch.write(name + "/file", "content")
        }
        let lock = open(scratch.file("serin.used"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        #expect(flock(lock, LOCK_EX) == 0)
        Scratch.sweep(scratch.path)
        #expect(access(scratch.file("serin.left"), F_OK) != 0)
        #expect(access(scratch.file("serin.used/file"), F_OK) == 0 && access(scratch.file("another/file"), F_OK) == 0)
        close(lock)
        Scratch.sweep(scratch.path)
        #expect(access(scratch.file("serin.used"), F_OK) != 0)
        // This process's own is locked as long as it runs.
        Scratch.sweep(Scratch.home)
        #expect(access(scratch.file("another/file"), F_OK) == 0)
    }
}
