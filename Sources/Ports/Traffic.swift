public import SerinModel

/// A load balancer that splits requests between canary and control.
///
/// Every call ends by its deadline. An answer is no evidence: whoever sets a weight reads it back.
public protocol Traffic: Sendable {
    /// How the balancer is named to people, without secrets: `haproxy /run/haproxy.sock map app.map key checkout`.
    var name: String { get }

    /// How long after an accepted change the last request under the old weight may start.
    var settleTime: Duration { get }

    /// Reads the weight in force.
    func read(deadline: Duration) async throws(Failure) -> WeightReading

    /// Asks for a weight. With `expected`, the balancer's own compare-and-set is used where it has one.
    func apply(_ weight: Weight, expected: WeightReading?, deadline: Duration) async throws(Failure)

    /// Asks for weight 0 whatever is there: no condition, no dependence on an earlier read, safe to repeat.
    func zero(deadline: Duration) async throws(Failure)

    /// Reads the requests sent to each cohort since the balancer started; nil where it does not count them.
    func counts(deadline: Duration) async throws(Failure) -> TrafficCounts?

    /// Checks that names exist, rights suffice and both cohorts have pools of their own. Changes nothing.
    func preflight(deadline: Duration) async throws(Failure)
}
