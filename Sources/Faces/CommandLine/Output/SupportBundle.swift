internal import FoundationEssentials
internal import Glibc
internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPorts
internal import SerinProcesses

/// What somebody needs to know who helps from afar, as one text: no secret, no row of data, no contents of a backup.
struct SupportBundle {
    /// One part of it, under its heading.
    struct Part {
        var title: String
        var lines: [String]
    }

    /// So many of the last failures, jobs and notes are shown.
    static let most = 20

    private let session: Session
    private let redaction: Redaction
    private(set) var parts: [Part] = []

    init(_ session: Session) {
        self.session = session
        let names = ["KEY", "TOKEN", "SECRET", "PASS", "URL", "DSN", "CREDENTIAL"]
        redaction = Redaction(
            secrets: session.environment.filter { name, _ in names.contains { name.uppercased().contains($0) } }.map(\.value))
    }

    /// The whole text, with a list of what is in it first.
    var text: String {
        let contents = parts.map { "- \($0.title): \($0.lines.count) lines" }
        let bodies = parts.flatMap { ["", "## \($0.title)", ""] + $0.lines.map { "    " + plain(Self.withoutPassword($0)) } }
        return redaction(
            (["# Serin \(Release.version), \(session.now)", "", "Secrets are taken out. What is in it:", ""] + contents + bodies)
                .joined(separator: "\n") + "\n")
    }

    // MARK: Parts

    /// The machine, the names of the variables, and the files of the state folder.
    mutating func addMachine() {
        var system = utsname()
        var lines = ["serin \(Release.version)", "state folder \(session.state.path)", "user \(getuid())"]
        if uname(&system) == 0 {
            lines.append(
                [Self.word(&system.sysname), Self.word(&system.release), Self.word(&system.machine)].joined(separator: " "))
        }
        let names = session.environment.keys.filter { $0.hasPrefix("SERIN_") || $0.hasPrefix("PG") }.sorted()
        lines.append("variables that are set: \(names.joined(separator: " "))")
        parts.append(Part(title: "machine", lines: lines))
        parts.append(Part(title: "state folder", lines: Self.files(in: session.state.path)))
    }

    /// Where the rollouts stand, by their journals.
    mutating func addRollouts() async {
        var lines: [String] = []
        do {
            for service in try session.state.services() {
                do {
                    let statuses = try await session.assembly.openJournal(service, session.state)?.statuses() ?? []
                    lines += statuses.map { StatusDocument.encode($0).canonicalText }
                } catch { lines.append("\(service): cannot be read: \(error)") }
            }
        } catch { lines.append("\(error)") }
        parts.append(Part(title: "rollouts", lines: lines))
    }

    /// The backups: how many in which state, the last failures, jobs, leases and notes.
    mutating func addBackups(_ store: any CatalogueStore) async {
        do throws(CatalogueStoreError) {
            let state = try await store.state()
            let targets = Dictionary(grouping: state.records, by: \.order.target)
            parts.append(
                Part(
                    title: "backups",
                    lines: targets.keys.sorted().map { target in
                        let records = targets[target] ?? []
                        let counts = Dictionary(grouping: records, by: \.state.rawValue).mapValues(\.count)
                        let newest = records.filter { $0.state.isRestorable }.map(\.createdAt).max()
                        return "\(target): " + counts.keys.sorted().map { "\(counts[$0] ?? 0) \($0)" }.joined(separator: ", ")
                            + "; newest \(newest.map { "\($0)" } ?? "none")"
                    }))
            let failed = state.records.filter { $0.failure != nil }.suffix(Self.most)
            parts.append(
                Part(
                    title: "last failures of backups",
                    lines: failed.map { record in
                        "\(record.id) \(record.order.target) \(record.kind.rawValue) \(record.state.rawValue) "
                            + "\(record.failedAt.map { "\($0)" } ?? "-"): \(record.failure.map { "\($0)" } ?? "")"
                    }))
            let jobs = try await store.jobs().prefix(Self.most)
            parts.append(
                Part(
                    title: "last jobs",
                    lines: jobs.map {
                        "\($0.id) project \($0.project) \($0.type) \($0.state.rawValue) backup \($0.backup.map { "\($0)" } ?? "-") "
                            + "\($0.errorMessage ?? "")"
                    }))
            let leases = try await store.leases()
            parts.append(Part(title: "leases", lines: leases.map { "\($0.target): \($0.holder) since \($0.takenAt)" }))
            // Notes of erasures name people, be it by numbers.
            let notes = try await store.entries().compactMap { entry -> AuditNote? in
                if case .note(let note) = entry.line, note.topic != Erasure.topic { note } else { nil }
            }
            parts.append(
                Part(
                    title: "last notes",
                    lines: notes.suffix(Self.most).map {
                        "\($0.at) \($0.by) \($0.topic) \($0.target ?? ""): \($0.text.prefix(300))"
                    }))
        } catch { parts.append(Part(title: "backups", lines: ["the catalogue cannot be read: \(error)"])) }
    }

    /// A file of configuration, a policy or a plan.
    mutating func add(file: String) {
        let lines: [String]
        do throws(OperationError) {
            lines = try PolicyArguments.text(ofRegular: file, kind: "file").textLines(keepingEmpty: true)
                .map { Self.withoutSecrets(String($0)) }
        } catch { lines = ["cannot be read: \(error)"] }
        parts.append(Part(title: "file \(plain(file))", lines: lines))
    }

    // MARK: Small parts

    /// A line without what stands before the `@` of its addresses.
    static func withoutPassword(_ line: String) -> String {
        var (line, done) = (line, "")
        while let mark = line.firstRange(of: "://") {
            let rest = line[mark.upperBound...]
            let address = Substring(rest.unicodeScalars.prefix { !$0.properties.isWhitespace && !"\"',".has($0) })
            done += line[..<mark.upperBound]
            if let at = address.unicodeScalars.lastIndex(of: "@") {
                done += Redaction.mark + address[at...]
            } else {
                done += address
            }
            line = String(line[address.endIndex...])
        }
        return done + line
    }

    /// A line of YAML without what may be a secret: the value of a key that is called so and is no reference.
    static func withoutSecrets(_ line: String) -> String {
        guard let colon = line.unicodeScalars.firstIndex(of: ":") else { return line }
        let key = line[..<colon].lowercased()
        let isReference = ["_env", "_file", "_cred", "_files"].contains { key.hasSuffix($0) }
        guard !isReference, ["password", "passphrase", "secret", "token", "key", "dsn"].contains(where: { key.hasSuffix($0) }),
            line.unicodeScalars[colon...].dropFirst().contains(where: { !$0.properties.isWhitespace })
        else { return line }
        return line[..<colon] + ": " + Redaction.mark
    }

    /// Names, sizes and times of two levels.
    private static func files(in folder: String) -> [String] {
        var lines: [String] = []
        // What cannot be looked into has no names.
        for name in ((try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []).sorted() {
            guard name.split(separator: "/").count <= 2, lines.count < 500 else { continue }
            var status = stat()
            guard lstat("\(folder)/\(name)", &status) == 0 else { continue }
            let changed = Instant(secondsSince1970: Int64(status.st_mtim.tv_sec))
            lines.append("\(changed) \(String(status.st_mode & 0o777, radix: 8)) \(status.st_size) \(name)")
        }
        return lines
    }

    private static func word<Text>(_ text: inout Text) -> String {
        withUnsafeBytes(of: &text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
