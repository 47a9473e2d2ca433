import FoundationEssentials
import Glibc
import SerinModel
import Testbed
import Testing

@testable import SerinBackups

/// The folders that a restore may fill, and what becomes of them.
@Suite struct RestorePlaceTests {
    @Test func whatIsNoEmptyFolderIsRefusedAndStaysAsItIs() throws {
        let scratch = try Scratch("serin-places")
        defer { scratch.remove() }
        mkdir(scratch.file("full"), 0o700)
        try scratch.write("full/.mine", "precious")
        try scratch.write("file", "precious")
        #expect(symlink(scratch.file("file"), scratch.file("link")) == 0)
        for (path, kind, words) in [
            ("relative/folder", FailureClass.invalid, "not an absolute path"),
            (scratch.file("full/../other"), .invalid, "without \"..\""), (scratch.file("full"), .conflict, "it is not empty"),
            (scratch.file("none/folder"), .invalid, "No such file"), (scratch.file("file"), .invalid, "Not a directory"),
            (scratch.file("link"), .invalid, "Not a directory"),
        ] {
            do throws(Failure) {
                _ = try RestorePlace(path)
                Issue.record("\(path) was taken")
            } catch { #expect(error.kind == kind && error.message.contains(words), "\(path): \(error)") }
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: scratch.path).sorted()
        #expect(left == ["file", "full", "link"], "nothing was made")
        #expect(access(scratch.file("full/.mine"), F_OK) == 0)
    }

    @Test func whatWasBegunIsRemovedUnlessItIsKept() throws {
        let scratch = try Scratch("serin-places")
        defer { scratch.remove() }
        let (own, given) = (scratch.file("own"), scratch.file("given"))
        mkdir(given, 0o700)
        for isKept in [false, true] {
            for path in [own, given] {
                let place = try RestorePlace(path)
                _ = try place.folder("data")
                if isKept { place.keep() }
            }
            // A folder that was there stays, empty as it was.
            #expect((access(own, F_OK) == 0) == isKept)
            #expect(access(given, F_OK) == 0 && (access(given + "/data", F_OK) == 0) == isKept)
        }
    }
}
