import SerinModel
import SerinPolicies
import Testing

@Suite struct MigrationPolicyTests {
    private func migrations(_ text: String) throws -> MigrationPolicy {
        let reading = read(minimal + text)
        #expect(reading.diagnostics == [])
        return try #require(reading.policy?.migrations)
    }

    @Test func alembicHasSafeDefaults() throws {
        let policy = try migrations("migrations: {url_env: DATABASE_URL, alembic: {config: alembic.ini}}\n")
        #expect(policy.tool == .alembic(config: "alembic.ini", program: "alembic", directory: nil))
        #expect(policy.schema == .keep && policy.destructive == .refuse && policy.approvals == 2)
        #expect(policy.lockTimeout == .seconds(2) && policy.lockTries == 10)
        #expect(policy.statementTimeout == .minutes(15) && policy.deadline == .minutes(30))
        #expect(policy.database == .environment("DATABASE_URL"))
    }

    @Test func everyKeyIsRead() throws {
        let policy = try migrations(
            """
            backup: {before: migrations, plan: /etc/serin/checkout.yaml}
            migrations:
              url_file: /etc/url
              commands:
                current: [tool, current]
                heads: [tool, heads]
                up: [tool, up, "{{revision}}"]
                down: [tool, down, "{{revision}}"]
                sql: [tool, sql]
                env: [DATABASE_URL]
              schema: downgrade
              destructive: allow
              approvals: 3
              lock_timeout: 500ms
              lock_tries: 4
              statement_timeout: 1m
              deadline: 5m
              maintenance:
                on: {run: [fence], check: {run: [fenced]}}
                off: {run: [open], check: {run: [opened]}}
              probes:
                - {run: [probe]}
              restore: {run: [restore], check: {run: [restored]}}
              contract:
                after: 36h
                old_version_gone: {run: [gone]}
                dual_write: {query: SELECT 0}
                backfill: {not_needed: nothing is copied}

            """)
        guard case .commands(let commands) = policy.tool else {
            Issue.record("\(policy.tool)")
            return
        }
        #expect(commands.up == ["tool", "up", "{{revision}}"] && commands.environment == ["DATABASE_URL"])
        #expect(policy.schema == .downgrade && policy.destructive == .allow && policy.approvals == 3)
        #expect(policy.lockTimeout == .milliseconds(500) && policy.lockTries == 4)
        #expect(policy.probes.count == 1 && policy.maintenance != nil && policy.restore != nil)
        let gone = ActionPolicy(call: .run(["gone"]), check: nil, deadline: .minutes(5))
        #expect(
            policy.contract
                == MigrationPolicy.Contract(
                    after: .hours(36), oldVersionGone: .probe(gone), dualWrite: .query("SELECT 0"),
                    backfill: .notNeeded("nothing is copied")))
    }

    @Test(arguments: [
        ("{url_env: U}", "migrations: one of alembic, sql, commands"),
        ("{alembic: {config: a.ini}}", "moves the database under 'postgres', and there is none"),
        ("{url_env: U, alembic: {config: a.ini}, sql: {folder: m}}", "migrations: only one of alembic, sql, commands"),
        (
            "{url_env: U, alembic: {config: a.ini}, contract: {dual_write: {query: SELECT 0}, backfill: {query: SELECT 0}}}",
            "'old_version_gone' is missing"
        ),
        ("{url_env: U, alembic: {config: a.ini}, backfill: {}}", "'migrations.backfill' is not supported yet"),
        ("{url_env: U, alembic: {config: a.ini}, destructive: allow}", "allow needs a backup, and there is none"),
        ("{url_env: U, alembic: {config: a.ini}, destructive: allow}", "allow needs maintenance, and there is none"),
        ("{url_env: U, alembic: {config: a.ini}, destructive: allow}", "allow needs restore, and there is none"),
        (
            "{url_env: U, alembic: {config: a.ini}, maintenance: {on: {run: [a]}, off: {run: [b], check: {run: [c]}}}}",
            "migrations.maintenance.on: has no check"
        ),
        ("{url_env: U, alembic: {config: a.ini}, restore: {run: [a]}}", "migrations.restore: has no check"),
        ("{url_env: U, commands: {current: [c], heads: [h], up: [u]}}", "up: does not say where it leads"),
        (
            "{url_env: U, commands: {current: [c, \"{{revision}}\"], heads: [h], up: [u, \"{{revision}}\"]}}",
            "current: unknown placeholder '{{revision}}'"
        ),
        ("{url_env: U, alembic: {config: a.ini}, lock_timeout: 2}", "without a unit"),
    ])
    func whatCannotWorkIsComplainedAbout(_ text: String, words: String) {
        let complaints = read(minimal + "migrations: \(text)\n").diagnostics.map(\.description)
        #expect(complaints.contains { $0.contains(words) }, "\(complaints)")
    }
}
