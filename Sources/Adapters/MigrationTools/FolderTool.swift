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
    var ownTables: [String] { [table.split(separator: ".").last.map(String.init) ?? table] }

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
            throw Failure(
                .conflict, "version \(dirty) of \(path) is marked as half done: an earlier run of the tool failed in the middle",
                hint: "bring the schema to where a version ends, and set that version in \(table)")
        }
        return try place(state.versions, files)
    }

    /// Where the database is: the last applied version, when none before it is missing.
    private func place(_ applied: [UInt64], _ files: FolderFiles) throws(Failure) -> [RevisionID] {
        guard let last = applied.max() else { return [] }
        if let stranger = applied.first(where: { files.version($0) == nil }) {
            return RevisionID("\(stranger)").map { [$0] } ?? []
        }
        if files.custom == .marked, let hole = files.versions.first(where: { $0.number < last && !applied.contains($0.number) }) {
            throw Failure(
                .conflict, "version \(hole.id) was never applied, although the later \(last) was",
                hint: "two heads: give \(hole.id) a later number")
        }
        return files.version(last).map { [$0.id] } ?? []
    }

    func run(_ step: RevisionStep, _ call: ToolCall) throws(ToolFailure) {
        do throws(Failure) {
            let files = try FolderFiles(path)
            guard let version = files.versions.first(where: { $0.id == step.revision }) else {
                throw Failure(.invalid, "\(path) holds no version \(step.revision)")
            }
            if let objection = step.objection(to: text(of: step.direction == .up ? version.up : version.down, files.custom)) {
                throw objection
            }
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
            let isAlone = side.isOutsideTransaction || statements.standsAlone || statements.handlesTransactions
            if isAlone {
                try versions.mark(version.number)
                _ = try session.rows(text, within: call.end.left)
                _ = try session.rows(note, within: call.end.left)
            } else {
                _ = try session.rows("BEGIN;\n\(text)\n;\n\(note);\nCOMMIT", within: call.end.left)
            }
        } catch {
            throw ToolFailure(
                Failure(error.kind, "version \(step.revision): \(error.message)", hint: error.hint), said: error.message)
        }
    }

    func forget(_ step: RevisionStep, _ call: ToolCall) throws(Failure) {
        let files = try FolderFiles(path)
        let versions = VersionTable(table, files.custom, try session(call, isScript: false))
        guard let dirty = try versions.read()?.dirty, files.version(dirty)?.id == step.revision else { return }
        try versions.unmark(previous: step.from.flatMap { id in files.versions.first { $0.id == id }?.number })
    }

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
        return try call.database.connect(
            SessionPurpose(
                applicationName: call.session,
                setUp: """
                    SET lock_timeout = \(call.lockTimeout.milliseconds);
                    SET statement_timeout = \(call.statementTimeout.milliseconds)
                    """, deniedHint: "the role must own what it migrates"))
    }
}
