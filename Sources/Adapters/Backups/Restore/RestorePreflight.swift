public import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses

/// Looks whether a dump could be restored and swapped in, and does neither. What is required is what a restore beside the live database
/// would be refused for; none of it stands in the way of a backup.
public struct RestorePreflight: Sendable {
    private let settings: RestoreSettings
    private let last: BackupRecord?

    /// A preflight.
    ///
    /// - Parameter last: The last dump that could be restored: its size and the version of its server are what a restore needs.
    public init(_ settings: RestoreSettings, last: BackupRecord?) {
        self.settings = settings
        self.last = last
    }

    /// Looks at everything, whatever is found.
    public func look() async -> [PreflightFinding] {
        let copy = self
        do throws(Failure) {
            return try await onOwnThread { (stop) throws(Failure) in
                [
                    finding("restore rights") { () throws(Failure) in try copy.rights() },
                    finding("swap rights", isRequired: false) { () throws(Failure) in try copy.swapRights() },
                    finding("restore roles") { () throws(Failure) in try copy.roles() },
                    finding("restore reach") { () throws(Failure) in try copy.reach() },
                    finding("restore extensions") { () throws(Failure) in try copy.prerequisites() },
                    finding("restore tool") { () throws(Failure) in (try copy.tool(stop), []) },
                    finding("restore room") { () throws(Failure) in (try copy.room(), []) },
                ]
            }
        } catch { return [PreflightFinding("restore", failure: error)] }
    }

