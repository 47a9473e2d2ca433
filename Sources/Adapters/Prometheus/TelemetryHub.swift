public import SerinModel
public import SerinPolicies
public import SerinTransport

/// One server's queries, shared by every rollout that reads from it.
///
/// Reads are grouped into *rounds*, each with one evaluation time, at which the server's own clock is read first. A read joins the newest round when that round was evaluated less
/// than half the reader's poll ago, and begins a round of its own otherwise; within a round each query is sent once, whoever asks.
/// So a hundred rollouts that poll together cost one query for each shape and poll, polls at random moments cost at most two, no
/// reading is older than half a poll, and every value of a reading has the round's evaluation time, which the reading states.
public final class TelemetryHub: Sendable {
    let server: QueryServer
    private let transport: Transport
    private let rounds: SharedRounds<Answer>

    /// A hub for a server.
    ///
    /// - Parameters:
    ///   - endpoint: The server.
    ///   - timeout: For one answer; it is also sent to the server as the limit of the evaluation.
    ///   - transport: What carries the requests.
    ///   - limits: How much of an answer is taken.
    ///   - secrets: Finds passwords and tokens, at every request, so that a changed file counts at once.
    public init(
        endpoint: HTTPEndpoint, timeout: Duration, transport: Transport, limits: AnswerLimits = AnswerLimits(),
        secrets: @escaping SecretReader
    ) {
        let server = QueryServer(
            name: "prometheus", endpoint: endpoint, timeout: timeout, secrets: secrets, limits: limits)
        self.server = server
        self.transport = transport
        rounds = SharedRounds(transport: transport) { server.answer($0) }
    }

    /// The evaluation time for a read at this moment, which begins with `query`, by someone who takes values up to `age` old.
    func evaluationTime(at time: Instant, age: Duration, query: String) -> Instant { rounds.join(at: time, age: age, key: query) }

    /// What the server's clock shows in a round; nil when the task is cancelled first.
    func serverTime(in round: Instant) async -> Result<Answer, Failure>? {
        await rounds.value(of: "time()", in: round) { () throws(Failure) in try server.now() }
    }

    /// The answer to an instant query in a round, evaluated so much later by the server's clock; nil when the task is cancelled first.
    func answer(_ query: String, at round: Instant, lead: Duration) async -> Result<Answer, Failure>? {
        await rounds.value(of: query, in: round) { () throws(Failure) in try server.instant(query, at: round + lead) }
    }

    /// The answer to a query that is not shared; cancelling the task ends it.
    func unshared(_ request: () throws(Failure) -> HTTPRequest) async -> Result<Answer, Failure> {
        do throws(Failure) {
            return server.answer(.success(try await transport.send(try request())))
        } catch {
            return .failure(server.named(error))
        }
    }
}
