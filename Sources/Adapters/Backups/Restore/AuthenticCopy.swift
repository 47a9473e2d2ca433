internal import Glibc
internal import SerinCatalogue
internal import SerinModel
internal import SerinPorts
internal import SerinProcesses

/// A copy of a backup that was fetched completely into a file in a private folder, which is removed when it is let go.
final class FetchedCopy: Sendable {
    var path: String { place.path + "/copy" }
    private let place: TemporaryFolder
    let copy: BackupCopy
    let facts: BackupFacts
    let evidence: CopyEvidence

    /// Fetches a copy. Nothing of it is believed yet.
    ///
    /// - Throws: `invalid` when the destination has not the object on record.
    init(_ record: BackupRecord, _ copy: BackupCopy, at place: BackupPlace, in folder: String) async throws(Failure) {
        guard let facts = record.facts else { throw Failure(.invalid, "backup \(record.id) was never stored") }
        let own = try TemporaryFolder(in: folder)
        let found = try await place.destination.get(
            copy.key, version: copy.versionID, to: own.path + "/copy", limit: Int64(facts.envelope.storedBytes))
        evidence = CopyEvidence(size: found.size, sha256: found.sha256, versionID: copy.versionID)
        self.place = own
        self.copy = copy
        self.facts = facts
    }

    /// Checks length, digest and MAC of the whole file; only then are its plain bytes given.
    func read(_ identities: [EnvelopeIdentity], to sink: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(EnvelopeFailure)
    {
        let reader = try EnvelopeReader(facts.envelope, identities: identities)
        // The chunks of `gcm1` are authenticated in reading, but a tool must not see the beginning of one that is cut short.
        if facts.envelope.profile == .gcm1 { try reader.check(path) }
        try reader.read(path, to: sink)
    }

    /// Checks length, digest and MAC of the whole file.
    func authenticate(_ identities: [EnvelopeIdentity]) throws(EnvelopeFailure) {
        try EnvelopeReader(facts.envelope, identities: identities).check(path)
    }
}

extension BackupRecord {
    /// The copy at a destination, or the first one that may be read of those that are at hand.
    func copy(_ destination: String?, of places: [BackupPlace]) throws(Failure) -> (BackupCopy, BackupPlace) {
        let candidates = copies.filter { copy in destination.map { copy.destination == $0 } ?? copy.state.isUsable }
        for copy in candidates {
            if let place = places.first(where: { $0.name == copy.destination }) { return (copy, place) }
        }
        throw Failure(
            .invalid, "backup \(id), \(state.rawValue), has no copy that can be read\(destination.map { " at \($0)" } ?? "")",
            hint: copies.isEmpty ? nil : "its copies are at \(copies.map(\.destination).joined(separator: ", "))")
    }
}
