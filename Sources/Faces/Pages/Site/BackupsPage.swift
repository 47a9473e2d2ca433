public import SerinCatalogue
internal import SerinModel
internal import SerinRollouts

/// Every backup of the catalogues: how well it is known to be good, where it lies, and when it goes.
public struct BackupsPage: Sendable {
    let records: [BackupRecord]?
    let visit: Visit

    /// A page of these backups, in any order; nil where no catalogue is kept.
    public init(_ records: [BackupRecord]?, visit: Visit) {
        self.records = records
        self.visit = visit
    }

    /// The page.
    public var markup: Markup {
        PageFrame(title: "Backups", place: .backups, visit: visit).page {
            Tag.h1(text: "Backups")
            if let records, !records.isEmpty {
                for target in Set(records.map(\.order.target)).sorted() {
                    section(target, records.filter { $0.order.target == target })
                }
            } else {
                Tag.p(.class("notice")) {
                    records == nil ? "No catalogue of backups is kept here. " : "No backup yet. "
                    "One is made with "
                    Tag.code(text: "serin backup create PLAN")
                    "."
                }
            }
        }
    }

    private func section(_ target: String, _ records: [BackupRecord]) -> Markup {
        let newest = records.sorted { $0.createdAt > $1.createdAt }
        let good = newest.first(where: \.state.isVerified)
        return Tag.section {
            Tag.h2(text: target)
            Tag.p(.class("tone-\((good == nil ? Tone.warn : .good).rawValue)")) {
                (good == nil ? Tone.warn : .good).icon
                if let good {
                    "Last verified: \(good.id), "
                    ago(good.createdAt, visit.now)
                } else {
                    "None is verified."
                }
            }
            Tag.div(.class("scroll"), Attribute(.role, "region"), Attribute(.tabindex, "0"), .label("Backups of \(target)")) {
                Tag.table {
                    Tag.thead {
                        Tag.tr {
                            for name in ["Backup", "State", "Kind", "Created", "Size", "Copies", "Held", "Expires"] {
                                Tag.th(Attribute(.scope, "col"), text: name)
                            }
                        }
                    }
                    Tag.tbody { for record in newest.prefix(100) { row(record) } }
                }
            }
            if newest.count > 100 {
                Tag.p(.class("quiet"), text: "\(newest.count - 100) older ones: serin backup list")
            }
        }
    }

    private func row(_ record: BackupRecord) -> Markup {
        let tone = record.wasInterrupted ? .warn : tone(record.state)
        return Tag.tr {
            Tag.th(Attribute(.scope, "row")) { Tag.code(text: "\(record.id)") }
            Tag.td(.class("tone-\(tone.rawValue)")) {
                tone.icon
                Tag.strong(text: record.stateWord)
                if let failure = record.failure { Tag.small(text: " \(failure)") }
            }
            Tag.td(text: record.kind.rawValue)
            Tag.td {
                moment(record.createdAt, withDate: true)
                " "
                ago(record.createdAt, visit.now)
            }
            Tag.td(.class("number"), text: record.size.map(byteWords) ?? "-")
            Tag.td(text: record.copies.map { "\($0.destination): \($0.state.rawValue)" }.joined(separator: ", "))
            Tag.td(text: record.holds(at: visit.now).map(\.reason).joined(separator: ", "))
            Tag.td(text: record.expiresAt?.description ?? "-")
        }
    }

    private func tone(_ state: BackupState) -> Tone {
        switch state {
        case .verified, .drilled: .good
        case .running, .uploaded, .deleting, .deleted: .busy
        case .available: .warn
        case .failed, .quarantined: .bad
        }
    }
}
