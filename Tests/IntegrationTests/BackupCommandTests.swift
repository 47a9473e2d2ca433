import FoundationEssentials
import Glibc
import SerinAPI
import SerinLocks
import SerinModel
import SerinPorts
import SerinProcesses
import SerinSQLite
import Testbed
import Testing

@testable import SerinCommandLine

/// The verbs of backups with everything real: files into a folder, encrypted, and back.
@Suite struct BackupCommandTests {
    private func folder() throws -> String {
        var template = Array("/tmp/serin-backup-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func write(_ text: String, to path: String) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        _ = Glibc.write(descriptor, text, text.utf8.count)
        close(descriptor)
    }

    private func run(_ state: String, _ arguments: String...) async -> (code: ExitCode, output: String, messages: String) {
        let output = Locked("")
        let messages = Locked("")
        let console = Console(
            writeData: { text in output.withLock { $0 += text } }, writeMessage: { text in messages.withLock { $0 += text } })
        let (signals, _) = AsyncStream.makeStream(of: Int32.self)
        let environment = ["SERIN_STATE": state, "PATH": "/usr/bin:/bin"]
        let program = CommandLineProgram(
            assembly: .production(environment: environment, output: Output()), console: console, environment: environment,
            interruptions: signals,
            endNow: { _ in })
        let code = await program.run(["backup"] + arguments)
        return (code, output.withLock { $0 }, messages.withLock { $0 })
    }

    private func objects(in folder: String) -> [String] {
        var found: [String] = []
        guard let listing = opendir(folder) else { return [] }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name.hasPrefix(".") { continue }
            let path = "\(folder)/\(name)"
            if path.hasSuffix(".backup") { found.append(path) } else { found += objects(in: path) }
        }
        return found
    }

    @Test func aBackupIsMadeListedVerifiedImportedAndFoundDamaged() async throws {
        let folder = try folder()
        mkdir("\(folder)/data", 0o700)
        write("orders\n", to: "\(folder)/data/orders.csv")
        write(String(repeating: "k", count: 44), to: "\(folder)/key")
        let plan = "\(folder)/plan.yaml"
        write(
            """
            version: 1
            target: shop-files
            source: {files: {paths: ["\(folder)/data"]}}
            destinations: {local: {folder: {path: "\(folder)/store"}}}
            encryption: {key_file: "\(folder)/key"}
            retention: {keep_all: 14d}
            schedules: [{every: 24h}]
            """, to: plan)
        let state = "\(folder)/state"
        #expect(await run(state, "check", plan).code == .ok)
        let made = await run(state, "create", plan, "--scheduled")
        #expect(made.code == .ok, "\(made.messages)")
        let again = await run(state, "create", plan, "--scheduled")
        #expect(again.code == .ok)
        #expect(again.messages.contains("nothing is due"))
        #expect(await run(state, "list").output.contains("available"))
        let verified = await run(state, "verify", plan)
        #expect(verified.code == .ok, "\(verified.messages)")
        #expect(await run(state, "list").output.contains("verified"))
        let check = await run(state, "catalogue", "check", plan)
        #expect(check.code == .ok && check.output == "", "\(check.output)\(check.messages)")
        #expect(await run(state, "prune", plan).code == .ok)

        // A machine that has only the plan and the key.
        let other = "\(folder)/other"
        #expect(await run(other, "import", plan).code == .ok)
        #expect(await run(other, "verify", plan, "--due").code == .ok)
        #expect(await run(other, "list").output.contains("verified"))

        let object = try #require(objects(in: "\(folder)/store").first)
        let descriptor = open(object, O_RDWR)
        pwrite(descriptor, "XXXX", 4, 40)
        close(descriptor)
        #expect(await run(state, "verify", plan).code == .verificationFailed)
        #expect(await run(state, "list").output.contains("quarantined"))
        let after = await run(state, "show", "latest")
        #expect(after.code == .usage, "nothing that is bad is ever the latest")
    }

    /// A plan with two folders, a key and a file to back up.
    private func pair(_ folder: String, encryption: String? = nil) -> String {
        mkdir("\(folder)/data", 0o700)
        write("orders\n", to: "\(folder)/data/orders.csv")
        write(String(repeating: "k", count: 44), to: "\(folder)/key")
        let plan = "\(folder)/plan.yaml"
        write(
            """
            version: 1
            target: shop-files
            source: {files: {paths: ["\(folder)/data"]}}
            destinations: {near: {folder: {path: "\(folder)/near"}}, far: {folder: {path: "\(folder)/far"}}}
            encryption: \(encryption ?? "{key_file: \"\(folder)/key\"}")
            retention: {keep_all: 14d}
            schedules: [{every: 24h}]
            verify: {every: 7d}
            """, to: plan)
        return plan
    }

