internal import SerinDatabase
internal import SerinModel

/// Whether a swap could be done, which is said before anything is touched. These block their thread.
extension RestoreServer {
    /// As the role that swaps: see `swapping`. Where there is no live database yet there is nothing to be said.
    ///
    /// - Parameter incoming: What is to be swapped in; nil for what is not made yet.
    /// - Throws: `denied` when it may not rename the live database or the one that comes in, or the role that restores could not connect to
    ///   that any more once it has the owner and the grants of the live one.
    func expectSwapRights(_ incoming: String?) throws(Failure) {
        try refuseOtherRole()
        let row = try maintenance.rows(
            """
            SELECT r.rolname, r.rolcreatedb OR r.rolsuper, pg_has_role(l.datdba, 'USAGE'), pg_has_role(i.datdba, 'USAGE'),
                pg_get_userbyid(i.datdba)
            FROM pg_roles r JOIN pg_database l ON l.datname = \(sqlText(live))
            LEFT JOIN pg_database i ON i.datname = \(sqlText(incoming ?? "")) WHERE r.rolname = current_user
            """
        ).first
        guard let row, row.count == 5, let role = row[0] else { return }
        guard row[2] == "t" else { throw notItsOwner(role) }
        guard row[1] == "t" else {
            throw Failure(
                .denied, "the role \(role) could not swap \(live): it may rename no databases",
                hint: "as a superuser: ALTER ROLE \(sqlName(role)) CREATEDB")
        }
        if let incoming, let owner = row[4], row[3] != "t" {
            throw Failure(
                .denied, "the role \(role) could not swap \(incoming) in: that belongs to \(owner)",
                hint: "as a superuser: GRANT \(sqlName(owner)) TO \(sqlName(role))")
        }
        if let filler = try blindFiller() {
            throw Failure(
                .denied, "the role \(filler) that restores could not look into a database with the grants of \(live)",
                hint: "as the owner: \(RestoreServer.grant(live, filler))")
        }
    }

    /// What is said where the role that swaps does not own the live database.
    func notItsOwner(_ role: String) -> Failure {
        Failure(
            .denied, "the role \(role) could not swap \(live): it does not own it",
            hint: settings.swapURL == nil
                ? "name the role that owns it in the plan, as restore: {swap_url_env: NAME}: one with CREATEDB that is a member of "
                    + "\(sqlName(role))"
                : "as a superuser: ALTER DATABASE \(sqlName(live)) OWNER TO \(sqlName(role))")
    }

    /// The role that restores, where it may not connect to the live database; nil where it may, or swaps itself.
    func blindFiller() throws(Failure) -> String? {
        guard let filling = try filling else { return nil }
        return try filling.maintenance.value(
            "SELECT current_user FROM pg_database WHERE datname = \(sqlText(live)) AND NOT has_database_privilege(oid, 'CONNECT')"
        )
    }

    static func grant(_ database: String, _ role: String) -> String {
        "GRANT CONNECT ON DATABASE \(sqlName(database)) TO \(sqlName(role))"
    }
}
