import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinProcesses
import Testbed
import Testing

/// Files and tar archives.
@Suite struct FilesSourceTests {
    @Test func filesComeBackWithTheirRightsLinksAndLongNames() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let long = String(repeating: "a-long-name-", count: 12)
        _ = fixture.folder("etc")
        _ = try await fixture.run(
            """
            cd etc && mkdir -p \(long)/\(long) empty && echo deep > \(long)/\(long)/file && printf x > one && chmod 640 one \
            && ln -s /usr/share/zoneinfo/UTC time && ln -s one near && head -c 100000 /dev/urandom > big && echo no > skip.tmp
            """)
        let source = FilesBackupSource(
            FilesSource(paths: [fixture.scratch.file("etc")], exclude: ["*.tmp"]), environment: fixture.environment)
        let probe = try await fixture.probe(source)
        let (bytes, product) = try await fixture.produce(source)
        #expect((probe.sizeEstimate ?? 0) > 100_000 && (probe.sizeEstimate ?? 0) <= Int64(bytes.count))
        let findings = try await fixture.examine(source, bytes, product)
        #expect(findings.passed)
        let cut = try await fixture.examine(source, Array(bytes.dropLast(1024)), product)
        #expect(!cut.passed)

        let target = fixture.folder("back")
        let restored = try await fixture.restore(source, bytes, product, .folder(target))
        #expect(restored.passed)
        let difference = try await fixture.run(
            "diff -r --no-dereference -x skip.tmp etc back/\(fixture.scratch.path)/etc && echo same")
        #expect(difference == "same")
        let mode = try await fixture.run("stat -c %a back/\(fixture.scratch.path)/etc/one")
        #expect(mode == "640")
        let skipped = try await fixture.run("find back -name skip.tmp")
        #expect(skipped.isEmpty)
    }

    @Test func namesThatAreNoUTF8ComeBackToTheByte() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        _ = fixture.folder("etc")
        // Latin-1, one over the room of a header, and two spellings of one accent.
        _ = try await fixture.run(
            """
            cd etc && bad=$(printf 'bad\\377\\376name') cafe=$(printf 'caf\\351') && printf z > "$bad" \
            && mkdir "$cafe" && echo inside > "$cafe/inside" && ln -s "$cafe" near && ln -s "$bad" "$cafe/link" \
            && long=$(printf '\\351%0120d' 0) && echo long > "$long" && ln -s "$long" far \
            && echo one > "$(printf 'e\\314\\201')" && echo two > "$(printf '\\303\\251')" && echo odd > "$(printf 'a\\\\b\\nc')"
            """)
        let source = FilesBackupSource(FilesSource(paths: [fixture.scratch.file("etc")]), environment: fixture.environment)
        _ = try await fixture.probe(source)
        let (bytes, product) = try await fixture.produce(source)
        let findings = try await fixture.examine(source, bytes, product)
        #expect(findings.passed, "\(findings.checks)")
        let restored = try await fixture.restore(source, bytes, product, .folder(fixture.folder("back")))
        #expect(restored.passed)
        let place = "back/\(fixture.scratch.path)/etc"
        #expect(try await fixture.run("diff -r --no-dereference etc \(place) && find \(place) | wc -l") == "12")
        #expect(try await fixture.run("readlink \(place)/near | od -An -tx1") == " 63 61 66 e9 0a")

        // What is cut short is removed again, whatever its names.
        let cut = await fixture.failure {
            _ = try await fixture.restore(source, Array(bytes.dropLast(1024)), product, .folder(fixture.folder("cut")))
        }
        #expect(cut != nil)
        #expect(try await fixture.run("find cut -mindepth 1 | wc -l") == "0")
        // A name that cannot be written says which.
        _ = try await fixture.run("mkfifo \"etc/$(printf 'pipe\\351')\"")
        let refused = await fixture.failure { _ = try await fixture.produce(source) }
        #expect(refused?.contains("pipe\\xe9: it is a device") == true, "\(refused ?? "")")
    }

    @Test func pipesAreRefusedAndNothingThereIsNoBackup() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        _ = fixture.folder("etc")
        let source = FilesBackupSource(FilesSource(paths: [fixture.scratch.file("etc")]), environment: fixture.environment)
        let empty = await fixture.failure { _ = try await fixture.probe(source) }
        #expect(empty?.contains("nothing is there") == true)
        _ = try await fixture.run("mkfifo etc/pipe")
        let pipe = await fixture.failure { _ = try await fixture.produce(source) }
        #expect(pipe?.contains("device, pipe or socket") == true)
        let relative = FilesBackupSource(FilesSource(paths: ["etc"]), environment: fixture.environment)
        let refused = await fixture.failure { _ = try await fixture.probe(relative) }
        #expect(refused?.contains("not an absolute path") == true)
    }

    @Test func archivesThatLeadOutsideAreNeverUnpacked() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        _ = try await fixture.run("mkdir in && ln -s /tmp in/link && echo evil > payload && mkfifo in/pipe")
        let source = FilesBackupSource(FilesSource(paths: ["/"]), environment: fixture.environment)
        let product = SourceProduct(tool: .init(name: "serin", version: "ustar", format: "tar"))
        let recipes = [
            "absolute": "tar -P -cf bad.tar \(fixture.scratch.path)/payload",
            "parent": "cd in && tar -P -cf ../bad.tar ../payload",
            "parent beside an accent": """
            d=$(printf '\\314\\201')d && mkdir -p "$d" && echo evil > "$d/f" && cd in && tar -P -cf ../bad.tar "../$d/f"
            """,
            "below a link": "tar -cf bad.tar -C in link && tar -rf bad.tar --transform 's|payload|link/payload|' payload",
            "pipe": "tar -cf bad.tar -C in pipe",
            "twice": "tar -cf bad.tar payload && tar -rf bad.tar payload",
        ]
        for (name, recipe) in recipes.sorted(by: { $0.key < $1.key }) {
            _ = try await fixture.run(recipe)
            let bytes = try contents(fixture.scratch.file("bad.tar"))
            let findings = try await fixture.examine(source, bytes, product)
            #expect(!findings.passed, "\(name)")
            let target = fixture.folder("out")
            let refused = await fixture.failure { _ = try await fixture.restore(source, bytes, product, .folder(target)) }
            #expect(refused?.contains("the archive holds") == true, "\(name): \(refused ?? "unpacked")")
            let left = try await fixture.run("find out -mindepth 1")
            #expect(left.isEmpty, "\(name): \(left)")
        }
    }

    private func contents(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY)
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let count = read(file, &buffer, buffer.count)
        return Array(buffer.prefix(max(0, count)))
    }
}