    private func spoil(_ object: String) {
        let descriptor = open(object, O_RDWR)
        pwrite(descriptor, "XXXX", 4, 40)
        close(descriptor)
    }

    @Test func afterAnImportOneGoodCopyIsEnoughAndTheBadOneIsToldAndMadeAgain() async throws {
        let folder = try folder()
        let plan = pair(folder)
        #expect(await run("\(folder)/state", "create", plan).code == .ok)
        spoil(try #require(objects(in: "\(folder)/near").first))
        let other = "\(folder)/other"
        let imported = await run(other, "import", plan)
        // The register beside the objects says that nothing was held.
        #expect(imported.code == .ok && !imported.messages.contains("no register says"), "\(imported.messages)")
        let verified = await run(other, "verify", plan, "--due")
        #expect(verified.code == .verificationFailed, "\(verified.messages)")
        #expect(verified.messages.contains("at near is BAD; that at far is usable"), "\(verified.messages)")
        #expect(verified.messages.contains("at far is good"), "\(verified.messages)")
        let listed = await run(other, "list").output
        #expect(listed.contains("verified") && listed.contains("near:damaged far:verified"), "\(listed)")
        #expect(await run(other, "verify", plan, "--due").messages.contains("nothing is due"))
        let copied = await run(other, "copy", plan, "--missing")
        #expect(copied.code == .ok, "\(copied.messages)")
        #expect(await run(other, "list").output.contains("near:confirmed"))
        let check = await run(other, "catalogue", "check", plan)
        #expect(check.code == .ok, "\(check.output)\(check.messages)")
        #expect(await run(other, "create", plan).code == .ok)
        #expect(await run(other, "catalogue", "check", plan).code == .ok)
    }

    @Test func copiesThatWereMadeLaterLeaveTheManifestsInOrder() async throws {
        let folder = try folder()
        let plan = pair(folder)
        let state = "\(folder)/state"
        // The second destination came later.
        let first = "\(folder)/first.yaml"
        let text = try String(contentsOfFile: plan, encoding: .utf8)
        write(text.replacing(", far: {folder: {path: \"\(folder)/far\"}}", with: ""), to: first)
        #expect(await run(state, "create", first).code == .ok)
        #expect(await run(state, "create", plan).code == .ok)
        let copied = await run(state, "copy", plan, "--missing")
        #expect(copied.code == .ok, "\(copied.messages)")
        for _ in 0..<2 {
            let check = await run(state, "catalogue", "check", plan)
            #expect(check.code == .ok && check.output == "", "\(check.output)\(check.messages)")
            #expect(await run(state, "create", plan).code == .ok)
        }
    }

    @Test func aManifestThatIsGoneCondemnsNothingAndIsWrittenAgain() async throws {
        let folder = try folder()
        let plan = pair(folder)
        let state = "\(folder)/state"
        for _ in 0..<3 { #expect(await run(state, "create", plan).code == .ok) }
        let manifests = objects(in: "\(folder)/near").sorted().map { "\($0).manifest.json" }
        let middle = try #require(manifests.dropFirst().first)
        let before = try String(contentsOfFile: middle, encoding: .utf8)
        unlink(middle)
        #expect(await run(state, "catalogue", "check", plan).code == .verificationFailed)
        for _ in 0..<6 { _ = await run(state, "verify", plan, "--due") }
        #expect(!(await run(state, "list").output.contains("quarantined")))
        #expect(try String(contentsOfFile: middle, encoding: .utf8) == before, "the very bytes, so that the chain holds")
        let check = await run(state, "catalogue", "check", plan)
        #expect(check.code == .ok, "\(check.output)\(check.messages)")
    }

    @Test func aDiskThatIsNotMountedTakesNoBackupAndCondemnsNone() async throws {
        let folder = try folder()
        let plan = pair(folder)
        let state = "\(folder)/state"
        #expect(await run(state, "create", plan).code == .ok)
        rename("\(folder)/near", "\(folder)/unplugged")
        for isThere in [false, true] {
            if isThere { mkdir("\(folder)/near", 0o700) }
            let refused = await run(state, "create", plan)
            #expect(refused.code == .refused && refused.messages.contains("is its disk mounted"), "\(refused.messages)")
            #expect((access("\(folder)/near", F_OK) == 0) == isThere, "nothing is made in its place")
            let unread = await run(state, "verify", plan, "--from", "near")
            #expect(unread.code == .unexpected && unread.messages.contains("says nothing about it"), "\(unread.messages)")
        }
        rmdir("\(folder)/near")
        rename("\(folder)/unplugged", "\(folder)/near")
        #expect(await run(state, "list").output.contains("near:confirmed"))
        #expect(await run(state, "create", plan).code == .ok)
    }

    @Test func plansOfOneFolderDoNotDisturbEachOther() async throws {
        let folder = try folder()
        let plan = pair(folder)
        let state = "\(folder)/state"
        #expect(await run(state, "create", plan).code == .ok)
        let text = try String(contentsOfFile: plan, encoding: .utf8)
        write(String(repeating: "z", count: 44), to: "\(folder)/key2")
        let second = "\(folder)/second.yaml"
        write(
            text.replacing("shop-files", with: "other-files").replacing("\(folder)/key\"", with: "\(folder)/key2\""), to: second)
        #expect(await run(state, "create", second).code == .ok)
        for name in [plan, second] {
            let check = await run(state, "catalogue", "check", name)
            #expect(check.code == .ok && check.output == "", "\(check.output)\(check.messages)")
            #expect(await run("\(folder)/other", "import", name).code == .ok)
        }
    }

    @Test func anImportMakesNoKeyAndSaysWhichIsMissing() async throws {
        let folder = try folder()
        let plan = pair(folder, encryption: "{profile: none, reason: test}")
        let state = "\(folder)/state"
        #expect(await run(state, "create", plan).code == .ok)
        let other = "\(folder)/other"
        let refused = await run(other, "import", plan)
        #expect(refused.code != .ok && refused.messages.contains("manifest.key"), "\(refused.messages)")
        #expect(access("\(other)/backups/manifest.key", F_OK) != 0)
        let key = try String(contentsOfFile: "\(state)/backups/manifest.key", encoding: .utf8)
        write(key, to: "\(other)/backups/manifest.key")
        #expect(await run(other, "import", plan).code == .ok)
    }

    @Test func aHoldSaysItsEnd() async throws {
        let folder = try folder()
        let plan = pair(folder)
        let state = "\(folder)/state"
        #expect(await run(state, "create", plan).code == .ok)
        let held = await run(state, "hold", "latest", "--for", "30d", "--reason", "a look")
        #expect(held.code == .ok && held.output.contains("held until 2"), "\(held.output)")
        let page = await run(state, "show", "latest").output
        #expect(page.contains("for a time: a look, until 2") && !page.contains("permanent"), "\(page)")
    }

    @Test func whatWasFoundBadLastIsNamedWithTheWayToReadItAgain() async throws {
        let folder = try folder()
        let plan = pair(folder)
        let state = "\(folder)/state"
        #expect(await run(state, "create", plan).code == .ok)
        let object = try #require(objects(in: "\(folder)/near").first)
        let good = try Data(contentsOf: URL(filePath: object))
        for place in ["near", "far"] {
            for object in objects(in: "\(folder)/\(place)") { spoil(object) }
            _ = await run(state, "verify", plan, "latest", "--from", place)
        }
        let id = try #require(await run(state, "list", "--all").output.split(separator: "\n").dropFirst().first?.prefix(36))
        let none = await run(state, "verify", plan, "latest", "--from", "far")
        #expect(none.code == .usage && none.messages.contains("the newest, \(id), was found bad at far"), "\(none.messages)")
        #expect(none.messages.contains("serin backup verify PLAN \(id) --from far reads it again"), "\(none.messages)")
        // It was the place: the same bytes are there again.
        try good.write(to: URL(filePath: object))
        #expect(await run(state, "verify", plan, String(id), "--from", "near").code == .ok)
        #expect(await run(state, "verify", plan, "latest").code == .ok)
    }

    @Test func anExportSaysTheWholePathAndWhichKeyIsMissing() async throws {
        let folder = try folder()
        let plan = pair(folder)
        let state = "\(folder)/state"
        #expect(await run(state, "create", plan).code == .ok)
        let made = await run(state, "export", plan, "latest", "--to", "../../../../../\(folder)/out", "--reason", "a look")
        #expect(made.code == .ok && made.output.hasPrefix("/"), "\(made.output)\(made.messages)")
        rename("\(folder)/key", "\(folder)/lost")
        let stored = await run(state, "export", plan, "latest", "--stored", "--to", "\(folder)/two", "--reason", "a look")
        #expect(stored.code != .ok && stored.messages.contains("what seals those cannot be used"), "\(stored.messages)")
        #expect(stored.messages.contains("\(folder)/key"), "\(stored.messages)")
        #expect(access("\(folder)/two", F_OK) != 0)
    }

    @Test func aRegisterThatIsNotBelievedIsFoundBeforeABackupIsMade() async throws {
        let folder = try folder()
        let plan = pair(folder)
        let state = "\(folder)/state"
        #expect(await run(state, "check", plan).output.contains("register") == false)
        #expect(await run(state, "create", plan).code == .ok)
        write(String(repeating: "n", count: 44), to: "\(folder)/new")
        let text = try String(contentsOfFile: plan, encoding: .utf8)
        write(text.replacing("\(folder)/key\"", with: "\(folder)/new\""), to: plan)
        let check = await run(state, "check", plan)
        #expect(check.code == .ok && check.output.contains("register near"), "\(check.output)")
        #expect(check.output.contains("encryption.former_key_files"), "\(check.output)")
        let made = await run(state, "create", plan)
        let said = try #require(made.messages.range(of: "warning: register near"), "\(made.messages)")
        let dump = try #require(made.messages.range(of: " dump\n"), "\(made.messages)")
        #expect(made.code == .ok && said.lowerBound < dump.lowerBound, "\(made.messages)")
        write(
            text.replacing("key_file:", with: "former_key_files: [\"\(folder)/key\"], key_file:").replacing(
                "key_file: \"\(folder)/key\"", with: "key_file: \"\(folder)/new\""), to: plan)
        #expect(await run(state, "check", plan).output.contains("register") == false)
    }

    @Test func aDaemonThatStopsInItsFirstBackupSaysSoAndNothingOfAFailure() async throws {
        let folder = try folder()
        let plan = "\(folder)/plan.yaml"
        write(String(repeating: "k", count: 44), to: "\(folder)/key")
        mkdir("\(folder)/store", 0o700)
        write(
            """
            version: 1
            target: shop
            source: {command: {run: [/bin/sh, -c, "echo a few bytes; touch \(folder)/begun; test -e \(folder)/short || exec sleep 60"]}}
            destinations: {near: {folder: {path: "\(folder)/store"}}}
            encryption: {key_file: "\(folder)/key"}
            schedules: [{every: 24h}]
            notify: {run: [/bin/sh, -c, "cat >> \(folder)/told"]}
            """, to: plan)
        let state = "\(folder)/state"
        let environment = ["PATH": "/usr/bin:/bin", "SERIN_STATE": state, "SWIFT_BACKTRACE": "enable=no"]
        func daemon(_ log: String) throws -> ServerProcess {
            try ServerProcess(
                try Scene.program(), ["daemon", "--backup", plan], environment: environment, log: "\(folder)/\(log)")
        }
        let first = try daemon("first.log")
        defer { first.stop() }
        try await waitUntil("the backup; the daemon said: \(first.logTail(4000))", within: .seconds(60)) {
            access("\(folder)/begun", F_OK) == 0
        }
        first.signal(SIGTERM)
        try await waitUntil("the end of the daemon", within: .seconds(30)) { !first.isRunning }
        let said = first.logTail(8000)
        #expect(first.exitStatus == 0 && said.contains("serin is stopping"), "\(said)")
        for word in ["mounted", "given up after", "no backup of", "is empty"] { #expect(!said.contains(word), "\(said)") }
        #expect(access("\(folder)/told", F_OK) != 0, "nobody is called for that")
        #expect(await run(state, "list", "--all").output.contains("interrupted"))
        #expect(await run(state, "show", try #require(await identifier(state))).output.contains("was interrupted"))
        #expect(await run(state, "metrics", plan).output.contains(/backup_failure_total\{.*\} 0\n/))
        // It is made as soon as somebody runs again, and the folder is as good as before.
        write("", to: "\(folder)/short")
        let second = try daemon("second.log")
        defer { second.stop() }
        try await waitUntil("the backup; the daemon said: \(second.logTail(4000))", within: .seconds(60)) {
            second.logTail(8000).contains("is stored and read back")
        }
        #expect(!second.logTail(8000).contains("mounted"), "\(second.logTail(8000))")
    }

    private func identifier(_ state: String) async -> String? {
        await run(state, "list", "--all").output.split(separator: "\n").dropFirst().first.map { String($0.prefix(36)) }
    }

    /// Two users of one state folder; only root can be several.
    @Test(.enabled(if: geteuid() == 0)) func aStateFolderIsUsedByItsOwnerAndNobodyElseIsShutOut() async throws {
        let folder = try folder()
        chmod(folder, 0o755)
        let plan = pair(folder)
        for path in ["state", "near", "far"] {
            mkdir("\(folder)/\(path)", 0o755)
            chown("\(folder)/\(path)", 65_534, 65_534)
        }
        for path in ["data", "data/orders.csv", "key", "plan.yaml"] { chown("\(folder)/\(path)", 65_534, 65_534) }
        let state = "\(folder)/state"
        // Root is told before anything is begun what to do.
        for arguments in [["create", plan], ["check", plan], ["verify", plan]] {
            let refused = await run(state, arguments)
            #expect(refused.code == .refused, "\(arguments): \(refused.messages)")
            #expect(refused.messages.contains("belongs to nobody") && refused.messages.contains("sudo -u nobody serin"))
        }
        #expect(access("\(state)/backups", F_OK) != 0 && objects(in: "\(folder)/near").isEmpty)
        // What it may do leaves nothing that its owner cannot use.
        #expect(await run(state, "list").code == .ok)
        func owner(_ path: String) -> UInt32? {
            var status = stat()
            return stat(path, &status) == 0 ? status.st_uid : nil
        }
        #expect(owner("\(state)/catalogue.db") == 65_534)
        func serin(_ user: String, _ arguments: String...) async throws -> Completion {
            try await Program(
                "setpriv", ["--reuid=\(user)", "--regid=\(user)", "--clear-groups", "--", try Scene.program()] + arguments,
                environment: ["PATH": "/usr/bin:/bin", "SERIN_STATE": state, "HOME": "/nonexistent"], deadline: .seconds(60)
            ).run()
        }
        // Nor does it control rollouts there; a halt is never refused, and its owner can take the file away.
        let service = try #require(ServiceName("checkout"))
        #expect(throws: Failure.self) { try StateRoot(path: state).create(for: service) }
        #expect(access("\(state)/checkout", F_OK) != 0)
        mkdir("\(state)/checkout", 0o700)
        write("", to: "\(state)/checkout/journal.sqlite")
        for path in ["checkout", "checkout/journal.sqlite"] { chown("\(state)/\(path)", 65_534, 65_534) }
        #expect(throws: StoreError.self) {
            try ServiceLock.acquire(StateFolder(under: state, service: service), purpose: "serin tests").release()
        }
        let halt = try await serin("0", "halt", "checkout", "--reason", "payments fail")
        #expect(halt.text.contains("left the halt file") && access("\(state)/checkout/halt", F_OK) == 0, "\(halt.text)")
        #expect(owner("\(state)/checkout/lock") == nil)
        let made = try await serin("65534", "backup", "create", plan)
        #expect(made.termination == .exited(0), "\(made.text)")
        let stranger = try await serin("1", "backup", "list")
        #expect(stranger.termination == .exited(7), "\(stranger.text)")
        #expect(stranger.text.contains("belongs to nobody") && stranger.text.contains("--state"), "\(stranger.text)")
        // Whose file stands in the way is said, too, where the folder is open to all.
        chmod(state, 0o777)
        let other = try await serin("1", "backup", "list")
        #expect(other.termination == .exited(7) && other.text.contains("catalogue.db: it belongs to nobody"), "\(other.text)")
        let again = try await serin("65534", "backup", "create", plan)
        #expect(again.termination == .exited(0), "\(again.text)")
        // What was left by an older mistake is named with what helps.
        chown("\(state)/backups", 0, 0)
        let shut = try await serin("65534", "backup", "create", plan)
        #expect(shut.termination == .exited(7) && shut.text.contains("chown -R 65534 \(state)/backups"), "\(shut.text)")
    }

    private func run(_ state: String, _ arguments: [String]) async -> (code: ExitCode, output: String, messages: String) {
        switch arguments.count {
        case 1: await run(state, arguments[0])
        default: await run(state, arguments[0], arguments[1])
        }
    }
}
