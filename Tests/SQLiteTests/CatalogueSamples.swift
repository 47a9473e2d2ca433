import SerinCatalogue
import SerinModel

/// Backups for tests of a catalogue's store.
enum Sample {
    static func id(_ number: Int) -> BackupID {
        BackupID(millisecondsSince1970: 1_795_000_000_000 + Int64(number), random: [UInt8(truncatingIfNeeded: number)])
    }

    static func begun(_ number: Int, at now: Instant = .start, target: String = "checkout") -> CatalogueEvent {
        CatalogueEvent(
            backup: id(number), at: now, by: .serin,
            .begun(
                BackupOrder(
                    id: id(number), project: "shop", target: target, kind: .logical, createdAt: now, createdBy: .uid(1000),
                    purpose: "before a release")))
    }

    static func failed(_ number: Int) -> CatalogueEvent {
        CatalogueEvent(backup: id(number), at: .start, by: .serin, .failed(Failure(.transient, "the dump ended early")))
    }

    static func request(_ holder: LeaseHolder, at now: Instant = .start) -> LeaseRequest {
        LeaseRequest(target: "checkout", holder: holder, by: .uid(1000), at: now, duration: .seconds(60))
    }

    static func job(_ number: Int, at now: Instant = .start) -> BackupJob {
        BackupJob(
            id: id(1000 + number), type: "export_backup", project: "shop", target: "checkout", createdAt: now,
            createdBy: .uid(1000))
    }

    /// A process of another machine: nobody can see from here whether it lives.
    static let far = LeaseHolder(place: "another machine", pid: 7, startTicks: 1, purpose: "serin backup create")
}
