internal import SerinLocks
internal import SerinModel
internal import SerinTransport

/// Requests to one server that several readers share, grouped into rounds.
///
/// A read joins the newest round when that round began less than the reader's `age` away, and begins one of its own otherwise.
/// Within a round each request is sent once, whoever asks; its failure is shared as well.
final class SharedRounds<Value: Sendable>: Sendable {
    typealias Read = SharedRead<Result<HTTPResponse, Failure>, Result<Value, Failure>>

    private struct Round: Sendable {
        var time: Instant
        var reads: [String: Read] = [:]
    }

    private let transport: Transport
    private let parse: @Sendable (Result<HTTPResponse, Failure>) -> Result<Value, Failure>
    private let rounds = Locked<[Round]>([])

    init(transport: Transport, parse: @escaping @Sendable (Result<HTTPResponse, Failure>) -> Result<Value, Failure>) {
        self.transport = transport
        self.parse = parse
    }

    /// The time of the round for a read at this moment: of the newest young enough in which `key` is already asked, else of the newest
    /// young enough, else of a new one.
    ///
    /// Without the key, readers with a fast poll would begin rounds between which slower readers could not find each other.
    func join(at time: Instant, age: Duration, key: String) -> Instant {
        rounds.withLock { rounds in
            let near = rounds.filter { abs($0.time.millisecondsSince1970 - time.millisecondsSince1970) < age.milliseconds }
            if let round = near.last(where: { $0.reads[key] != nil }) ?? near.last { return round.time }
            rounds.removeAll { time - $0.time > .minutes(1) }
            rounds.append(Round(time: time))
            if rounds.count > 8 { rounds.removeFirst() }
            return time
        }
    }

    /// What a request comes to in the round of this time; nil when the task is cancelled first. The request is sent once a round.
    func value(of key: String, in time: Instant, _ request: () throws(Failure) -> HTTPRequest) async -> Result<Value, Failure>? {
        let (read, isNew): (Read, Bool) = rounds.withLock { rounds in
            let index = rounds.lastIndex { $0.time == time }
            if let index, let read = rounds[index].reads[key] { return (read, false) }
            let read = Read(parse: parse)
            // A round that was pushed out meanwhile is asked for this reader alone.
            if let index { rounds[index].reads[key] = read }
            return (read, true)
        }
        if isNew {
            do throws(Failure) {
                transport.start(try request()) { read.arrive($0) }
            } catch {
                read.arrive(.failure(error))
            }
        }
        return await read.value()
    }
}
