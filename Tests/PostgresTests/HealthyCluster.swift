import SerinModel
import SerinPolicies
import SerinPostgres
import Testbed

/// A cluster and a reader of every signal, for one test.
struct HealthyCluster {
    let scratch: Scratch
    let cluster: PostgresCluster
    let replica: PostgresServer
    var primary: PostgresServer { cluster.primary }

    static func start(
        withReplica: Bool = true, slot: String? = nil, settings: [String: String] = [:]
    ) async throws -> HealthyCluster {
        let scratch = try Scratch("serin-pg")
        do {
            return try await start(
                in: scratch,
                cluster: PostgresCluster.start(in: scratch, withReplica: withReplica, slot: slot, settings: settings))
        } catch {
            scratch.remove()
            throw error
        }
    }

    private static func start(in scratch: Scratch, cluster: PostgresCluster) async throws -> HealthyCluster {
        try await cluster.primary.sql(
            "CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher; CREATE TABLE t (id int PRIMARY KEY, n int)")
        try await cluster.primary.sql("INSERT INTO t SELECT i, 0 FROM generate_series(1, 10) i")
        if let replica = cluster.replica {
            try await waitUntil("replay of the first rows") {
                try await replica.sql("SELECT to_regclass('t') IS NOT NULL") == "t"
            }
        }
        return HealthyCluster(scratch: scratch, cluster: cluster, replica: cluster.replica ?? cluster.primary)
    }

    /// A reader of all signals, or of some, as a role that has only `pg_monitor` unless said otherwise.
    func health(
        _ signals: [DatabaseSignal] = DatabaseSignal.allCases, namesReplica: Bool = false, user: String = "watcher",
        start: DatabaseStart? = nil
    ) throws -> PostgresHealth {
        let urls = ["PRIMARY": primary.url(user: user), "REPLICA": cluster.replica?.url(user: user) ?? ""]
        return try PostgresHealth(
            policy: PostgresPolicy(
                primary: .environment("PRIMARY"), replicas: namesReplica ? [.environment("REPLICA")] : [],
                limits: signals.map { DatabaseLimit(signal: $0, max: 1) }), start: start
        ) { reference throws(Failure) in
            guard case .environment(let name) = reference, let url = urls[name] else { throw Failure(.invalid, "no such secret") }
            return url
        }
    }

    func stop() {
        cluster.stop()
        scratch.remove()
    }
}

extension DatabaseReading {
    /// The value of a signal that was asked.
    func value(_ signal: DatabaseSignal) -> Double? { self[signal]?.value }

    /// The detail of a signal that was asked.
    func detail(_ signal: DatabaseSignal) -> String { self[signal]?.detail ?? "not asked" }

    subscript(signal: DatabaseSignal) -> DatabaseValue? { values.first { $0.signal == signal } }
}

/// Runs the body on a fresh cluster and ends it whatever happens.
func withCluster(
    withReplica: Bool = true, slot: String? = nil, settings: [String: String] = [:],
    _ body: (HealthyCluster) async throws -> Void
) async throws {
    let cluster = try await HealthyCluster.start(withReplica: withReplica, slot: slot, settings: settings)
    defer { cluster.stop() }
    try await body(cluster)
}
