public import SerinModel
public import SerinPorts

/// What a message from outside asks of a rollout, once it is known who sent it.
public struct ChannelCommand: Sendable, Hashable {
    /// The verb. The raw values are the words that people write.
    public enum Verb: String, Sendable, Hashable, CaseIterable {
        /// Weight 0 and the end of the rollout.
        case halt
        /// Freeze the weight.
        case hold
        /// Go on after a hold.
        case resume
        /// Skip the remaining steps.
        case promote
        /// Agree to what is waiting for approval.
        case approve
        /// Only tell how it stands.
        case status
    }

    /// What it is asked of.
    public enum Target: Sendable, Hashable, CustomStringConvertible {
        /// The live rollout of a service.
        case service(ServiceName)
        /// One rollout, as a button names it.
        case rollout(RolloutID)
        /// A service or a rollout: the hook lists no services, so the name was not resolved.
        case name(RolloutID)
        /// Every live rollout: the hook lists no services, and it cannot be told which one is meant.
        case every

        /// The name.
        public var description: String {
            switch self {
            case .service(let name): name.description
            case .rollout(let id), .name(let id): id.description
            case .every: "every rollout"
            }
        }
    }

    /// The verb.
    public var verb: Verb
    /// What it is asked of.
    public var target: Target
    /// The identity in the channel, such as `slack:T1/U2`.
    public var by: Principal
    /// The person whom configuration finds behind the identity; nil: nobody known.
    public var person: String?
    /// What the person's words may do.
    public var roles: Set<Role>
    /// Why, in the sender's words; may be empty. Without control characters, at most 500 characters.
    public var reason: String
    /// What makes n deliveries of the message one.
    public var replay: ReplayKey
    /// Whether a signature covers the time the message was made.
    public var isReplayProof: Bool
    /// How the channel wants to be answered.
    public var reply: ReplyForm

    /// Why the verb may not be carried out for this sender; nil when it may.
    public var refusal: String? { verb.refusal(of: person.map { _ in roles }, isReplayProof: isReplayProof) }
}

extension ChannelCommand.Verb {
    /// Whether carrying it out again, after nobody knows whether it was, is better than leaving it: it can only make things safer.
    public var isSafeToRepeat: Bool {
        switch self {
        case .halt, .hold, .status: true
        case .resume, .promote, .approve: false
        }
    }

    /// The grades of the verbs. A forged halt delays a release; a forged promotion harms users. So halt and hold are taken from
    /// any authenticated channel, and what lets a release go on only from a known person by a signature that cannot be replayed.
    ///
    /// - Parameter roles: What the known person's words may do; nil where the person is not known.
    func refusal(of roles: Set<Role>?, isReplayProof: Bool) -> String? {
        guard !needed.isEmpty else { return nil }
        guard isReplayProof else {
            return
                "'\(rawValue)' is not taken from this channel: its messages carry no signed time. Use the command line or the page"
        }
        guard let roles else { return "'\(rawValue)' is taken from known people alone, and this identity belongs to none" }
        guard needed.isDisjoint(with: roles.flatMap(\.included)) else { return nil }
        return "'\(rawValue)' needs the role \(needed.map(\.rawValue).sorted().joined(separator: " or "))"
    }

    /// The roles of which one is needed, as over the API; none for what only makes a release safer.
    private var needed: Set<Role> {
        switch self {
        case .halt, .hold, .status: []
        case .resume, .promote: [.releaser, .approver]
        case .approve: [.approver]
        }
    }
}

/// What a verified message turned out to be.
public enum HookReading: Sendable, Hashable {
    /// It asks for this; one command for each service of a group of alerts, never none. What else the group asks for and is not clear
    /// is said in words.
    case commands([ChannelCommand], unclear: String? = nil)
    /// The sender tries the connection; answer so.
    case handshake(HookAnswer)
    /// Nothing for Serin: why, for the log, and the answer.
    case ignored(String, HookAnswer)
    /// It asks for something, and comes from somebody who may ask for nothing here: who, for the log, and the answer.
    case stranger(String, HookAnswer)
    /// It asks for something that is not clear. Nothing is done; the answer says what was understood, or what is to be sent later
    /// does, where the answer is not shown.
    case unclear(String, HookAnswer, later: ReplyForm.Later? = nil)
}
