import FoundationEssentials
import Glibc
import SerinModel
import SerinTransport
import Testbed

/// Everything that the demonstration needs outside of Serin: a balancer, telemetry, a database, and eight instances of a service.
struct Stage: Sendable {
    let scratch: Scratch
    let balancer: HAProxyServer
    let prometheus: PrometheusServer
    let database: PostgresCluster
    /// Where the policy, the state and the logs stay to be read afterwards.
    let folder: String
    let policy: String

    static let firstVersion = "1.0"

    /// Starts it all; the folder is made anew.
    static func start(folder: String, service: String, fleet: String) async throws -> Stage {
        let files = FileManager.default
        if files.fileExists(atPath: folder) { try files.removeItem(atPath: folder) }
        try files.createDirectory(atPath: folder + "/run", withIntermediateDirectories: true)
        let scratch = try Scratch("serin-demo")
        let database = try await PostgresCluster.start(in: scratch)
        try await database.primary.sql(
            "CREATE TABLE orders (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now()); CREATE ROLE app LOGIN; "
                + "GRANT ALL ON orders, orders_id_seq TO app")
        let control = try (0..<6).map { _ throws(Failure) in try freePort() }
        let canary = try (0..<2).map { _ throws(Failure) in try freePort() }
        try write(
            folder + "/fleet.conf",
            """
            RUN='\(folder)/run'
            SERVICE='\(service)'
            DATABASE='\(database.primary.url(user: "app"))'
            OWNER=\(getpid())
            CONTROL_PORTS='\(control.map(String.init).joined(separator: " "))'
            CANARY_PORTS='\(canary.map(String.init).joined(separator: " "))'

            """)
        try files.copyItem(atPath: fleet, toPath: folder + "/fleet.sh")
        for cohort in ["control", "canary"] {
            let status = try await runVisibly(folder + "/fleet.sh", [cohort, firstVersion], isQuiet: true)
            guard status == 0 else {
                throw Failure(.invalid, "the instances of the service do not start: see \(folder)/run/*.log")
            }
        }
        let balancer = try await HAProxyServer(scratch: scratch, control: control, canary: canary, key: "checkout")
        let prometheus = try await PrometheusServer.start([
            PrometheusServer.Targets((control + canary).map { "127.0.0.1:\($0)" })
        ])
        let stage = Stage(
            scratch: scratch, balancer: balancer, prometheus: prometheus, database: database, folder: folder,
            policy: folder + "/policy.yaml")
        try write(stage.policy, stage.policyText)
        try stage.prepareMigrations()
        return stage
    }

    /// What is set in the environment of `serin`.
    var environment: [String: String] {
        var variables = ["PATH": "/usr/local/bin:/usr/bin:/bin", "DEMO_PRIMARY": database.primary.url()]
        variables["DEMO_REPLICA"] = database.replica?.url()
        return variables
    }

    var policyText: String {
        """
        version: 1
        service: checkout
        environment: demo
        traffic:
          haproxy:
            socket: \(balancer.socket)
            map: \(balancer.map)
            key: \(balancer.key)
            canary: be_canary
            control: be_control
          steps: [5, 25, 50]
        prometheus:
          url: \(prometheus.url)
          canary:  {version: "{{version}}"}
          control: {version: "{{previous}}"}
        bake: 30m
        signals:
          # A pass excludes one percentage point more errors and a doubled p95: what a bake of under a minute can tell.
          errors:      {counter: http_requests_total, bad: {code: "5.."}, assurance: {floor: 1%}}
          latency_p95: {histogram: http_request_duration_seconds, quantile: 0.95, assurance: {tolerance: 100%}}
        postgres:
          url_env: DEMO_PRIMARY
          replicas: [{url_env: DEMO_REPLICA}]
          blocked_sessions: {max: 2, for: 2s}
          longest_lock_wait: {max: 10s}
          replication_lag: {max: 30s}
        deploy:   {run: ["\(folder)/fleet.sh", canary, "{{version}}"], deadline: 60s}
        promote:  {run: ["\(folder)/fleet.sh", control, "{{version}}"], deadline: 60s}
        rollback: {run: ["\(folder)/fleet.sh", canary, "{{previous}}"], deadline: 60s}
        on_failure: rollback

        """
    }

    /// Ends everything that was started.
    func stop() {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder + "/run")) ?? [] where name.hasSuffix(".pid") {
            guard let data = try? Data(contentsOf: URL(fileURLWithPath: folder + "/run/" + name)),
                let pid = Int32(String(decoding: data, as: UTF8.self).filter(\.isNumber))
            else { continue }
            kill(pid, SIGTERM)
        }
        prometheus.stop()
        balancer.stop()
        database.stop()
        scratch.remove()
    }
}

func write(_ path: String, _ text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
}
