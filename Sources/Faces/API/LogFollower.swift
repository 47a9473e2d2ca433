internal import SerinController
internal import SerinModel
internal import SerinRollouts

/// In which form decisions are sent.
enum LogFormat: Sendable, Equatable {
    /// One JSON document.
    case document
    /// One JSON document a line.
    case lines
    /// Server-sent events, whose identifiers are the entries' numbers.
    case events

    /// The form that a request asks for, by `?format=json|jsonl|sse` or else by its `Accept`.
    init(_ request: Request) throws(Problem) {
        switch request.parameter("format") {
        case "json": self = .document
        case "jsonl": self = .lines
        case "sse": self = .events
        case nil:
            let accept = request.header("Accept") ?? ""
            if accept.contains("text/event-stream") {
                self = .events
            } else {
                self = accept.contains("application/jsonl") || request.parameter("follow") == "true" ? .lines : .document
            }
        case let other?: throw Problem(.malformed, "'format' is json, jsonl or sse, not '\(other)'")
        }
    }

    var mediaType: String {
        switch self {
        case .document: "application/json"
        case .lines: "application/jsonl"
        case .events: "text/event-stream"
        }
    }

    /// One decision. Canonical JSON holds no line break, so a decision is always one line.
    func encode(_ decision: LoggedDecision) -> [UInt8] {
        let document = DecisionDocument.encode(decision).canonicalBytes
        switch self {
        case .document, .lines: return document + [0x0A]
        case .events: return Array("id: \(decision.sequence)\nevent: decision\ndata: ".utf8) + document + [0x0A, 0x0A]
        }
    }

    /// What keeps a quiet connection alive, and finds out whether the peer is still there.
    var heartbeat: [UInt8] {
        switch self {
        case .document, .lines: [0x0A]
        case .events: Array(": still here\n\n".utf8)
        }
    }
}

/// Sends the decisions of one rollout as they are taken, until the rollout is final or the peer gone.
struct LogFollower: Sendable {
    /// How long a quiet connection waits between two looks.
    static let pause = Duration.seconds(5)

    let operations: any RolloutOperations
    let name: String
    let format: LogFormat
    let limit: Int

    func run(from first: [LoggedDecision], after sequence: Int64, to sink: any ResponseSink) async {
        var batch = first
        var last = sequence
        var seen: RolloutStatus?
        do {
            while !Task.isCancelled {
                for decision in batch {
                    guard await sink.send(format.encode(decision)) else { return }
                    last = max(last, decision.sequence)
                }
                // A full batch means there may be more to read at once.
                if batch.count < limit {
                    if seen?.isFinal == true { return }
                    if batch.isEmpty, seen != nil {
                        guard await sink.send(format.heartbeat) else { return }
                    }
                    seen = try await operations.statusChange(of: name, from: seen, timeout: Self.pause)
                }
                batch = try await operations.decisions(of: name, after: last, limit: limit)
            }
        } catch {
            // The header is sent already, so all that is left is to end the answer.
            return
        }
    }
}
