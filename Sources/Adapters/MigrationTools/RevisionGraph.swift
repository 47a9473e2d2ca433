internal import FoundationEssentials
internal import SerinCrypto
internal import SerinModel

/// The revisions that a release brings, and what follows what.
struct RevisionGraph: Sendable, Hashable {
    /// One revision.
    struct Revision: Sendable, Hashable {
        /// The tool's name for it.
        var id: RevisionID
        /// What people call it; may be empty.
        var name: String
        /// What must be applied before; empty for a first one.
        var parents: [RevisionID]
        /// The file that people edit, where the tool tells.
        var file: String?

        /// The digest of that file as it is now, lower-case hexadecimal; nil when there is none to read.
        var digest: String? {
            guard let bytes = file.flatMap({ FileManager.default.contents(atPath: $0) }) else { return nil }
            return Hexadecimal.text(of: SHA256.digestOrEmpty(Array(bytes)))
        }
    }

    /// All revisions, each behind its parents. Only the heads where the tool tells no more.
    let revisions: [Revision]
    /// The revisions that nothing follows.
    let heads: [RevisionID]
    /// Whether `revisions` lists them all.
    let isComplete: Bool

    /// The graph of a tool that lists its revisions.
    init(revisions: [Revision], heads: [RevisionID]) {
        self.revisions = revisions
        self.heads = heads
        isComplete = true
    }

    /// What is known of a tool that tells its heads alone.
    init(headsOnly heads: [RevisionID]) {
        revisions = heads.map { Revision(id: $0, name: "", parents: []) }
        self.heads = heads
        isComplete = false
    }

    /// The files of all revisions, as far as the tool tells.
    var files: [String] { revisions.compactMap(\.file) }

    /// The revisions whose files are not what they were when they were applied.
    ///
    /// - Parameter applied: The digests of then.
    func edited(since applied: [RevisionID: String]) -> [Revision] {
        revisions.filter { revision in
            guard let then = applied[revision.id], let now = revision.digest else { return false }
            return now != then
        }
    }

    /// What is said of revisions that were changed after they were applied.
    static func complaint(_ edited: [Revision]) -> Failure {
        let names = edited.map { "\($0.id) (\($0.file ?? ""))" }.joined(separator: ", ")
        return Failure(
            .conflict, "changed after it was applied: \(names)",
            hint: "bring the file back and make a new revision; or take it as it is with serin migrate up --accept-edited")
    }

    /// The one revision at which the release is complete; nil when there are no revisions at all.
    func oneHead() throws(Failure) -> RevisionID? {
        guard heads.count <= 1 else {
            throw Failure(
                .invalid, "the release has \(heads.count) heads: \(heads.map(\.description).joined(separator: ", "))",
                hint: "join the branches with a merge revision")
        }
        return heads.first
    }

    /// Refuses a database that is at a revision the release does not know, or at several of which nobody can say what joins them.
    func check(_ current: [RevisionID]) throws(Failure) {
        if isComplete, let stranger = current.first(where: { revision in !revisions.contains { $0.id == revision } }) {
            throw Failure(
                .invalid, "the database is at revision \(stranger), which the release does not know",
                hint: "use the release that brought it, or one made after it")
        }
        guard current.count <= 1 || isComplete else {
            throw Failure(
                .invalid, "the database is at \(current.count) revisions: \(current.map(\.description).joined(separator: ", "))",
                hint: "apply the revision that joins them with the tool itself")
        }
    }

    /// What lies between where the database is and a revision, in the order in which it is applied.
    ///
    /// - Throws: `invalid` for a revision that is not known; `conflict` when the database is not on the way to it.
    func pending(from current: [RevisionID], to target: RevisionID) throws(Failure) -> [Revision] {
        guard isComplete else { return current == [target] ? [] : [Revision(id: target, name: "", parents: [])] }
        let wanted = try ancestors(of: [target])
        let applied = try ancestors(of: current)
        guard applied.isSubset(of: wanted) else {
            let place = current.map(\.description).joined(separator: ", ")
            throw Failure(
                .conflict, "revision \(target) does not lie ahead of \(place), where the database is",
                hint: "serin migrate down leads back")
        }
        return revisions.filter { wanted.contains($0.id) && !applied.contains($0.id) }
    }

