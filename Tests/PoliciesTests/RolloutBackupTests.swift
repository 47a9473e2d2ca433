import SerinModel
import SerinPolicies
import Testing

@Suite struct RolloutBackupTests {
    private let database = "postgres: {url_env: DATABASE_URL, blocked_sessions: {max: 5}}\n"

    private func complaints(_ text: String) -> [String] { read(minimal + text).diagnostics.map(\.description) }

    @Test func aPlanIsNamedByItsFile() throws {
        let reading = read(minimal + "backup: {before: always, plan: /etc/serin/checkout.yaml, deadline: 2h}\n")
        #expect(reading.diagnostics.map(\.description) == [])
        #expect(
            reading.policy?.backup
                == RolloutBackupPolicy(before: .always, plan: .file("/etc/serin/checkout.yaml"), deadline: .hours(2)))
    }

    @Test func theShortFormDumpsThePolicysOwnDatabase() throws {
        let reading = read(
            minimal + database
                + "backup: {before: migrations, to: [\"file:///var/backups/checkout\"], key_file: /etc/serin/backup.key}\n")
        #expect(reading.diagnostics.map(\.description) == [])
        #expect(
            reading.policy?.backup
                == RolloutBackupPolicy(
                    before: .migrations,
                    plan: .short(destinations: ["file:///var/backups/checkout"], key: .file("/etc/serin/backup.key")),
                    deadline: .hours(1)))
    }

    @Test func theShortFormStandsForAPlanWithTheDefaults() throws {
        let reading = read(
            minimal + database
                + "backup: {before: always, to: [\"file:///var/backups/checkout\", \"file:///mnt/Copy 2/\"], key_file: /k}\n")
        let policy = try #require(reading.policy)
        let plan = try #require(BackupPlan(shortFormOf: policy))
        #expect(plan.target == policy.service)
        #expect(plan.source == .postgres(PostgresDumpSource(url: .environment("DATABASE_URL"))))
        #expect(plan.destinations.map(\.name) == ["var-backups-checkout", "mnt-copy-2"])
        #expect(plan.destinations.map { $0.settings["path"] } == ["/var/backups/checkout", "/mnt/Copy 2/"])
        #expect(plan.destinations.allSatisfy { $0.isRequired && !$0.isOffsite })
        #expect(plan.encryption == EncryptionPolicy(key: .passphrase(.file("/k"))))
        #expect(plan.schedules == [])
        #expect(BackupPlan(shortFormOf: try #require(read(minimal).policy)) == nil)
    }

    @Test(arguments: [
        ("\"file:///b/../c\"", "leads upwards"), ("\"file:///b\", \"file:///b/\"", "is named twice"),
        ("\"file:///my%20backups\"", "holds a %"),
    ]) func aFolderOfTheShortFormThatCannotBeMeantIsRefusedWhereItStands(_ folders: String, _ words: String) {
        let complaints = complaints(database + "backup: {before: always, to: [\(folders)], key_file: /k}\n")
        #expect(complaints.count == 1 && complaints[0].contains(words), "\(complaints)")
        #expect(complaints[0].hasPrefix("p.yaml:\(minimal.split(separator: "\n", omittingEmptySubsequences: false).count + 1):"))
    }

    @Test func whoIsToldIsAProgramWithItsArguments() throws {
        let reading = read(minimal + "notify: {run: [/usr/local/bin/tell, --room, releases]}\n")
        #expect(reading.policy?.notify?.run == ["/usr/local/bin/tell", "--room", "releases"])
        #expect(complaints("notify: [slack]\n").count == 1)
    }

    @Test func withoutTheKeyThereIsNoGate() throws { #expect(read(minimal).policy?.backup == nil) }

    @Test(arguments: [
        ("backup: {plan: /a.yaml}\n", "before"),
        ("backup: {before: always}\n", "to"),
        ("backup: {before: always, plan: a.yaml}\n", "absolute"),
        ("backup: {before: always, plan: /a.yaml, to: [\"file:///b\"]}\n", "plan"),
        ("backup: {before: always, plan: /a.yaml, key_file: /k}\n", "key_file"),
        ("backup: {before: sometimes, plan: /a.yaml}\n", "sometimes"),
        ("backup: {before: always, plan: /a.yaml, deadline: 1s}\n", "deadline"),
        ("backup: {before: always, to: [\"file:///b\"], key_file: /k}\n", "there is none"),
    ]) func whatIsLackingOrTooMuchIsRefused(_ text: String, _ word: String) {
        let complaints = complaints(text)
        #expect(complaints.count == 1 && complaints[0].contains(word), "\(complaints)")
    }

    @Test(arguments: ["s3://bucket", "/var/backups", "file://host/b", "file:///"])
    func onlyAFolderStandsInTheShortForm(_ place: String) {
        let complaints = complaints(database + "backup: {before: always, to: [\"\(place)\"], key_file: /k}\n")
        #expect(complaints.count == 1 && complaints[0].contains("is no folder"), "\(complaints)")
    }

    @Test func theShortFormNeedsAKey() {
        let complaints = complaints(database + "backup: {before: always, to: [\"file:///b\"]}\n")
        #expect(complaints.count == 1 && complaints[0].contains("has no key"), "\(complaints)")
    }
}
