internal import SerinDatabase
import SerinModel
import SerinPolicies
import Testbed
import Testing

@testable import SerinPostgres

/// When there is no answer to be believed: no data, in time, and never healthy.
@Suite(.serialized) struct AbsenceTests {
    @Test func aRoleThatSeesNothingOfOthersHasNoData() async throws {
        try await withCluster(withReplica: false) { cluster in
            try await cluster.primary.sql("CREATE ROLE plain LOGIN")
            let health = try cluster.health(user: "plain")
            let reading = await health.read(deadline: .seconds(5))
            #expect(reading.values.allSatisfy { $0.value == nil })
            #expect(reading.failures.first?.kind == .denied)
            #expect(reading.failures.first?.hint == "GRANT pg_monitor TO plain")
            try await cluster.primary.sql("GRANT pg_monitor TO plain")
            #expect(await health.read(deadline: .seconds(5)).value(.blockedSessions) == 0)
        }
    }

    @Test func aServerThatIsGoneHasNoDataAndIsFoundAgain() async throws {
        try await withCluster(withReplica: false) { cluster in
            let health = try cluster.health([.blockedSessions])
            #expect(await health.read(deadline: .seconds(5)).value(.blockedSessions) == 0)
            cluster.primary.stop()
            let reading = await health.read(deadline: .seconds(5))
            #expect(reading.values.map(\.value) == [nil])
            #expect(reading.failures.first?.kind == .transient)
            #expect(
                reading.detail(.blockedSessions).hasPrefix(
                    "cannot connect to postgres primary 127.0.0.1:\(cluster.primary.port)/postgres"))
            try await cluster.primary.start()
            var again = reading
            try await waitUntil("next attempt") {
                again = await health.read(deadline: .seconds(5))
                return again.failures.first?.kind == .conflict
            }
            #expect(again.values.map(\.value) == [nil])
            #expect(again.detail(.blockedSessions).contains("it restarted at"))
            let fresh = await (try cluster.health([.blockedSessions])).read(deadline: .seconds(5))
            #expect(fresh.value(.blockedSessions) == 0)
        }
    }

    @Test func whoeverTakesOverMissesTheReplicaThatWasThereBefore() async throws {
        try await withCluster { cluster in
            let before = try cluster.health([.replicationLag, .deadlocks])
            var reading = await before.read(deadline: .seconds(5))
            try await waitUntil("the replica") {
                reading = await before.read(deadline: .seconds(5))
                return reading.value(.replicationLag) != nil
            }
            let start = try #require(reading.start)
            #expect(start.standbys?.count == 1 && start.deadlocks?.isEmpty == false)
            cluster.replica.stop()
            let after = try cluster.health([.replicationLag, .deadlocks], start: start)
            try await waitUntil("the loss of the replica") {
                reading = await after.read(deadline: .seconds(5))
                return reading.value(.replicationLag) == PostgresHealth.beyondEveryLimit
            }
            #expect(reading.detail(.replicationLag).contains("is not attached any more"))
            #expect(reading.start?.standbys == start.standbys)
        }
    }

    @Test func whoeverTakesOverNoticesThatThePrimaryRestarted() async throws {
        try await withCluster(withReplica: false) { cluster in
            let start = await (try cluster.health([.blockedSessions])).read(deadline: .seconds(5)).start
            cluster.primary.stop()
            try await cluster.primary.start()
            let after = try cluster.health([.blockedSessions], start: start)
            let reading = await after.read(deadline: .seconds(5))
            #expect(reading.detail(.blockedSessions).contains("it restarted at"), "\(reading)")
        }
    }

    @Test func aStoppedServerIsAnsweredWithinTheDeadline() async throws {
        try await withCluster(withReplica: false) { cluster in
            let connected = try cluster.health([.blockedSessions])
            let fresh = try cluster.health([.blockedSessions])
            _ = await connected.read(deadline: .seconds(5))
            cluster.primary.freeze()
            for health in [connected, fresh, connected, fresh] {
                let clock = ContinuousClock()
                let start = clock.now
                let reading = await health.read(deadline: .seconds(1))
                #expect(clock.now - start < .milliseconds(2500))
                #expect(reading.values.map(\.value) == [nil])
                #expect(reading.failures.first?.kind == .transient)
            }
            cluster.primary.thaw()
            try await waitUntil("recovery") { await connected.read(deadline: .seconds(2)).value(.blockedSessions) == 0 }
        }
    }

    @Test func aCrashIsARestart() async throws {
        try await withCluster(withReplica: false) { cluster in
            let health = try cluster.health([.blockedSessions])
            _ = await health.read(deadline: .seconds(5))
            let session = try cluster.primary.session("SELECT 'victim', pg_sleep(60)")
            try await waitUntil("victim") {
                try await cluster.primary.sql(
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%victim%' AND pid <> pg_backend_pid()") == "1"
            }
            cluster.primary.crash("SELECT")
            session.stop()
            var reading = await health.read(deadline: .seconds(5))
            try await waitUntil("restart: \(reading)") {
                reading = await health.read(deadline: .seconds(5))
                return reading.failures.first?.kind == .conflict
            }
            #expect(reading.detail(.blockedSessions).contains("it restarted at"))
        }
    }

    @Test func aStandbyIsNoPrimary() async throws {
        try await withCluster { cluster in
            let replica = try #require(cluster.cluster.replica)
            let health = try reader(of: replica.url(user: "watcher"))
            let reading = await health.read(deadline: .seconds(5))
            #expect(reading.values.map(\.value) == [nil])
            #expect(reading.detail(.blockedSessions).contains("it is a standby now"))
        }
    }

    @Test(arguments: [
        "not a connection string with s3cret", "postgresql://u:s3cret@%zz/", "postgresql://u:s3cret@127.0.0.1:1/db",
        "host=127.0.0.1 port=1 password=s3cret", "host=127.0.0.1 port=s3cret", "",
    ])
    func noSecretIsShownWhateverIsWrongWithTheString(_ text: String) async throws {
        let reading = await (try reader(of: text)).read(deadline: .seconds(2))
        #expect(reading.values.map(\.value) == [nil])
        let shown = "\(reading)"
        #expect(text.contains("port=s3cret") || !shown.contains("s3cret"), "\(shown)")
    }

    @Test func aCancelledReadingReturnsAtOnce() async throws {
        try await withCluster(withReplica: false) { cluster in
            let health = try cluster.health([.blockedSessions])
            _ = await health.read(deadline: .seconds(5))
            cluster.primary.freeze()
            let clock = ContinuousClock()
            let start = clock.now
            let task = Task { await health.read(deadline: .seconds(30)) }
            task.cancel()
            #expect(await task.value.values.map(\.value) == [nil])
            #expect(clock.now - start < .seconds(15))
        }
    }

    @Test func aReaderThatIsLetGoClosesItsConnections() async throws {
        try await withCluster(withReplica: false) { cluster in
            let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'serin-health'"
            do {
                let health = try cluster.health([.blockedSessions])
                for _ in 0..<3 { _ = await health.read(deadline: .seconds(5)) }
                #expect(try await cluster.primary.sql(count) == "1")
            }
            try await waitUntil("closed connection") { try await cluster.primary.sql(count) == "0" }
        }
    }

    @Test func theSessionIsLimitedAndCannotWrite() async throws {
        try await withCluster(withReplica: false) { cluster in
            let connection = try Connection(cluster.primary.url(), name: "test", purpose: .health, limit: .now + .seconds(5))
            let settings = [
                "application_name", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "search_path",
            ]
            let values = try settings.map { try connection.query("SHOW \($0)", limit: .now + .seconds(5)).first.first ?? nil }
            #expect(values == ["serin-health", "2s", "500ms", "10s", "pg_catalog"])
            let limit = ContinuousClock.now + .seconds(5)
            #expect {
                _ = try connection.query("DELETE FROM public.t", limit: limit)
            } throws: { ($0 as? DatabaseError)?.state == "25006" }
            // The server ends a slow query itself; the connection stays good.
            #expect {
                _ = try connection.query("SELECT pg_sleep(4)", limit: limit)
            } throws: { error in
                let error = error as? DatabaseError
                return error?.state == "57014" && error?.isConnectionLost == false && error?.isAbsence == false
            }
            #expect(try connection.query("SELECT 1", limit: .now + .seconds(5)).values == [["1"]])
        }
    }

    private func reader(of url: String) throws -> PostgresHealth {
        try PostgresHealth(
            policy: PostgresPolicy(
                primary: .environment("DATABASE_URL"), replicas: [], limits: [DatabaseLimit(signal: .blockedSessions, max: 1)])
        ) { _ throws(Failure) in url }
    }
}
