internal import Glibc
internal import SerinCatalogue
internal import SerinController
internal import SerinCrypto
internal import SerinModel
internal import SerinPorts
internal import SerinRollouts

/// One change of a live database that other people must agree to. An approval is for this very one: another operation, database,
/// backup, plan or revision has another code.
struct ChangeApproval: Sendable, Hashable {
    /// What is approved in short: 12 hexadecimal digits of the SHA-256 of `words`.
    let code: String
    /// All of it, for who is asked.
    let words: String

    /// A change.
    ///
    /// - Parameters:
    ///   - operation: What is done: `swap checkout_restore_5f0c1a2b (16390)`.
    ///   - database: The live database.
    ///   - number: The number that the server gave it; nil while there is none of that name.
    ///   - plan: The digest of the plan's file.
    init(_ operation: String, database: String, number: String?, backup: BackupID, plan: String) {
        self.init(
            "\(operation); live database \(database) (\(number.map { "number \($0)" } ?? "missing")), backup \(backup), plan \(plan.prefix(12))",
            plan)
    }

    /// That these revisions, as they were judged, are applied to a database.
    ///
    /// - Parameters:
    ///   - revisions: Those that may destroy data. What stands around them harms nobody, and may be done when a run is repeated.
    ///   - database: The database; nil when nobody could tell.
    ///   - withoutBackup: Why there is no backup; nil: one is made and verified before.
    ///   - policy: The digest of the policy's file.
    init(migrating revisions: [PlannedRevision], of database: DatabaseIdentity?, withoutBackup: String?, policy: String) {
        let what = revisions.map(\.words).joined(separator: "; ")
        let backup = withoutBackup.map { "WITHOUT A BACKUP: \($0)" } ?? "after a verified backup"
        let digests = revisions.map { "\($0.upDigest ?? "") \($0.downDigest ?? "")" }.joined(separator: " ")
        self.init(
            "migrate \(what); live database \(database?.description ?? "unknown"), \(backup), policy \(policy.prefix(12))",
            "\(policy) \(digests)")
    }

    /// - Parameter sealed: What the code covers besides the words.
    private init(_ words: String, _ sealed: String) {
        self.words = words
        code = String(Hexadecimal.text(of: SHA256.digestOrEmpty(Array("\(words) \(sealed)".utf8))).prefix(12))
    }

    fileprivate init?(_ note: AuditNote) {
        let parts = note.text.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        (code, words) = (String(parts[0]), String(parts[1]))
    }

    /// That a restored database takes the live one's place, or the last swap is taken back, though so many things are only in the
    /// live one.
    static func swap(isUndo: Bool = false, leaving differences: Int) -> String {
        let swap = isUndo ? "take the last swap back" : "swap the restored database in"
        return differences > 0 ? "\(swap) without \(differences) things of the live one" : swap
    }
    /// How long an approval, and what was asked for, count.
    static let length = Duration.hours(24)
    /// The topic of the notes about what was asked for: code and words.
    static let askedTopic = "approval-asked"
    /// The topic of the notes by which people approve: the code, and why.
    static let givenTopic = "approval"
    /// The topic of the notes by which approvals are used up: the code, or `*` for all of a backup.
    static let usedTopic = "approval-used"
}

/// What changes are asked of: a backup of a target, or its schema.
struct ChangeSubject: Sendable, Hashable {
    /// The name of the lease.
    let target: String
    /// The backup; nil for the schema.
    let backup: BackupID?

    /// A change with a backup.
    init(_ record: BackupRecord) { (target, backup) = (record.order.target, record.id) }

    /// A change of the schema of a target.
    init(schemaOf target: String) { (self.target, backup) = (target, nil) }

    fileprivate var words: String { backup.map { "with backup \($0)" } ?? "of the schema of \(target)" }

    fileprivate var firstStep: String {
        backup == nil
            ? "whoever migrates runs serin migrate up first: it is refused, and says what there is to approve"
            : "whoever restores runs the swap or merge first: it is refused, and says what there is to approve"
    }

