import SerinCatalogue
import SerinModel
import Testing

/// What the catalogue's notes remember of restores.
@Suite struct RestoreNotesTests {
    let now = moment("2026-11-21", 12)

    func database(_ name: String, _ number: String, _ role: SideDatabase.Role = .replaced, keep: Duration? = nil) -> SideDatabase
    {
        SideDatabase(
            name: name, number: number, live: "shop", role: role, backup: identifier(1), at: now,
            keepUntil: keep.map { now + $0 })
    }

    @Test func theLastWordAboutADatabaseCounts() throws {
        var dropped = database("shop_restore_1", "11", .restored)
        dropped.isDropped = true
        let notes = try [
            database("shop_restore_1", "11", .restored), database("shop_restore_2", "12", .restored),
            database("shop_replaced_1", "10", keep: day), dropped, database("shop_replaced_2", "12", keep: day * 2),
        ].map { try $0.note(of: "checkout-db", at: now, by: .serin) }
        let known = SideDatabase.all(in: notes)
        #expect(known.map(\.name) == ["shop_replaced_1", "shop_replaced_2"])
        #expect(SideDatabase.due(in: known, at: now + day).map(\.number) == ["10"])
        #expect(SideDatabase.due(in: known, at: now + day - .milliseconds(1)).isEmpty)
    }

    @Test func nothingIsDueThatHasNoEndOrIsCalledLikeTheLiveOne() {
        let known = [
            database("shop", "10", keep: .zero - day), database("shop_restore_1", "11", .restored),
            database("shop_replaced_1", "12"),
        ]
        #expect(SideDatabase.due(in: known, at: now).isEmpty)
    }

    @Test func aNoteThatCannotBeReadIsAboutNothing() throws {
        let broken = AuditNote(at: now, by: .serin, topic: SideDatabase.topic, target: "checkout-db", text: "{\"name\":1}")
        let good = try database("shop_replaced_1", "12", keep: .zero - day).note(of: "checkout-db", at: now, by: .serin)
        #expect(SideDatabase.all(in: [broken, good]).map(\.name) == ["shop_replaced_1"])
    }

    @Test func theBaselineIsTheMedianOfTheLastOnesThatPassed() throws {
        func note(_ milliseconds: Int64, passed: Bool = true, isRehearsal: Bool = true, name: String = "orders") throws
            -> AuditNote
        {
            let timing = QueryTiming(name: name, milliseconds: milliseconds, isRehearsal: isRehearsal, passed: passed)
            return AuditNote(at: now, by: .serin, topic: QueryTiming.topic, target: "checkout-db", text: try timing.noteText())
        }
        let asked = QueryTiming(name: "orders", milliseconds: 300, isRehearsal: true)
        #expect(asked.baseline(in: []) == nil)
        #expect(asked.judged(against: nil).check.passed)
        var notes = try [9000, 100, 140, 150, 160, 200].map { try note($0) }
        notes += try [
            note(5000, passed: false), note(5000, isRehearsal: false), note(5000, name: "other"),
            AuditNote(at: now, by: .serin, topic: QueryTiming.topic, text: "nonsense"),
        ]
        #expect(asked.baseline(in: notes) == 150)
        #expect(asked.judged(against: 150).check.passed)
        let slow = asked.judged(against: 149)
        #expect(!slow.check.passed && !slow.timing.passed)
        #expect(slow.check.detail == "300 ms, usually 149 ms")
        // A few milliseconds prove nothing.
        #expect(QueryTiming(name: "orders", milliseconds: 51, isRehearsal: true).judged(against: 1).check.passed)
    }

    @Test func everybodyWhoWasEverErasedIsErasedAgainAndOnlyOnce() {
        func note(_ subject: String, _ hours: Int64, _ topic: String = Erasure.topic) -> AuditNote {
            AuditNote(at: now + .hours(hours), by: .serin, topic: topic, target: "checkout-db", text: subject)
        }
        let notes = [note("1", -2), note("2", 0), note("3", 1), note("2", 2), note("4", 3, "approval")]
        #expect(Erasure.subjects(in: notes) == ["1", "2", "3"])
    }

    @Test func anErasureTakesTooMuchWhereItIsAShareAndMoreThanOneRowForEachSubject() {
        func loss(_ before: Int64, _ after: Int64, changed: Int64 = 0) -> Erasure.Loss {
            Erasure.Loss(table: "app.orders", before: before, after: after, changed: changed)
        }
        for (one, subjects, share, isTooMuch) in [
            (loss(1000, 998), 2, 0.5, false), (loss(1000, 0), 2, 0.5, true), (loss(1000, 500), 2, 0.5, false),
            (loss(1000, 499), 2, 0.5, true), (loss(1000, 1000, changed: 1000), 2, 0.5, true),
            // A table with a row of each person, and one that counts them.
            (loss(2, 0), 2, 0.5, false), (loss(1, 1, changed: 50), 1, 0.5, false), (loss(3, 0), 2, 0.5, true),
            (loss(1000, 0), 2, 1, false), (loss(1000, 1001), 2, 0, false), (loss(1000, 997), 2, 0, true),
        ] { #expect(one.isTooMuch(for: subjects, share: share) == isTooMuch, "\(one) \(subjects) \(share)") }
        #expect(loss(1000, 998).words == "app.orders 1000 to 998 rows")
        #expect(loss(1000, 1000, changed: 3).words == "app.orders 3 of 1000 rows changed")
    }
}
