internal import SerinCrypto
internal import SerinMigrations
internal import SerinModel

// What runs is what was judged: scripts are known again by their digests.

extension MigrationSide {
    /// SHA-256 over all of it that decides what is run: the SQL, what is put around it, and the file it is generated from. Nil where
    /// nobody can read it.
    var digest: String? {
        let bytes: [UInt8]
        switch self {
        case .text(let text): bytes = Array("\(text.wrapping)".utf8) + [0] + text.sql + [0] + (text.source ?? [])
        case .missing: return nil
        case .unavailable(_, _, let source):
            guard let source else { return nil }
            bytes = source
        }
        return Hexadecimal.text(of: SHA256.digestOrEmpty(bytes))
    }
}

extension RevisionStep {
    /// Why one direction of a revision is not what was judged; nil when it is, or when nobody judged it.
    func objection(to side: MigrationSide) -> Failure? {
        guard let judged, side.digest != (direction == .up ? judged.upDigest : judged.downDigest) else { return nil }
        return Failure(
            .conflict,
            "the way \(direction.rawValue) of revision \(revision) is not the one that was judged: it was changed since",
            hint: "put back what was judged, or begin again so that the change is judged")
    }
}

extension RevisionStep {
    /// Why a way back that came to its end is not done; nil when it left the schema that was there before the way forward.
    func objection(toLeaving present: SchemaSnapshot, for wanted: SchemaSnapshot) -> Failure? {
        guard !present.isSame(as: wanted) else { return nil }
        return Failure(
            .unknown,
            "the way back from \(revision) leaves another schema than there was before it was applied:\n"
                + present.difference(from: wanted).map { "  " + $0 }.joined(separator: "\n"),
            hint: "bring the schema to where it was, and repeat; or take it as it is with --accept-schema")
    }
}

extension [RevisionStep] {
    /// The steps, each with the revision as it was judged.
    ///
    /// - Throws: `conflict` when they are not exactly the judged ones that lie on this way.
    func judged(_ revisions: [PlannedRevision]?, at current: [RevisionID]) throws(Failure) -> [RevisionStep] {
        guard let revisions, let first else { return self }
        let place = revisions.firstIndex { current == [$0.id] }
        let expected: [PlannedRevision]
        switch first.direction {
        case .up: expected = [PlannedRevision](revisions.dropFirst(place.map { $0 + 1 } ?? 0))
        case .down: expected = revisions.prefix(place.map { $0 + 1 } ?? 0).reversed()
        }
        guard map(\.revision) == expected.map(\.id) else {
            let words = [map(\.revision), expected.map(\.id)].map { $0.map(\.description).joined(separator: ", ") }
            throw Failure(
                .conflict, "what would be run is not what was judged: \(words[0]), judged were \(words[1])",
                hint: "put back what was judged, or begin again so that the change is judged")
        }
        return zip(self, expected).map { step, judged in
            var step = step
            step.judged = judged
            return step
        }
    }
}
