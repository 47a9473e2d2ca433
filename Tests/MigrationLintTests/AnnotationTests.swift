import SerinMigrations
import SerinModel
import Testing

@Suite struct AnnotationTests {
    @Test(arguments: [
        "-- serin: allow L01 because it has 200 rows\nCREATE INDEX i ON t (a);",
        "CREATE INDEX i ON t (a); -- serin: allow L01 because it has 200 rows",
        "CREATE INDEX i /* serin: allow L01 because it has 200 rows */ ON t (a);",
        "-- serin: allow-file L01 because it has 200 rows\nSELECT 1;\nCREATE INDEX i ON t (a);",
    ])
    func aReasonLetsAFindingBe(_ sql: String) async {
        let report = await lint(sql)
        let finding = report.up.findings.first
        #expect(finding?.rule == .indexBlocks)
        #expect(finding?.allowance == "it has 200 rows")
        #expect(!report.up.findings.contains { $0.failsGate })
    }

    @Test func aCommentSpeaksForItsOwnStatementAlone() async {
        let report = await lint("CREATE INDEX i ON t (a); -- serin: allow L01 because small\nCREATE INDEX j ON t (b);")
        #expect(report.up.findings.map { $0.allowance != nil } == [true, false])
        #expect(report.up.findings.last?.place.line == 2)
    }

    @Test(arguments: [
        "-- serin: allow L01\nCREATE INDEX i ON t (a);", "-- serin: allow L01 because\nCREATE INDEX i ON t (a);",
        "-- serin: allow L99 because it is fine\nCREATE INDEX i ON t (a);", "-- serin: allow because it is fine\nSELECT 1;",
        "-- serin: ignore L01 because it is fine\nSELECT 1;", "-- serin: allow A01 because it is fine\nSELECT 1;",
        "-- serin: class harmless because it is fine\nDO $$ $$;",
    ])
    func aCommentWithoutAReasonOrWithAnUnknownRuleIsAnError(_ sql: String) async {
        let report = await lint(sql)
        #expect(report.up.findings.contains { $0.rule == .annotation && $0.failsGate })
    }

    @Test func whatIsAllowedAndDoesNotOccurIsAWarning() async {
        let report = await lint("-- serin: allow L02 because it was once needed\nCREATE INDEX CONCURRENTLY i ON t (a);")
        #expect(report.up.findings.map(\.rule) == [.annotation])
        #expect(report.up.findings.first?.severity == .warning)
    }

    @Test func aClassCannotBeMadeLighterThanWhatIsSeen() async {
        let report = await lint("-- serin: class additive because trust me\nALTER TABLE t DROP COLUMN a;")
        #expect(report.kind == .destructive)
        #expect(report.up.findings.contains { $0.rule == .annotation && $0.failsGate })
    }

    @Test func anAllowedBlockStaysDestructive() async {
        let report = await lint("-- serin: allow D01, C01 because nobody used it for a year\nDROP TABLE t;")
        #expect(report.kind == .destructive)
        #expect(!report.up.findings.contains { $0.failsGate })
    }

    @Test func aClassIsGivenToWhatNobodyCanSee() async {
        let report = await lint("-- serin: class reversible because it only moves rows\nDO $$ BEGIN END $$;")
        #expect(report.kind == .reversible)
        #expect(!report.up.findings.contains { $0.failsGate })
    }

    @Test func aTextThatOnlyLooksLikeACommentAllowsNothing() async {
        let report = await lint(
            "CREATE INDEX \"-- serin: allow L01 because x y\" ON t (a);\nINSERT INTO t VALUES ('-- serin: allow L01 because no')")
        #expect(report.up.findings.first?.failsGate == true)
    }

    @Test func aCommentSaysThatThePreviousVersionFailsOnWhatOnlyAdds() async {
        let known = "ALTER TABLE t ADD COLUMN a int;"
        #expect(await revision(known, down: "ALTER TABLE t DROP COLUMN a;").kind == .additive)
        let comment = "-- serin: previous fails because it counts columns\n"
        let report = await revision(comment + known, down: "ALTER TABLE t DROP COLUMN a;")
        #expect(report.kind == .reversible)
        #expect(report.reason.contains("it counts columns"), "\(report.reason)")
        #expect(report.up.findings.contains { $0.rule == .breaksPrevious && $0.failsGate })
        let fixed = await revision(known + "\n" + comment, down: nil)
        #expect(fixed.kind == .unclassified)
    }

    @Test(arguments: [
        "-- serin: previous works because trust me\nSELECT 1;", "-- serin: previous fails\nSELECT 1;",
        "-- serin: previous because it fails\nSELECT 1;",
    ])
    func thatThePreviousVersionWorksIsNotBelievedOfAComment(_ sql: String) async {
        #expect(await lint(sql).up.findings.contains { $0.rule == .annotation && $0.failsGate })
    }
}
