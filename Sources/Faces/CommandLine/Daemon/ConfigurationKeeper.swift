internal import Glibc
internal import SerinAPI
internal import SerinAccess
internal import SerinController
internal import SerinIdentity
internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// Which configuration is in force. Where two people are known by name, what is critical changes only when one proposes it and
/// another one agrees; the files alone change nothing then, neither by a reload nor by a start.
final class ConfigurationKeeper: Sendable {
    /// What the daemon does for it.
    struct Hands: Sendable {
        /// Reads the files as they are now.
        var read: @Sendable () throws -> ConfigurationSet
        /// Says why a set cannot be used. Changes nothing.
        var check: @Sendable (ConfigurationSet) throws -> Void
        /// Puts a set into force.
        var use: @Sendable (ConfigurationSet) async throws -> Void
        /// Tells people.
        var tell: @Sendable (SerinPorts.Notification) async -> Void
    }

    private struct Standing: Sendable {
        /// Why the files are not in force; nil while they are.
        var complaint: String?
        /// Why they could not be used when they were read last; nil when they could.
        var fault: String?
        /// What the files change that nobody agreed to.
        var unapproved: ConfigurationChange?
        var people = People.none
        var policies = Policies.unreadable
        /// The set that a proposed policy would lead to, with the plan of the proposal.
        var proposed: (plan: String, set: ConfigurationSet)?
        var hands: Hands?
        var isBusy = false
    }

    /// By which policies rollouts may start.
    private enum Policies: Sendable {
        /// By any: nobody has to agree.
        case all
        /// By these, each by its service and the hash of its lines.
        case agreed([String: String])
        /// By none: two people are known, and what they agreed to cannot be read.
        case unreadable
    }

    private let session: Session
    private let store: (any AccessStore)?
    private let standing = Locked(Standing())

    private init(_ session: Session, store: (any AccessStore)?) {
        self.session = session
        self.store = store
    }

    /// Opens what was decided so far. Where that cannot be read the files are used as they are, nothing starts where two people are
    /// known by them, and that is said.
    static func opened(_ session: Session) async -> ConfigurationKeeper {
        var store: (any AccessStore)?
        var complaint: String?
        do throws(OperationError) { store = try await session.assembly.openAccess(session.state) } catch {
            complaint = "what was agreed to cannot be read, and the files are used as they are: \(error)"
        }
        let keeper = ConfigurationKeeper(session, store: store)
        keeper.standing.withLock { $0.complaint = complaint }
        return keeper
    }

    func close() async {
        // The hands hold the daemon, and the daemon holds this: neither would ever go.
        standing.withLock { $0.hands = nil }
        await store?.close()
    }

    /// What the daemon does for it from now on. What was found wrong at the start is told now that people can be told.
    func begin(_ hands: Hands) async {
        let (complaint, change) = standing.withLock { standing in
            standing.hands = hands
            return (standing.complaint, standing.unapproved)
        }
        if let complaint, let change { await tell(.critical, Self.unapproved, complaint, change) }
    }

    private static let unapproved = "the configuration was changed by nobody's agreement"

    /// The people by whom principals are compared, with every change of the configuration.
    func know(_ people: People) { standing.withLock { $0.people = people } }

    /// Notes what is wrong with the files as they were read last; nil: nothing.
    func note(fault: String?) { standing.withLock { $0.fault = fault } }

