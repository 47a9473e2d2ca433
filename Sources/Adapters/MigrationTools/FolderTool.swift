internal import SerinDatabase
internal import SerinMigrations
internal import SerinModel

/// A folder of plain SQL, which Serin runs itself, and the table of versions that golang-migrate or dbmate would keep.
///
/// A script and the note of its version are one transaction, unless the script cannot be in one: then the version is noted as half
/// done before it, as golang-migrate does, and as done behind it.
struct FolderTool: MigrationTool {
    /// The folder.
    let path: String
    /// The table of versions, perhaps with its schema.
    let table: String

    var name: String { path }
    var usesOwnSessions: Bool { true }
    var ownTables: [String] { [table.split(separator: ".").last.map(String.init) ?? table] }

    var recordedAs: String { table }

    func checkFiles() throws(Failure) { _ = try FolderFiles.entries(of: path) }

    func graph(_ call: ToolCall) throws(Failure) -> RevisionGraph {
        let versions = try FolderFiles(path).versions
        var revisions: [RevisionGraph.Revision] = []
        for version in versions {
            revisions.append(
                RevisionGraph.Revision(
                    id: version.id, name: version.name, parents: revisions.last.map { [$0.id] } ?? [],
                    file: (version.up ?? version.down)?.file))
        }
        return RevisionGraph(revisions: revisions, heads: revisions.last.map { [$0.id] } ?? [])
    }

    func current(_ call: ToolCall) throws(Failure) -> [RevisionID] {
        let files = try FolderFiles(path)
        let versions = VersionTable(table, files.custom, try session(call, isScript: false))
        guard let state = try versions.read() else { return [] }
        if let dirty = state.dirty {
            if let left = try left(dirty, call) { return left }
            throw Failure(
                .conflict, "version \(dirty) of \(path) is marked as half done: an earlier run of the tool failed in the middle",
                hint: "bring the schema to where a version ends, and set that version in \(table)")
        }
        if files.custom == .pairs, let last = state.versions.max() { try refuseLate(files, before: last, call) }
        return try place(state.versions, files)
    }

    /// Where a step began that Serin itself left marked as half done; nil where it was somebody else.
    private func left(_ dirty: UInt64, _ call: ToolCall) throws(Failure) -> [RevisionID]? {
        let records = StepRecords(try session(call, isScript: false), of: recordedAs)
        // Its file may be gone by now.
        guard try records.exist(), let latest = try records.latest(), latest.isPartial, number(of: latest.step.revision) == dirty
        else { return nil }
        return latest.step.before
    }

    /// Refuses a version that was added behind an applied one: the table, which has the last one alone, knows nothing of it, but
    /// Serin's own notes do.
    private func refuseLate(_ files: FolderFiles, before last: UInt64, _ call: ToolCall) throws(Failure) {
        let steps = try StepRecords(session(call, isScript: false), of: recordedAs).forward().compactMap { step in
            UInt64(step.to.description).map { to in (from: step.from.map { UInt64($0.description) ?? to }, to: to) }
        }
        for version in files.versions where version.number < last {
            // The last step over it says whether it was there.
            let step = steps.first { version.number <= $0.to && $0.from.map { $0 < version.number } ?? true }
            guard let step, step.to != version.number else { continue }
            throw notApplied(version, before: last)
        }
    }

    private func notApplied(_ version: FolderFiles.Version, before last: UInt64) -> Failure {
        Failure(
            .conflict, "version \(version.id) was never applied, although the later \(last) was",
            hint: "two heads: give \(version.id) a later number")
    }

    /// Where the database is: the last applied version, when none before it is missing.
    private func place(_ applied: [UInt64], _ files: FolderFiles) throws(Failure) -> [RevisionID] {
        guard let last = applied.max() else { return [] }
        if let stranger = applied.first(where: { files.version($0) == nil }) {
            return RevisionID("\(stranger)").map { [$0] } ?? []
        }
        if files.custom == .marked, let hole = files.versions.first(where: { $0.number < last && !applied.contains($0.number) }) {
            throw notApplied(hole, before: last)
        }
        return files.version(last).map { [$0.id] } ?? []
    }

    func run(_ step: RevisionStep, _ call: ToolCall) throws(ToolFailure) {
        do throws(Failure) {
            let files = try FolderFiles(path)
            guard let version = files.versions.first(where: { $0.id == step.revision }) else {
                throw Failure(.invalid, "\(path) holds no version \(step.revision)")
            }
            let judged = text(of: step.direction == .up ? version.up : version.down, files.custom)
            if let objection = objection(to: step, in: files) ?? step.objection(to: judged) { throw objection }
            guard let side = step.direction == .up ? version.up : version.down, step.direction == .up || !side.isEmpty else {
                throw Failure(
                    .invalid, "version \(version.id) of \(path) has no way \(step.direction.rawValue)",
                    hint: "write its .\(step.direction.rawValue).sql, or go back with a new version")
            }
            let session = try session(call, isScript: true)
            let versions = VersionTable(table, files.custom, try self.session(call, isScript: false))
            try versions.create()
            let target = step.to.flatMap { id in files.versions.first { $0.id == id }?.number }
            let note = versions.note(of: version, step.direction, target: target)
            let text = String(decoding: side.sql, as: UTF8.self)
            let statements = SQLStatements(side.sql)
            if side.isOutsideTransaction || statements.standsAlone || statements.handlesTransactions {
                try versions.mark(version.number)
                _ = try session.rows(text, within: call.end.left)
                _ = try session.rows(note, within: call.end.left)
            } else {
                _ = try session.rows("BEGIN;\n\(text)\n;\n\(note)", within: call.end.left)
                try check(step, session)
                let counted = try RestoredRows.counted(session, without: ownTables)
                if let objection = RestoredRows.objection(step, statements, counted: counted) { throw objection }
                try StepRecords(self.session(call, isScript: false)).note(counted)
                _ = try session.rows("COMMIT", within: call.end.left)
            }
        } catch {
            throw ToolFailure(
                Failure(error.kind, "version \(step.revision): \(error.message)", hint: error.hint), said: error.message)
        }
    }

