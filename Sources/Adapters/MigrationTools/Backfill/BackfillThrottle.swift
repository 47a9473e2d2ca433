internal import SerinDatabase
internal import SerinModel

/// Says why the next batch should wait: standbys that are behind, or sessions that wait for locks.
struct BackfillThrottle {
    private let backfill: Backfill
    /// How many standbys there were at the beginning: one that is gone since is the worst lag of all.
    private let standbys: Int

    /// - Throws: `denied` when the role may not see how far standbys are.
    init(_ backfill: Backfill, _ session: Connection) throws(Failure) {
        self.backfill = backfill
        guard backfill.mostLag != nil else {
            standbys = 0
            return
        }
        guard try session.value("SELECT pg_has_role(current_user, 'pg_read_all_stats', 'MEMBER')") == "t" else {
            throw Failure(
                .denied, "the role may not see how far standbys are behind",
                hint: "GRANT pg_monitor TO it, or give --max-lag off where there is no standby")
        }
        standbys = try BackfillThrottle.standbys(session).count
    }

    /// Why to wait; nil when there is no reason.
    func reason(_ session: Connection) throws(Failure) -> String? {
        if let most = backfill.mostLag {
            let now = try BackfillThrottle.standbys(session)
            guard now.count >= standbys else { return "\(standbys - now.count) of \(standbys) standbys are gone" }
            for standby in now {
                guard let gap = standby.gap else { return "standby \(standby.name) has not said how far it is" }
                if gap > backfill.mostLagBytes { return "standby \(standby.name) is \(gap >> 20) MiB behind" }
                guard gap > 0 else { continue }
                guard let lag = standby.lag else { return "standby \(standby.name) is behind, nobody knows how long" }
                if lag > most { return "standby \(standby.name) is \(lag) behind" }
            }
        }
        let waiting = try session.value("SELECT count(DISTINCT pid)::text FROM pg_locks WHERE NOT granted")
        if let count = waiting.flatMap({ Int($0) }), count > backfill.mostWaiting { return "\(count) sessions wait for locks" }
        return nil
    }

    private struct Standby {
        var name: String
        /// Bytes of log that it has not replayed.
        var gap: Int64?
        /// What the primary measured; nil when there was nothing to measure lately.
        var lag: Duration?
    }

    private static func standbys(_ session: Connection) throws(Failure) -> [Standby] {
        try session.rows(
            """
            SELECT coalesce(nullif(r.application_name, ''), host(r.client_addr), 'local'),
                greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn))::bigint::text,
                floor(extract(epoch FROM r.replay_lag) * 1000)::bigint::text
            FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
            WHERE s.slot_type IS DISTINCT FROM 'logical' AND r.state <> 'backup' AND (r.replay_lsn IS NOT NULL OR r.flush_lsn IS NULL)
            """
        ).map { row in
            let numbers = row.dropFirst().map { $0.flatMap { Int64($0) } }
            return Standby(
                name: (row.first ?? nil) ?? "", gap: numbers.first ?? nil,
                lag: (numbers.last ?? nil).map { .milliseconds($0) })
        }
    }
}
