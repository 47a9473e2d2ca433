internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinPolicies

/// What functions of one owner could do to what belongs to another, as the role that restores, which may act for all of them. Also behind the
/// last row, where nobody finds it: a CHECK that takes the whole row is made there. These block their thread.
extension RestoreServer {
    /// - Throws: `denied` when nothing of a dump may go live, or nothing be merged into the live database: see `mixedOwners`.
    func refuseMixedOwners(_ owners: [String]?, _ code: ForeignCode = .dump) throws(Failure) {
        if let failure = try mixedOwners(owners, code) { throw failure }
    }

    /// Whether one owner, whom nobody trusts, may not act for every other one. What belongs to a superuser is left out: a function reaches
    /// it only once it was given to the role that restores.
    ///
    /// - Returns: What is to be said; nil where nothing speaks against it.
    func mixedOwners(_ owners: [String]?, _ code: ForeignCode = .dump) throws(Failure) -> Failure? {
        guard let owners, let strangers = try strangers(owners) else {
            return Failure(
                .denied,
                "the dump does not say who its functions belong to, so they may be of anybody: it is for looking at, and nothing of it "
                    + "goes live",
                hint: "newer backups say who owns what")
        }
        guard !strangers.isEmpty else { return nil }
        let found = try maintenance.rows(
            """
            WITH owners AS (SELECT name, r.oid AS id FROM unnest(\(RestoreServer.texts(owners))) name
                LEFT JOIN pg_roles r ON r.rolname = name WHERE r.rolsuper IS NOT TRUE AND name !~ '^pg_'),
            others AS (SELECT name, id FROM owners UNION \(RestoreServer.ownersThatItMayBe(of: live)))
            SELECT o.name, p.name FROM owners o JOIN others p ON p.name <> o.name
            WHERE o.name = ANY (\(RestoreServer.texts(strangers)))
                AND (o.id IS NULL OR p.id IS NULL OR NOT \(try mayAct("o.id", as: "p.id")))
            ORDER BY 1
            """)
        let who = RestoreServer.names(found.compactMap { $0.first ?? nil }).joined(separator: ", ")
        let whose = RestoreServer.names(found.compactMap { $0.last ?? nil }.sorted()).joined(separator: ", ")
        guard !who.isEmpty else { return nil }
        return Failure(
            .denied,
            code == .dump
                ? "a function of \(who) in the dump could change what belongs to \(whose) while it is restored, also behind the last row, "
                    + "where nobody finds it: it is for looking at, and nothing of it goes live"
                : "a function of \(who) in \(live) could change what belongs to \(whose) while rows are merged",
            hint: "restore.trust: [\(who)] where they may do all that anyway; or one owner for everything")
    }

    /// Asks for owners in the live database that the role may act as: it could leave a function of theirs behind. Who owns only defaults for
    /// rights owns nothing.
    private static func ownersThatItMayBe(of live: String) -> String {
        """
        SELECT r.rolname::text, r.oid FROM pg_roles r
        WHERE NOT r.rolsuper AND r.rolname <> session_user AND r.rolname !~ '^pg_' AND pg_has_role(session_user, r.oid, 'MEMBER')
            AND EXISTS (SELECT FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
                WHERE d.datname = \(sqlText(live)) AND s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid
                AND s.deptype = 'o' AND s.classid <> 'pg_default_acl'::regclass)
        """
    }

    private static func texts(_ names: [String]) -> String {
        "ARRAY[\(names.map { sqlText($0) }.joined(separator: ", "))]::text[]"
    }

    /// Who owns something in the live database by now.
    func liveOwners() throws(Failure) -> [String] {
        try PostgresInventory(try session(live), patience: settings.policy.deadline).owners(of: PostgresSelection()).map(\.role)
    }
}

extension SourceFacts {
    /// Who the objects of a dump belong to; nil where it does not say.
    var ownerNames: [String]? { owners?.map(\.role) }
}
