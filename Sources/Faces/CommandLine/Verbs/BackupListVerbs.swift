internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let backupList = Subcommand(
        "backup list", summary: "the backups, the newest first",
        examples: ["serin backup list", "serin backup list --target checkout-db --kind logical -o json"], interruption: .ends
    ) { input throws(UsageError) in
        let all = try input.flag("--all", help: "failed and deleted ones as well")
        let selection = try SelectionArguments(&input).selection
        return { session in
            try await BackupSession.with(session, reads: true) { backups in
                let records = try await backups.state().history(selection, includingDead: all)
                if session.globals.output == .jsonl {
                    session.data(try records.map { try BackupText.document($0).canonicalText })
                } else {
                    session.data(try BackupText.document(records)) { style in
                        BackupText.table(records, at: session.now).lines(style)
                    }
                }
                if records.isEmpty { session.note("no backups; serin backup create PLAN makes one") }
                return .ok
            }
        }
    }

    static let backupShow = Subcommand(
        "backup show", summary: "everything about one backup",
        examples: ["serin backup show latest --target checkout-db", "serin backup show 5f0c1a2b"], interruption: .ends
    ) { input throws(UsageError) in
        let target = try input.text("--target", value: "TARGET", help: "whose latest")
        let name = try input.positional("BACKUP", help: "an identifier, the end of one, or latest")
        return { session in
            try await BackupSession.with(session, reads: true) { backups in
                let record = try await backups.record(name, target: target)
                session.data(try BackupText.document(record)) { _ in BackupText.page(record, at: session.now) }
                return .ok
            }
        }
    }

    static let backupStats = Subcommand(
        "backup stats", summary: "how many backups there are, how large and how old",
        examples: ["serin backup stats --project shop"], interruption: .ends
    ) { input throws(UsageError) in
        let selection = try SelectionArguments(&input).selection
        return { session in
            try await BackupSession.with(session, reads: true) { backups in
                let state = try await backups.state()
                let types = state.statisticsByType(selection)
                let ages = state.countsByAge(selection, at: session.now)
                let records = state.history(selection, includingDead: true)
                let places = Set(records.flatMap { $0.copies.filter { $0.state != .deleted }.map(\.destination) }).sorted()
                let document = JSONValue.object([
                    "schema": .string("serin.dev/backup-stats/v1"),
                    "all": numbers(state.statistics(selection)),
                    "types": .array(
                        types.map { type, statistics in
                            .object(["type": .string(type.rawValue), "numbers": numbers(statistics)])
                        }), "ages": .array(try ages.map { try BackupText.document($0) }),
                    "destinations": .array(
                        places.map { .object(["destination": .string($0), "total_size": .integer(records.storedBytes(at: $0))]) }),
                ])
                session.data(document) { style in
                    var table = Table(header: ["TYPE", "COUNT", "SIZE", "OLDEST", "NEWEST", "7 DAYS", "30 DAYS"])
                    for (type, numbers) in types {
                        let age = ages.first { $0.type == type }
                        table.rows.append(
                            [
                                type.rawValue, "\(numbers.count)", BackupText.size(numbers.totalSize),
                                numbers.oldest.map { "\($0)" } ?? "-", numbers.newest.map { "\($0)" } ?? "-",
                                "\(age?.last7Days ?? 0)", "\(age?.last30Days ?? 0)",
                            ].map { Table.Cell($0) })
                    }
                    var sizes = Table(header: ["DESTINATION", "SIZE"])
                    for place in places {
                        sizes.rows.append([Table.Cell(place), Table.Cell(BackupText.size(records.storedBytes(at: place)))])
                    }
                    return table.lines(style) + [""] + sizes.lines(style)
                }
                return .ok
            }
        }
    }

    private static func numbers(_ statistics: BackupStatistics) -> JSONValue {
        .object([
            "count": .integer(statistics.count), "total_size": .integer(statistics.totalSize),
            "oldest": statistics.oldest.map { .string("\($0)") } ?? .null,
            "newest": statistics.newest.map { .string("\($0)") } ?? .null,
        ])
    }

    static let backupExpiring = Subcommand(
        "backup expiring", summary: "the backups that will be deleted soon",
        details: "With a plan, what its rules say; without one, what was warned about.",
        examples: ["serin backup expiring --within 7d", "serin backup expiring --plan backups/checkout.yaml"], interruption: .ends
    ) { input throws(UsageError) in
        let span =
            try input.option("--within", value: "TIME", help: "how far ahead (default: 7d)") { Duration(policyText: $0) }
            ?? .hours(24 * 7)
        let file = try input.text("--plan", value: "PLAN", help: "a backup plan")
        let arguments = try SelectionArguments(&input)
        return { session in
            try await BackupSession.with(session, reads: true) { backups in
                let state = try await backups.state()
                var selection = arguments.selection
                var expiries: [BackupID: Instant] = [:]
                if let file {
                    let plan = try await PlanArgument.load(file, session).plan
                    selection.target = plan.target.description
                    expiries = backups.expiries(of: [plan], state)
                }
                let records = state.expiring(selection, within: span, at: session.now, expiries: expiries)
                let dated = records.map { ($0, expiries[$0.id] ?? $0.expiresAt) }
                session.data(
                    .object([
                        "schema": .string("serin.dev/backups-expiring/v1"),
                        "backups": .array(
                            dated.map { record, time in
                                .object([
                                    "id": .string("\(record.id)"), "target": .string(record.order.target),
                                    "expires_at": time.map { .string("\($0)") } ?? .null,
                                ])
                            }),
                    ])
                ) { style in
                    var table = Table(header: ["BACKUP", "TARGET", "CREATED", "EXPIRES"])
                    for (record, time) in dated {
                        table.rows.append([
                            Table.Cell("\(record.id)"), Table.Cell(record.order.target), Table.Cell("\(record.createdAt)"),
                            Table.Cell(time.map { "\($0)" } ?? "-", .yellow),
                        ])
                    }
                    return records.isEmpty ? [] : table.lines(style)
                }
                session.note(
                    records.isEmpty
                        ? "nothing expires within \(span)"
                        : "\(records.count) will be deleted; serin backup hold BACKUP keeps one")
                return .ok
            }
        }
    }
}
