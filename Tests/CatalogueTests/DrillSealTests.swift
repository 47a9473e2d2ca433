import SerinCatalogue
import SerinCrypto
import SerinModel
import Testing

/// Reports of drills that are shown to others later, and what restores foretell.
@Suite struct DrillSealTests {
    private let time = moment("2026-11-21", 12)

    private func authenticate(_ key: String) -> Manifest.Authentication {
        // An empty code is no code.
        { bytes in (try? HMACSHA256.code(for: bytes, key: Array(key.utf8))).map { Hexadecimal.text(of: $0) } ?? "" }
    }

    private func drill(_ seconds: Int64, at: Instant? = nil) -> DrillResult {
        var clock = DrillClock(declaredAt: time)
        clock.reach(.located, at: time)
        clock.reach(.checked, at: time + .seconds(seconds))
        return DrillResult(
            id: "1a2b3c4d", at: at ?? time, destination: "bucket", restored: true,
            checks: [BackupCheck("rows", passed: true, detail: "a | b\nc")], clock: clock, recoveryPoint: nil,
            actionItems: ["look"])
    }

    private func report() throws -> DrillReport {
        DrillReport(of: try record(order(1, time)), selection: "latest", environment: "Postgres 15", result: drill(60))
    }

    @Test func aReportIsKnownAgainInBothForms() throws {
        let seal = authenticate("a key for tests")
        let text = try DrillSeal.text(report(), by: seal)
        let document = try DrillSeal.document(report(), by: seal).canonicalText
        #expect(text.hasPrefix("# Drill 1a2b3c4d: passed\n\n- Target") && text.contains("\n\n| Phase |"))
        for form in [text, document, text + "\n\n", document + "\n"] {
            #expect(try DrillSeal.check(Array(form.utf8), by: seal) == "Drill 1a2b3c4d: passed")
            let another = authenticate("another key")
            #expect(throws: ManifestError.self) { try DrillSeal.check(Array(form.utf8), by: another) }
            #expect(
                try DrillSeal.check(Array(form.utf8), by: another, former: [authenticate("a third"), seal]).hasSuffix("passed"))
        }
    }

    @Test func anyOtherWordIsNotWhatWasWritten() throws {
        let seal = authenticate("a key for tests")
        let text = try DrillSeal.text(report(), by: seal)
        let document = try DrillSeal.document(report(), by: seal).canonicalText
        let unsealed = try String(decoding: report().json(), as: UTF8.self)
        let forged = [
            text.replacing("passed", with: "failed"), text.replacing("latest", with: "oldest"), "x" + text, text + "more\n",
            document.replacing("bucket", with: "basket"), document.replacing(#""mac":""#, with: #""mac":"0"#), unsealed,
            try report().markdown, "", "{}", "{",
            text.split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.contains("look") }.joined(separator: "\n"),
        ]
        for form in forged {
            #expect(throws: ManifestError.self, "\(form)") { try DrillSeal.check(Array(form.utf8), by: seal) }
        }
        // A manifest's code is no report's.
        #expect(throws: ManifestError.self) { try DrillSeal.text(report(), by: { _ in "" }) }
    }

    @Test func restoresAndDrillsForetellTheNext() throws {
        let wanted = try record(order(9, time))
        #expect(RestoreEstimate(of: wanted, among: [wanted], notes: []) == nil)
        var rehearsed = try record(order(1, time))
        rehearsed.drill = drill(60, at: time - .hours(9))
        func note(_ bytes: Int64, _ seconds: Int64, _ hours: Int64, _ kind: BackupKind = .logical) throws -> AuditNote {
            let timing = RestoreTiming(kind: kind, bytes: bytes, milliseconds: seconds * 1000)
            return AuditNote(
                at: time - .hours(hours), by: .serin, topic: RestoreTiming.topic, target: "checkout-db",
                text: try timing.noteText())
        }
        let broken = AuditNote(at: time, by: .serin, topic: RestoreTiming.topic, target: "checkout-db", text: "{}")
        // A backup of 5,000 bytes: half the size took 50 s, so 100 s are foretold; twice the size took 30 s.
        let notes = [broken, try note(2500, 50, 3), try note(10_000, 30, 2), try note(5000, 999, 1, .mongo)]
        let estimate = try #require(RestoreEstimate(of: wanted, among: [wanted, rehearsed], notes: notes))
        #expect(estimate.usual == .seconds(60) && estimate.longest == .seconds(100) && estimate.count == 3)
        let many = try (1...6).map { try note(5000, 10, $0) }
        let later = try #require(RestoreEstimate(of: wanted, among: [rehearsed], notes: many))
        #expect(later.longest == .seconds(10) && later.count == 5, "the oldest do not count any more")
    }
}
