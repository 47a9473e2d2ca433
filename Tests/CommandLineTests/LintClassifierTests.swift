import SerinMigrations
import SerinModel
import SerinPolicies
import Testing

@testable import SerinCommandLine
@testable import SerinMigrationTools

@Suite struct LintClassifierTests {
    /// What a rollout's lint allows a statement to ask for by its own word is what the policy allows it.
    @Test(arguments: [Duration.seconds(1), .seconds(10)]) func theLimitsAreThoseOfThePolicy(limit: Duration) async throws {
        let text = "SET lock_timeout = '5s'; SET statement_timeout = '5s'; ALTER TABLE orders ADD COLUMN note text"
        let script = MigrationScript(
            revision: "2", name: "note", up: .text(MigrationText(file: "2.sql", sql: Array(text.utf8), wrapping: .oneQuery)),
            down: .text(MigrationText(file: "2.sql", sql: Array("ALTER TABLE orders DROP COLUMN note".utf8), wrapping: .oneQuery))
        )
        let revision = try #require(RevisionID("2"))
        var found = MigrationInspection(state: SchemaState(current: [], heads: [revision]), schema: "")
        found.pending = [MigrationInspection.Pending(id: revision, script: script)]
        var policy = MigrationPolicy(tool: .folder(path: "/nowhere", table: "t"))
        (policy.lockTimeout, policy.statementTimeout) = (limit, limit)
        let findings = try #require(await Lint.classifier(policy)(found).first).findings
        #expect(findings.count { $0.contains("L06") } == (limit < .seconds(5) ? 2 : 0), "\(findings)")
    }

    /// What was read of the server is what the lint knows of it.
    @Test(arguments: [(Bool?.some(true), MigrationClass.reversible), (false, .destructive), (nil, .destructive)])
    func theZoneOfTheSessionsIsWhatWasReadOfTheServer(_ isUTC: Bool?, _ kind: MigrationClass) async throws {
        let zoned = "ALTER TABLE orders ALTER COLUMN at TYPE timestamptz"
        #expect(try await self.kind(of: zoned, isUTC: isUTC) == kind)
    }

    @Test func anOperatorOfTheServersOwnIsNotThatOfPostgres() async throws {
        #expect(try await kind(of: "CREATE VIEW v AS SELECT 1 + 1", code: ServerCode()) == .additive)
        #expect(try await kind(of: "CREATE VIEW v AS SELECT 1 + 1", code: ServerCode(calls: ["+"])) == .unclassified)
    }

    private func kind(of up: String, isUTC: Bool? = nil, code: ServerCode? = nil) async throws -> MigrationClass {
        func script(_ name: String, _ up: String, _ down: String) -> MigrationScript {
            func text(_ sql: String) -> MigrationSide {
                .text(MigrationText(file: "\(name).sql", sql: Array(sql.utf8), wrapping: .oneQuery))
            }
            return MigrationScript(revision: name, name: name, up: text(up), down: text(down))
        }
        let revision = try #require(RevisionID("2"))
        var found = MigrationInspection(state: SchemaState(current: [], heads: [revision]), schema: "")
        found.applied = [script("1", "CREATE TABLE orders (at timestamp)", "DROP TABLE orders")]
        let back = up.hasPrefix("ALTER") ? up.replacing("timestamptz", with: "timestamp") : "DROP VIEW v"
        found.pending = [MigrationInspection.Pending(id: revision, script: script("2", up, back))]
        (found.isUTC, found.code) = (isUTC, code)
        let policy = MigrationPolicy(tool: .folder(path: "/nowhere", table: "t"))
        return try #require(await Lint.classifier(policy)(found).first).planned.kind
    }
}
