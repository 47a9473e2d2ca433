internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let catalogueCheck = Subcommand(
        "backup catalogue check", summary: "compare the catalogue with what the destinations really hold",
        details: """
            Exit 8 when something is missing, changed, rolled back or cannot be believed. Nothing at the destinations is changed; what
            the retention of pgBackRest has removed from its own repository is quarantined in the catalogue.
            """,
        examples: ["serin backup catalogue check backups/checkout.yaml"], interruption: .ends
    ) { input throws(UsageError) in
        let only = try input.text("--destination", value: "NAME", help: "only this one")
        let argument = try PlanArgument(&input)
        return { session in
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let work = try await backups.work(loaded, "serin backup catalogue check")
                var all: [(destination: String, difference: CatalogueDifference)] = []
                var isUnknown = false
                do throws(Failure) {
                    all = try await work.noteExpired(by: backups.principal).map { ("-", .expired($0)) }
                } catch {
                    isUnknown = true
                    session.complain("whether the backups are still there that their tool keeps itself is not known: \(error)")
                }
                for place in loaded.plan.destinations where only == nil || only == place.name {
                    let contents = try await work.contents(of: place.name)
                    let check = CatalogueCheck(
                        try await backups.state(), of: loaded.plan.target.description, against: contents)
                    all += check.differences.map { (place.name, $0) }
                    session.note("\(place.name): \(check.compared) copies compared, \(check.differences.count) differences")
                    let size = saturatingSum(contents.objects.map(\.size))
                    let newest = contents.manifests.compactMap { found in
                        contents.objects.first { $0.key == found.manifest.copy.key }?.modified
                    }.max()
                    session.note(
                        "\(place.name): it lists \(contents.objects.count) objects of \(BackupText.size(size))"
                            + (newest.map { ", the newest backup stored at \($0) by its own clock" } ?? ""))
                }
                show(all, session)
                if all.contains(where: { $0.difference.isFault }) { return .verificationFailed }
                return isUnknown ? .unexpected : .ok
            }
        }
    }

    static let catalogueImport = Subcommand(
        "backup import", summary: "make backups known again from the manifests beside them",
        details: """
            Only manifests are believed that bear the plan's authentication code; where that key is not made of a passphrase, the file
            manifest.key of the machine that made the backups has to be in the state folder's backups first. What is imported is
            uploaded, never better, until serin backup verify has read it. What people and the law held, and who was erased, comes back
            from the registers beside the objects. Of backups that no register speaks of it is not known: until a person has agreed once,
            serin backup prune deletes nothing.
            """,
        examples: ["serin backup import backups/checkout.yaml"], interruption: .ends
    ) { input throws(UsageError) in
        let only = try input.text("--destination", value: "NAME", help: "only this one")
        let argument = try PlanArgument(&input)
        return { session in
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let work = try await backups.work(loaded, "serin backup import", makesKey: false)
                var imported: [BackupID] = []
                var isFine = true
                for place in loaded.plan.destinations where only == nil || only == place.name {
                    let report = try await work.importBackups(from: place.name, by: backups.principal)
                    imported += report.imported
                    for refused in report.refused { session.complain("\(place.name): \(refused.backup): \(refused.reason)") }
                    for difference in report.differences where difference.isFault {
                        session.complain("\(place.name): \(words(difference))")
                    }
                    isFine = isFine && report.refused.isEmpty && !report.differences.contains(where: \.isFault)
                }
                let recalled = try await work.recallRegister(from: only, by: backups.principal)
                for place in recalled.unread {
                    session.complain("the register at \(place.destination) is not believed: \(place.failure)")
                    isFine = false
                }
                session.data(
                    .object([
                        "schema": .string("serin.dev/backup-import/v1"), "ok": .bool(isFine),
                        "imported": .array(imported.map { .string("\($0)") }),
                        "held": .array(recalled.held.map { .string("\($0)") }), "erasures": .integer(Int64(recalled.erasures)),
                        "unsettled": .array(recalled.unsettled.map { .string("\($0)") }),
                    ])
                ) { _ in imported.map { "\($0)" } }
                for id in recalled.held { session.note("\(id) is held again, as the register beside the objects says") }
                if recalled.erasures > 0 { session.note("\(recalled.erasures) erasures are known again") }
                if !recalled.unsettled.isEmpty {
                    session.note(
                        "warning: of \(recalled.unsettled.count) backups no register says whether they were held, for the law or by a "
                            + "person; hold again what must be kept, then agree once to serin backup prune, which deletes nothing before"
                    )
                }
                // What is known now stands at every destination that was read.
                if !imported.isEmpty { await backups.keepRegister(work, at: only) }
                session.note(
                    imported.isEmpty
                        ? "nothing new was found" : "\(imported.count) imported; next: serin backup verify PLAN --due")
                return isFine ? .ok : .verificationFailed
            }
        }
    }

    private static func show(_ all: [(destination: String, difference: CatalogueDifference)], _ session: Session) {
        session.data(
            .object([
                "schema": .string("serin.dev/catalogue-check/v1"), "ok": .bool(!all.contains { $0.difference.isFault }),
                "differences": .array(
                    all.map {
                        .object([
                            "destination": .string($0.destination), "fault": .bool($0.difference.isFault),
                            "text": .string(words($0.difference)),
                        ])
                    }),
            ])
        ) { style in
            var table = Table(header: ["DESTINATION", "WEIGHT", "DIFFERENCE"])
            for item in all {
                table.rows.append([
                    Table.Cell(item.destination),
                    item.difference.isFault ? Table.Cell("FAULT", .red) : Table.Cell("note", .yellow),
                    Table.Cell(words(item.difference)),
                ])
            }
            return all.isEmpty ? [] : table.lines(style)
        }
    }

    private static func words(_ difference: CatalogueDifference) -> String {
        switch difference {
        case .missing(let id, let key): "\(id): \(key) is not there"
        case .size(let id, let key, let expected, let found): "\(id): \(key) has \(found) bytes, expected \(expected)"
        case .version(let id, let key, let expected, let found):
            "\(id): \(key) is there in version \(found ?? "none"), expected \(expected)"
        case .lock(let id, let key, let expected, let found):
            "\(id): \(key) is locked until \(found.map { "\($0.until)" } ?? "never"), promised until \(expected.until)"
        case .withoutManifest(let id, let key): "\(id): \(key) has no manifest"
        case .otherManifest(let id, let key): "\(id): the manifest \(key) says otherwise than the catalogue"
        case .unknownBackup(let id, let key): "\(id): \(key) is not in the catalogue; serin backup import makes it known"
        case .unknownObject(let key): "\(key) belongs to no backup that is known"
        case .undead(let id, let key): "\(id): \(key) is there although it was deleted"
        case .expired(let id): "\(id): \(Failure.expiredByItsTool.message); it is quarantined now"
        case .leftover(let id, let key): "\(id): \(key) is left of a damaged copy that was made anew; it goes with that one"
        case .unfinished(let upload):
            "\(upload.name): an upload begun \(upload.started.map { "at \($0)" } ?? "at an unknown time") never finished"
                + (upload.started == nil ? "" : "; the next backup removes what it left")
        case .unreadable(let manifest): "the manifest \(manifest.key) cannot be believed: \(manifest.reason)"
        case .gap(let target, let after, let before, let isExplained):
            "\(target): manifests between \(after) and \(before) are missing" + (isExplained ? ", as many were deleted" : "")
        case .broken(let target, let key): "\(target): the manifest \(key) does not follow the one before it"
        case .rolledBack(let target, let known, let found):
            "\(target): the newest manifest is that of \(found), but \(known) is known: an older state was put back"
        }
    }
}
