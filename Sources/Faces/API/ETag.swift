internal import SerinModel
internal import SerinRollouts

/// Names what a client has seen of a rollout: `"<what commands depend on>-<the whole document>"`, each a hash that guards nothing.
///
/// Measurements change the second part with every poll. A command is held back by the first alone, else nobody could ever send one in
/// time.
enum ETag {
    /// The tag with its quotes.
    static func text(_ status: RolloutStatus) -> String { "\"\(revision(status))-\(StatusDocument.token(status))\"" }

    /// The tags in `If-None-Match`, where a weak one is as good.
    static func list(_ field: String) -> [String] { tags(field).map { $0.hasPrefix("W/") ? String($0.dropFirst(2)) : $0 } }

    /// The tags in a header field, as they stand.
    private static func tags(_ field: String) -> [String] {
        field.split(separator: ",").map { part in
            var tag = part[...]
            while tag.first == " " || tag.first == "\t" { tag.removeFirst() }
            while tag.last == " " || tag.last == "\t" { tag.removeLast() }
            return String(tag)
        }
    }

    /// Fails unless one of the tags in `If-Match` has the rollout's revision, or is `*`. A weak tag is never one (RFC 9110, section 13.1.1).
    static func require(_ field: String, _ status: RolloutStatus) throws(Problem) {
        let revision = "\"\(revision(status))-"
        guard tags(field).contains(where: { $0 == "*" || $0.hasPrefix(revision) }) else {
            throw Problem(
                .preconditionFailed, "rollout \(status.id) has changed: it is \(status.state), step \(status.step)",
                hint: "read it again, and decide again")
        }
    }

    /// What a command may depend on.
    private static func revision(_ status: RolloutStatus) -> String {
        let words = [
            status.id.description, status.state, "\(status.step)", "\(status.wantedWeight)", status.awaitedApproval ?? "",
            status.approvalPlan ?? "", status.ending?.rawValue ?? "", "\(status.isFinal)", "\(status.isRollbackIncomplete)",
        ]
        return String(StatusDocument.hash(words.joined(separator: "\u{0}").utf8), radix: 16)
    }
}

/// Where a page of rollouts ended, by their order.
struct Cursor: Comparable, CustomStringConvertible {
    static let pattern = "^[A-Za-z0-9._-]{1,63}:[A-Za-z0-9._-]{1,100}$"

    let service: ServiceName
    let rollout: RolloutID

    init(_ status: RolloutStatus) {
        service = status.service
        rollout = status.id
    }

    init(text: String) throws(Problem) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let service = ServiceName(parts[0]), let rollout = RolloutID(parts[1]) else {
            throw Problem(.malformed, "'cursor' is the 'next' of another page")
        }
        self.service = service
        self.rollout = rollout
    }

    var description: String { "\(service):\(rollout)" }

    static func < (left: Cursor, right: Cursor) -> Bool { (left.service, left.rollout) < (right.service, right.rollout) }
}
