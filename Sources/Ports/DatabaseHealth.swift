public import SerinModel

/// The health of a database and its replicas.
public protocol DatabaseHealth: Sendable {
    /// Reads the signals that the policy limits. Failures are part of the reading; it never takes longer than the deadline.
    func read(deadline: Duration) async -> DatabaseReading
}
