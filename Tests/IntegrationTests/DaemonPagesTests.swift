import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

extension Integration {
    /// The pages of the real daemon in a real browser, while a rollout goes on behind a real balancer.
    @Suite(.serialized) struct DaemonPages {
        private static let weight = "document.querySelector('.facts dd').textContent.trim()"

        @Test func aRolloutIsWatchedAndHaltedFromItsPage() async throws {
            var policy = PolicyText()
            // The second step comes soon, and lasts until somebody halts.
            policy.times["step_for"] = "12s"
            policy.times["bake"] = "2m"
            policy.times["max_bake"] = "10m"
            policy.times["loss_for"] = "1m"
            try await Scene.play(Stage.services[0], policy) { scene in
                let daemon = try scene.start(["daemon", "--listen", "0"])
                defer { daemon.stop() }
                try await scene.awaitOutput("listening at http://127.0.0.1:")
                let address = try #require(scene.output().firstMatch(of: /listening at (http:\S*)/)?.1)
                let made = try await scene.serin(
                    "token", "create", "night", "--owner", "uid:4711", "--role", "operator")
                let token = try #require(made.text.firstMatch(of: /serin_\S+/)?.0, "\(made.text)")
                try await Browser.open { browser in
                    let started = try await scene.serin(
                        "start", scene.policy, "--version", Stage.good, "--previous", Stage.old)
                    #expect(started.termination == .exited(0), "\(started.text)")
                    try await watch(scene, browser, "\(address)/rollouts/\(scene.service)", String(token))
                }
                daemon.signal(SIGTERM)
                #expect(try await scene.end(of: daemon) == 0, "\(scene.output())")
                let log = try await scene.serin("log", scene.service)
                #expect(log.text.contains("halt by uid:4711: payments fail"), "\(log.text)")
                try await JournalProof(of: scene).check(scene)
            }
        }

        private func watch(_ scene: Scene, _ browser: Browser, _ page: String, _ token: String) async throws {
            func awaitText(_ what: String, _ expression: String, _ text: String) async throws {
                do {
                    try await waitUntil(what, within: .seconds(60)) { try await browser.text(expression).contains(text) }
                } catch { throw Failure(.transient, "\(error); it is: \(try await browser.text(expression))") }
            }
            try await browser.signIn(with: token, at: page)
            try await awaitText("a live page", "document.getElementById('live')?.textContent", "Live.")
            // Gone once the page is loaded anew: what follows comes by itself.
            try await browser.run("window.stayed = true")
            try await awaitText("the first step", Self.weight, "10% wanted, 10% observed")
            try await awaitText("the second step", Self.weight, "12% wanted, 12% observed")
            #expect(await scene.weight() == 1200)
            #expect(try await browser.text("document.querySelector('h1').textContent").contains("step 2 of 2"))
            try await awaitText("its line in the log", "document.getElementById('log').textContent", "12%")
            // The staircase: up to 10 % and up to 12 %.
            let staircase = try await browser.text("document.getElementById('timeline-words').textContent")
            #expect(staircase.contains("10% from") && staircase.contains("12% from"), "\(staircase)")
            // A few seconds of a minute: nothing is drawn of what is still to come.
            let end = Double(try await browser.text("document.querySelector('#timeline .now').getAttribute('cx')"))
            #expect(end.map { $0 < 800 } == true, "\(String(describing: end))")
            try await browser.picture("live-climbing", whole: true)
            #expect(try await browser.text("window.stayed") == "true")

            try await browser.type("payments fail", into: "#halt-reason")
            try await browser.click("#halt button")
            try await scene.awaitWeight(0)
            try await awaitText("the weight that was read back", Self.weight, "0% wanted, 0% observed")
            try await awaitText("the end", "document.querySelector('h1').textContent", "Rolled back")
            try await awaitText("the cause", "document.getElementById('why').textContent", "payments fail")
            try await awaitText(
                "whether users are safe", "document.querySelector('.safety').textContent", "yes, the canary receives no traffic")
            #expect(await scene.weight() == 0)
            let complaints = try await browser.complaints()
            #expect(complaints == [], "\(complaints)")
            try await browser.picture("live-halted", whole: true)
        }
    }
}
