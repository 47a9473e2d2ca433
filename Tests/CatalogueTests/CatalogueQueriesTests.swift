import SerinCatalogue
import SerinModel
import Testing

/// Questions about the history of backups.
@Suite struct CatalogueQueriesTests {
    private let now = Instant(millisecondsSince1970: 1_795_000_000_000)

    private func ago(_ days: Int64) -> Instant { now - .hours(24 * days) }

    private func id(_ number: Int) -> BackupID {
        BackupID(millisecondsSince1970: now.millisecondsSince1970 + Int64(number), random: [])
    }

    private func begun(_ number: Int, _ kind: BackupKind, _ days: Int64, project: String = "shop") -> CatalogueEvent {
        CatalogueEvent(
            backup: id(number), at: ago(days), by: .serin,
            .begun(
                BackupOrder(
                    id: id(number), project: project, target: "checkout", kind: kind, createdAt: ago(days), createdBy: .serin)))
    }

    private func state() throws -> CatalogueState {
        try CatalogueState(replaying: [
            begun(1, .logical, 40), begun(2, .baseFull, 20), begun(3, .files, 3), begun(4, .logs, 1),
            begun(5, .logical, 2, project: "other"), begun(6, .logical, 1),
            CatalogueEvent(backup: id(6), at: now, by: .serin, .failed(Failure(.transient, "cut"))),
            CatalogueEvent(backup: id(1), at: now, by: .serin, .warned(expiresAt: now + .hours(24))),
        ])
    }

    @Test func theHistoryIsNewestFirstAndLeavesOutWhatFailed() throws {
        let state = try state()
        #expect(state.history(BackupSelection(project: "shop")).map(\.id) == [4, 3, 2, 1].map(id))
        #expect(state.history(BackupSelection(project: "shop", type: .database)).map(\.id) == [2, 1].map(id))
        #expect(state.history(BackupSelection(kind: .logical), includingDead: true).map(\.id) == [6, 5, 1].map(id))
    }

    @Test func statisticsCountTypesAndNameOldestAndNewest() throws {
        let statistics = try state().statistics(BackupSelection(project: "shop"))
        #expect(statistics.count == 4)
        #expect(statistics.countByType == [.database: 2, .storage: 1, .logs: 1])
        #expect(statistics.oldest == ago(40) && statistics.newest == ago(1))
        let byType = try state().statisticsByType(BackupSelection(project: "shop"))
        #expect(byType.map(\.type) == [.database, .logs, .storage])
        #expect(byType.first?.1.oldest == ago(40))
        #expect(CatalogueState().statistics() == CatalogueState().statistics(BackupSelection(project: "none")))
    }

    @Test func countsByAgeAreThoseOfSevenAndThirtyDays() throws {
        let ages = try state().countsByAge(BackupSelection(project: "shop"), at: now)
        #expect(ages.map { [$0.last7Days, $0.last30Days, $0.total] } == [[0, 1, 2], [1, 1, 1], [1, 1, 1]])
    }

    @Test func thePlansDateGoesBeforeTheWarnings() throws {
        let state = try state()
        #expect(state.expiring(at: now).map(\.id) == [id(1)])
        #expect(state.expired(at: now + .hours(25)).map(\.id) == [id(1)])
        let expiries = [id(1): now + .hours(24 * 8), id(2): now + .hours(2), id(3): now]
        #expect(state.expiring(at: now, expiries: expiries).map(\.id) == [id(2)], "neither the one of today nor a later one")
        #expect(state.expired(at: now + .milliseconds(1), expiries: expiries).map(\.id) == [id(3)])
    }
}
