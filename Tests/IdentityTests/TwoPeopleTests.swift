import SerinAccess
import SerinModel
import Testing

@testable import SerinIdentity

private let start = Instant(millisecondsSince1970: 1_795_000_000_000)
private let anna = Principal.person("anna")
private let ben = Principal.person("ben")
private let signed = ConfigurationSignature(key: "00", value: "00")

private func change(_ before: String, _ after: String) -> ConfigurationChange {
    ConfigurationChange(before: before, after: after, plan: before + after, removed: [before], added: [after])
}

/// A log in which two people decide.
private func decided() throws -> AccessState {
    var state = AccessState()
    try state.set(change("", "a"), proposedBy: nil, by: .uid(0), at: start)
    return state
}

extension AccessState {
    fileprivate mutating func propose(_ change: ConfigurationChange, by principal: Principal, at now: Instant) throws {
        try apply(AccessLine(at: now, by: principal, .configurationProposed(change, reason: "")))
    }

    fileprivate mutating func set(
        _ change: ConfigurationChange, proposedBy: Principal?, by principal: Principal, at now: Instant, asksTwo: Bool = true
    ) throws {
        let statement = ConfigurationStatement(
            set: ConfigurationSet(files: [], flags: [], asksTwo: asksTwo), change: change, proposedBy: proposedBy, by: principal,
            at: now)
        try apply(AccessLine(at: now, by: principal, .configurationSet(statement, signed)))
    }

    fileprivate mutating func make(_ id: String, _ role: Role, by principal: Principal) throws {
        let record = TokenRecord(
            id: id, name: id, owner: ben, isPerson: true, roles: [role], expiresAt: start + .hours(1),
            hash: String(repeating: "0", count: 64))
        try apply(AccessLine(at: start, by: principal, .tokenCreated(record)))
    }
}

@Suite struct TwoPeopleTests {
    @Test func aChangeIsInForceOnceAnotherPersonAgreesToExactlyIt() throws {
        var state = try decided()
        try state.propose(change("a", "b"), by: anna, at: start)
        #expect(throws: Failure.self) { try state.set(change("a", "b"), proposedBy: anna, by: anna, at: start) }
        #expect(throws: Failure.self) { try state.set(change("a", "c"), proposedBy: anna, by: ben, at: start) }
        #expect(throws: Failure.self) { try state.set(change("a", "b"), proposedBy: ben, by: ben, at: start) }
        #expect(state.configuration?.change.after == "a")
        try state.set(change("a", "b"), proposedBy: anna, by: ben, at: start)
        #expect(state.configuration?.change.after == "b" && state.proposal == nil)
        #expect(throws: Failure.self, "once") { try state.set(change("a", "b"), proposedBy: anna, by: ben, at: start) }
    }

    @Test func nothingIsInForceWithoutAProposalOrAfterItIsOver() throws {
        var state = try decided()
        #expect(throws: Failure.self) { try state.set(change("a", "b"), proposedBy: anna, by: ben, at: start) }
        #expect(throws: Failure.self) { try state.set(change("a", "b"), proposedBy: nil, by: .uid(0), at: start) }
        try state.propose(change("a", "b"), by: anna, at: start)
        let late = start + AccessState.proposalLife
        #expect(throws: Failure.self) { try state.set(change("a", "b"), proposedBy: anna, by: ben, at: late) }
        try state.propose(change("a", "b"), by: anna, at: late)
        try state.set(change("a", "b"), proposedBy: anna, by: ben, at: late)
    }

    @Test func aProposalBeginsAtWhatIsInForce() throws {
        var state = try decided()
        #expect(throws: Failure.self) { try state.propose(change("z", "b"), by: anna, at: start) }
        var alone = AccessState()
        #expect(throws: Failure.self) { try alone.propose(change("", "b"), by: anna, at: start) }
    }

    @Test func goingBackToOnePersonIsAChangeToo() throws {
        var state = try decided()
        #expect(throws: Failure.self) {
            try state.set(change("a", "b"), proposedBy: nil, by: .uid(0), at: start, asksTwo: false)
        }
        try state.propose(change("a", "b"), by: anna, at: start)
        try state.set(change("a", "b"), proposedBy: anna, by: ben, at: start, asksTwo: false)
        #expect(!state.asksTwo)
        try state.set(change("b", "c"), proposedBy: nil, by: .uid(0), at: start)
    }

    @Test func aTokenThatGivesMuchWaitsForAnotherPersonThanItsMaker() throws {
        var state = try decided()
        for (id, role, waits) in [
            ("00000001", Role.viewer, false), ("00000002", .operator, false), ("00000003", .releaser, true),
            ("00000004", .approver, true), ("00000005", .admin, true),
        ] {
            try state.make(id, role, by: anna)
            #expect(state.token(id)?.isAwaited == waits && state.token(id)?.isValid(at: start) == !waits, "\(role)")
        }
        let approval = AccessLine.Event.tokenApproved(id: "00000003")
        #expect(throws: Failure.self) { try state.apply(AccessLine(at: start, by: anna, approval)) }
        try state.apply(AccessLine(at: start, by: ben, approval))
        #expect(state.token("00000003")?.isValid(at: start) == true)
        #expect(throws: Failure.self) { try state.apply(AccessLine(at: start, by: ben, approval)) }
        // One person can always take away.
        try state.apply(AccessLine(at: start, by: anna, .tokenRevoked(id: "00000004", reason: "")))
    }

    @Test func tokensOfOnePersonsDaemonWaitForNobody() throws {
        var state = AccessState()
        try state.make("00000001", .admin, by: anna)
        #expect(state.token("00000001")?.isValid(at: start) == true)
    }
}
