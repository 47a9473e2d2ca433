import SerinModel
import SerinPostgres
import Testbed
import Testing

/// Lag and slots, provoked on a real primary with a real streaming replica.
@Suite(.serialized) struct ReplicationTests {
    private let deadline = Duration.seconds(5)
    private let lag: [DatabaseSignal] = [.replicationLag, .replicationLagBytes]

    /// The replica is watched from the primary, or over a connection of its own.
    @Test(arguments: [false, true]) func anIdlePrimaryIsNoLag(_ namesReplica: Bool) async throws {
        try await withCluster { cluster in
            let health = try await settled(cluster, namesReplica: namesReplica)
            // A change of segment leaves a hole that nobody will ever replay.
            try await cluster.primary.sql("SELECT pg_switch_wal()")
            // Until the replica has reported the switch, the rest of the segment is a gap like any other.
            try await waitUntil("the switch is reported") {
                await health.read(deadline: deadline).value(.replicationLagBytes) == 0
            }
            // Long enough for the lag columns to turn NULL and for the last commit to grow old.
            let clock = ContinuousClock()
            let start = clock.now
            try await waitUntil("idleness") {
                let reading = await health.read(deadline: deadline)
                #expect(reading.value(.replicationLag) ?? 99 < 1, "\(reading)")
                #expect(reading.value(.replicationLagBytes) == 0, "\(reading)")
                return clock.now - start > .seconds(4)
            }
            let age = try await cluster.replica.sql("SELECT extract(epoch FROM now() - pg_last_xact_replay_timestamp())")
            #expect((Double(age) ?? 0) > 3, "the naive query would have called this lag")
        }
    }

    @Test(arguments: [false, true]) func aBusyPrimaryIsNoLag(_ namesReplica: Bool) async throws {
        try await withCluster { cluster in
            let health = try await settled(cluster, namesReplica: namesReplica)
            for round in 0..<10 {
                try await write(cluster, rows: 2000)
                let reading = await health.read(deadline: deadline)
                #expect(reading.value(.replicationLag) ?? 99 < 2, "round \(round): \(reading)")
            }
        }
    }

    @Test(arguments: [false, true]) func pausedReplayIsLag(_ namesReplica: Bool) async throws {
        try await withCluster { cluster in
            let health = try await settled(cluster, namesReplica: namesReplica)
            try await cluster.replica.setReplayPaused(true)
            try await write(cluster, rows: 20_000)
            var reading = await health.read(deadline: deadline)
            try await waitUntil("lag: \(reading)") {
                reading = await health.read(deadline: deadline)
                return (reading.value(.replicationLag) ?? 0) > 1.5 && (reading.value(.replicationLagBytes) ?? 0) > 1_000_000
            }
            if namesReplica { #expect(reading.detail(.replicationLag).contains("replay paused")) }
            try await cluster.replica.setReplayPaused(false)
            try await waitUntil("catching up") { await health.read(deadline: deadline).value(.replicationLagBytes) == 0 }
        }
    }

    @Test(arguments: [false, true]) func aFrozenReceiverIsNeverHealthy(_ namesReplica: Bool) async throws {
        try await withCluster { cluster in
            let health = try await settled(cluster, namesReplica: namesReplica)
            cluster.replica.freeze("walreceiver")
            try await write(cluster, rows: 20_000)
            let first = await health.read(deadline: deadline)
            #expect(first.value(.replicationLagBytes) ?? 0 > 1_000_000, "\(first)")
            // Neither zero nor the last lag that was measured when all was well.
            try await waitUntil("frozen") {
                let reading = await health.read(deadline: deadline)
                return reading.value(.replicationLag) == PostgresHealth.beyondEveryLimit
                    && reading.detail(.replicationLag).contains("is frozen: it last")
            }
            cluster.replica.thaw()
            try await waitUntil("catching up") { await health.read(deadline: deadline).value(.replicationLagBytes) == 0 }
        }
    }

    @Test(arguments: [false, true]) func aReplicaThatIsGoneExceedsEveryLimit(_ namesReplica: Bool) async throws {
        try await withCluster { cluster in
            let health = try await settled(cluster, namesReplica: namesReplica)
            cluster.replica.stop()
            var reading = await health.read(deadline: deadline)
            try await waitUntil("missing replica: \(reading)") {
                reading = await health.read(deadline: deadline)
                return reading.value(.replicationLag) == PostgresHealth.beyondEveryLimit
            }
            #expect(reading.value(.replicationLagBytes) == PostgresHealth.beyondEveryLimit)
            #expect(
                reading.detail(.replicationLag).contains(
                    namesReplica ? "cannot connect to postgres replica" : "not attached any more"))
            try await cluster.replica.start()
            try await waitUntil("return of the replica") {
                await health.read(deadline: deadline).value(.replicationLagBytes) == 0
            }
        }
    }

