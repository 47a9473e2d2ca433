import SerinModel
import Testing

@testable import SerinMigrations

/// Foreign keys pass changes of rows on to rows of other tables, which nothing saves.
@Suite struct PassedOnTests {
    private static let lines = "CREATE TABLE lines (id int PRIMARY KEY, o bigint REFERENCES orders "
    private static let savedFive = "CREATE TABLE b AS SELECT * FROM orders WHERE id > 5; DELETE FROM orders WHERE id > 5"
    private static let fiveBack = "INSERT INTO orders SELECT * FROM b; DROP TABLE b"
    private static let put = "INSERT INTO orders (id, status) VALUES (7, 'a')"
    private static let takeBack = "DELETE FROM orders WHERE id = 7"

    @Test(arguments: [
        LossCase(.destructive, savedFive, fiveBack, after: LossCase.orders, lines + "ON DELETE CASCADE)"),
        LossCase(.destructive, savedFive, fiveBack, after: LossCase.orders, lines + "ON DELETE SET NULL)"),
        LossCase(.reversible, savedFive, fiveBack, after: LossCase.orders, lines + "ON UPDATE CASCADE)"),
        LossCase(.reversible, savedFive, fiveBack, after: LossCase.orders, lines + ")"),
        LossCase(
            .destructive, savedFive, fiveBack, after: LossCase.orders.replacing("TABLE orders", with: "TABLE old"),
            lines.replacing("orders", with: "old") + "ON DELETE CASCADE)", "ALTER TABLE old RENAME TO orders"),
        LossCase(
            .reversible, "ALTER TABLE lines DROP CONSTRAINT lines_o_fkey; " + savedFive,
            fiveBack + "; ALTER TABLE lines ADD CONSTRAINT lines_o_fkey FOREIGN KEY (o) REFERENCES orders ON DELETE CASCADE",
            after: LossCase.orders, lines + "ON DELETE CASCADE)"),
        LossCase(.destructive, put, takeBack, after: LossCase.orders, lines + "ON DELETE CASCADE)"),
        LossCase(.reversible, put, takeBack, after: LossCase.orders, lines + ")"),
        LossCase(.reversible, put + "; " + lines + "ON DELETE CASCADE)", takeBack + "; DROP TABLE lines"),
        LossCase(
            .destructive, put, takeBack, after: LossCase.orders, "CREATE TABLE m (id bigint PRIMARY KEY REFERENCES orders)",
            "ALTER TABLE m DROP CONSTRAINT m_id_fkey, ADD FOREIGN KEY (id) REFERENCES orders ON DELETE CASCADE"),
        LossCase(
            .destructive, "CREATE TABLE b AS SELECT id, email FROM orders; UPDATE orders SET email = 'x'",
            "UPDATE orders SET email = b.email FROM b WHERE b.id = orders.id", after: LossCase.orders,
            "CREATE UNIQUE INDEX e ON orders (email); CREATE TABLE f (e text REFERENCES orders (email) ON UPDATE CASCADE)"),
        LossCase(
            .reversible, "CREATE TABLE b AS SELECT id, amount FROM orders; UPDATE orders SET amount = 0",
            "UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id", after: LossCase.orders,
            lines + "ON UPDATE CASCADE ON DELETE CASCADE)"),
    ])
    func whatForeignKeysPassOnIsSavedNowhere(_ test: LossCase) async { await check(test.locked) }

    @Test func theTableThatAChangeIsPassedOnToIsNamed() async {
        let report = await revision(
            Self.savedFive, down: Self.fiveBack, history: [LossCase.orders, Self.lines + "ON DELETE CASCADE)"])
        #expect(report.reason.contains("rows of lines"), "\(report.reason)")
        #expect(report.up.findings.contains { $0.rule == .overwrites && $0.failsGate && $0.message.contains("lines") })
    }

    private static let pointing = "CREATE TABLE lines (id int PRIMARY KEY, o bigint)"
    private static let passing = "ALTER TABLE lines ADD CONSTRAINT k FOREIGN KEY (o) REFERENCES orders "
    private static let dropKey = "ALTER TABLE lines DROP CONSTRAINT k"

    @Test(arguments: [
        LossCase(.destructive, passing + "ON DELETE CASCADE NOT VALID", dropKey, after: LossCase.orders, pointing),
        LossCase(.destructive, passing + "ON DELETE SET NULL NOT VALID", dropKey, after: LossCase.orders, pointing),
        LossCase(.reversible, passing + "ON UPDATE CASCADE NOT VALID", dropKey, after: LossCase.orders, pointing),
        LossCase(.destructive, passing + "ON UPDATE SET NULL NOT VALID", dropKey, after: LossCase.orders, pointing),
        LossCase(.reversible, passing + "NOT VALID", dropKey, after: LossCase.orders, pointing),
        LossCase(
            .destructive, "\(dropKey); \(passing)ON DELETE CASCADE NOT VALID", "\(dropKey); \(passing)NOT VALID",
            after: LossCase.orders, pointing, passing),
        LossCase(
            .reversible, "\(dropKey); \(passing)NOT VALID", "\(dropKey); \(passing)ON DELETE CASCADE NOT VALID",
            after: LossCase.orders, pointing, passing + "ON DELETE CASCADE"),
        LossCase(
            .reversible, "\(dropKey); \(passing)ON DELETE CASCADE NOT VALID", "\(dropKey); \(passing)ON DELETE CASCADE NOT VALID",
            after: LossCase.orders, pointing, passing + "ON DELETE CASCADE"),
        LossCase(
            .additive, "ALTER TABLE lines ADD COLUMN p bigint REFERENCES orders ON DELETE CASCADE",
            "ALTER TABLE lines DROP COLUMN p", after: LossCase.orders, pointing),
        LossCase(
            .destructive,
            "ALTER TABLE lines ADD COLUMN p bigint DEFAULT 1; "
                + "ALTER TABLE lines ADD CONSTRAINT p FOREIGN KEY (p) REFERENCES orders ON DELETE CASCADE NOT VALID",
            "ALTER TABLE lines DROP COLUMN p", after: LossCase.orders, pointing),
        LossCase(
            .destructive,
            "ALTER TABLE lines ADD COLUMN p bigint; UPDATE lines SET p = o; "
                + "ALTER TABLE lines ADD CONSTRAINT p FOREIGN KEY (p) REFERENCES orders ON DELETE CASCADE NOT VALID",
            "ALTER TABLE lines DROP COLUMN p", after: LossCase.orders, pointing),
    ])
    func whatThePreviousVersionDeletesIsNotPassedOnUnsaid(_ test: LossCase) async {
        await check(test)
        let report = await revision(test.up, down: test.down, history: test.history)
        #expect(report.up.findings.contains { $0.rule == .overwrites && $0.failsGate } == (test.kind == .destructive))
    }
}
