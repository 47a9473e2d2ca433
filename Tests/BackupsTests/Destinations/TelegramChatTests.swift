import SerinBackups
import SerinCatalogue
import SerinLocks
import SerinModel
import Testbed
import Testing

@Suite struct TelegramChatTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch("serin-telegram") }

    private func chat(_ bot: StandInTelegram, _ settings: [String: String] = [:]) throws -> any BackupDestination {
        let fixed = ["chat": "-100", "api": bot.url, "plain_http": "yes", "token_env": "T", "part_size": "64KiB"]
        return try makeDestination("telegram", fixed.merging(settings) { $1 }, secrets: ["T": StandInTelegram.token])
    }

    @Test func aChatKeepsToTheContract() async throws {
        defer { scratch.remove() }
        let bot = try StandInTelegram()
        defer { bot.stop() }
        let destination = try chat(bot)
        _ = try await destination.probe()
        var contract = DestinationContract(destination: destination, scratch: scratch)
        contract.longSize = 200_000
        try await contract.check()
        #expect(bot.state.withLock { $0.messages.count } == 1, "only the directory is left")
    }

    @Test func aProbeLeavesTheDirectoryAsItIs() async throws {
        defer { scratch.remove() }
        let bot = try StandInTelegram()
        defer { bot.stop() }
        let destination = try chat(bot)
        _ = try await destination.probe()
        bot.state.withLock { $0.calls = [] }
        _ = try await destination.probe()
        let calls: [String] = bot.state.withLock { $0.calls }
        #expect(!calls.contains("editMessageMedia"))
        #expect(!calls.contains("pinChatMessage"))
        #expect(bot.state.withLock { $0.messages.count } == 1)
    }

    @Test func targetsThatShareAChatLoseNothingOfEachOther() async throws {
        defer { scratch.remove() }
        let bot = try StandInTelegram()
        defer { bot.stop() }
        // One of them calls the chat by another name of it.
        let destinations = [try chat(bot), try chat(bot, ["chat": "@backups"]), try chat(bot)]
        let contract = DestinationContract(destination: destinations[0], scratch: scratch)
        let uploads = try (0..<3).map { try contract.makeUpload("target-\($0)/object", contract.bytes(200_000)) }
        let register = try #require(ObjectKey("shared/register.json"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (destination, upload) in zip(destinations, uploads) {
                group.addTask {
                    for turn in 0..<3 { _ = try await destination.replace(register, with: [UInt8(turn)]) }
                    _ = try await destination.put(upload)
                    _ = try await destination.probe()
                }
            }
            try await group.waitForAll()
        }
        let listed = try await destinations[0].list(prefix: "", limit: 100).objects.map(\.key)
        let expected = [register] + uploads.map(\.key)
        #expect(Set(listed) == Set(expected))
        for upload in uploads {
            let read = try await destinations[0].get(upload.key, version: nil, to: nil, limit: upload.size)
            #expect(read.sha256 == upload.sha256)
        }
        // The directory, four parts of each, the register.
        let count: Int = bot.state.withLock { $0.messages.count }
        #expect(count == 14)
    }

    @Test func aChangeThatAnotherMachineOverwroteIsMadeAgain() async throws {
        defer { scratch.remove() }
        let before = Locked<[UInt8]?>(nil)
        let bot = try StandInTelegram()
        defer { bot.stop() }
        let destination = try chat(bot)
        let contract = DestinationContract(destination: destination, scratch: scratch)
        let first = try contract.makeUpload("first", contract.bytes(10))
        _ = try await destination.put(first)
        before.withLock { $0 = bot.directory }
        // The other one read the directory before the next change, and writes it after that.
        bot.afterEdit.withLock { after in
            after = { state in
                guard
                    let bytes = before.withLock({ bytes in
                        defer { bytes = nil }; return bytes
                    })
                else { return }
                state.files[state.pinned.flatMap { state.messages[$0] } ?? ""] = bytes
            }
        }
        let second = try contract.makeUpload("second", contract.bytes(10))
        _ = try await destination.put(second)
        #expect(before.withLock { $0 == nil })
        let listed = try await destination.list(prefix: "", limit: 9).objects.map(\.key)
        #expect(listed == [first.key, second.key])
    }

    @Test func twoMachinesThatBeginAChatTogetherShareOneDirectory() async throws {
        defer { scratch.remove() }
        let bot = try StandInTelegram()
        defer { bot.stop() }
        let mine = try chat(bot)
        let other = Locked(true)
        bot.afterSend.withLock { after in
            after = { state in
                guard
                    other.withLock({ isFirst in
                        defer { isFirst = false }; return isFirst
                    })
                else { return }
                state.files["theirs"] = Array(#"{"objects":[],"serin-directory":1}"#.utf8)
                state.messages[900] = "theirs"
                state.pinned = 900
            }
        }
        _ = try await mine.probe()
        let messages: [Int] = bot.state.withLock { $0.messages.keys.sorted() }
        #expect(messages == [900])
    }

    @Test func whatIsNotEncryptedIsRefused() async throws {
        defer { scratch.remove() }
        let bot = try StandInTelegram()
        defer { bot.stop() }
        let destination = try chat(bot)
        let contract = DestinationContract(destination: destination, scratch: scratch)
        var upload = try contract.makeUpload("object", contract.bytes(10))
        upload.isEncrypted = false
        let refused = await failure { () throws(Failure) in _ = try await destination.put(upload) }
        #expect(refused?.kind == .invalid && refused?.message.contains("it takes encrypted objects only") == true)
        #expect(bot.state.withLock { $0.calls } == [])
    }

    @Test func throttlingIsWaitedFor() async throws {
        defer { scratch.remove() }
        let bot = try StandInTelegram { method, calls in
            guard method == "sendDocument", calls.filter({ $0 == method }).count < 3 else { return nil }
            return .http(
                429, #"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":0}}"#)
        }
        defer { bot.stop() }
        let destination = try chat(bot)
        let contract = DestinationContract(destination: destination, scratch: scratch)
        let upload = try contract.makeUpload("object", contract.bytes(10))
        _ = try await destination.confirm(try await destination.put(upload), sha256: upload.sha256)
    }

    @Test func partsOfAKilledUploadArePendingUntilAbortedAndNoObject() async throws {
        defer { scratch.remove() }
        let bot = try StandInTelegram { method, calls in
            // The second part is refused, and nothing can be taken back: as after a kill.
            let sent = calls.filter { $0 == "sendDocument" }.count
            if method == "sendDocument", sent == 3 { return .http(400, #"{"ok":false,"description":"no more"}"#) }
            if method == "deleteMessage", sent >= 3, calls.filter({ $0 == method }).count < 2 {
                return .http(400, #"{"ok":false,"description":"Bad Request: message can't be deleted"}"#)
            }
            return nil
        }
        defer { bot.stop() }
        let destination = try chat(bot)
        let contract = DestinationContract(destination: destination, scratch: scratch)
        let upload = try contract.makeUpload("object", contract.bytes(200_000))
        #expect(await failure { () throws(Failure) in _ = try await destination.put(upload) } != nil)
        #expect(try await destination.head(upload.key, version: nil) == nil)
        let pending = try await destination.pending()
        #expect(pending.map(\.key) == [upload.key])
        for upload in pending { try await destination.abort(upload) }
        #expect(try await destination.pending() == [])
        #expect(bot.state.withLock { $0.messages.count } == 1)
    }

    @Test func swappedPartsAreFoundOut() async throws {
        defer { scratch.remove() }
        let bot = try StandInTelegram()
        defer { bot.stop() }
        let destination = try chat(bot)
        let contract = DestinationContract(destination: destination, scratch: scratch)
        let upload = try contract.makeUpload("object", contract.bytes(128 << 10))
        let stored = try await destination.put(upload)
        bot.state.withLock { state in
            let long = state.files.filter { $0.value.count == 64 << 10 }.keys.sorted()
            let first = state.files[long[0]]
            state.files[long[0]] = state.files[long[1]]
            state.files[long[1]] = first
        }
        let failed = await failure { () throws(Failure) in _ = try await destination.confirm(stored, sha256: upload.sha256) }
        #expect(failed?.kind == .invalid && failed?.message.contains("part 1 of object") == true)
    }

    @Test func theTokenIsInNoFailure() async throws {
        defer { scratch.remove() }
        let bot = try StandInTelegram { _, _ in
            .http(403, #"{"ok":false,"description":"bot \#(StandInTelegram.token) was kicked"}"#)
        }
        let destination = try chat(bot)
        for _ in 0..<2 {
            let failed = await failure { () throws(Failure) in _ = try await destination.pending() }
            #expect(failed != nil && failed?.description.contains("secretsecret") == false, "\(failed?.description ?? "")")
            // The second time nobody listens.
            bot.stop()
        }
    }

    @Test func partsThatTheHostedAPIWouldNotGiveBackAreRefused() throws {
        defer { scratch.remove() }
        #expect(throws: Failure.self) {
            _ = try makeDestination("telegram", ["chat": "-1", "token_env": "T", "part_size": "20MiB"])
        }
        for api in ["https://api.telegram.org/", "https://API.telegram.org", "https://api.telegram.org:443"] {
            #expect(throws: Failure.self) {
                _ = try makeDestination("telegram", ["chat": "-1", "token_env": "T", "api": api, "part_size": "30MiB"])
            }
        }
        _ = try makeDestination("telegram", ["chat": "-1", "token_env": "T"])
        _ = try makeDestination(
            "telegram", ["chat": "@x", "token_env": "T", "api": "https://bots.example.org", "part_size": "1900MiB"])
    }
}