    /// Refuses to commit a way back that leaves another schema than it has to: nothing of it is then done.
    private func check(_ step: RevisionStep, _ session: Connection) throws(Failure) {
        guard let wanted = step.wanted else { return }
        // What is set for the look is not there any more when deferred triggers run.
        _ = try session.rows(
            "SAVEPOINT serin; SET LOCAL search_path = pg_catalog; SET LOCAL DateStyle = ISO; SET LOCAL TimeZone = 'UTC'")
        let present = try SchemaSnapshot(session, without: ownTables)
        _ = try session.rows("ROLLBACK TO SAVEPOINT serin")
        if let objection = step.objection(toLeaving: present, for: wanted) { throw objection }
    }

    func mayCommitInPart(_ step: RevisionStep, _ side: MigrationSide) -> Bool {
        guard case .text(let text) = side else { return false }
        let statements = SQLStatements(text.sql)
        // One statement is done or not, and then the schema says so.
        guard !statements.standsAlone else { return false }
        // A folder that cannot be read is complained about by whoever runs the step.
        let version = (try? FolderFiles(path))?.versions.first { $0.id == step.revision }
        let isOutside = (step.direction == .up ? version?.up : version?.down)?.isOutsideTransaction ?? false
        return isOutside || statements.handlesTransactions
    }

    func objection(to step: RevisionStep) -> Failure? {
        // A folder that cannot be read has been complained about by `graph`.
        (try? FolderFiles(path)).flatMap { objection(to: step, in: $0) }
    }

    private func objection(to step: RevisionStep, in files: FolderFiles) -> Failure? {
        let version = files.versions.first { $0.id == step.revision }
        return (step.direction == .up ? version?.up : version?.down)?.objection
    }

    func applied(_ graph: RevisionGraph, at current: [RevisionID], _ call: ToolCall) -> [MigrationScript] {
        // A folder that cannot be read has been complained about by `graph`.
        guard let files = try? FolderFiles(path), let last = current.last.flatMap({ UInt64($0.description) }) else { return [] }
        return files.versions.filter { $0.number <= last }.map { version in
            MigrationScript(
                revision: version.id.description, name: version.name, up: text(of: version.up, files.custom),
                down: text(of: version.down, files.custom))
        }
    }

    func forget(_ step: RevisionStep, _ call: ToolCall) throws(Failure) {
        let files = try FolderFiles(path)
        let versions = VersionTable(table, files.custom, try session(call, isScript: false))
        guard let dirty = try versions.read()?.dirty, number(of: step.revision) == dirty else { return }
        try versions.unmark(previous: step.from.flatMap(number))
    }

    /// The number by which the table knows a version, whether its file is there or not.
    private func number(of revision: RevisionID) -> UInt64? { UInt64(revision.description) }

    func side(_ direction: Direction, of revision: RevisionGraph.Revision, _ call: ToolCall) -> MigrationSide {
        // A folder that cannot be read has been complained about by `graph`.
        let files = try? FolderFiles(path)
        let version = files?.versions.first { $0.id == revision.id }
        return text(of: direction == .up ? version?.up : version?.down, files?.custom ?? .marked)
    }

    private func text(of side: FolderFiles.Side?, _ custom: FolderFiles.Custom) -> MigrationSide {
        guard let side else { return .missing }
        let isOneQuery = custom == .pairs || side.isOutsideTransaction
        return .text(
            MigrationText(
                file: side.file, line: side.line, sql: side.sql, wrapping: isOneQuery ? .oneQuery : .transaction))
    }

    private func session(_ call: ToolCall, isScript: Bool) throws(Failure) -> Connection {
        guard isScript else { return try call.database.connect() }
        let session = try call.database.connect(
            SessionPurpose(
                applicationName: call.session,
                setUp: """
                    SET lock_timeout = \(call.lockTimeout.milliseconds);
                    SET statement_timeout = \(call.statementTimeout.milliseconds)
                    """, deniedHint: "the role must own what it migrates"))
        // By this lock the session is known, whatever the script calls it. That of a try before may live for a moment longer.
        let limit = timeLimit(.seconds(10))
        while try session.value("SELECT pg_try_advisory_lock(\(DatabaseLock.working))") != "t" {
            guard ContinuousClock.now < limit else {
                throw Failure(
                    .conflict, "another session still runs a script at \(call.database.name)",
                    hint: "serin migrate up ends it, once nobody works under the lock of migrations")
            }
            rest(.milliseconds(50))
        }
        return session
    }
}
