internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinModel

/// What came of a restore or a swap, as data and in words with the next step.
struct RestoreOutput: Sendable {
    let session: Session
    /// The plan's file, for commands to copy.
    let plan: String

    private static let schema = JSONValue.string("serin.dev/backup-restore/v1")

    /// A database, and what came of its swap.
    func show(_ restored: RestoredDatabase, _ outcome: DatabaseSwap.Outcome?, isMasked: Bool, tables: [String]) throws {
        session.data(
            .object([
                "schema": Self.schema, "backup": .string("\(restored.backup)"),
                "database": .string(outcome?.live ?? restored.name), "swapped": .bool(outcome != nil),
                "replaced": outcome.map { .string($0.replaced) } ?? .null,
                "replaced_kept_until": outcome?.keepUntil.map { .string("\($0)") } ?? .null, "ok": .bool(restored.passed),
                "masked": .bool(isMasked), "tables": .array(tables.map { .string($0) }),
                "interruption_milliseconds": outcome.map { .integer($0.interruption.milliseconds) } ?? .null,
                "checks": .array(try restored.checks.map { try BackupText.document($0) }),
            ])
        ) { style in BackupText.table(restored.checks).lines(style) }
        let drop = "serin backup restored drop \(plain(plan)) \(restored.name)"
        if let outcome {
            say(outcome, "\(outcome.live) is now backup \(restored.backup)")
        } else if !tables.isEmpty {
            session.note("\(tables.joined(separator: ", ")) restored into \(restored.name); afterwards: \(drop)")
        } else if !restored.passed {
            session.note(
                "restored as \(restored.name), which did NOT pass; \(restored.live) was not touched; afterwards: \(drop)")
        } else if isMasked {
            session.note("restored and masked as \(restored.name), which never goes live; afterwards: \(drop)")
        } else if let part = restored.part {
            session.note(
                "restored as \(restored.name) and checked; \(restored.live) was not touched\nthe backup holds a part of the database, "
                    + "\(plain(part)), and takes no live one's place; rows come back by\n"
                    + "  serin backup merge \(plain(plan)) \(restored.name) SCHEMA.TABLE\n  \(drop)")
        } else {
            session.note(
                "restored as \(restored.name) and checked; \(restored.live) was not touched\nnext: look at it; then either\n"
                    + "  serin backup swap \(plain(plan)) \(restored.name) --confirm \(restored.live)\n  \(drop)")
        }
    }

    /// A swap by itself, or its undoing.
    func show(_ outcome: DatabaseSwap.Outcome, from known: SideDatabase, undone: Bool, checks: [BackupCheck]) throws {
        let (name, backup) = (known.name, known.backup)
        session.data(
            .object([
                "schema": .string("serin.dev/backup-swap/v1"), "database": .string(outcome.live), "from": .string(name),
                "undone": .bool(undone), "backup": .string("\(backup)"), "replaced": .string(outcome.replaced),
                "replaced_kept_until": outcome.keepUntil.map { .string("\($0)") } ?? .null, "ok": .bool(true),
                "interruption_milliseconds": .integer(outcome.interruption.milliseconds),
                "remarks": .array(outcome.remarks.map { .string($0) }),
                "checks": .array(try checks.map { try BackupText.document($0) }),
            ])
        ) { style in checks.isEmpty ? ["\(outcome.live)  was \(name)"] : BackupText.table(checks).lines(style) }
        say(
            outcome,
            // Also after the undoing of an undoing: what it was called and until when it was live tells which one it is.
            undone
                ? "\(outcome.live) is again the database that was live until \(known.at), then \(plain(name))"
                : "\(outcome.live) is now backup \(backup)")
    }

    /// A database that is not swapped in, because it did not pass.
    func showFailed(_ restored: RestoredDatabase) {
        session.data(
            .object([
                "schema": .string("serin.dev/backup-swap/v1"), "database": .string(restored.live), "from": .string(restored.name),
                "ok": .bool(false), "backup": .string("\(restored.backup)"),
                "failed": .array(restored.checks.filter { !$0.passed }.map { .string("\($0.name): \($0.detail)") }),
            ])
        ) { style in BackupText.table(restored.checks).lines(style) }
        session.note("\(restored.name) did NOT pass its checks; \(restored.live) was not touched")
    }

