import Glibc
import SerinAPI
import SerinBackups
import SerinCatalogue
import SerinLocks
import SerinModel
import SerinPorts
import Testing

@testable import SerinCommandLine

@Suite struct BackupVerbTests {
    private let day = Duration.hours(24)

    private func now() -> Instant { SystemClock().now() }

    @Test func theGroupsPageListsItsVerbsAndTheirExitCodes() async throws {
        let program = try TestProgram()
        for arguments in [["backup"], ["backup", "--help"], ["help", "backup"]] {
            #expect(await program.run(arguments) == .ok)
            let page = program.takeOutput()
            #expect(page.contains("catalogue check"))
            #expect(page.contains("8 a check failed"))
        }
        #expect(await program.run(["backup", "create", "--help"]) == .ok)
        #expect(program.takeOutput().contains("--scheduled"))
        #expect(await program.run(["help", "backup", "catalogue", "check"]) == .ok)
        #expect(program.takeOutput().contains("compare the catalogue"))
        #expect(await program.run(["backup", "creat", "x"]) == .usage)
        #expect(program.messages.withLock { $0 }.contains("did you mean serin backup create?"))
    }

    @Test func backupsAreListedTheNewestFirstAndInEveryForm() async throws {
        let program = try TestProgram()
        let old = try await program.backups.add(1, now() - day * 3)
        let new = try await program.backups.add(2, now() - .hours(1), purpose: "bad\u{1B}[31m")
        #expect(await program.run(["backup", "list"]) == .ok)
        let lines = program.takeOutput().split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines[1].hasPrefix("\(new)") && lines[2].hasPrefix("\(old)"))
        #expect(lines[1].contains("2.9 KiB") && lines[1].contains("available") && lines[1].contains("local:confirmed"))
        #expect(await program.run(["backup", "list", "-o", "jsonl"]) == .ok)
        #expect(program.takeOutput().split(separator: "\n").count == 2)
        #expect(await program.run(["backup", "list", "-o", "json", "--kind", "redis_rdb"]) == .ok)
        #expect(program.takeOutput() == #"{"backups":[],"schema":"serin.dev/backups/v1"}"# + "\n")
        #expect(await program.run(["backup", "show", "latest"]) == .ok)
        #expect(program.takeOutput().contains("purpose        bad\\u{1b}[31m"))
        #expect(await program.run(["backup", "stats", "-o", "yaml"]) == .ok)
        #expect(program.takeOutput().contains("total_size: 6000"))
        #expect(await program.run(["backup", "show", "ffffffff"]) == .usage)
    }

    @Test func theLatestIsTheDumpAndNotTheRolesThatGoWithIt() async throws {
        let program = try TestProgram()
        let roles = try await program.backups.add(3, now() - .hours(3), kind: .globals)
        #expect(await program.run(["backup", "show", "latest"]) == .ok)
        #expect(program.takeOutput().contains("\(roles)"))
        let dump = try await program.backups.add(1, now() - .hours(2))
        _ = try await program.backups.add(2, now() - .hours(1), kind: .globals)
        #expect(await program.run(["backup", "show", "latest"]) == .ok)
        #expect(program.takeOutput().contains("\(dump)"))
        #expect(await program.run(["backup", "hold", "latest", "--legal", "--reason", "case 42"]) == .ok)
        let held = try await program.backups.catalogue.state().records.filter { !$0.holds.isEmpty }.map(\.id)
        #expect(held == [dump])
    }

    @Test func aCheckSaysWhatAToolHasRemovedAndWhenThatIsNotKnown() async throws {
        let program = try TestProgram()
        let id = try await program.backups.add(1, now() - .hours(1))
        let plan = program.policy()
        program.backups.expired.withLock { $0 = .failure(Failure(.transient, "the repository does not answer")) }
        #expect(await program.run(["backup", "catalogue", "check", plan, "--destination", "none"]) == .unexpected)
        #expect(program.messages.withLock { $0 }.contains("is not known: the repository does not answer"))
        #expect(try await program.backups.catalogue.state()[id]?.state == .available)
        program.backups.expired.withLock { $0 = .success([id]) }
        #expect(await program.run(["backup", "catalogue", "check", plan, "--destination", "none"]) == .ok)
        #expect(program.takeOutput().contains("the tool's own retention removed it"))
        #expect(try await program.backups.catalogue.state()[id]?.state == .quarantined)
    }

    @Test func anExportNeedsAReasonAndSaysWhatItWrote() async throws {
        let program = try TestProgram()
        let id = try await program.backups.add(1, now() - .hours(1))
        let plan = program.policy()
        #expect(await program.run(["backup", "export", plan, "latest", "--to", "/x/orders.dump"]) == .usage)
        #expect(await program.run(["backup", "export", plan, "latest", "--to", "-", "--reason", "auditors"]) == .usage)
        #expect(await program.run(["backup", "export", plan, "latest", "--to", "/x/orders.dump", "--reason", " "]) == .usage)
        #expect(
            await program.run([
                "backup", "export", plan, "latest", "--to", "/x/orders.dump", "--reason", "auditors", "-o", "json",
            ])
                == .ok)
        #expect(
            program.takeOutput().contains(#""backup":"\#(id)","bytes":9000,"destination":"local","files":["/x/orders.dump"]"#))
        #expect(program.backups.exported.withLock { $0 } == ["auditors"])
    }

    @Test func whyNoBackupWasMadeDecidesTheExitCode() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        #expect(await program.run(["backup", "create", plan]) == .unexpected)
        #expect(program.messages.withLock { $0 }.contains("store: "))
        let busy = Failure(.conflict, "checkout-db is held by serin backup create")
        program.backups.failure.withLock { $0 = BackupRunFailure(.lease, busy) }
        #expect(await program.run(["backup", "create", plan, "-o", "json"]) == .refused)
        #expect(program.takeOutput().contains(#""ok":false,"schema":"serin.dev/backup/v1","stage":"lease""#))
        #expect(program.messages.withLock { $0 }.contains("no backup was begun"))
        #expect(await program.run(["backup", "create", program.policy("wrong")]) == .usage)
        #expect(await program.run(["backup", "check", program.policy()]) == .refused)
        #expect(await program.run(["backup", "check", plan, "--offline"]) == .ok)
    }

    @Test func onlyWhatIsDueIsMadeOnSchedule() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        try await program.backups.add(1, now())
        #expect(await program.run(["backup", "create", plan, "--scheduled"]) == .ok)
        #expect(program.backups.made.withLock { $0 } == [])
        #expect(program.messages.withLock { $0 }.contains("nothing is due; next at "))
        let late = try TestProgram()
        try await late.backups.add(1, now() - day)
        _ = await late.run(["backup", "create", late.policy(), "--scheduled"])
        #expect(late.backups.made.withLock { $0 } == [.logical])
    }

    @Test func whatCouldNotBeReadIsNoFindingAboutABackup() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        try await program.backups.add(1, now())
        #expect(await program.run(["backup", "verify", plan]) == .unexpected)
        #expect(program.messages.withLock { $0 }.contains("which says nothing about it"))
        #expect(await program.run(["backup", "drill", plan]) == .unexpected)
    }

    @Test func nothingTakesALiveDatabasesPlaceWithoutItsNameAndTheApprovals() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        let id = try await program.backups.add(1, now())
        #expect(await program.run(["backup", "restore", plan, "latest", "--swap"]) == .refused)
        #expect(program.messages.withLock { $0 }.contains("--confirm checkout"))
        #expect(await program.run(["backup", "restore", plan, "latest", "--swap", "--confirm", "other"]) == .refused)
        program.backups.approvals.withLock { $0 = 1 }
        let approve = ["backup", "approve", "\(id)", "--reason", "incident 7"]
        #expect(await program.run(approve) == .refused, "nobody has asked for anything")
        let swap = ["backup", "restore", plan, "latest", "--swap", "--confirm", "checkout"]
        #expect(await program.run(swap) == .refused)
        #expect(program.messages.withLock { $0 }.contains("live database checkout (number 16384), backup \(id), plan ab"))
        #expect(await program.run(approve) == .refused, "the person's own approval does not count")
        #expect(await program.run(swap) == .refused)
        #expect(program.backups.permits.withLock { $0 }.isEmpty)
        try await program.approve(id)
        _ = await program.run(swap)
        let permit = try #require(program.backups.permits.withLock { $0 }.last)
        #expect(permit.scope == .swap)
        #expect(permit.approvedBy == [.uid(4711)])
    }

    @Test func anApprovalIsForOneChangeAndUsedUpByIt() async throws {
        let program = try TestProgram()
        let plan = program.policy()
        let id = try await program.backups.add(1, now())
        func side(_ name: String, _ role: SideDatabase.Role) -> SideDatabases.Entry {
            let known = SideDatabase(name: name, number: "1", live: "checkout", role: role, backup: id, at: now())
            return SideDatabases.Entry(name: name, known: known, size: 1, sessions: 0)
        }
        let all = [side("checkout_restore_1", .restored), side("checkout_replaced_1", .replaced)]
        program.backups.sides.withLock { $0 = all }
        program.backups.approvals.withLock { $0 = 1 }
        let merge = ["backup", "merge", plan, "checkout_restore_1", "public.items", "--rows", "3", "--confirm", "checkout"]
        let swap = ["backup", "swap", plan, "checkout_restore_1", "--confirm", "checkout"]
        let undo = ["backup", "swap", plan, "--undo", "--confirm", "checkout"]
        #expect(await program.run(merge) == .refused)
        try await program.approve(id)
        #expect(await program.run(swap) == .refused, "the merge alone was approved")
        #expect(await program.run(merge) == .ok)
        #expect(await program.run(merge) == .refused, "once")
        try await program.approve(id, containing: "swap the restored")
        program.backups.number.withLock { $0 = "20000" }
        #expect(await program.run(swap) == .refused, "another database has the name by now")
        program.backups.number.withLock { $0 = "16384" }
        #expect(await program.run(swap) == .ok)
        #expect(await program.run(swap) == .refused)
        #expect(await program.run(undo) == .refused)
        try await program.approve(id, containing: "take the last swap back")
        #expect(await program.run(undo) == .ok)
        #expect(await program.run(undo) == .refused)
        #expect(
            await program.run(["backup", "approve", "\(id)", "--request", "0123456789ab", "--reason", "r"]) == .refused)
    }

    @Test func numbersThatMeanNothingAreRefused() async throws {
        let program = try TestProgram()
        for limit in ["-1", "0", "x"] {
            #expect(await program.run(["backup", "verify", program.policy(), "--due", "--limit=\(limit)"]) == .usage)
        }
        #expect(await program.run(["backup", "prune", program.policy(), "--agree=-5"]) == .usage)
    }

    @Test func labelsAndTagsAreThoseThatAPlanCouldHave() async throws {
        let program = try TestProgram()
        for words in [["--label", "a b"], ["--label", "a\nb"], ["--tag", "a\nb"], ["--tag", ""]] {
            #expect(await program.run(["backup", "create", program.policy()] + words) == .usage, "\(words)")
        }
        #expect(program.backups.made.withLock { $0 }.isEmpty)
    }

    @Test func theLatestOfSeveralTargetsHasToBeNamed() async throws {
        let program = try TestProgram()
        let id = try await program.backups.add(1, now() - day)
        let other = BackupID(millisecondsSince1970: 2, random: [2])
        try await program.backups.add(2, now(), target: "other-db", id: other)
        let hold = ["backup", "hold", "latest", "--reason", "a look"]
        #expect(await program.run(hold) == .refused)
        #expect(await program.run(["backup", "show", "latest"]) == .refused)
        #expect(program.messages.withLock { $0 }.contains("'latest' could be of checkout-db, other-db"))
        #expect(await program.run(hold + ["--target", FakeBackups.target]) == .ok)
        #expect(try await program.backups.catalogue.state()[id]?.holds.count == 1)
        #expect(try await program.backups.catalogue.state()[other]?.holds.isEmpty == true)
    }

    @Test func aStateFolderThatIsNotThereIsSaidAndNotMade() async throws {
        let program = try TestProgram()
        let typo = program.state.path + "/typo"
        for verb in [["list"], ["stats"], ["expiring"], ["show", "latest"]] {
            #expect(await program.run(["backup"] + verb + ["--state", typo]) == .usage)
        }
        #expect(program.messages.withLock { $0 }.contains("there is no state folder \(typo)"))
        #expect(access(typo, F_OK) != 0)
    }

    @Test func aBackupVerbIsGivenUpAfterItsTimeout() async throws {
        let program = try TestProgram()
        try await program.backups.add(1, now())
        program.backups.hangs.withLock { $0 = true }
        #expect(await program.run(["backup", "create", program.policy(), "--timeout", "1s"]) == .timedOut)
        let messages = program.messages.withLock { $0 }
        #expect(messages.contains("given up after 1s") && messages.contains("older backups are untouched"), "\(messages)")
    }

    @Test func nothingToBackUpIsNoFailure() async throws {
        let program = try TestProgram()
        program.backups.failure.withLock {
            $0 = BackupRunFailure(.preflight, Failure(.conflict, "there is no complete file since then"), isNothing: true)
        }
        #expect(await program.run(["backup", "create", program.policy()]) == .ok)
        #expect(program.messages.withLock { $0 }.contains("nothing to back up: there is no complete file"))
        #expect(await program.run(["backup", "create", program.policy(), "-o", "json"]) == .ok)
        #expect(program.takeOutput().contains(#""backup":null"#))
    }

    @Test func aHoldIsSetAndReleasedWithItsReason() async throws {
        let program = try TestProgram()
        let id = try await program.backups.add(1, now())
        #expect(await program.run(["backup", "hold", "\(id)", "--legal", "--reason", "case 42"]) == .ok)
        #expect(await program.run(["backup", "show", "\(id)"]) == .ok)
        #expect(program.takeOutput().contains("legal: case 42"))
        #expect(await program.run(["backup", "release", "\(id)", "--reason", "done"]) == .refused)
        #expect(await program.run(["backup", "release", "\(id)", "--legal", "--reason", "closed"]) == .ok)
        #expect(try await program.backups.catalogue.state()[id]?.holds.isEmpty == true)
    }

    @Test func metricsComeFromTheCatalogueAlone() async throws {
        let program = try TestProgram()
        try await program.backups.add(1, now() - .hours(2))
        #expect(await program.run(["backup", "metrics", program.policy()]) == .ok)
        let text = program.takeOutput()
        let labels = #"{project="shop",database="checkout-db",kind="logical",destination="local"}"#
        for line in [
            "backup_success_total\(labels) 1", "backup_failure_total\(labels) 0", "backup_duration_seconds\(labels) 90",
            "backup_size_bytes\(labels) 3000", "backup_max_age_seconds\(labels) 25200",
        ] { #expect(text.contains("\n\(line)\n"), "\(text)") }
    }

    @Test func onlyWhatLacksACopyIsCopied() async throws {
        let program = try TestProgram()
        let id = try await program.backups.add(1, now() - .hours(2))
        #expect(await program.run(["backup", "copy", program.policy(), "--missing"]) == .ok)
        #expect(program.backups.copied.withLock { $0 } == [], "its only destination has it")
        #expect(program.messages.withLock { $0 }.contains("by the catalogue every destination has what it should have"))
        #expect(await program.run(["backup", "copy", program.policy()]) == .ok)
        #expect(program.backups.copied.withLock { $0 } == [id])
        #expect(await program.run(["backup", "copy", program.policy(), "--missing", "latest"]) == .usage)
    }

    @Test func whoAsksForTheLatestOfBackupsThatNobodyReadIsToldHowTheyAreRead() async throws {
        let program = try TestProgram()
        _ = try await program.backups.add(1, now() - .hours(1), isRead: false)
        #expect(await program.run(["backup", "show", "latest"]) == .usage)
        let said = program.messages.withLock { $0 }
        #expect(
            said.contains("1 are stored and were not read back") && said.contains("serin backup verify PLAN --due"), "\(said)")
    }

    @Test func theMirrorIsNamedByOneReferenceAndNeverByItsText() async throws {
        let program = try TestProgram(environment: ["CONTROL": "host=/nowhere-at-all password=hunter2 dbname=c"])
        #expect(await program.run(["backup", "mirror", program.policy()]) == .usage)
        #expect(program.messages.withLock { $0 }.contains("nothing names the database"))
        #expect(await program.run(["backup", "mirror", "--url-env", "A", "--url-file", "/b"]) == .usage)
        #expect(await program.run(["backup", "mirror", "--url-env", "NOT_THERE"]) == .refused)
        #expect(await program.run(["backup", "mirror", "--url-env", "CONTROL", program.policy()]) != .ok)
        #expect(!program.messages.withLock { $0 }.contains("hunter2"))
    }

    @Test func theBucketsFactsAreTold() {
        var facts = DestinationFacts(isWritable: true, freeBytes: 2048)
        #expect(facts.words == ["2.0 KiB free"] && facts.concerns.isEmpty)
        facts.versioning = true
        facts.objectLock = false
        facts.defaultEncryption = "aws:kms"
        facts.deleteNeedsSecondFactor = true
        facts.lifecycleRules = 2
        facts.publicAccess = true
        #expect(
            facts.words == [
                "2.0 KiB free", "keeps versions", "locks nothing", "encrypts by aws:kms",
                "deleting a version needs a second factor", "2 rules of its own move or delete objects",
            ])
        #expect(facts.concerns == ["EVERYBODY may read or write it: close it"])
    }

    @Test func theSchemaOfPlansIsPrinted() async throws {
        let program = try TestProgram()
        #expect(await program.run(["backup", "schema"]) == .ok)
        #expect(await program.run(["schema", "backup"]) == .ok)
        #expect(program.takeOutput() == "{\"title\":\"plan\"}\n{\"title\":\"plan\"}\n")
    }

    @Test func progressSaysRateAndTimeLeft() {
        let progress = JobProgress(stage: "dump", done: 1 << 30, total: 3 << 30, rate: Double(64 << 20))
        #expect(BackupText.words(progress) == "dump 33% 1.0 GiB of 3.0 GiB, 64.0 MiB/s, 32s left")
    }
}
