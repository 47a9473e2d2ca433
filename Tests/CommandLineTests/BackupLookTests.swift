import Glibc
import SerinBackups
import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import SerinSQLite
import Testing

@testable import SerinCommandLine

/// What is known beforehand of the backup that a policy asks for.
@Suite struct BackupLookTests {
    private func look(_ program: TestProgram, temporary: String = "/tmp") throws -> BackupLook {
        let plan = program.policy(
            """
            version: 1
            target: checkout-db
            source: {postgres: {url_env: DATABASE_URL}}
            destinations: {local: {folder: {path: /var/backups/checkout}}}
            encryption: {key_file: /etc/serin/backup.key}
            retention: {keep_all: 14d}
            schedules: [{cron: "0 1 * * *"}]
            max_age: 26h
            """)
        var policy = Policy.sample()
        policy.backup = RolloutBackupPolicy(before: .always, plan: .file(plan))
        return BackupLook(
            policy: LoadedPolicy(policy: policy, hash: "ab"), file: "policy.yaml", state: program.state,
            assembly: program.backups.assembly, temporary: temporary)
    }

    @Test func aCatalogueThatCannotBeReadIsNotOneWithoutBackups() async throws {
        let program = try TestProgram()
        let look = try look(program)
        #expect(look.kind == .logical)
        #expect(await look.estimate().hasPrefix("none was made here yet"))
        let file = SQLiteCatalogue.path(under: program.state.path)
        close(open(file, O_WRONLY | O_CREAT, 0o600))
        defer { unlink(file) }
        #expect(await look.estimate().hasPrefix("none was made here yet"))
        try await program.backups.add(1, Instant(millisecondsSince1970: 1_790_000_000_000))
        #expect(await look.estimate().hasSuffix("took 1m 30s and has 2.9 KiB"))
        program.backups.catalogueFailure.withLock { $0 = .unavailable("file is not a database") }
        let words = await look.estimate()
        #expect(words.hasPrefix("the catalogue cannot be read") && words.hasSuffix("file is not a database"), "\(words)")
    }

    @Test func whatIsMadeForALookIsMadeWhereTemporaryThingsAre() async throws {
        let program = try TestProgram()
        let probes = await (try look(program, temporary: "\(program.state.path)/none")).probes(for: nil)
        #expect(probes.first?.detail.contains("\(program.state.path)/none") == true, "\(probes)")
    }
}