    private func say(_ outcome: DatabaseSwap.Outcome, _ words: String) {
        for remark in outcome.remarks { session.note("note: \(plain(remark))") }
        session.note(
            "\(words); no connections for \(outcome.interruption)\nthe replaced one is \(outcome.replaced), kept"
                + (outcome.keepUntil.map { " until \($0)" } ?? "") + "; back again: serin backup swap \(plain(plan)) --undo "
                + "--confirm \(outcome.live)")
    }

    /// A folder or server, and where a recovery ended.
    func show(_ restored: RestoredFolder) throws {
        let recovery = restored.recovery
        session.data(
            .object([
                "schema": Self.schema, "backup": .string("\(restored.backup)"), "kind": .string(restored.kind.rawValue),
                "folder": restored.folder.isEmpty ? .null : .string(restored.folder), "ok": .bool(restored.passed),
                "running": .bool(restored.isRunning),
                "reached": recovery.map { recovery in
                    .object([
                        "position": .string("\(recovery.position)"), "timeline": .integer(Int64(recovery.timeline)),
                        "last_commit": recovery.lastCommit.map { .string($0.postgresText) } ?? .null,
                    ])
                } ?? .null, "checks": .array(try restored.checks.map { try BackupText.document($0) }),
            ])
        ) { style in BackupText.table(restored.checks).lines(style) }
        for remark in restored.remarks { session.complain(plain(remark)) }
        let place = restored.folder.isEmpty ? "the server that the plan restores to" : restored.folder
        if let recovery {
            let commit = recovery.lastCommit.map { "the last commit of \($0.postgresText)" } ?? "no commit behind the base backup"
            session.note("reached \(recovery.position): \(commit); the cluster now begins timeline \(recovery.timeline)")
            session.note(next(recovery.server, restored))
        } else {
            let rest = Self.rest(of: restored.kind, inFolder: !restored.folder.isEmpty)
            session.note(
                restored.passed
                    ? "restored into \(place) and checked; \(rest)"
                    : "restored into \(place), which did NOT pass its checks; \(rest)")
        }
    }

    /// What became of the places that a restore was not for, as far as it is known.
    private static func rest(of kind: BackupKind, inFolder: Bool) -> String {
        // Of a program of the owner's nobody here knows what it touches.
        if kind == .command { return "what else the plan's restore program did is not known here" }
        return inFolder ? "nothing that is live was touched" : "it held no collection before, and nothing else was written to"
    }

    /// What a restore that failed has left, as far as it is known.
    ///
    /// - Parameter folder: Nil for the server that the plan restores to.
    static func untouched(by failure: Failure, _ kind: BackupKind, in folder: String?) -> String {
        if let folder {
            return "\(rest(of: kind, inFolder: true)); \(folder) is as it was"
        }
        // Refusals come before anything is written; of the rest it is not known how far it came.
        return failure.kind == .denied
            ? "nothing was written to the server that the plan restores to"
            : "the server that the plan restores to may hold a part of it: look, and empty it before the next attempt"
    }

    private func next(_ server: RecoveryServer, _ restored: RestoredFolder) -> String {
        let checked = restored.passed ? "checked" : "did NOT pass its checks"
        let look = "psql -h \(plain(server.place)) -U \(plain(server.role)) -d postgres"
        guard restored.isRunning else {
            return "restored into \(restored.folder)/data, \(checked), its server is stopped; nothing that is live was touched\n"
                + "to look at it, as its owner: postgres -D \(server.data) -c config_file=\(server.place)/server.conf, then \(look)\n"
                + "to go live: stop the live server, put \(server.data) in its folder's place with its own settings, start it"
        }
        return "restored into \(restored.folder)/data, \(checked), its server runs; nothing that is live was touched\n"
            + "to look at it: \(look)\nto stop it: kill -INT \(server.pid)"
    }
}
