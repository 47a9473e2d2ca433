import FakeController
import SerinAPI
import SerinController
import SerinModel
import SerinRollouts
import SerinVerdicts
import Testbed
import Testing

@testable import SerinCommandLine

@Suite struct RenderingTests {
    private let hostile = "\u{1B}[2J\u{7}red\u{1B}[31m\r\n::set-env name=PATH::x\u{202E}\u{9B}1m"

    @Test func aChangeIsOneLine() {
        let line = StatusView.line(.sample(), at: Instant(millisecondsSince1970: 1_772_325_735_000))
        #expect(line == "00:42:15Z checkout-01k5 baking step 2 of 3, weight 25%, baked 12m 5s of 30m: step 2 entered")
    }

    @Test func theBlockSaysWhereItStandsAndWhatIsNext() {
        var status = RolloutStatus.sample()
        status.observedWeight = .zero
        status.awaitedApproval = "step 3"
        #expect(
            StatusView.block(status, style: .none, width: 200).joined(separator: "\n") == """
                checkout 1.9.0 (was 1.8.3)  baking  step 2 of 3
                  weight   25% wanted, 0% observed
                  bake     [########------------] 12m 5s of 30m
                  why      step 2 entered
                  next     step 3 at 00:52:15Z
                  waits    step 3
                  SIGNAL  VERDICT  CANARY            CONTROL             RATIO          BEYOND  WHY
                  errors  FAIL     2.10% (84/4,003)  1.02% (122/11,981)  2.06 [1.56–∞]  1.10    beyond 1.10, since 00:38:00Z
                """)
    }

    @Test func theRestorePointIsShown() {
        var status = RolloutStatus.sample()
        status.restorePoint = CheckpointReference(
            backup: BackupID(millisecondsSince1970: 1_772_325_000_000, random: [7]), state: .verified,
            at: Instant(millisecondsSince1970: 1_772_325_000_000))
        let words = "backup 019ca6cd-5340-7700-8000-000000000000, verified, of 2026-03-01T00:30:00Z"
        #expect(StatusView.block(status, style: .none, width: 200).contains("  restore  \(words)"))
        let page = WhyPage.lines(status, decisions: [], state: StateRoot(path: "/s"), style: .none)
        #expect(page.contains("restore   \(words)"))
    }

    @Test func whyIsOnePage() {
        var status = RolloutStatus.sample(state: "rolling back", ending: .failed)
        status.wantedWeight = .zero
        let page = WhyPage.lines(
            status, decisions: [.sample(3)], state: StateRoot(path: "/var/lib/my serin"), style: .none)
        #expect(
            page.joined(separator: "\n") == """
                ROLLING BACK  checkout 1.9.0 (was 1.8.3)
                rollout   checkout-01k5
                safe now  not yet, the canary still receives 25%
                weight    wanted 0%, observed 25%
                since     2026-03-01T00:42:15Z, begun 2026-03-01T00:30:00Z
                progress  step 2 of 3, baked 12m 5s of 30m

                Why
                  step 2 entered

                What happens next
                  step 3 at 00:52:15Z

                Signals
                  SIGNAL  VERDICT  CANARY            CONTROL             RATIO          BEYOND  WHY
                  errors  FAIL     2.10% (84/4,003)  1.02% (122/11,981)  2.06 [1.56–∞]  1.10    beyond 1.10, since 00:38:00Z
                  errors: noise measured on 6 h of 4 control instances: 1.3

                Last decisions
                  00:42:18Z step 25% FAIL errors

                Check it
                  serin verify checkout-01k5 --state '/var/lib/my serin'
                  serin log checkout-01k5 -o jsonl --state '/var/lib/my serin'
                  serin halt checkout-01k5 --state '/var/lib/my serin'   stops it now
                """)
    }

    @Test func coloursOnlyAddToTheWords() {
        let status = RolloutStatus.sample()
        func stripped(_ line: String) -> String {
            var result = ""
            var isEscape = false
            for character in line {
                if character == "\u{1B}" { isEscape = true }
                if !isEscape { result.append(character) }
                if character == "m", isEscape { isEscape = false }
            }
            return result
        }
        let coloured = StatusView.block(status, style: Style(isColoured: true), width: 200)
        #expect(coloured.contains { $0.contains("\u{1B}[31mFAIL\u{1B}[0m") })
        #expect(coloured.map(stripped) == StatusView.block(status, style: .none, width: 200))
    }

    @Test func theBlockFitsItsTerminal() {
        for line in StatusView.block(.sample(), style: .none, width: 40) { #expect(line.count <= 40) }
    }

    @Test func safetyIsAnsweredForEveryState() {
        var status = RolloutStatus.sample()
        #expect(Explanation.safety(status) == "the canary receives 25% and is watched")
        status.wantedWeight = .zero
        #expect(
            Explanation.safety(status) == "the canary receives 25% where 0% is wanted: it is being lowered and is watched")
        status.state = "raising"
        #expect(Explanation.safety(status) == "the canary receives 25% where 0% is wanted and is watched")
        status = .sample()
        status.observedWeight = nil
        #expect(Explanation.safety(status) == "unknown: the weight could not be read")
        status.observedWeight = .zero
        #expect(Explanation.safety(status) == "yes, the canary receives no traffic")
        status = .sample(isFinal: true, ending: .promoted)
        status.observedWeight = .zero
        #expect(Explanation.safety(status) == "yes, promoted: everyone is served by 1.9.0")
        status.state = "passed"
        status.next = "now give 1.9.0 to everyone"
        #expect(Explanation.safety(status) == "yes, passed: now give 1.9.0 to everyone")
        status = .sample(state: "held")
        status.isWatched = false
        status.cause = "telemetry is lost"
        #expect(Explanation.safety(status) == "the canary receives 25%, held, not watched: telemetry is lost")
        status = .sample(ending: .failed)
        status.isRollbackIncomplete = true
        #expect(Explanation.safety(status) == "NO, the canary still receives 25% and must not: act now")
        // A promotion was begun and could not be taken back.
        status.observedWeight = .zero
        status.isPromotionBegun = true
        #expect(
            Explanation.safety(status)
                == "NOT KNOWN: the canary receives no traffic, but control may be served by 1.9.0: act now, bring 1.8.3 back")
        status.isRollbackIncomplete = false
        #expect(Explanation.safety(status).hasSuffix("control may be served by 1.9.0: 1.8.3 is being brought back"))
        (status.ending, status.state) = (nil, "held")
        #expect(Explanation.safety(status).hasSuffix("control may be served by 1.9.0: \(status.next)"))
        status.state = "promoting"
        #expect(Explanation.safety(status) == "yes, the canary receives no traffic")
        status.observedWeight = Weight(percent: 25)
        #expect(
            Explanation.safety(status)
                == "the canary receives 25% and is watched, and control may be served by 1.9.0 already")
        status.observedWeight = .zero
        (status.isPromotionBegun, status.ending, status.state) = (false, .failed, "rolling back")
        #expect(Explanation.safety(status) == "yes, the canary receives no traffic")
        status.isRollbackIncomplete = true
        #expect(Explanation.safety(status).hasPrefix("yes, the canary receives no traffic; the rest of the way back is not done"))
        // A balancer that does not answer after the halt: the first tries are no reason to wake anybody.
        status = .sample(state: "rolling back", ending: .halted)
        status.observedWeight = nil
        status.unconfirmedZero = UnconfirmedZero(since: status.since, tries: 3, failedAt: status.since, reason: "timed out")
        #expect(Explanation.safety(status) == "unknown: the weight could not be read")
        status.unconfirmedZero?.tries = 4
        #expect(
            Explanation.safety(status).hasPrefix("NOT KNOWN: the weight cannot be read and 0 is not confirmed (4 tries since"))
        status.observedWeight = Weight(percent: 25)
        #expect(Explanation.safety(status).hasPrefix("NO, the canary still receives 25% and 0 is not confirmed (4 tries since"))
    }

    @Test func aLoweringThatCannotBeRecordedAndIsRefusedIsShouted() {
        var status = RolloutStatus.sample()
        (status.wantedWeight, status.isWatched, status.isRecorded) = (.zero, false, false)
        status.cause = "the journal cannot be written: disk full; not recorded: rolling back"
        #expect(
            Explanation.safety(status)
                == "not yet, the canary still receives 25%: the weight is being lowered to 0, and the record is behind")
        status.unconfirmedZero = UnconfirmedZero(since: status.since, tries: 57, failedAt: status.since, reason: "refused")
        #expect(Explanation.safety(status).hasPrefix("NO, the canary still receives 25% and 0 is not confirmed (57 tries since"))
        #expect(Explanation.safety(status).hasSuffix("refused): act now, set it to 0 at the balancer"))
    }

    @Test func aLoweringThatIsNotRecordedYetIsInTheHeadline() {
        var status = RolloutStatus.sample()
        #expect(StatusView.line(status, at: status.since).contains(" baking "))
        (status.wantedWeight, status.observedWeight, status.isWatched, status.isRecorded) = (.zero, .zero, false, false)
        #expect(Explanation.safety(status) == "yes, the weight was lowered to 0 and 0 is read back; the record is behind")
        let words = "lowered to 0, not recorded yet (baking is recorded)"
        #expect(StatusView.line(status, at: status.since).contains(words))
        #expect(StatusView.block(status, style: .none, width: 200)[0].contains(words))
        #expect(StatusView.table([status]).lines(.none).contains { $0.contains(words) })
        let why = WhyPage.lines(status, decisions: [], state: StateRoot(path: "/s"), style: .none)
        #expect(why[0].hasPrefix(words.uppercased()), "\(why[0])")
        // Going back is in the record already.
        (status.state, status.ending) = ("rolling back", .failed)
        #expect(status.stateNow == "rolling back")
    }

    @Test func hostileTextIsShownAndObeyedByNothing() {
        var status = RolloutStatus.sample()
        status.cause = hostile
        status.version = hostile
        status.signals[0].name = hostile
        status.signals[0].reason = hostile
        var decision = LoggedDecision.sample(1)
        decision.decision.text = hostile
        let lines =
            StatusView.block(status, style: .none, width: 1000) + [StatusView.line(status, at: status.since)]
            + WhyPage.lines(status, decisions: [decision], state: StateRoot(path: "/s"), style: .none)
            + StatusView.table([status]).lines(.none)
        for line in lines {
            #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control || $0.value == 0x202E })
            #expect(!line.hasPrefix("::"))
        }
        #expect(plain("\u{1B}[31mx\ny") == "\\u{1b}[31mx y")
    }

    @Test func numbersReadTheSameEverywhere() {
        #expect(EvidenceNumbers.count(1_234_567) == "1,234,567")
        #expect(EvidenceNumbers.count(-1000) == "-1,000")
        #expect(EvidenceNumbers.trimmed(0.005) == "0.01")
        #expect(EvidenceNumbers.trimmed(-0.001) == "0")
        #expect(EvidenceNumbers.trimmed(1234.5) == "1,234.5")
        #expect(EvidenceNumbers.share(0, of: 0) == "-")
        #expect(EvidenceNumbers.share(84, of: 4003) == "2.10% (84/4,003)")
        #expect(EvidenceNumbers.share(7.5, of: 3) == "2.50 (7.5/3)")
        #expect(EvidenceNumbers.ratio(2.06, Interval(low: 1.56, high: .infinity)) == "2.06 [1.56–∞]")
        #expect(EvidenceNumbers.ratio(nil, nil) == "-")
    }

    @Test func yamlQuotesWhatCouldBeReadAsSomethingElse() {
        let value = JSONValue.object([
            "a": .string("plain-word"), "b": .string("no"), "c": .string("1.5"), "d": .string("x: y"),
            "e": .array([.null, .bool(true)]),
            "f": .object([:]), "g": .array([.object(["k": .number("1"), "l": .array([.string("z")])]), .array([.number("2")])]),
            "h": .string("\u{85}\n\"#"), "1": .string(""),
        ])
        #expect(
            YAMLText.text(value) == """
                "1": ""
                a: plain-word
                b: "no"
                c: "1.5"
                d: "x: y"
                e:
                  - null
                  - true
                f: {}
                g:
                  - k: 1
                    l:
                      - z
                  - - 2
                h: "\\u0085\\n\\"#"

                """)
    }

    @Test func aJUnitReportHasATestCaseForEverySignal() {
        var status = RolloutStatus.sample(state: "rolled back", isFinal: true, ending: .failed)
        status.cause = "a <b> & \"c\"\u{1}"
        status.signals.append(.sample("latency", verdict: .pass))
        status.signals.append(.sample("auth", verdict: .nodata))
        #expect(
            JUnitReport.text(status, code: .failed) == """
                <?xml version="1.0" encoding="UTF-8"?>
                <testsuite name="serin checkout 1.9.0" tests="4" failures="2" errors="0" skipped="1" timestamp="2026-03-01T00:30:00">
                  <testcase classname="checkout" name="rollout checkout-01k5">
                    <failure message="rolled back, exit 3">a &lt;b&gt; &amp; &quot;c&quot;\\u{1}</failure>
                  </testcase>
                  <testcase classname="checkout" name="errors">
                    <failure message="beyond 1.10">canary 2.10% (84/4,003) control 1.02% (122/11,981), ratio 2.06 [1.56–∞] beyond 1.10</failure>
                  </testcase>
                  <testcase classname="checkout" name="latency">
                  </testcase>
                  <testcase classname="checkout" name="auth">
                    <skipped message="nodata: beyond 1.10"/>
                  </testcase>
                </testsuite>

                """)
    }

    @Test func workflowCommandsCannotBeInjected() {
        var status = RolloutStatus.sample(state: "rolled back", isFinal: true, ending: .failed)
        status.version = "1,2::3"
        status.cause = "100%\n::error::x | <script> [a](b) @team"
        let annotation = GitHubReport.annotation(status, code: .failed)
        #expect(
            annotation
                == "::error title=serin checkout 1%2C2%3A%3A3::rolled back: 100%25 ::error::x | <script> [a](b) @team")
        #expect(GitHubReport.outputs(status, code: .failed).split(separator: "\n").count == 7)
        let summary = GitHubReport.summary(status, code: .failed)
        #expect(summary.contains("100% ::error::x \\| &lt;script&gt; \\[a\\](b) \\@team"))
        // Beside these a mark is no Character of its own.
        status.cause = "\u{600}<img\u{600}|\u{301}\u{600}%"
        let (shown, escaped) = ("\u{600}&lt;img\u{600}\\|\u{301}\u{600}%", "\u{600}%25")
        #expect(GitHubReport.summary(status, code: .failed).holds(shown))
        #expect(GitHubReport.annotation(status, code: .failed).holds(escaped))
    }

    @Test func aFileOfWindowsIsShownWithoutItsSecrets() throws {
        let (line, address) = ("password:\u{301} hunter2", "url: postgres://a:hunter2@\u{301}host/x")
        #expect(SupportBundle.withoutSecrets(line) == "password: [redacted]")
        #expect(SupportBundle.withoutSecrets("password_env: NAME") == "password_env: NAME")
        #expect(!SupportBundle.withoutPassword(address).holds("hunter2"))
        let scratch = try Scratch("serin-bundle")
        defer { scratch.remove() }
        let program = try TestProgram()
        var bundle = SupportBundle(try program.session())
        bundle.add(file: try scratch.write("plan.yaml", "project: shop\r\npassword: hunter2\r\n"))
        let lines = bundle.parts.last?.lines ?? []
        #expect(lines == ["project: shop", "password: [redacted]", ""], "\(lines)")
    }
}
