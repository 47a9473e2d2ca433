import Glibc
import Testbed
import Testing

@testable import SerinBackups

/// Rehearsals side by side, and what those that were killed have left.
@Suite struct DrillFolderTests {
    @Test func aRehearsalInUseIsLeftAloneAndOneThatWasKilledIsRemoved() throws {
        let scratch = try Scratch("serin-drills")
        defer { scratch.remove() }
        let place = try TemporaryFolder(in: scratch.path, prefix: IsolatedServer.prefix)
        let killed = scratch.file(IsolatedServer.prefix + "killed")
        for folder in [place.path, killed] {
            mkdir(folder, 0o700)
            mkdir(folder + "/data", 0o700)
            // While a cluster is made its program writes its number with a minus.
            let file = String(folder.dropFirst(scratch.path.count + 1)) + "/data/postmaster.pid"
            try scratch.write(file, "-2838\n\(folder)/data\n")
        }
        IsolatedServer.sweep(scratch.path)
        #expect(access(place.path + "/data/postmaster.pid", F_OK) == 0)
        #expect(access(killed, F_OK) != 0)
    }
}
