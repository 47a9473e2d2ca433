internal import SerinDatabase
internal import SerinModel
internal import SerinProcesses

/// Renames two databases in one transaction: what is live steps aside for what comes in. Blocks its thread.
///
/// Both are closed to connections before, because a database with sessions cannot be renamed; that is committed by itself. The
/// transaction that renames them opens them as well. So whoever is killed in between leaves either everything done or both names as
/// they were and both closed, and `RestoreServer.reopen` is all that is missing.
struct DatabaseExchange {
    let server: RestoreServer
    let live: String
    let away: String
    let incoming: String

    /// - Parameter limit: How long it is tried to be alone with the databases.
    func run(within limit: Duration, _ stop: StopSignal) throws(Failure) {
        let end = ContinuousClock.now + .milliseconds(limit.milliseconds)
        let number = try server.number(of: incoming)
        do throws(Failure) {
            let session = try server.maintenance
            try refuseThoseWhoStay(session)
            for name in [live, incoming] { _ = try session.rows("ALTER DATABASE \(sqlName(name)) ALLOW_CONNECTIONS false") }
            try rename(session, until: end, stop)
        } catch {
            // The session may be what failed, so everything below asks on another one.
            var failure = error
            do throws(Failure) {
                // Only the answer to the last word of the transaction was lost.
                if try server.number(of: live) == number { return }
                try server.reopen([live, incoming])
            } catch {
                let commands = [live, incoming].map { "ALTER DATABASE \(sqlName($0)) ALLOW_CONNECTIONS true" }
                failure.message += "; and \(live) is still closed: \(commands.joined(separator: "; "))"
                failure.hint = "the next swap opens both as well, once the server answers"
            }
            throw failure
        }
    }

    /// Ends every session and renames both, again until nobody is in the way.
    private func rename(
        _ session: Connection, until end: ContinuousClock.Instant, _ stop: StopSignal
    ) throws(Failure) {
        while true {
            guard !stop.isRaised else { throw Failure(.transient, "the swap was given up") }
            try refuseThoseWhoStay(session)
            _ = try session.rows("SELECT pg_terminate_backend(a.pid) \(sessions) AND \(Self.mayEnd)")
            do throws(Failure) {
                _ = try session.rows("BEGIN")
                _ = try session.rows("ALTER DATABASE \(sqlName(live)) RENAME TO \(sqlName(away))")
                _ = try session.rows("ALTER DATABASE \(sqlName(incoming)) RENAME TO \(sqlName(live))")
                for name in [live, away] { _ = try session.rows("ALTER DATABASE \(sqlName(name)) ALLOW_CONNECTIONS true") }
                _ = try session.rows("COMMIT")
                return
            } catch {
                let first = error
                // A session that cannot even go back is lost, and why is what the first failure says.
                do throws(Failure) { _ = try session.rows("ROLLBACK") } catch { throw first }
                guard ContinuousClock.now < end, error.kind != .denied, error.kind != .invalid else {
                    var error = error
                    error.message = "cannot put \(incoming) in the place of \(live): " + error.message
                    throw error
                }
            }
        }
    }

    /// The sessions of clients and subscribers, which alone are ended. The server's own workers bear no user: the renaming itself asks an
    /// autovacuum worker to leave, and waits for it. What others run is not shown to everybody, so an unknown kind counts as a client.
    private var sessions: String {
        """
        FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
        WHERE a.datname IN (\(sqlText(live)), \(sqlText(incoming))) AND a.pid <> pg_backend_pid()
            AND coalesce(a.backend_type, 'client backend') IN ('client backend', 'walsender')
        """
    }

    private static let mayEnd = """
        ((SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR NOT r.rolsuper
            AND (pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend'::name, 'USAGE')))
        """

    /// - Throws: `denied` when there are sessions that the role may not end; a superuser's can be ended by a superuser only, and the
    ///   worker of a subscription comes back as long as that is enabled.
    private func refuseThoseWhoStay(_ session: Connection) throws(Failure) {
        let enabled = try session.rows(
            """
            SELECT d.datname, format('ALTER SUBSCRIPTION %I DISABLE', s.subname) FROM pg_subscription s
            JOIN pg_database d ON d.oid = s.subdbid
            WHERE s.subenabled AND d.datname IN (\(sqlText(live)), \(sqlText(incoming))) ORDER BY 1, 2
            """)
        if let database = enabled.first?.first ?? nil {
            throw Failure(
                .denied,
                "a database with an enabled subscription cannot be renamed: its worker is always connected to \(database)",
                hint: "as a superuser, in \(database): \(enabled.compactMap { $0.last ?? nil }.joined(separator: "; "))")
        }
        let others = try session.rows(
            "SELECT r.rolname, r.rolsuper, count(*), current_user \(sessions) AND NOT \(Self.mayEnd) GROUP BY 1, 2 ORDER BY 2, 1")
        guard let first = others.first, let role = first.last ?? nil else { return }
        let names = others.map { "\($0.first.flatMap(\.self) ?? "?") (\($0.dropFirst(2).first.flatMap(\.self) ?? "?"))" }
        let areSuperusers = first.dropFirst().first == "t"
        throw Failure(
            .denied, "the role \(role) may not end the sessions that others have at \(live): \(names.joined(separator: ", "))",
            hint: areSuperusers
                ? "only a superuser ends the sessions of a superuser: leave them, or let restore.quiesce end them"
                : "GRANT pg_signal_backend TO \(sqlName(role)), or let restore.quiesce end them")
    }
}
