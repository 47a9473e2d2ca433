import Testbed

extension PostgresCluster {
    /// A server with a database `base`, which scripts have filled: each case has a copy of it.
    static func start(in scratch: Scratch, base scripts: [String]) async throws -> PostgresCluster {
        let cluster = try await start(in: scratch, withReplica: false)
        do {
            try await cluster.primary.sql("CREATE DATABASE base")
            for script in scripts { try await cluster.primary.sql(script, database: "base") }
        } catch {
            cluster.stop()
            throw error
        }
        return cluster
    }
}
