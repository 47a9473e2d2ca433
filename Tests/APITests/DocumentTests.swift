import FakeController
import SerinAPI
import SerinController
import SerinModel
import SerinPolicies
import SerinRollouts
import SerinVerdicts
import Testing

@Suite struct DocumentTests {
    @Test func aStatusSurvivesItsDocument() throws {
        var status = RolloutStatus.sample()
        status.restorePoint = CheckpointReference(
            backup: BackupID(millisecondsSince1970: 1_772_325_000_000, random: [7]), state: .verified,
            at: Instant(millisecondsSince1970: 1_772_325_000_250))
        status.observedWeight = nil
        status.awaitedApproval = "step 3"
        var counts = CohortCounts()
        (counts.canaryEvents, counts.canaryExposure) = (9, 899)
        status.intervals = [
            ComputedInterval(
                signal: "errors", at: status.since, ratio: nil, interval: Interval(low: 0.14, high: .infinity), counts: counts)
        ]
        (status.fence, status.isCodeBack, status.isRestoring) = (.closed, true, true)
        let bytes = StatusDocument.encode(status).canonicalBytes
        #expect(try StatusDocument.decode(JSONValue(parsing: bytes)) == status)
    }

    @Test func everyEndingSurvivesItsDocument() throws {
        for ending in Ending.allCases {
            let status = RolloutStatus.sample(state: "over", isFinal: true, ending: ending)
            #expect(try StatusDocument.decode(StatusDocument.encode(status)) == status)
        }
    }

    @Test func aStatusIsWrittenForPeople() {
        let document = StatusDocument.encode(.sample())
        #expect(document["schema"]?.text == "serin.dev/rollout/v1")
        #expect(document["weight"]?["wanted"]?.text == "25")
        #expect(document["baked"]?.text == "725s")
        #expect(document["bake"]?.text == "30m")
        #expect(document["started_at"]?.text == "2026-03-01T00:30:00Z")
        #expect(document["since"]?.text == "2026-03-01T00:42:15.250Z")
        #expect(document["exit_code"] == .null)
        #expect(document.at(pointer: "/signals/0/interval/high")?.text == "Infinity")
        #expect(document.at(pointer: "/signals/0/absence")?.text == "too_few_requests")
        #expect(document.at(pointer: "/signals/0/canary/events") == .number("84"))
    }

    @Test func aDecisionSurvivesItsDocument() throws {
        let decision = LoggedDecision.sample(7, "a \"quoted\"\nline\u{1B}[31m")
        let bytes = DecisionDocument.encode(decision).canonicalBytes
        #expect(!bytes.contains(0x0A))
        #expect(try DecisionDocument.decode(JSONValue(parsing: bytes)) == decision)
    }

    @Test func aStartRequestSurvivesItsDocument() throws {
        let request = StartRequest(
            policyText: "version: 1\nservice: ü", policyFile: "p.yaml", version: "2", previous: nil,
            overrides: [Override(key: "bake", value: "40s", reason: "demo")])
        #expect(try StartDocument.decode(StartDocument.encode(request)) == request)
    }

    @Test func aReasonThatIsTooLongLosesItsEndAndRefusesNothing() throws {
        let long = String(repeating: "é", count: 1001)
        let kept = try CommandDocument.decode(.object(["reason": .string(long)])).reason
        #expect(kept.count == 1000 && kept.hasSuffix("é…"))
        #expect(CommandDocument(reason: long).reason == kept)
        #expect(CommandDocument(reason: String(long.dropLast())).reason == String(long.dropLast()))
    }

    @Test func anUnknownMemberIsNamed() {
        let document = JSONValue.object(["reason": .string("x"), "reasn": .string("y")])
        let error = #expect(throws: DocumentError.self) { try CommandDocument.decode(document) }
        #expect(error?.description == "request has no 'reasn'; it knows reason, security, plan")
    }

    @Test(arguments: [0, 1, 999, 1_772_325_735_250, -1, -86_400_000, 951_782_400_000, 4_102_444_799_999] as [Int64])
    func timesSurviveTheirNotation(_ milliseconds: Int64) {
        let instant = Instant(millisecondsSince1970: milliseconds)
        #expect(Notation.instant(Notation.text(instant)) == instant)
    }

    @Test(arguments: [
        "2026-03-01", "2026-03-01T00:42:15", "2026-13-01T00:42:15Z", "2026-03-01T24:00:00Z", "2026-03-01T00:42:15.5Z", "",
    ])
    func textsThatAreNoTimeAreRefused(_ text: String) {
        #expect(Notation.instant(text) == nil)
    }

    @Test func everyWeightSurvivesItsNotation() {
        for basisPoints in 0...10_000 {
            guard let weight = Weight(basisPoints: basisPoints) else { continue }
            #expect(Notation.weight(Notation.text(weight)) == weight)
        }
        for text in ["", "101", "1.234", "-1", "5%", "1.", ".5", "1e1"] { #expect(Notation.weight(text) == nil, "\(text)") }
    }

    @Test func theTokenChangesWithTheStatus() {
        var status = RolloutStatus.sample()
        let token = StatusDocument.token(status)
        #expect(StatusDocument.token(status) == token)
        status.baked = .seconds(726)
        #expect(StatusDocument.token(status) != token)
    }

    @Test func exitCodesAreTheContract() {
        func code(_ ending: Ending?, isFinal: Bool = true, isIncomplete: Bool = false) -> Int32? {
            var status = RolloutStatus.sample(isFinal: isFinal, ending: ending)
            status.isRollbackIncomplete = isIncomplete
            return ExitCode(status)?.rawValue
        }
        #expect(code(.promoted) == 0)
        #expect(code(.failed) == 3)
        #expect(code(.halted) == 4)
        #expect(code(.inconclusive) == 5)
        #expect(code(.refused) == 7)
        #expect(code(.failed, isFinal: false, isIncomplete: true) == 6)
        #expect(code(.halted, isFinal: false) == nil)
        #expect(code(nil, isFinal: false) == nil)
        #expect(code(nil) == 1)
        #expect(ExitCode(.invalid([])).rawValue == 2)
        #expect(ExitCode(.notFound("x")).rawValue == 2)
        #expect(ExitCode(.refused(Refusal("x"))).rawValue == 7)
        #expect(ExitCode(.unavailable("x")).rawValue == 75)
        #expect(ExitCode.allCases.map(\.rawValue) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 75, 124, 130])
    }

    @Test func everyOperationErrorSurvivesItsProblemDocument() throws {
        let diagnostic = Diagnostic(
            file: "p.yaml", mark: Mark(line: 3, column: 7), message: "unknown key", hint: "did you mean bake?")
        let errors: [OperationError] = [
            .invalid([diagnostic, diagnostic]), .refused(Refusal("not now", hint: "later")), .notFound("nothing"),
            .unavailable("full"),
        ]
        for error in errors {
            let problem = Problem(error)
            let document = try JSONValue(parsing: problem.response.bytes ?? [])
            #expect(Problem.operationError(status: problem.response.status, document: document) == error)
        }
    }
}
