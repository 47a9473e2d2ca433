internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinProcesses

/// What a swap that was killed has left, and a person has to settle.
extension DatabaseSwap {
    /// Looks whether the live database is there under its name and open, and whether a swap has ended before it could say so.
    ///
    /// - Parameter plan: The plan's file as a shell takes it, for the command that settles it.
    public func leftover(plan: String) async -> PreflightFinding {
        do throws(Failure) {
            let known = try await notes.databases()
            if let placed = try await unfinished() {
                let command = DatabaseSwap.command(plan, placed, placed.live)
                return PreflightFinding(
                    DatabaseSwap.finding,
                    failure: Failure(
                        .conflict,
                        "\(placed.name) has taken the place of \(placed.live), and the swap was ended before it could say so: what it had "
                            + "stopped may stand still",
                        hint: "this does what is left: \(command)"), isRequired: false)
            }
            let settings = settings
            let (live, doors) = try await onOwnThread { _ throws(Failure) in
                let server = try RestoreServer.swapping(settings)
                return (server.live, try server.doors())
            }
            if let failure = DatabaseSwap.left(live, doors, known, plan) {
                return PreflightFinding(DatabaseSwap.finding, failure: failure)
            }
            return PreflightFinding(DatabaseSwap.finding, detail: "none was left in the middle")
        } catch { return PreflightFinding(DatabaseSwap.finding, failure: error) }
    }

    /// What findings about it are called.
    public static let finding = "swap"

    /// The command that goes on with the swap of a database, or with the undoing of one.
    private static func command(_ plan: String, _ side: SideDatabase, _ live: String) -> String {
        "serin backup swap \(plan) \(side.role == .replaced ? "--undo" : side.name) --confirm \(live)"
    }

    private static func left(_ live: String, _ doors: [RestoreServer.Door], _ known: [SideDatabase], _ plan: String) -> Failure? {
        guard let own = doors.first(where: { $0.name == live }) else {
            // A swap notes the live one by its number before it renames anything.
            guard let number = known.last(where: { $0.role == .replaced })?.number,
                let away = doors.first(where: { $0.number == number })
            else { return nil }
            return Failure(
                .conflict, "there is no database \(live): it is called \(away.name) since a swap",
                hint: "as its owner: ALTER DATABASE \(sqlName(away.name)) RENAME TO \(sqlName(live))")
        }
        let aside = known.filter { side in
            side.name != live && doors.contains { $0.name == side.name && $0.number == side.number && !$0.isOpen }
        }
        var commands: [String] = []
        var words: [String] = []
        if let side = aside.last {
            commands.append("\(command(plan, side, live)) goes on with it")
        }
        let closed = (own.isOpen ? [] : [live]) + aside.map(\.name)
        if !closed.isEmpty {
            words.append("\(closed.joined(separator: " and ")) closed to connections, as a swap that was killed leaves it")
            let open = closed.map { "ALTER DATABASE \(sqlName($0)) ALLOW_CONNECTIONS true" }.joined(separator: "; ")
            commands.append("\(open) \(aside.isEmpty ? "opens it" : "gives it up")")
        }
        if own.limit == 0 {
            words.append("\(live) lets only superusers in, by CONNECTION LIMIT 0")
            commands.append("ALTER DATABASE \(sqlName(live)) CONNECTION LIMIT -1 lets everybody in")
        }
        guard !words.isEmpty else { return nil }
        return Failure(.conflict, words.joined(separator: "; "), hint: commands.joined(separator: "; or "))
    }
}

extension RestoreServer {
    /// Who may connect to a database.
    struct Door {
        var name: String
        var number: String
        /// Whether anybody may.
        var isOpen: Bool
        /// How many may at once; -1 for any number.
        var limit: Int
    }

    /// Of every database but the templates.
    func doors() throws(Failure) -> [Door] {
        try maintenance.rows(
            "SELECT datname, oid, datallowconn, datconnlimit FROM pg_database WHERE NOT datistemplate ORDER BY datname"
        ).compactMap { row in
            guard row.count == 4, let name = row[0], let number = row[1] else { return nil }
            return Door(name: name, number: number, isOpen: row[2] == "t", limit: row[3].flatMap { Int($0) } ?? -1)
        }
    }
}
