import SerinBackups
import SerinModel
import Testing

/// Which transaction deleted, by what pg_waldump prints.
@Suite struct LogMomentsTests {
    private static func moment(_ text: String) throws -> Instant { try #require(Instant(postgres: text)) }

    private func moments(_ lines: [String]) throws -> LogMoments {
        var moments = LogMoments(try Self.moment("2026-11-21 10:00:00")...Self.moment("2026-11-21 11:00:00"))
        for line in lines { moments.take(line[...]) }
        return moments
    }

    private func line(_ transaction: Int, _ words: String, manager: String = "Transaction") -> String {
        "rmgr: \(manager) len (rec/tot):     34/    34, tx:        \(transaction), lsn: 0/01A0B300, prev 0/01A0B2C8, desc: \(words)"
    }

    private func deletion(_ transaction: Int, _ table: Int) -> String {
        line(
            transaction, "DELETE off 1 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/16384/\(table) blk 0 FPW", manager: "Heap")
    }

    @Test func theTransactionThatDeletedTheMostIsNamedWithTheMomentBefore() throws {
        let found = try moments(
            [
                line(744, "INSERT off 3 flags 0x00, blkref #0: rel 1663/16384/16400 blk 0", manager: "Heap"),
                line(744, "COMMIT 2026-11-21 10:00:01.000000 UTC"), deletion(745, 16400), deletion(746, 16410),
                deletion(745, 16400), line(746, "COMMIT 2026-11-21 10:04:59.999000 UTC"), deletion(745, 16410),
                line(745, "COMMIT 2026-11-21 10:05:00.123456 UTC"),
                // Rows of a catalogue are no user's.
                deletion(747, 1249), line(747, "COMMIT 2026-11-21 10:05:01.000000 UTC"),
            ])
        #expect(found.commits == 4 && found.deletions.map(\.transaction) == [746, 745])
        let largest = try #require(found.largest)
        #expect(largest.transaction == 745 && largest.rows == 3)
        #expect(largest.tables == ["16384/16400": 2, "16384/16410": 1])
        #expect(largest.before == (try Self.moment("2026-11-21 10:05:00.122")))
    }

    @Test func whatWasTakenBackDeletedNothing() throws {
        let found = try moments([
            deletion(745, 16400), line(745, "ABORT 2026-11-21 10:05:00.000000 UTC"),
            line(745, "COMMIT 2026-11-21 10:06:00.000000 UTC"),
        ])
        #expect(found.deletions.isEmpty && found.commits == 1)
    }

    @Test func subtransactionsBelongToTheirTransaction() throws {
        let found = try moments([
            deletion(746, 16400), deletion(747, 16400),
            line(745, "COMMIT 2026-11-21 10:05:00.000000 UTC; subxacts: 746 747; inval msgs: catcache 50"),
        ])
        #expect(found.largest?.rows == 2)
    }

    @Test func aDroppedTableCountsMoreThanRows() throws {
        let found = try moments([
            line(748, "COMMIT 2026-11-21 10:05:00.000000 UTC; rels: base/16384/16400 base/16384/16403; inval msgs: x"),
            deletion(749, 16410), deletion(749, 16410), deletion(749, 16410),
            line(749, "COMMIT 2026-11-21 10:06:00.000000 UTC"),
        ])
        #expect(found.largest?.transaction == 748 && found.largest?.dropped == 2)
    }

    @Test func whatIsOutsideOfTheSpanIsLeftOutAndToldAsTheEndOfTheLog() throws {
        let found = try moments([
            deletion(745, 16400), line(745, "COMMIT 2026-11-21 09:59:59.000000 UTC"), deletion(746, 16400),
            line(746, "COMMIT 2026-11-21 11:00:01.000000 UTC"),
        ])
        #expect(found.deletions.isEmpty && found.commits == 0)
        #expect(found.lastCommit == (try Self.moment("2026-11-21 11:00:01")))
    }
}