    /// How one of several is approved.
    func verb(_ code: String) -> String {
        backup.map { "serin backup approve \("\($0)".suffix(8)) --request \(code)" }
            ?? "serin migrate approve \(target) --plan \(code)"
    }
}

/// What was asked for, approved and used up for one backup or schema, as the catalogue noted it.
struct ChangeApprovals: Sendable {
    private let asked: [AuditNote]
    private let given: [AuditNote]
    private let used: [AuditNote]

    /// Those that still count.
    init(of subject: ChangeSubject, in store: any CatalogueStore, at now: Instant) async throws(Failure) {
        func notes(_ topic: String) async throws(Failure) -> [AuditNote] {
            do throws(CatalogueStoreError) {
                return try await store.notes(topic, of: subject.target).filter { note in
                    note.backup == subject.backup && now - note.at < ChangeApproval.length
                }
            } catch { throw error.failure }
        }
        asked = try await notes(ChangeApproval.askedTopic)
        given = try await notes(ChangeApproval.givenTopic)
        used = try await notes(ChangeApproval.usedTopic)
    }

    private func isOver(_ note: AuditNote, _ code: String) -> Bool {
        used.contains { ($0.text == code || $0.text == "*") && $0.at >= note.at }
    }

    /// What somebody waits for, the latest last, with everybody who asked.
    var open: [(request: ChangeApproval, by: Set<Principal>)] {
        var found: [(request: ChangeApproval, by: Set<Principal>)] = []
        for note in asked {
            guard let request = ChangeApproval(note), !isOver(note, request.code) else { continue }
            let before = found.firstIndex { $0.request == request }.map { found.remove(at: $0).by } ?? []
            found.append((request, before.union([note.by])))
        }
        return found
    }

    /// Who approved this very change, sorted.
    ///
    /// - Parameter own: Whoever asks, under every name they may have: they do not count.
    func people(for request: ChangeApproval, except own: Set<Principal>) -> [Principal] {
        let fitting = given.filter { note in
            note.text.split(separator: " ").first.map(String.init) == request.code && !isOver(note, request.code)
        }
        return Set(fitting.map(\.by)).subtracting(own).sorted()
    }

    /// Approves what somebody waits for.
    ///
    /// - Parameter code: Which; nil where there is one alone.
    static func approve(
        _ subject: ChangeSubject, code: String?, reason: String, by principal: Principal, in store: any CatalogueStore,
        at now: Instant
    ) async throws(OperationError) -> ChangeApproval {
        let approvals: ChangeApprovals
        do throws(Failure) { approvals = try await ChangeApprovals(of: subject, in: store, at: now) } catch {
            throw .unavailable("\(error)")
        }
        let fitting = approvals.open.filter { code == nil || $0.request.code == code }
        guard let (request, askers) = fitting.last else {
            let why = code.map { "nothing with the code \(plain($0)) was asked for" } ?? "nothing that needs it was asked for"
            throw .refused(
                Refusal(
                    "there is nothing to approve: \(why) \(subject.words) in the last 24 hours", hint: subject.firstStep))
        }
        guard fitting.count == 1 else {
            let list = fitting.map { "\($0.request.code)  \($0.request.words)" }.joined(separator: "\n  ")
            throw .refused(
                Refusal(
                    "several changes \(subject.words) wait:\n  \(list)",
                    hint: "\(subject.verb("CODE")) approves that one"))
        }
        guard askers != [principal] else {
            throw .refused(
                Refusal(
                    "\(principal) asked for it, so somebody else must approve: \(request.words)",
                    hint: "another person runs the same command under a login of their own, "
                        + (subject.backup == nil ? "by sudo where the state folder is another account's" : "without sudo")))
        }
        guard subject.backup != nil || !approvals.people(for: request, except: []).contains(principal) else {
            throw .refused(
                Refusal("\(principal) has approved already; another person is needed for this: \(request.words)"))
        }
        let note = AuditNote(
            at: now, by: principal, topic: ChangeApproval.givenTopic, target: subject.target, backup: subject.backup,
            text: "\(request.code) \(reason)")
        do throws(CatalogueStoreError) { try await store.note(note) } catch { throw .unavailable(error.description) }
        return request
    }
}