    /// The steps of a way forward, each with where the database is before and after it.
    func steps(_ pending: [Revision], from current: [RevisionID]) -> [RevisionStep] {
        var place = current
        return pending.map { revision in
            let before = place
            place = isComplete ? before.filter { !revision.parents.contains($0) } + [revision.id] : [revision.id]
            return RevisionStep(direction: .up, revision: revision.id, before: before, after: place)
        }
    }

    /// What was applied, in order.
    func applied(at current: [RevisionID]) throws(Failure) -> [Revision] {
        let applied = try ancestors(of: current)
        return revisions.filter { applied.contains($0.id) }
    }

    /// Whether a database at one place was at the other one before, as far as anybody can tell.
    func isBehind(_ current: [RevisionID], _ place: [RevisionID]) -> Bool {
        guard !current.isEmpty else { return !place.isEmpty }
        // The one error is a revision that the release does not know: nobody can tell what is behind it, so nothing is said of it.
        guard isComplete, let kept = try? ancestors(of: current), let all = try? ancestors(of: place) else { return false }
        return kept.isStrictSubset(of: all)
    }

    /// What has to be taken back, the newest first, until the database is at a revision; nil is before the first.
    ///
    /// - Throws: `invalid` for a revision that is not known, and where a merge of branches lies in between; `conflict` when the
    ///   target is not behind the database.
    func applied(above target: RevisionID?, from current: [RevisionID]) throws(Failure) -> [Revision] {
        guard isComplete else {
            throw Failure(.invalid, "the tool does not list its revisions")
        }
        let kept = try ancestors(of: target.map { [$0] } ?? [])
        let applied = try ancestors(of: current)
        guard kept.isSubset(of: applied) else {
            throw Failure(
                .conflict, "revision \(target?.description ?? "base") is not behind where the database is",
                hint: "serin migrate up leads forward")
        }
        let back = revisions.filter { applied.contains($0.id) && !kept.contains($0.id) }
        func refused(_ why: String) -> Failure {
            Failure(.invalid, "the way back leads through \(why)", hint: "take it back with the tool itself")
        }
        if let merge = back.first(where: { $0.parents.count > 1 }) {
            throw refused("\(merge.id), which joins branches: nobody can tell which one to take")
        }
        for revision in back {
            // Back to where branches part is back on all of them at once.
            let siblings = revisions.filter { applied.contains($0.id) && ($0.parents.first == revision.parents.first) }
            guard siblings.count == 1 else {
                throw refused("\(revision.parents.first?.description ?? "base"), where branches part")
            }
        }
        return back.reversed()
    }

    /// The revisions of a way forward from which no way leads back to where it begins, each with why.
    func unreachable(_ pending: [RevisionID], from current: [RevisionID]) -> [RevisionID: String] {
        guard isComplete else { return [:] }
        var found: [RevisionID: String] = [:]
        let steps = steps(revisions.filter { pending.contains($0.id) }, from: current)
        for step in steps {
            do throws(Failure) {
                guard current.count <= 1 else { throw Failure(.invalid, "the way back leads to several revisions at once") }
                _ = try applied(above: current.first, from: step.after)
            } catch { found[step.revision] = error.message }
        }
        return found
    }

    private func ancestors(of starts: [RevisionID]) throws(Failure) -> Set<RevisionID> {
        var found: Set<RevisionID> = []
        var open = starts
        while let next = open.popLast() {
            guard let revision = revisions.first(where: { $0.id == next }) else {
                throw Failure(.invalid, "the release knows no revision \(next)", hint: "serin migrate status lists them")
            }
            if found.insert(next).inserted { open += revision.parents }
        }
        return found
    }
}
