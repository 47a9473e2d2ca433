public import SerinCatalogue
internal import SerinDatabase
public import SerinModel
internal import SerinPolicies
public import SerinPorts
internal import SerinProcesses

/// Brings rows that are missing in a table of the live database back from a database beside it: through a schema of its own next to
/// the live table, so that everything is counted before anything is added. What the live table has stays as it is.
public struct TableMerge: Sendable {
    /// What would be done.
    public struct Plan: Sendable, Hashable {
        /// The table: `public.orders`.
        public var table: String
        /// The database beside the live one that has the rows.
        public var from: String
        /// The columns that tell rows apart.
        public var key: [String]
        /// Rows in the other database's table.
        public var restored: Int64
        /// Rows in the live table.
        public var live: Int64
        /// Rows that the live table lacks.
        public var missing: Int64
        /// Of these, rows whose unique values a live row has by now: they stay out.
        public var conflicting: Int64
        /// Of the others, rows that refer to one which is not in the live database: they stay out.
        public var orphaned: Int64 = 0
        /// The keys of the first of these, such as `id=7`.
        public var orphans: [String] = []
        /// Rows that both have, and that differ: the live ones stay as they are.
        public var differing: Int64
        /// Columns that only one of both tables has: they are not carried over.
        public var leftOut: [String]
        /// The statement that adds the missing rows.
        public var statement: String
        /// What was done to the other database before: who was erased.
        public var remarks: [String] = []

        /// How many keys `orphans` holds at most.
        static let orphansNamed = 5

        /// How many rows would be added.
        public var added: Int64 { missing - conflicting - orphaned }
    }

    /// What was done.
    public struct Merged: Sendable, Hashable {
        /// How many rows were added.
        public var added: Int64
        /// Sequences that stood before the rows that were added, and now stand behind them.
        public var sequences: [String]
    }

    /// What the schema of a merge bears as its comment, by which one is known that a merge which was killed has left.
    static let mark = "of serin backup merge; it may be dropped"

    private static let purpose = SessionPurpose(
        applicationName: RestoreServer.purpose.applicationName, setUp: RestoreServer.purpose.setUp,
        deniedHint: "the role that restores writes what a merge adds: GRANT the owner of the table TO it")

    private let settings: RestoreSettings
    private let notes: RestoreNotes
    private let holder: LeaseHolder

    /// A merge.
    ///
    /// - Parameter holder: This process, as the target's lease names it.
    public init(
        _ settings: RestoreSettings, target: String, catalogue: any CatalogueStore, holder: LeaseHolder,
        now: @escaping @Sendable () -> Instant
    ) {
        self.settings = settings
        notes = RestoreNotes(target: target, catalogue: catalogue, now: now)
        self.holder = holder
    }

    /// Counts what a merge would do, and does it when so many rows were agreed to: in one transaction, in which it is read back.
    ///
    /// - Parameters:
    ///   - name: A database that a restore or a swap left.
    ///   - agreed: How many rows may be added; nil only counts, and the live table is only read.
    /// - Throws: `conflict` when more rows would be added than were agreed to; then nothing was.
    public func merge(
        _ table: String, from name: String, agreed: Int64? = nil, permit: RestorePermit
    ) async throws(Failure) -> (plan: Plan, merged: Merged?) {
        let settings = settings
        let (filling, server) = try await onOwnThread { _ throws(Failure) in
            (try RestoreServer(settings), try RestoreServer.swapping(settings))
        }
        guard let known = try await notes.databases().last(where: { $0.name == name }) else {
            throw Failure(
                .denied, "\(name) is no database whose rows may go live", hint: "serin backup restored list shows those that are")
        }
        if known.role == .masked || known.role == .making { try known.expectRestored() }
        if let objection = known.objection {
            throw Failure(
                .denied, "\(name) is not what was backed up, and nothing of it goes live: \(objection)",
                hint: "restore an older backup, and find out whose function it was")
        }
        try permit.allows(agreed == nil ? .beside : .merge, known.backup, server.live)
        // What was live before was filled by no dump, and tables by themselves without its functions.
        let isOfDump = known.role != .replaced && known.role != .tables
        let owners = isOfDump ? try await notes.owners(of: known.backup) : nil
        try await onOwnThread { _ throws(Failure) in
            if isOfDump { try filling.refuseMixedOwners(owners) }
            try TableMerge.refuseCode(server, filling)
        }
        if known.role == .tables, case let subjects = try await notes.erasures().subjects, !subjects.isEmpty {
            throw Failure(
                .denied, "\(subjects.count) were erased who may still be in \(name), and a merge could bring them back",
                hint: "restore the backup again, whole: that erases them again")
        }
        return try await notes.leased(holder, by: permit.by) { () throws(Failure) in
            let erased = known.role == .tables ? [] : try await notes.erase(in: name, filling, by: permit.by)
            var done = try await onOwnThread { (stop) throws(Failure) in
                try TableMerge.work(PostgresSelection.Table(table), name, agreed, permit.room, server, filling, stop)
            }
            done.plan.remarks = erased
            return done
        }
    }

