internal import SerinDatabase
import Testing

@testable import SerinPostgres

/// The rule of lag, row by row.
@Suite struct ReplicationLagTests {
    private func attached(_ replayed: String?, lag: String?, age: String? = "0.2") throws -> ReplicationLag {
        let standby = try #require(AttachedStandby(["", "replica", "10.0.0.2", "streaming", replayed, lag, age]))
        return standby.lag(position: 1000, reportInterval: 10, atLeast: 0)
    }

    @Test func noGapIsNoLagHoweverOldTheReportIs() throws {
        #expect(try attached("1000", lag: nil, age: "900").seconds == 0)
        #expect(try attached("1001", lag: nil).bytes == 0)
    }

    @Test func aGapWithoutMeasuredLagIsNoData() throws {
        let lag = try attached("900", lag: nil)
        #expect(lag.seconds == nil)
        #expect(lag.bytes == 100)
    }

    @Test func aGapWithAnOldReportIsFrozenWhateverLagWasMeasuredLast() throws {
        #expect(try attached("900", lag: "0.001", age: "20.1").seconds == ReplicationLag.beyondEveryLimit)
        #expect(try attached("900", lag: "0.001", age: "19.9").seconds == 0.001)
    }

    @Test func beforeTheFirstReportNothingIsKnown() throws {
        let lag = try attached(nil, lag: nil, age: nil)
        #expect(lag.seconds == nil && lag.bytes == nil)
    }

    private func named(
        _ replayed: String, commitAge: String?, receiver: String? = "streaming", paused: String = "f", messageAge: String = "1",
        system: String = "7", bound: Double? = nil
    ) -> ReplicationLag {
        let facts = ServerFacts(["t", "t", "watcher", "now", system, nil, "10"])
        let replica = NamedReplica(name: "r", facts: facts, row: [paused, replayed, commitAge, receiver, replayed, messageAge])
        return replica.lag(position: 1000, system: "7", atMost: bound)
    }

    @Test func anOldCommitIsNoLagWhenNothingIsMissing() {
        #expect(named("1000", commitAge: "86400").seconds == 0)
    }

    @Test func anOldCommitIsBoundedByWhatThePrimaryWasSeenAt() {
        #expect(named("900", commitAge: "86400", bound: 15).seconds == 15)
        #expect(named("900", commitAge: "3", bound: 15).seconds == 3)
        #expect(named("900", commitAge: nil).seconds == nil)
    }

    @Test func pausedFrozenOrWithoutReceiverExceedsEveryLimit() {
        #expect(named("1000", commitAge: "0", paused: "t").seconds == ReplicationLag.beyondEveryLimit)
        #expect(named("1000", commitAge: "0", receiver: nil).seconds == ReplicationLag.beyondEveryLimit)
        #expect(named("900", commitAge: "0", messageAge: "21").seconds == ReplicationLag.beyondEveryLimit)
        #expect(named("1000", commitAge: "0", messageAge: "21").seconds == 0)
    }

    @Test func aReplicaOfAnotherSystemIsNoData() {
        #expect(named("1000", commitAge: "0", system: "8").seconds == nil)
    }

    @Test func theWorstIsBrokenThenUnknownThenBehind() {
        let behind = ReplicationLag(seconds: 50, bytes: 5, detail: "behind")
        let near = ReplicationLag(seconds: 1, bytes: 1, detail: "near")
        let all = [near, behind, ReplicationLag.unknown("unknown"), .broken("broken")]
        #expect(ReplicationLag.worst(all, by: \.seconds)?.detail == "broken")
        #expect(ReplicationLag.worst(Array(all.dropLast()), by: \.seconds)?.detail == "unknown")
        #expect(ReplicationLag.worst([near, behind], by: \.seconds)?.detail == "behind")
        #expect(ReplicationLag.worst([], by: \.seconds) == nil)
    }

    @Test(arguments: [
        ("too many connections for database \"shop\"", "ALTER DATABASE"), ("too many connections for role \"app\"", "ALTER ROLE"),
        ("sorry, too many clients already", "max_connections"),
    ])
    func theLimitThatWasReachedIsNamed(_ words: String, _ hint: String) {
        #expect(ServerMessage("FATAL:  53300: \(words)").hint(ofDenial: "")?.contains(hint) == true)
    }

    @Test(arguments: [
        (
            "connection to server failed: FATAL:  53300: sorry, too many clients already\nLOCATION:  InitProcess, proc.c:1",
            "53300"
        ),
        ("FATAL:  53300: Verbindungen sind reserviert", "53300"), ("FEHLER:  28P01: falsch", "28P01"),
        ("could not connect to host db:5432: Connection refused", nil), ("", nil),
    ])
    func theCodeIsFoundInAnyLanguage(_ message: String, _ state: String?) {
        let said = ServerMessage(message)
        #expect(said.state == state)
        #expect(!said.text.contains("LOCATION"))
    }
}
