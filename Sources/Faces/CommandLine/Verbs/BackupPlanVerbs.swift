internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let backupSchema = Subcommand(
        "backup schema", summary: "the JSON Schema of backup plans, for editors",
        examples: ["serin backup schema > backup.schema.json"], interruption: .ends
    ) { _ in
        return { session in
            session.data([session.assembly.backups.planSchema()])
            return .ok
        }
    }

    static let backupCheck = Subcommand(
        "backup check", summary: "validate a plan and try everything that it names",
        details: """
            Writes a small object to each destination and removes it. Exit 2 when the plan is invalid, 7 when a backup would fail or a
            restore of a dump would be refused. Where another machine restores, --backups-only leaves that out.
            """,
        examples: [
            "serin backup check backups/checkout.yaml", "serin backup check backups/checkout.yaml --backups-only",
            "serin backup check backups/checkout.yaml --offline",
        ],
        interruption: .ends
    ) { input throws(UsageError) in
        let offline = try input.flag("--offline", help: "only validate the file")
        let backupsOnly = try input.flag("--backups-only", help: "leave out what a restore needs")
        let argument = try PlanArgument(&input)
        return { session in
            let loaded = try await argument.load(session)
            for warning in loaded.warnings { session.note("warning: \(plainLines(warning.description))") }
            let probes =
                offline
                ? []
                : try await BackupSession.with(session) { backups in
                    try await backups.work(loaded, "serin backup check").probes(for: backupsOnly ? .backups : .restores)
                }
            let failed = probes.count { $0.outcome == .failed }
            session.data(
                .object([
                    "schema": .string("serin.dev/backup-check/v1"), "target": .string(loaded.plan.target.description),
                    "plan_hash": .string(loaded.hash), "ok": .bool(failed == 0),
                    "warnings": .array(loaded.warnings.map { .string($0.description) }),
                    "probes": .array(
                        probes.map {
                            .object([
                                "name": .string($0.name), "outcome": .string($0.outcome.rawValue), "detail": .string($0.detail),
                            ])
                        }),
                ])
            ) { style in
                var table = Table(header: ["PROBE", "RESULT", "DETAIL"])
                for probe in probes {
                    let colour: Style.Colour =
                        switch probe.outcome {
                        case .ok: .green
                        case .warning: .yellow
                        case .failed: .red
                        }
                    table.rows.append([
                        Table.Cell(probe.name), Table.Cell(probe.outcome.rawValue, colour), Table.Cell(probe.detail),
                    ])
                }
                return probes.isEmpty ? [] : table.lines(style)
            }
            let file = plain(loaded.file)
            if offline {
                session.note("\(file): the plan is valid; what it names was not tried (--offline)")
            } else if failed > 0 {
                session.note(
                    "\(file): the plan is valid, but a backup or its restore would fail: \(failed) of \(probes.count) probes failed"
                )
            } else {
                session.note("\(file): the plan is valid and what it names works; next: serin backup create \(file)")
            }
            return failed > 0 ? .refused : .ok
        }
    }

    static let backupMetrics = Subcommand(
        "backup metrics", summary: "what Prometheus' textfile collector reads",
        details: """
            Computed from the catalogue, in which runs whose process is gone are ended as failed; how far the receiving of a write-ahead
            log is behind is asked of its server, for 5 s at most. Run it after backups and on a timer, and write to a temporary file that is renamed:
            serin backup metrics PLAN > backup.prom.$$ && mv backup.prom.$$ backup.prom. Rules that judge ages use time(), so that
            they also notice when nothing writes the file any more.
            """,
        examples: ["serin backup metrics backups/checkout.yaml backups/redis.yaml"], interruption: .ends
    ) { input throws(UsageError) in
        var files = [try input.positional("PLAN", help: "a backup plan")]
        while !input.isDescribing, let file = try input.optionalPositional("PLAN", help: "more of them") { files.append(file) }
        return { [files] session in
            let plans = try await PlanArgument.load(files, session)
            return try await BackupSession.with(session) { backups in
                // What was cut off counts as failed from here on.
                for plan in plans { try await backups.closeDeadRuns(plan, at: session.now) }
                let state = try await backups.state()
                let reads = try await backups.reads()
                var metrics = BackupMetrics(isCatalogueReadable: true)
                for loaded in plans {
                    let plan = loaded.plan
                    metrics.add(plan, state, reads: reads, at: session.now)
                    guard plan.source.receivesLog, case .postgresPhysical(let source) = plan.source else { continue }
                    metrics.addLog(
                        plan, words: try await backups.notes(BackupMetrics.logTopic, plan.target.description).last?.text,
                        receivedAt: source.log.folder.flatMap { LogFolder.newest(in: $0) },
                        // A server that does not answer is left out: its own alerts tell of it.
                        lag: try? await backups.work(loaded, "serin backup metrics").logLag())
                }
                session.console.writeData(metrics.text)
                return .ok
            }
        }
    }
}
