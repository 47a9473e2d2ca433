import Glibc
import SerinCatalogue
import SerinModel
import Testbed
import Testing

@testable import SerinBackups

/// From where the next backup of a log goes on.
@Suite struct LogContinuationTests {
    private let now = Instant(dayNumber: 20_513)

    @Test func anExportBeginsAnHourBeforeTheNewestOneEndedAndNeverLaterThanItsSpan() {
        func begin(_ end: Instant?) -> Instant {
            var facts = SourceFacts(version: "15")
            facts.consistentAt = end
            return LogRowsSource.range(of: .hours(24), after: LogContinuation(facts), at: now).lowerBound
        }
        #expect(begin(now - .hours(72)) == now - .hours(73))
        // What a transaction dated at its start and committed later is in no export otherwise.
        #expect(begin(now - .hours(24)) == now - .hours(25))
        // Rows that were written late come with the span.
        #expect(begin(now - .hours(1)) == now - .hours(24))
        #expect(begin(nil) == now - .hours(24))
    }

    @Test func anExportOfAClockThatStoodAheadIsNotGoneOnFrom() throws {
        // The second was made after the first, by a clock that was put back since.
        var state = CatalogueState()
        for (number, end) in [(1, now - .hours(30)), (2, now + .hours(10))] {
            var events = try Sample.available(number, kind: .logs)
            if case .stored(let copy, var facts) = events[1].change {
                facts.server = SourceFacts(version: "15", consistentAt: end)
                events[1] = Sample.event(number, at: events[1].at, .stored(copy, facts))
            }
            for event in events { try state.apply(event) }
        }
        func begin(at moment: Instant) -> Instant {
            let next = LogContinuation(of: .logs, target: "checkout", in: state, at: moment)
            return LogRowsSource.range(of: .hours(24), after: next, at: moment).lowerBound
        }
        #expect(begin(at: now) == now - .hours(31))
        // Once the time has come that it named, it counts.
        #expect(begin(at: now + .hours(40)) == now + .hours(9))
    }

    /// A file of the log of which only the beginning is right.
    private func segment(_ number: UInt64, in folder: String) throws -> LogSegment {
        let size = LogSegment.usualSize
        let segment = LogSegment(timeline: 1, holding: LogPosition(bytes: number * size), size: size)
        var header = [UInt8](repeating: 0, count: 40)
        func put(_ value: UInt64, _ offset: Int, _ count: Int) {
            for index in 0..<count { header[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index))) }
        }
        put(0xD110, 0, 2)
        put(2, 2, 2)
        put(segment.start.bytes, 8, 8)
        put(7, 24, 8)
        put(size, 32, 4)
        try writeFile("\(folder)/\(segment)", header)
        #expect(truncate("\(folder)/\(segment)", off_t(size)) == 0)
        return segment
    }

    @Test func whoFillsAFolderThatIsMissingIsSaid() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let source = LogRangeSource(folder: fixture.scratch.file("none"), major: 15, environment: fixture.environment)
        let failure = await #expect(throws: Failure.self) { try await fixture.probe(source) }
        #expect(failure?.hint?.contains("serin daemon --backup PLAN") == true, "\(String(describing: failure))")
    }

    private func facts(_ from: LogSegment, _ to: LogSegment) -> SourceFacts {
        SourceFacts(version: "15", systemIdentifier: "7", timeline: 1, lsnStart: from.start, lsnStop: to.end)
    }

    @Test func storedLogThatIsMissingIsStoredAgainWhileItsFilesAreHere() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let folder = fixture.folder("archive")
        let files = try (1...6).map { try segment($0, in: folder) }
        // The base ends within the first; the third and fourth are no longer among the stored ones.
        var base = SourceFacts(version: "15", systemIdentifier: "7", timeline: 1)
        base.lsnStop = LogPosition(bytes: files[0].start.bytes + 100)
        let stored = [facts(files[0], files[1]), facts(files[4], files[4])]
        var state = CatalogueState()
        for (number, server) in ([base] + stored).enumerated() {
            let kind = number == 0 ? BackupKind.baseFull : .walRange
            var events = try Sample.available(number + 1, kind: kind)
            if case .stored(let copy, var facts) = events[1].change {
                facts.server = server
                events[1] = Sample.event(number + 1, at: events[0].at, .stored(copy, facts))
            }
            for event in events { try state.apply(event) }
        }
        let next = LogContinuation(of: .walRange, target: "checkout", in: state, at: now)
        func probe() async throws -> SourceProbe {
            try await fixture.probe(LogRangeSource(folder: folder, major: 15, after: next, environment: fixture.environment))
        }
        let whole = try await probe()
        #expect(whole.sizeEstimate == 2 * Int64(LogSegment.usualSize))
        #expect(whole.remarks.contains { $0.hasSuffix("stored again first") }, "\(whole.remarks)")
        // When they are gone the log goes on behind them, and it is said.
        #expect(unlink("\(folder)/\(files[2])") == 0)
        let gone = try await probe()
        #expect(gone.sizeEstimate == Int64(LogSegment.usualSize))
        #expect(gone.remarks.contains { $0.contains("is missing") && $0.contains("new base backup") }, "\(gone.remarks)")
    }
}