    @Test func aFrozenReplicaServerExceedsEveryLimitWithinTheDeadline() async throws {
        try await withCluster { cluster in
            let health = try await settled(cluster, namesReplica: true)
            cluster.replica.freeze()
            let clock = ContinuousClock()
            let start = clock.now
            let reading = await health.read(deadline: .seconds(1))
            #expect(clock.now - start < .milliseconds(2500))
            #expect(reading.value(.replicationLag) == PostgresHealth.beyondEveryLimit)
            #expect(reading.failures.map(\.kind) == [.transient])
            cluster.replica.thaw()
            try await waitUntil("recovery") { await health.read(deadline: deadline).value(.replicationLagBytes) == 0 }
        }
    }

    @Test func aPromotedReplicaIsNoData() async throws {
        try await withCluster { cluster in
            let health = try await settled(cluster, namesReplica: true)
            try await cluster.replica.sql("SELECT pg_promote()")
            let reading = await health.read(deadline: deadline)
            #expect(reading.value(.replicationLag) == nil)
            #expect(reading.detail(.replicationLag).contains("it was promoted"))
        }
    }

    @Test func lagWithoutAnyReplicaIsNoData() async throws {
        try await withCluster(withReplica: false) { cluster in
            let reading = await (try cluster.health(lag)).read(deadline: deadline)
            #expect(reading.values.map(\.value) == [nil, nil])
            #expect(reading.detail(.replicationLag).hasPrefix("no replica is attached and the policy names none"))
        }
    }

    @Test func aSlotWhoseReplicaIsGoneKeepsTheLogBack() async throws {
        try await withCluster(slot: "standby_1") { cluster in
            let health = try cluster.health([.slotRetained])
            var reading = await health.read(deadline: deadline)
            try await waitUntil("streaming slot: \(reading)") {
                reading = await health.read(deadline: deadline)
                return reading.detail(.slotRetained) == "slot standby_1 is active, reserved"
                    && (reading.value(.slotRetained) ?? 9e9) < 1e6
            }
            cluster.replica.stop()
            try await write(cluster, rows: 50_000)
            try await waitUntil("retained log: \(reading)") {
                reading = await health.read(deadline: deadline)
                return (reading.value(.slotRetained) ?? 0) > 3_000_000
            }
            #expect(reading.detail(.slotRetained) == "slot standby_1 is inactive, reserved")
        }
    }

    @Test func aLostSlotExceedsEveryLimit() async throws {
        try await withCluster(slot: "standby_1", settings: ["max_wal_size": "32MB"]) { cluster in
            try await cluster.primary.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
            try await cluster.primary.sql("SELECT pg_reload_conf()")
            let health = try cluster.health([.slotRetained])
            cluster.replica.stop()
            var reading = await health.read(deadline: deadline)
            try await waitUntil("lost slot: \(reading)") {
                try await cluster.primary.sql("SELECT pg_switch_wal(); CHECKPOINT")
                try await write(cluster, rows: 1000)
                reading = await health.read(deadline: deadline)
                return reading.value(.slotRetained) == PostgresHealth.beyondEveryLimit
            }
            #expect(reading.detail(.slotRetained) == "slot standby_1 is inactive, lost")
        }
    }

    private func settled(_ cluster: HealthyCluster, namesReplica: Bool) async throws -> PostgresHealth {
        let health = try cluster.health(lag, namesReplica: namesReplica)
        var reading = await health.read(deadline: deadline)
        try await waitUntil("no lag at first: \(reading)") {
            reading = await health.read(deadline: deadline)
            return reading.value(.replicationLagBytes) == 0
        }
        return health
    }

    private func write(_ cluster: HealthyCluster, rows: Int) async throws {
        try await cluster.primary.sql(
            "INSERT INTO t SELECT i, 0 FROM generate_series(1000, \(1000 + rows)) i ON CONFLICT (id) DO UPDATE SET n = t.n + 1")
    }
}
