internal import SerinController
internal import SerinLocks
internal import SerinModel
internal import SerinRecords
internal import SerinRollouts

/// Who asked for what, from the services' journals, each read once and then only as it grows.
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
        var last: Int64 = 0
        var lines: [AuditPage.Line] = []
    }

    private let operations: any RolloutOperations
    private let known = Locked<[ServiceName: Trail]>([:])

    init(_ operations: any RolloutOperations) { self.operations = operations }

    /// The lines of a service, oldest first.
    func lines(of service: ServiceName) async throws(OperationError) -> [AuditPage.Line] {
        var trail = known.withLock { $0[service] } ?? Trail()
        while true {
            let entries = try await operations.entries(of: service, after: trail.last, limit: Self.page)
            trail.lines += entries.compactMap { Self.line($0, of: service) }
            trail.lines.removeFirst(max(0, trail.lines.count - Self.limit))
            trail.last = entries.last?.sequence ?? trail.last
            if entries.count < Self.page { break }
        }
        known.withLock { if $0[service]?.last ?? 0 < trail.last { $0[service] = trail } }
        return trail.lines
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
