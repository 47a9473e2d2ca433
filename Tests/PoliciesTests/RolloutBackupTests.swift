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