    /// What stands behind the live table runs as the role that restores: triggers, policies, casts, defaults, and what these call in their
    /// turn. So it may be of nobody who could then do more than he may.
    private static func refuseCode(_ server: RestoreServer, _ filling: RestoreServer) throws(Failure) {
        try filling.refusePower()
        if let filler = try server.blindFiller() {
            throw Failure(
                .denied, "the role \(filler) that restores, and merges, may not connect to \(server.live)",
                hint: "as the owner: \(RestoreServer.grant(server.live, filler))")
        }
        let owners = try server.liveOwners()
        try filling.refuseReach(owners, .live)
        try filling.refuseMixedOwners(owners, .live)
    }

    private static func work(
        _ table: PostgresSelection.Table, _ name: String, _ agreed: Int64?, _ room: Int64, _ server: RestoreServer,
        _ filling: RestoreServer, _ stop: StopSignal
    ) throws(Failure) -> (plan: Plan, merged: Merged?) {
        let session = try server.session(server.live)
        guard try server.isAloneMerging(session) else {
            throw Failure(.conflict, "another merge works on \(server.live)", hint: "wait for its end")
        }
        // As less: whatever runs behind the live table runs as the role that restores.
        let worker = try filling.session(server.live, purpose)
        guard let filler = try worker.value("SELECT session_user") else {
            throw Failure(.invalid, "\(worker.name) does not say who restores")
        }
        let schema = sqlName(name)
        let result: Result<(plan: Plan, merged: Merged?), Failure>
        do throws(Failure) {
            try server.dropMerges(session)
            try refuseForeignSchema(name, session)
            let columns = try columns(session, try filling.session(name), table, in: name)
            let asked = "SELECT pg_table_size(\(sqlText(table.pattern))::regclass)"
            let size = try filling.session(name).value(asked).flatMap { Int64($0) } ?? .max
            guard size <= room else {
                throw Failure(
                    .denied,
                    "\(table.schema).\(table.name) of \(name) has \(byteWords(size)), which are copied beside the live table "
                        + "for the comparison, and \(byteWords(room)) may be",
                    hint: "make sure that the server has the room, then --room \(size >> 30 + 1)GiB")
            }
            let side = schema + "." + sqlName(table.name)
            let list = columns.all.map(sqlName).joined(separator: ", ")
            _ = try session.rows(
                "BEGIN; CREATE SCHEMA \(schema) AUTHORIZATION \(sqlName(filler)); "
                    + "COMMENT ON SCHEMA \(schema) IS \(sqlText(mark)); COMMIT", within: .minutes(1))
            _ = try worker.rows(
                "CREATE UNLOGGED TABLE \(side) AS SELECT \(list) FROM \(table.pattern) WITH NO DATA", within: .minutes(1))
            try copy(table, list, from: name, to: side, of: filling.settings, stop)
            let merge = MergeStatements(
                session: worker, live: table.pattern, side: side, columns: columns.all, key: columns.key,
                patience: server.settings.policy.deadline)
            // Whatever is written where only rows are counted is undone.
            if agreed == nil { _ = try worker.rows("BEGIN") }
            var plan = try merge.plan(of: "\(table.schema).\(table.name)", from: name)
            if agreed == nil { _ = try worker.rows("ROLLBACK") }
            plan.leftOut = columns.leftOut
            if let agreed, plan.added > agreed {
                throw Failure(
                    .conflict, "\(plan.added) rows would be added to \(plan.table), and \(agreed) were agreed to",
                    hint: "look at the plan again")
            }
            result = .success((plan, agreed == nil ? nil : try merge.apply(plan)))
        } catch {
            result = .failure(error)
            // What it has open would stand in the way of what is dropped; a lost session has nothing open.
            _ = try? worker.rows("ROLLBACK")
        }
        do throws(Failure) { try server.dropMerges(session, from: name) } catch {
            // The session may be what failed. The next merge removes it.
            try? server.dropMerges(server.session(server.live), from: name)
        }
        return try result.get()
    }

