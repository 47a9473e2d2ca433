import SerinModel
import SerinPostgres
import Testbed
import Testing

/// Signals about sessions, provoked on real servers.
@Suite(.serialized) struct SessionSignalsTests {
    private let deadline = Duration.seconds(5)

    @Test func aHealthyClusterHasAValueForEverySignal() async throws {
        try await withCluster { cluster in
            let health = try cluster.health()
            var reading = await health.read(deadline: deadline)
            try await waitUntil("a report of the replica: \(reading)") {
                reading = await health.read(deadline: deadline)
                return reading.values.allSatisfy { $0.value != nil }
            }
            #expect(reading.failures == [])
            #expect(reading.values.map(\.signal) == DatabaseSignal.allCases.sorted())
            for signal in [DatabaseSignal.blockedSessions, .longestLockWait, .ungrantedLocks, .deadlocks, .idleInTransaction] {
                #expect(reading.value(signal) == 0, "\(signal)")
            }
            let saturation = try #require(reading.value(.connectionSaturation))
            #expect(saturation > 0 && saturation < 0.5)
        }
    }

    @Test func onlyTheLimitedSignalsAreRead() async throws {
        try await withCluster(withReplica: false) { cluster in
            let reading = await (try cluster.health([.deadlocks, .blockedSessions])).read(deadline: deadline)
            #expect(reading.values.map(\.signal) == [.blockedSessions, .deadlocks])
        }
    }

    @Test func aBlockedDefinitionIsSeenWithWhoBlocksIt() async throws {
        try await withCluster(withReplica: false) { cluster in
            let health = try cluster.health()
            let reader = try cluster.primary.session("SET application_name = 'checkout'; BEGIN; SELECT 1 FROM t; \\! sleep 60")
            try await waitUntil("open transaction") {
                (await health.read(deadline: deadline)).detail(.idleInTransaction).contains("application checkout")
            }
            let definition = try cluster.primary.session("ALTER TABLE t ADD COLUMN c int")
            try await waitUntil("blocked definition") { (await health.read(deadline: deadline)).value(.blockedSessions) == 1 }
            let behind = try (0..<3).map { _ in try cluster.primary.session("SELECT 1 FROM t") }
            var reading = await health.read(deadline: deadline)
            try await waitUntil("queue behind it") {
                reading = await health.read(deadline: deadline)
                return reading.value(.blockedSessions) == 4 && (reading.value(.longestLockWait) ?? 0) > 0.5
            }
            #expect(reading.value(.ungrantedLocks) == 4)
            #expect(reading.detail(.blockedSessions).contains("application checkout, idle in transaction"))
            #expect(!reading.detail(.blockedSessions).contains("SELECT"))
            #expect((reading.value(.idleInTransaction) ?? 0) > 0.5)
            #expect((reading.value(.longestTransaction) ?? 0) >= (reading.value(.idleInTransaction) ?? 0))
            for session in [reader, definition] + behind { session.stop() }
        }
    }

    @Test func deadlocksCountFromTheFirstReading() async throws {
        try await withCluster(withReplica: false) { cluster in
            try await deadlock(cluster.primary)
            try await waitUntil("statistics") {
                try await cluster.primary.sql("SELECT sum(deadlocks) FROM pg_stat_database") == "1"
            }
            let health = try cluster.health([.deadlocks])
            #expect(await health.read(deadline: deadline).value(.deadlocks) == 0)
            try await deadlock(cluster.primary)
            try await waitUntil("deadlock") { await health.read(deadline: deadline).value(.deadlocks) == 1 }
            try await cluster.primary.sql("SELECT pg_stat_reset()")
            let reading = await health.read(deadline: deadline)
            #expect(reading.value(.deadlocks) == nil)
            #expect(reading.detail(.deadlocks) == "the statistics were reset since the reading before")
            #expect(await health.read(deadline: deadline).value(.deadlocks) == 1)
        }
    }

    @Test func aPreparedTransactionIsALongTransactionToo() async throws {
        try await withCluster(withReplica: false) { cluster in
            try await cluster.primary.sql("BEGIN; UPDATE t SET n = 1 WHERE id = 1; PREPARE TRANSACTION 'lost'")
            let health = try cluster.health()
            let blocked = try cluster.primary.session("UPDATE t SET n = 2 WHERE id = 1")
            var reading = await health.read(deadline: deadline)
            try await waitUntil("blocked session and age") {
                reading = await health.read(deadline: deadline)
                return reading.value(.blockedSessions) == 1 && (reading.value(.longestTransaction) ?? 0) > 0.2
            }
            #expect(reading.detail(.blockedSessions) == "blocked by a prepared transaction")
            blocked.stop()
        }
    }

    @Test func ownSessionsAndVacuumAreNoLongTransactions() async throws {
        try await withCluster(withReplica: false) { cluster in
            let other = try cluster.primary.session(
                "SET application_name = 'serin-health'; BEGIN; SELECT 1; \\! sleep 60", user: "watcher")
            try await waitUntil("own other session") {
                try await cluster.primary.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'") == "1"
            }
            let reading = await (try cluster.health([.longestTransaction, .idleInTransaction])).read(deadline: deadline)
            #expect(reading.value(.longestTransaction) == 0)
            #expect(reading.value(.idleInTransaction) == 0)
            other.stop()
        }
    }

    @Test func aFullServerIsSaturatedWhetherConnectedOrNot() async throws {
        try await withCluster(withReplica: false, settings: ["max_connections": "12", "autovacuum": "off"]) { cluster in
            let connected = try cluster.health([.connectionSaturation, .blockedSessions])
            #expect(await connected.read(deadline: deadline).value(.connectionSaturation) ?? 1 < 0.5)
            try await cluster.primary.sql("CREATE ROLE app LOGIN")
            let clients = try (0..<8).map { _ in try cluster.primary.session("SELECT 1; \\! sleep 60", user: "app") }
            var reading = await connected.read(deadline: deadline)
            try await waitUntil("full server") {
                reading = await connected.read(deadline: deadline)
                return reading.value(.connectionSaturation) == 1
            }
            #expect(reading.detail(.connectionSaturation) == "9 of 9 connections")
            let refused = await (try cluster.health([.connectionSaturation, .blockedSessions])).read(deadline: deadline)
            #expect(refused.value(.connectionSaturation) == 1)
            #expect(refused.value(.blockedSessions) == nil)
            #expect(refused.detail(.connectionSaturation).contains("53300"))
            #expect(refused.failures.first?.kind == .throttled)
            for client in clients { client.stop() }
        }
    }

    private func deadlock(_ server: PostgresServer) async throws {
        let sessions = try [(1, 2), (2, 1)].map { first, second in
            try server.session(
                "BEGIN; UPDATE t SET n = 1 WHERE id = \(first); SELECT pg_sleep(0.5); UPDATE t SET n = 1 WHERE id = \(second); COMMIT"
            )
        }
        try await waitUntil("end of the deadlock") { sessions.allSatisfy { !$0.isRunning } }
    }
}
