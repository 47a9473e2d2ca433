import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

extension Integration {
    /// The real daemon on a host that nobody outside can reach: it fetches what is written to a bot of Telegram.
    @Suite(.serialized) struct DaemonTelegram {
        private static let chat: Int64 = -100_123

        private func write(_ text: String, _ update: Int64, to telegram: TelegramServer, chat: Int64 = Self.chat) {
            telegram.write(
                text, update: update, chat: chat, by: 7, at: Instant(millisecondsSince1970: Int64(time(nil)) * 1000))
        }

        /// Starts a rollout and waits until its canary has traffic.
        private func release(_ scene: Scene) async throws {
            let started = try await scene.serin(
                "start", scene.policy, "--version", Stage.good, "--previous", Stage.old)
            #expect(started.termination == .exited(0), "\(started.text)")
            try await scene.awaitWeight(1000)
        }

        @Test func aMessageHaltsOnceWhateverTheBotsServerRepeatsAndAStrangersDoesNothing() async throws {
            let telegram = try TelegramServer(token: "1:not-a-real-token")
            defer { telegram.stop() }
            var policy = PolicyText()
            policy.times["bake"] = "2m"
            policy.times["max_bake"] = "10m"
            policy.times["loss_for"] = "1m"
            try await Scene.play(Stage.services[0], policy, environment: ["BOT": "1:not-a-real-token"]) { scene in
                let file = scene.file("serin.yaml")
                try """
                version: 1
                hooks:
                  phone:
                    {kind: telegram, poll: true, bot_env: BOT, api: "\(telegram.url)", places: ["\(Self.chat)"], services: [\(scene.service)]}
                """.write(toFile: file, atomically: true, encoding: .utf8)
                telegram.refuseOnce(retryAfter: 3)
                let first = try scene.start(["daemon", "--config", file])
                defer { first.stop() }
                try await scene.awaitOutput("listening at")
                try await release(scene)

                // A stranger finds the bot: nothing is done, and nothing said.
                write("/halt \(scene.service)", 11, to: telegram, chat: -999)
                try await waitUntil("the stranger's message was read") { telegram.isConfirmed(11) }
                #expect(await scene.weight() == 1000)
                #expect(telegram.said.isEmpty)
                #expect(telegram.refusals == [429])
                #expect(telegram.pause.map { $0 >= .seconds(3) } == true, "\(String(describing: telegram.pause))")

                // The halt arrives; that it did, never gets back.
                telegram.loseConfirmations(true)
                write("/halt \(scene.service) payments fail", 12, to: telegram)
                try await scene.awaitWeight(0)
                try await waitUntil("an answer in the chat") { telegram.said.contains { $0.text.contains("is recorded") } }
                #expect(telegram.said.allSatisfy { $0.chat == Self.chat })
                first.signal(SIGTERM)
                #expect(try await scene.end(of: first) == 0, "\(scene.output())")
                let log = try await scene.serin("log", scene.service)
                #expect(log.text.contains("halt by telegram:7") && log.text.contains("payments fail"), "\(log.text)")
                #expect(!telegram.isConfirmed(12))

                // Somebody tries a webhook meanwhile: nothing is fetched, that is said, and it is tried again.
                telegram.setWebhook(true)
                let second = try scene.start(["daemon", "--config", file], log: "second.log")
                defer { second.stop() }
                try await scene.awaitOutput(
                    "messages of the hook phone cannot be fetched: cannot ask telegram: 409 Conflict: can't use getUpdates",
                    log: "second.log")
                try await release(scene)
                telegram.loseConfirmations(false)
                telegram.setWebhook(false)
                // The halt of before comes once more, and is none of this rollout's.
                try await waitUntil("the repeated message was read") { telegram.isConfirmed(12) }
                #expect(await scene.weight() == 1000)
                write("/halt \(scene.service)", 13, to: telegram)
                try await scene.awaitWeight(0)
                second.signal(SIGTERM)
                #expect(try await scene.end(of: second) == 0, "\(scene.output("second.log"))")
                try await JournalProof(of: scene).check(scene)
            }
        }
    }
}