    /// Does something while nobody else changes the configuration.
    func alone<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        while standing.withLock({ standing in
            defer { standing.isBusy = true }
            return standing.isBusy
        }) { try await Task.sleep(for: .milliseconds(20)) }
        defer { standing.withLock { $0.isBusy = false } }
        return try await body()
    }

    // MARK: Which one

    /// The set to use where the files say this.
    func choose(_ found: ConfigurationSet) async -> ConfigurationSet {
        guard let store else {
            standing.withLock { $0.policies = found.asksTwo ? .unreadable : .all }
            return found
        }
        do {
            guard let present = try await store.state().configuration, present.set.asksTwo else {
                if found.asksTwo { try await adopt(found, store) } else { know(policiesOf: found) }
                settle(nil, nil)
                return found
            }
            know(policiesOf: present.set)
            let change = Self.change(from: present, to: found.with(policies: present.set.policies))
            guard !change.isNothing else {
                settle(nil, nil)
                return found
            }
            let words =
                "the files change what is critical (\(change.removed.count) lines gone, \(change.added.count) new), and no second "
                + "person agreed: the configuration of \(present.at) stays in force\n"
                + "hint: serin config show tells what; serin config propose, then another person: serin config approve"
            if settle(words, change) {
                session.complain(words)
                await tell(.critical, Self.unapproved, words, change)
            }
            return present.set
        } catch {
            let words = "what was agreed to cannot be read: \(error)"
            if settle(words, nil) { session.complain(words) }
            standing.withLock { standing in
                if case .unreadable = standing.policies, !found.asksTwo { standing.policies = .all }
            }
            return found
        }
    }

    /// The first set with two people in it is taken as it is found: before it there was nobody to ask.
    private func adopt(_ found: ConfigurationSet, _ store: any AccessStore) async throws(Failure) {
        let change = ConfigurationLines(ConfigurationSet(files: [], flags: [], asksTwo: false))
            .change(to: ConfigurationLines(found), before: "")
        try await record(found, change, proposedBy: nil, by: .uid(geteuid()), store)
        session.note("two people are known by name: from now on a second person agrees to what is critical (serin config show)")
    }

    private func record(
        _ set: ConfigurationSet, _ change: ConfigurationChange, proposedBy: Principal?, by principal: Principal,
        _ store: any AccessStore
    ) async throws(Failure) {
        let statement = ConfigurationStatement(
            set: set, change: change, proposedBy: proposedBy, by: principal, at: session.now)
        let signature = try SigningKey(of: session.state).signature(over: statement)
        try await store.append(AccessLine(at: statement.at, by: principal, .configurationSet(statement, signature)))
        know(policiesOf: set)
    }

    // MARK: Policies

    private func know(policiesOf set: ConfigurationSet) {
        let known = set.policies.map { ($0.path, Self.hash(of: $0)) }
        standing.withLock { standing in
            standing.policies = set.asksTwo ? .agreed(Dictionary(known, uniquingKeysWith: { first, _ in first })) : .all
        }
    }

    private static func hash(of policy: ConfigurationSet.File) -> String {
        ConfigurationLines(ConfigurationSet(files: [policy], flags: [], asksTwo: false)).hash
    }

    /// Refuses a start by a policy that no second person has agreed to, where two are known.
    func permit(_ service: ServiceName, _ text: String) throws(OperationError) {
        let name = service.description
        let words: String
        switch standing.withLock({ $0.policies }) {
        case .all: return
        case .unreadable:
            throw .unavailable("which policy of '\(name)' two people agreed to cannot be read, and nothing starts before it can")
        case .agreed(let agreed):
            guard agreed[name] != Self.hash(of: .init(.policy, path: name, text: text)) else { return }
            words =
                agreed[name] == nil
                ? "nobody agreed to a policy of '\(name)' yet" : "the policy of '\(name)' is not the one agreed to"
        }
        throw .refused(
            Refusal(
                words + ", and two people are known by name",
                hint: "serin config propose --policy FILE, then another person: serin config approve"))
    }

    private func proposePolicy(_ source: PolicySource, _ reason: String, _ principal: Principal) async throws {
        let (store, _) = try opened()
        let present = try present(try await store.state())
        let service = try session.assembly.readPolicy(source).policy.service.description
        let set = present.set.replacing(.init(.policy, path: service, text: source.text))
        let change = Self.change(from: present, to: set)
        guard !change.isNothing else {
            throw OperationError.refused(Refusal("the policy of '\(service)' says what was agreed to"))
        }
        try await propose(change, reason, principal, store)
        standing.withLock { $0.proposed = (change.plan, set) }
    }

    private static func change(from present: ConfigurationStatement, to found: ConfigurationSet) -> ConfigurationChange {
        ConfigurationLines(present.set).change(to: ConfigurationLines(found), before: present.change.after)
    }

    /// Whether that is news.
    @discardableResult private func settle(_ complaint: String?, _ change: ConfigurationChange?) -> Bool {
        standing.withLock { standing in
            let isNews = standing.complaint != complaint || standing.unapproved != change
            standing.complaint = complaint
            standing.unapproved = change
            return isNews
        }
    }

    // MARK: Two people

    private func opened() throws(OperationError) -> (any AccessStore, Hands) {
        guard let store, let hands = standing.withLock({ $0.hands }) else {
            throw .unavailable("what was agreed to cannot be read, or the daemon is starting")
        }
        return (store, hands)
    }

    private func present(_ state: AccessState) throws(OperationError) -> ConfigurationStatement {
        guard let present = state.configuration, present.set.asksTwo else {
            throw .refused(
                Refusal(
                    "nobody has to agree: fewer than two people are known by name",
                    hint: "SIGHUP takes the files over as they are; docs/identities.md says how people are named"))
        }
        return present
    }

    private func propose(_ reason: String, _ principal: Principal) async throws {
        let (store, hands) = try opened()
        let present = try present(try await store.state())
        let found = try hands.read()
        try hands.check(found)
        let change = Self.change(from: present, to: found.with(policies: present.set.policies))
        guard !change.isNothing else {
            throw OperationError.refused(
                Refusal("the files say what is in force", hint: "change them on the controller's host first"))
        }
        try await propose(change, reason, principal, store)
        settle(standing.withLock { $0.complaint }, change)
    }

    private func propose(
        _ change: ConfigurationChange, _ reason: String, _ principal: Principal, _ store: any AccessStore
    ) async throws(Failure) {
        try await store.append(AccessLine(at: session.now, by: principal, .configurationProposed(change, reason: reason)))
        let words =
            "\(principal) proposes a change of what is critical\(reason.isEmpty ? "" : ": \(reason)"); another person agrees within "
            + "\(AccessState.proposalLife): serin config approve --plan \(change.plan.prefix(12))"
        session.note(words)
        await tell(.warning, "a change of the configuration waits for a second person", words, change)
    }

    private func approve(_ plan: String?, _ principal: Principal) async throws {
        let (store, hands) = try opened()
        let state = try await store.state()
        let present = try present(state)
        guard let proposal = state.proposal, session.now < proposal.endsAt else {
            throw OperationError.refused(
                Refusal(
                    "no change waits for agreement"
                        + (state.proposal.map { ": that of \($0.by) was over at \($0.endsAt)" } ?? ""),
                    hint: "serin config propose"))
        }
        let short = proposal.change.plan.prefix(12)
        let hint = "read it with serin config show, then: serin config approve --plan \(short)"
        guard let plan else {
            throw OperationError.refused(Refusal("a change is agreed to by its plan, and none was named", hint: hint))
        }
        guard plan.utf8.count >= 12, proposal.change.plan.hasPrefix(plan.lowercased()) else {
            throw OperationError.refused(Refusal("the plan \(plan) is not the one that is asked about", hint: hint))
        }
        let people = standing.withLock { $0.people }
        guard people.principal(behind: proposal.by) != people.principal(behind: principal) else {
            throw OperationError.refused(
                Refusal(
                    "\(principal) proposed the change and cannot be the one to agree to it", hint: "ask another person to agree"))
        }
        let proposed = standing.withLock { $0.proposed }
        let isPolicy = proposed?.plan == proposal.change.plan
        let read = try isPolicy ? nil : hands.read()
        let found = read?.with(policies: present.set.policies) ?? proposed?.set ?? present.set
        guard Self.change(from: present, to: found) == proposal.change else {
            throw OperationError.refused(
                Refusal(
                    "the files were changed, or the daemon started anew, since \(proposal.by) proposed this",
                    hint: "serin config propose"))
        }
        if let read {
            try permit(principal, toAgreeWith: proposal.by, read)
            try hands.check(read)
        }
        // Durable first: a start after a crash right here finds what was agreed to.
        try await record(found, proposal.change, proposedBy: proposal.by, by: principal, store)
        if let read {
            settle(nil, nil)
            try await hands.use(read)
        }
        let words = "\(principal) agreed to the change of the configuration that \(proposal.by) proposed; it is in force"
        session.note(words)
        await tell(.info, "the configuration was changed", words, proposal.change)
    }

    /// Refuses whoever is the proposer by the people of the set itself: it could name its second person.
    private func permit(_ principal: Principal, toAgreeWith proposer: Principal, _ set: ConfigurationSet) throws {
        let identities = try DaemonFiles(of: set, session).identities
        let (present, next) = (standing.withLock { $0.people }, try People(identities.people))
        let issuers = Set(identities.issuers.map(\.name))
        let mine = present.selves(of: principal, by: next, issuers: issuers)
        guard mine.isDisjoint(with: present.selves(of: proposer, by: next, issuers: issuers)) else {
            throw OperationError.refused(
                Refusal(
                    "by the people that this change names \(principal) may be \(proposer), who proposed it, and cannot be the one to "
                        + "agree to it",
                    hint: "ask another person to agree, one who is known by name already"))
        }
    }

    private func tell(
        _ severity: SerinPorts.Notification.Severity, _ subject: String, _ text: String, _ change: ConfigurationChange
    ) async {
        guard let hands = standing.withLock({ $0.hands }) else { return }
        await hands.tell(
            SerinPorts.Notification(
                .configurationChanged, severity, subject: subject, text: text,
                fields: [.init("plan", String(change.plan.prefix(12)))], deduplicationKey: "configuration", at: session.now))
    }

    // MARK: What is seen

    /// Why the files are not in force, for those who ask whether the daemon is ready. It drives rollouts all the same.
    var readiness: ReadinessCheck {
        ReadinessCheck("configuration", complaint: standing.withLock { $0.fault ?? $0.complaint }, isFatal: false)
    }

    /// For Prometheus, in its text format.
    var metrics: String {
        let value = standing.withLock { $0.complaint } == nil ? 0 : 1
        return """
            # HELP serin_configuration_unapproved Whether the files say what no second person agreed to, so that they are not in force.
            # TYPE serin_configuration_unapproved gauge
            serin_configuration_unapproved \(value)

            """
    }

    /// Every entry of who may do what, oldest first.
    func entries() async throws(Failure) -> [AccessEntry] {
        guard let store else {
            throw Failure(.unknown, standing.withLock { $0.complaint } ?? "what was agreed to could not be opened")
        }
        return try await Self.entries(in: store)
    }

    /// Every entry of a store, oldest first. One that cannot be read is a failure: those before it are not all there were.
    static func entries(in store: any AccessStore) async throws(Failure) -> [AccessEntry] {
        var entries: [AccessEntry] = []
        while true {
            let more = try await store.entries(after: entries.last?.sequence ?? 0, limit: 500)
            guard !more.isEmpty else { return entries }
            entries += more
        }
    }

    private func document() async throws -> JSONValue {
        guard let store else { throw OperationError.unavailable("what was agreed to cannot be read") }
        let state = try await store.state()
        let (complaint, unapproved) = standing.withLock { ($0.fault ?? $0.complaint, $0.unapproved) }
        let proposal = state.proposal.flatMap { session.now < $0.endsAt && isCurrent($0, state) ? $0 : nil }
        return ConfigurationView.document(
            state, proposal: proposal, entries: try await entries(), complaint: complaint, unapproved: unapproved)
    }

    /// Whether agreeing to what was proposed is still possible: the files say it, or the policy is at hand.
    private func isCurrent(_ proposal: AccessState.Proposal, _ state: AccessState) -> Bool {
        guard let present = state.configuration else { return false }
        let (proposed, hands) = standing.withLock { ($0.proposed, $0.hands) }
        if let proposed, proposed.plan == proposal.change.plan {
            return Self.change(from: present, to: proposed.set) == proposal.change
        }
        // Files that cannot be read are nothing that could be agreed to.
        guard let found = try? hands?.read() else { return false }
        return Self.change(from: present, to: found.with(policies: present.set.policies)) == proposal.change
    }
}

