import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import Testbed
import Testing

/// The file that an object is written to.
@Suite(.serialized) struct EnvelopeFileTests {
    @Test func theObjectIsItsOwnersAloneAndAppearsOnlyWhenComplete() throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        let path = fixture.scratch.file("object")
        let writer = try EnvelopeWriter(path, EnvelopeSettings(iterations: 10_000), key: .keyFile(fixture.keyFile))
        try EnvelopeFixture.sample(3_000_000).withUnsafeBytes { try writer.write($0) }
        #expect(access(path, F_OK) != 0)
        let partial = try #require(names(fixture).first { $0.hasSuffix(EnvelopeWriter.partialSuffix) })
        #expect(partial.hasPrefix(".object."))
        _ = try writer.finish()
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(names(fixture).sorted() == ["key", "object"])
    }

    @Test func anObjectIsWrittenOnce() throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        let early = try EnvelopeWriter(
            fixture.scratch.file("object"), EnvelopeSettings(iterations: 10_000), key: .keyFile(fixture.keyFile))
        let facts = try fixture.write([1, 2, 3], to: "object", .enc1)
        let late = #expect(throws: EnvelopeFailure.self) { try fixture.write([4], to: "object", .enc1) }
        #expect(late?.reason == .exists)
        // One that was begun before the other was finished must not replace it either.
        let second = #expect(throws: EnvelopeFailure.self) { try early.finish() }
        #expect(second?.reason == .exists)
        #expect(fixture.read("object", facts).bytes == [1, 2, 3])
        #expect(names(fixture).sorted() == ["key", "object"])
    }

    @Test func whatIsNotFinishedIsRemoved() throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        do {
            let writer = try EnvelopeWriter(
                fixture.scratch.file("object"), EnvelopeSettings(.none), key: .unencrypted)
            try EnvelopeFixture.sample(100_000).withUnsafeBytes { try writer.write($0) }
            #expect(names(fixture).count == 2)
        }
        #expect(names(fixture) == ["key"])
    }

    @Test func aFullDiskIsCalledThatAndLeavesNothing() async throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        let isRoot = geteuid() == 0
        var before = rlimit()
        if isRoot {
            _ = try await fixture.run("mkdir small && mount -t tmpfs -o size=1m none small")
        } else {
            mkdir(fixture.scratch.file("small"), 0o700)
            signal(SIGXFSZ, SIG_IGN)
            getrlimit(__rlimit_resource_t(1), &before)
            var small = rlimit(rlim_cur: 1 << 20, rlim_max: before.rlim_max)
            setrlimit(__rlimit_resource_t(1), &small)
        }
        let failure = #expect(throws: EnvelopeFailure.self) {
            try fixture.write(EnvelopeFixture.sample(4_000_000), to: "small/object", .enc1)
        }
        if !isRoot { setrlimit(__rlimit_resource_t(1), &before) }
        #expect(failure?.reason == .noSpace)
        #expect(failure?.failure.hint?.contains("make room") == true)
        #expect(try await fixture.run("ls -A small").isEmpty)
        if isRoot { _ = try await fixture.run("umount small") }
    }

    @Test func theFailureOfWhoTakesThePlainBytesComesBackAsItIs() throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        let facts = try fixture.write(EnvelopeFixture.sample(100_000), to: "object", .gcm1)
        let reader = try EnvelopeReader(facts, identities: [.keyFile(fixture.keyFile)])
        let gone = Failure(.transient, "pg_restore went away")
        let failure = #expect(throws: EnvelopeFailure.self) {
            try reader.read(fixture.scratch.file("object")) { (_) throws(Failure) in throw gone }
        }
        #expect(failure?.reason == .stream)
        #expect(failure?.failure == gone)
    }

    @Test func onlyTheChunkedProfileIsReadAsItComes() throws {
        let fixture = try EnvelopeFixture()
        defer { fixture.scratch.remove() }
        let plain = EnvelopeFixture.sample(2_500_000)
        let facts = try fixture.write(plain, to: "object", .gcm1)
        let opening = try EnvelopeReader(facts, identities: [.keyFile(fixture.keyFile)]).streaming()
        var bytes: [UInt8] = []
        let stored = try fixture.bytes("object")
        for start in stride(from: 0, to: stored.count, by: 7001) {
            try Array(stored[start..<min(start + 7001, stored.count)]).withUnsafeBytes { try opening.write($0) { bytes += $0 } }
        }
        try opening.finish { bytes += $0 }
        #expect(bytes == plain)
        let whole = try fixture.write(plain, to: "whole", .enc1)
        #expect(throws: EnvelopeFailure.self) {
            try EnvelopeReader(whole, identities: [.keyFile(fixture.keyFile)]).streaming()
        }
    }

    private func names(_ fixture: EnvelopeFixture) -> [String] {
        guard let folder = opendir(fixture.scratch.path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}
