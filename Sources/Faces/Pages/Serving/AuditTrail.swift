internal import SerinController
internal import SerinLocks
internal import SerinModel
internal import SerinRecords
internal import SerinRollouts

/// Who asked for what, from the services' journals. Each is read from its end, as far back as somebody has asked for, and then only as
/// it grows.
final class AuditTrail: Sendable {
    /// The most lines that are kept of a service; the newest stay.
    private static let limit = 2000
    private static let page = 256
    /// The beginnings of the entries that tell of someone, or of the controller itself; all others are passed over unread.
    private static let telling = [
        "{\"created\":", "{\"opened\":", "{\"event\":{\"_0\":{\"commanded\":", "{\"event\":{\"_0\":{\"takenOver\":",
        "{\"event\":{\"_0\":{\"doubted\":",
    ].map { Array($0.utf8) }

    private struct Trail: Sendable {
        /// The entries that were read are those after `first`, up to `last`.
        var first: Int64
        var last: Int64
        var lines: [AuditPage.Line] = []
    }

    private let operations: any RolloutOperations
    private let known = Locked<[ServiceName: Trail]>([:])

    init(_ operations: any RolloutOperations) { self.operations = operations }

    /// The lines among the newest entries of a service's journal, at least so many where there are, oldest first; and whether there are
    /// older entries.
    func lines(
        of service: ServiceName, newest count: Int64
    ) async throws(OperationError) -> (lines: [AuditPage.Line], hasOlder: Bool) {
        let head = try await operations.head(of: service)?.sequence ?? 0
        let start = max(0, head - count)
        var trail = known.withLock { $0[service] } ?? Trail(first: start, last: start)
        trail.lines += try await read(service, after: trail.last, upTo: head)
        trail.last = max(trail.last, head)
        if start < trail.first {
            trail.lines = try await read(service, after: start, upTo: trail.first) + trail.lines
            trail.first = start
        }
        trail.lines.removeFirst(max(0, trail.lines.count - Self.limit))
        known.withLock { known in
            let other = known[service]
            guard other.map({ $0.last <= trail.last && $0.first >= trail.first }) ?? true else { return }
            known[service] = trail
        }
        return (trail.lines, trail.first > 0)
    }

    private func read(
        _ service: ServiceName, after first: Int64, upTo last: Int64
    ) async throws(OperationError) -> [AuditPage.Line] {
        var (place, lines) = (first, [AuditPage.Line]())
        while place < last {
            let entries = try await operations.entries(
                of: service, after: place, limit: Int(min(Int64(Self.page), last - place)))
            guard let next = entries.last?.sequence, next > place else { break }
            lines += entries.compactMap { Self.line($0, of: service) }
            lines.removeFirst(max(0, lines.count - Self.limit))
            place = next
        }
        return lines
    }

    private static func line(_ entry: Entry, of service: ServiceName) -> AuditPage.Line? {
        // An entry that this build cannot read is found by `serin verify`; the others are still told.
        guard telling.contains(where: entry.body.starts(with:)),
            let record = try? CanonicalDecoder.decode(Record.self, from: entry.body)
        else { return nil }
        func line(_ source: RolloutHistory.Mark.Source, _ text: String) -> AuditPage.Line {
            AuditPage.Line(
                at: entry.at, service: service.description, rollout: entry.rollout?.description, source: source, text: text)
        }
        switch record {
        case .opened(let epoch, let engine):
            return line(.serin, "a controller opened the journal, epoch \(epoch), engine \(engine)")
        case .created(let charter):
            let overrides = charter.overrides.map { ", with \($0.key)=\($0.value) (\($0.reason))" }.joined()
            return line(
                .init(of: charter.author),
                "\(charter.version) started by \(charter.author), policy \(charter.policyHash.prefix(12))\(overrides)"
            )
        case .event(.commanded(let command)):
            let why = command.reason.isEmpty ? "" : ": \(command.reason)"
            return line(.init(of: command.by), "\(command.verb.rawValue) by \(command.by)\(why)")
        case .event(.takenOver): return line(.serin, "a controller took over after a stop")
        case .event(.doubted(let words)): return line(.serin, "doubt: \(words)")
        case .event, .effect, .clockJumped: return nil
        }
    }
}
