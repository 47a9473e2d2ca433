internal import SerinDatabase
internal import SerinModel

/// The schemas that merges make beside the live tables and remove when they end, also when they only count. These block their thread.
extension RestoreServer {
    /// Says that this session merges, or removes what merges have left. It is said to the server, so that one from another machine,
    /// which knows another catalogue, is not disturbed; and it ends with the session, also with that of a program that was killed.
    ///
    /// - Returns: Whether nobody else does.
    func isAloneMerging(_ session: Connection) throws(Failure) -> Bool {
        // A number of our own.
        try session.value("SELECT pg_try_advisory_lock(7310590473041)") == "t"
    }

    /// Removes what merges that were killed have left in the live database; nothing while one works.
    func sweepMerges() throws(Failure) {
        let session = try session(live)
        if try isAloneMerging(session) { try dropMerges(session) }
    }

    /// - Parameters:
    ///   - session: One that is alone with them.
    ///   - name: Only that of merges from this database.
    func dropMerges(_ session: Connection, from name: String? = nil) throws(Failure) {
        let left = try session.rows(
            "\(PostgresInventory.merges) AND pg_has_role(nspowner, 'USAGE') ORDER BY 1"
        ).compactMap { $0.first ?? nil }
        for schema in left where name == nil || name == schema {
            _ = try session.rows("DROP SCHEMA \(sqlName(schema)) CASCADE")
        }
    }
}