extension ConfigurationKeeper: ConfigurationDesk {
    func standing() async throws(OperationError) -> JSONValue { try await answering {} }

    func propose(reason: String, by principal: Principal) async throws(OperationError) -> JSONValue {
        try await answering { try await alone { try await propose(reason, principal) } }
    }

    func propose(
        policy text: String, file: String, reason: String, by principal: Principal
    ) async throws(OperationError) -> JSONValue {
        try await answering {
            try await alone { try await proposePolicy(PolicySource(file: file, text: text), reason, principal) }
        }
    }

    func approve(plan: String?, by principal: Principal) async throws(OperationError) -> JSONValue {
        try await answering { try await alone { try await approve(plan, principal) } }
    }

    func tokens() async throws(OperationError) -> [JSONValue] {
        guard let store else { throw .unavailable("the tokens could not be opened") }
        do throws(Failure) {
            let uses = try await store.uses()
            let now = session.now
            return try await store.state().tokens.map { TokenView.document($0, lastUsed: uses[$0.record.id], at: now) }
        } catch { throw OperationError(error) }
    }

    func approveToken(_ name: String, by principal: Principal) async throws(OperationError) -> JSONValue {
        guard let store else { throw .unavailable("the tokens could not be opened") }
        let people = standing.withLock { $0.people }
        do throws(Failure) {
            let record = try await TokenDesk(store: store).approve(name, by: principal, people: people, at: session.now)
            return .object(["schema": .string("serin.dev/token/v1"), "id": .string(record.id), "name": .string(record.name)])
        } catch { throw OperationError(error) }
    }

    /// Does something and says how things stand then.
    private func answering(_ body: () async throws -> Void) async throws(OperationError) -> JSONValue {
        do {
            try await body()
            return try await document()
        } catch let error as OperationError {
            throw error
        } catch let error as Failure {
            throw OperationError(error)
        } catch {
            throw .unavailable("\(error)")
        }
    }
}

extension OperationError {
    /// What was not allowed, and what could not be done.
    fileprivate init(_ failure: Failure) {
        switch failure.kind {
        case .conflict, .denied, .invalid: self = .refused(Refusal(failure.message, hint: failure.hint))
        case .throttled, .transient, .unknown: self = .unavailable(failure.description)
        }
    }
}

extension ConfigurationChange {
    /// Whether nothing differs.
    var isNothing: Bool { removed.isEmpty && added.isEmpty }
}
