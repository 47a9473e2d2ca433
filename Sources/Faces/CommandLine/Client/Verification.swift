internal import SerinController
internal import SerinCrypto
internal import SerinModel
internal import SerinRecords

/// What `verify` found in one journal.
public struct Verification: Sendable, Hashable {
    /// The service whose journal it is.
    public var service: String
    /// How many entries were read.
    public var entries: Int64
    /// How many of them were computed again from their inputs.
    public var replayed: Int
    /// The journal's size and the hash of its last entry, to be kept elsewhere; nil in an empty one.
    public var head: String?
    /// Every place where the journal does not hold together, in words; empty when it does.
    public var faults: [String]
    /// What another version of Serin wrote and this one cannot read, in words.
    public var unread: [String]

    /// What was found.
    public init(
        service: String, entries: Int64, replayed: Int, head: String?, faults: [String], unread: [String] = []
    ) {
        self.service = service
        self.entries = entries
        self.replayed = replayed
        self.head = head
        self.faults = faults
        self.unread = unread
    }

    /// Whether all of it was checked and holds.
    var isWhole: Bool { faults.isEmpty && unread.isEmpty }

    /// Checks a journal that is read page by page to its end, as far as that is when it is reached.
    ///
    /// - Parameters:
    ///   - isHeld: Whether a controller goes on with it.
    ///   - page: The entries after a number; none at the end.
    init<Fault: Error>(
        of service: ServiceName, _ rollout: RolloutID?, against noted: NotedJournal?, isHeld: Bool,
        page: (_ after: Int64) async throws(Fault) -> [Entry]
    ) async throws(Fault) {
        var check = JournalCheck(of: rollout, against: noted, digest: SHA256.digestOrEmpty)
        var last: Int64 = 0
        while true {
            let entries = try await page(last)
            for entry in entries { check.take(entry) }
            // Numbers that do not rise are a fault that is found; they must not be asked for for ever.
            guard let next = entries.last?.sequence, next > last else { break }
            last = next
        }
        check.finish(isHeld: isHeld)
        self.init(
            service: service.description, entries: check.last, replayed: check.replayed,
            head: check.last > 0 ? check.head.description : nil, faults: check.faults, unread: check.unread)
        if check.last == 0, isWhole {
            faults = [
                "the journal has no entries, although a controller writes one as soon as it has made it: they were removed, or that "
                    + "controller was stopped in between"
            ]
        }
        if !check.hasFoundRollout, isWhole, let rollout { faults = ["the journal has no rollout '\(rollout)'"] }
    }
}