    /// - Throws: `conflict` when the live database has a schema of the name that a merge makes, which is not its to drop.
    private static func refuseForeignSchema(_ name: String, _ session: Connection) throws(Failure) {
        let found = try session.rows(
            """
            SELECT pg_get_userbyid(nspowner), coalesce(obj_description(oid, 'pg_namespace') = \(sqlText(mark)), false)
            FROM pg_namespace WHERE nspname = \(sqlText(name))
            """
        ).first
        guard let found, found.count == 2, let owner = found[0] else { return }
        throw Failure(
            .conflict,
            "the live database has a schema \(name) already, which belongs to \(owner); the merge would make one of that name",
            hint: found[1] == "t"
                ? "another role's merge that was killed left it: as \(owner), DROP SCHEMA \(sqlName(name)) CASCADE"
                : "no merge made it, so it is left alone: ALTER SCHEMA \(sqlName(name)) RENAME TO another name, and merge again")
    }

    private typealias Columns = (all: [String], key: [String], leftOut: [String])

    /// What both tables have and can be written, and what tells the rows of the live one apart.
    private static func columns(
        _ live: Connection, _ other: Connection, _ table: PostgresSelection.Table, in name: String
    ) throws(Failure) -> Columns {
        let relation = "to_regclass(\(sqlText(table.pattern)))"
        func names(_ session: Connection, _ sql: String) throws(Failure) -> [String] {
            try session.rows(sql).compactMap { $0.first ?? nil }
        }
        let all = """
            SELECT attname FROM pg_attribute WHERE attrelid = \(relation) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
            ORDER BY attnum
            """
        let (here, there) = (try names(live, all), try names(other, all))
        for (columns, place) in [(here, "the live database"), (there, name)] where columns.isEmpty {
            throw Failure(.invalid, "there is no table \(table.schema).\(table.name) in \(place)")
        }
        let key = try names(
            live,
            """
            SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = \(relation) AND i.indisprimary ORDER BY a.attnum
            """)
        guard !key.isEmpty, key.allSatisfy(there.contains) else {
            throw Failure(
                .invalid, "\(table.schema).\(table.name) has no primary key in common, so its rows cannot be told apart")
        }
        return (
            here.filter(there.contains), key, here.filter { !there.contains($0) } + there.filter { !here.contains($0) }
        )
    }

    /// One program writes what the other reads.
    private static func copy(
        _ table: PostgresSelection.Table, _ columns: String, from database: String, to side: String,
        of settings: RestoreSettings, _ stop: StopSignal
    ) throws(Failure) {
        let live = try PostgresClient(settings.url, settings.environment)
        let restored = try live.database(database)
        // How values are written is a setting of each role: without these, one could round them and the other read another day.
        let common =
            ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"]
            + [
                "search_path = pg_catalog", "client_encoding = 'UTF8'", "extra_float_digits = 3", "DateStyle = 'ISO, YMD'",
                "IntervalStyle = 'postgres'", "bytea_output = 'hex'",
            ].map { "--command=SET \($0)" }
        let reader = try restored.start(
            restored.program("psql", common + ["--command=COPY \(table.pattern) (\(columns)) TO STDOUT"]), .reading, stop: stop)
        let writer = try live.start(
            live.program("psql", common + ["--command=COPY \(side) (\(columns)) FROM STDIN"]), .writing, stop: stop)
        try reader.readAll { (bytes) throws(Failure) in try writer.write(bytes) }
        try writer.finish()
    }
}