    /// Whether the role is none as which nothing is restored, and can make a database.
    private func rights() throws(Failure) -> (detail: String, remarks: [String]) {
        let server = try RestoreServer(settings)
        try server.refusePower()
        let row = try server.maintenance.rows(
            "SELECT rolname, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).first
        guard let row, row.count == 2, let role = row[0] else {
            throw Failure(.invalid, "the role cannot be asked for its rights")
        }
        guard row[1] == "t" else {
            throw Failure(
                .denied, "the role \(role) could not restore \(server.live): it may make no databases",
                hint: "as a superuser: ALTER ROLE \(sqlName(role)) CREATEDB; or \(RestoreServer.otherRole)")
        }
        return ("\(role) may create databases", [])
    }

    /// Whether the role owns the live database, and may end the sessions of others.
    private func swapRights() throws(Failure) -> (detail: String, remarks: [String]) {
        let server = try RestoreServer.swapping(settings)
        try server.refuseOtherRole()
        let row = try server.maintenance.rows(
            """
            SELECT r.rolname, pg_has_role('pg_signal_backend'::name, 'USAGE'), pg_has_role(d.datdba, 'USAGE'), d.datallowconn
            FROM pg_roles r LEFT JOIN pg_database d ON d.datname = \(sqlText(server.live)) WHERE r.rolname = current_user
            """
        ).first
        guard let row, row.count == 4, let role = row[0] else {
            throw Failure(.invalid, "the role cannot be asked for its rights")
        }
        let name = sqlName(role)
        let isThere = row[3] != nil
        guard !isThere || row[2] == "t" else { throw server.notItsOwner(role) }
        var remarks: [String] = []
        if row[1] != "t" {
            remarks.append("a swap needs GRANT pg_signal_backend TO \(name) to end the sessions of other roles")
        }
        if !isThere { remarks.append("there is no database \(server.live) yet") }
        if let filler = try server.blindFiller() {
            remarks.append(
                "a swap needs \(RestoreServer.grant(server.live, filler)): what comes in has the grants of the live one")
        }
        try remarks += missingRights(server, role)
        return (isThere ? "\(role) may rename \(server.live)" : "nothing is there to be replaced", remarks)
    }

    /// What a role that swaps beside one that restores lacks.
    private func missingRights(_ server: RestoreServer, _ role: String) throws(Failure) -> [String] {
        guard let filling = try server.filling,
            let filler = try filling.maintenance.value("SELECT current_user"),
            let row = try server.maintenance.rows(
                """
                SELECT rolcreatedb OR rolsuper, pg_has_role((SELECT oid FROM pg_roles WHERE rolname = \(sqlText(filler))), 'USAGE')
                FROM pg_roles WHERE rolname = current_user
                """
            ).first
        else { return [] }
        var remarks: [String] = []
        if row.first != "t" { remarks.append("a swap needs ALTER ROLE \(sqlName(role)) CREATEDB") }
        if row.last != "t" { remarks.append("a swap needs GRANT \(sqlName(filler)) TO \(sqlName(role))") }
        return remarks
    }

    /// Whether functions of the last dump could do more as the role that restores than their owners may.
    private func reach() throws(Failure) -> (detail: String, remarks: [String]) {
        guard let facts = last?.facts?.server else { return ("no dump says who its functions belong to", []) }
        let server = try RestoreServer(settings)
        try server.refuseReach(facts.ownerNames)
        let trusted = settings.policy.trust.filter { role in facts.ownerNames?.contains { $0.isExactly(role) } ?? false }
        var remarks = trusted.isEmpty ? [] : ["but those of \(trusted.joined(separator: ", ")), by restore.trust"]
        if let mixed = try server.mixedOwners(facts.ownerNames) {
            remarks.append("a swap and a merge are refused: \(mixed.words)")
        }
        return ("no function of the last dump may more than its owner outside of its database", remarks)
    }

    /// Whether the server has the roles that the last dump names, and the role that restores can give objects to their owners.
    private func roles() throws(Failure) -> (detail: String, remarks: [String]) {
        guard let facts = last?.facts?.server, let owners = facts.owners else { return ("no dump says which it names", []) }
        let server = try RestoreServer(settings)
        try server.checkRoles(facts)
        return ("\(owners.count) owners and \(facts.grantees?.count ?? 0) more roles are there", [])
    }

    /// Whether the role may make what the last dump makes, and the database has nothing by now that it may not.
    private func prerequisites() throws(Failure) -> (detail: String, remarks: [String]) {
        let server = try RestoreServer(settings)
        guard let facts = last?.facts?.server else { return ("no dump says what it makes", []) }
        try server.checkPrerequisites(facts)
        if facts.makesPrerequisites, try server.isThere(server.live) {
            try server.checkPrerequisites(RestoreServer.swapping(settings).current(facts))
        }
        return ("the role that restores may make everything", [])
    }

    /// The same for one backup, for a rehearsal to say.
    public func check(rolesOf record: BackupRecord) async -> BackupCheck {
        let settings = settings
        let name = "restore roles"
        do throws(Failure) {
            let mixed = try await onOwnThread { _ throws(Failure) in
                let server = try RestoreServer(settings)
                try server.refusePower()
                if settings.keepsOwners { try server.checkRoles(record.facts?.server) }
                let owners = record.facts?.server?.ownerNames
                try server.refuseReach(owners)
                try server.checkPrerequisites(record.facts?.server)
                return try server.mixedOwners(owners)
            }
            return BackupCheck(
                name, passed: true, detail: "the server that restores go to has them" + (mixed.map { "; \($0.words)" } ?? ""))
        } catch {
            guard error.kind != .denied else { return BackupCheck(name, passed: false, detail: error.words) }
            // A machine that is lost must not keep anybody from rehearsing.
            return BackupCheck(name, passed: true, detail: "not asked: \(error.message)")
        }
    }

    private func tool(_ stop: StopSignal) throws(Failure) -> String {
        let client = try PostgresClient(settings.url, settings.environment)
        let version = try client.trustedVersion(of: "pg_restore", stop: stop)
        if let dump = last?.facts.flatMap({ PostgresVersion(printed: $0.tool.version) }), version.major < dump.major {
            throw Failure(
                .invalid, "pg_restore is of version \(version), and the last dump of pg_dump \(dump)",
                hint: "install the client programs of version \(dump.major)")
        }
        return "pg_restore \(version)"
    }

    /// A copy is fetched whole before a tool sees a byte of it. The server's own room cannot be asked for.
    private func room() throws(Failure) -> String {
        let free = try freeBytes(atOrAbove: settings.scratch)
        guard let size = last?.size else { return "\(byteWords(free)) free" }
        guard free >= size else {
            throw Failure(
                .denied, "\(settings.scratch) has \(byteWords(free)) free, and the last backup has \(byteWords(size))",
                hint: "make room")
        }
        let plain = last?.facts.map { ", \(byteWords(Int64($0.envelope.plainBytes))) as a dump" } ?? ""
        return "\(byteWords(free)) free, \(byteWords(size)) needed here\(plain); the server needs room for a second database"
    }
}

extension Failure {
    /// What happened and what to do about it, in one line.
    var words: String { message + (hint.map { "; \($0)" } ?? "") }
}

/// What came of one look.
private func finding(
    _ name: String, isRequired: Bool = true, _ look: () throws(Failure) -> (detail: String, remarks: [String])
) -> PreflightFinding {
    do throws(Failure) {
        let found = try look()
        return PreflightFinding(name, detail: found.detail, remarks: found.remarks, isRequired: isRequired)
    } catch { return PreflightFinding(name, failure: error, isRequired: isRequired) }
}
