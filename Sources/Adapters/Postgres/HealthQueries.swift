/// What is asked of a server. Every query reads statistics views of `pg_catalog` only, and is bounded by `LIMIT` or by the
/// number of backends.
///
/// Written for versions 13 to 18; where they differ the query follows `server_version_num`.
enum HealthQueries {
    /// Who the server is and whether this role sees what it must. Without `pg_read_all_stats` (a part of `pg_monitor`)
    /// `pg_stat_activity` hides other roles' sessions and every count would look healthy.
    ///
    /// A crash restarts the checkpointer but not the postmaster, so the later of both starts is taken.
    static let facts = """
        SELECT pg_is_in_recovery(), pg_has_role('pg_read_all_stats', 'USAGE'), current_user,
          greatest(pg_postmaster_start_time(),
            (SELECT max(backend_start) FROM pg_stat_activity WHERE backend_type = 'checkpointer'))::text,
          (SELECT system_identifier::text FROM pg_control_system()),
          CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') END,
          (SELECT setting FROM pg_settings WHERE name = 'wal_receiver_status_interval')
        """

    /// Sessions that wait for a lock, the longest wait, locks not granted, and who is at the root of it.
    ///
    /// Version 13 has no `pg_locks.waitstart`; the start of the waiting statement stands in, which is never too late. The texts of
    /// statements are left out: they may hold data.
    static func locks(version: Int) -> String {
        let since = version >= 140_000 ? "l.waitstart" : "a.query_start"
        return """
            WITH waiting AS MATERIALIZED (
              SELECT l.pid, min(\(since)) AS since, count(*) AS locks, bool_or(a.backend_type = 'autovacuum worker') AS is_maintenance
              FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted GROUP BY l.pid),
            sessions AS (SELECT * FROM waiting WHERE is_maintenance IS NOT TRUE),
            blocker AS (
              SELECT DISTINCT b.pid FROM (SELECT pid FROM sessions ORDER BY since LIMIT 20) w, unnest(pg_blocking_pids(w.pid)) b(pid)
              WHERE b.pid NOT IN (SELECT pid FROM waiting) ORDER BY b.pid LIMIT 3)
            SELECT (SELECT count(*) FROM sessions),
              (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - since)), 0) FROM sessions),
              (SELECT coalesce(sum(locks), 0) FROM waiting),
              (SELECT pid FROM sessions ORDER BY since LIMIT 1),
              (SELECT string_agg(CASE WHEN b.pid = 0 THEN 'a prepared transaction'
                ELSE format('pid %s (role %s, application %s, %s)', b.pid, coalesce(a.usename, '?'),
                  coalesce(nullif(a.application_name, ''), '?'), coalesce(a.state, a.backend_type, '?')) END, ', ')
                FROM blocker b LEFT JOIN pg_stat_activity a USING (pid))
            """
    }

    /// Clients' sessions: the oldest transaction, the oldest one idle in a transaction. Not counted: Serin's own sessions, what is
    /// no client (autovacuum, replication, workers) and a manual `VACUUM`, which blocks nobody's clean-up. A prepared
    /// transaction counts from when it was prepared.
    static let transactions = """
        WITH client AS (
          SELECT a.* FROM pg_stat_activity a
          WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
            AND NOT (a.application_name = 'serin-health' AND a.usename = current_user)
            AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_vacuum v WHERE v.pid = a.pid)),
        open AS (
          SELECT extract(epoch FROM clock_timestamp() - xact_start) AS age,
            format('pid %s (role %s, application %s, %s)', pid, usename, coalesce(nullif(application_name, ''), '?'), state) AS who
          FROM client WHERE xact_start IS NOT NULL
          UNION ALL
          SELECT extract(epoch FROM clock_timestamp() - prepared), 'a prepared transaction of role ' || owner
          FROM pg_prepared_xacts),
        idle AS (
          SELECT extract(epoch FROM clock_timestamp() - state_change) AS age,
            format('pid %s (role %s, application %s, %s)', pid, usename, coalesce(nullif(application_name, ''), '?'), state) AS who
          FROM client WHERE state LIKE 'idle in transaction%'),
        longest AS (SELECT age, who FROM open ORDER BY age DESC LIMIT 1),
        idlest AS (SELECT age, who FROM idle ORDER BY age DESC LIMIT 1)
        SELECT (SELECT age FROM longest), (SELECT who FROM longest), (SELECT age FROM idlest), (SELECT who FROM idlest)
        """

    /// Client connections, and those that an ordinary role may have. `reserved_connections` exists from version 16.
    static let connections = """
        SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
          current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0)
        """

    /// Deadlocks of each database since its statistics were last reset.
    static let deadlocks = """
        SELECT datid, deadlocks, coalesce(stats_reset::text, '') FROM pg_stat_database ORDER BY datid LIMIT 10000
        """

    /// The slot that keeps most of the log; a lost one comes first.
    static let slots = """
        SELECT slot_name, coalesce(wal_status, ''), active,
          greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)
        FROM pg_replication_slots ORDER BY (wal_status = 'lost') DESC NULLS LAST, 4 DESC NULLS LAST LIMIT 1
        """

    /// The standbys attached. Logical subscribers, running base backups and receivers that flush but replay nothing
    /// (`pg_receivewal`) are no standbys; one that has not reported yet is.
    static let standbys = """
        SELECT coalesce(s.slot_name, ''), coalesce(r.application_name, ''), coalesce(host(r.client_addr), 'local'), r.state,
          pg_wal_lsn_diff(r.replay_lsn, '0/0'), extract(epoch FROM r.replay_lag),
          extract(epoch FROM clock_timestamp() - r.reply_time)
        FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
        WHERE s.slot_type IS DISTINCT FROM 'logical' AND r.state <> 'backup' AND (r.replay_lsn IS NOT NULL OR r.flush_lsn IS NULL)
        ORDER BY 1, 2, 3 LIMIT 1000
        """

    /// How far a standby is: paused or not, replayed position, age of the last replayed commit, its receiver, the position
    /// received, and the age of the last message from the primary.
    static let replay = """
        SELECT CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END,
          pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'),
          extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()),
          (SELECT status FROM pg_stat_wal_receiver LIMIT 1),
          pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0'),
          (SELECT extract(epoch FROM clock_timestamp() - last_msg_receipt_time) FROM pg_stat_wal_receiver LIMIT 1)
        """
}
