import FoundationEssentials
import SerinAPI
import SerinBackups
import SerinPolicies
import Testing

@testable import SerinCommandLine

/// What a document may name in quotes, and whether it is there.
struct DocumentReferences {
    private let files: [String: [String]]
    private let tests: String
    private let planKeys: Set<String>
    private let policyKeys: Set<String>
    private let words: Set<Substring>
    private let rules: String
    private let metrics: String
    private let schema = MirrorSchema.migrations.map(\.sql).joined()

    init() throws {
        var files: [String: [String]] = [:]
        var tests = ""
        for folder in ["Sources", "Tests"] {
            let paths = try FileManager.default.subpathsOfDirectory(atPath: "\(RequirementsTests.root)/\(folder)")
            for path in paths where path.hasSuffix(".swift") {
                files[String(path.split(separator: "/").last ?? ""), default: []].append("\(folder)/\(path)")
                if folder == "Tests" { tests += try RequirementsTests.text("\(folder)/\(path)") }
            }
        }
        self.files = files
        self.tests = tests
        let (plan, policy) = (try RequirementsTests.text("docs/backup-plan.md"), try RequirementsTests.text("docs/policy.md"))
        planKeys = Self.keys(of: plan)
        policyKeys = Self.keys(of: policy)
        words = Set((plan + policy).split { !$0.isLetter && $0 != "_" })
        rules = try RequirementsTests.text("examples/monitoring/backup-rules.yaml")
        metrics = try RequirementsTests.text("Sources/Core/Catalogue/BackupMetrics.swift")
    }

    /// The keys of a reference: a heading names the section, the first cell of a row the key. Some sections are as another one.
    private static func keys(of document: String) -> Set<String> {
        var (keys, section): (Set<String>, String) = ([], "")
        for line in document.split(separator: "\n") {
            if line.hasPrefix("### ") {
                section = line.hasPrefix("### `") ? line.dropFirst(4).trimming("`") + "." : ""
            } else if line.hasPrefix("As `") {
                let other = line.dropFirst(4).trimming("`.") + "."
                for key in keys where key.hasPrefix(other) { keys.insert(section + key.dropFirst(other.count)) }
            } else if line.hasPrefix("| `"), let key = line.dropFirst(3).split(separator: "`").first {
                keys.insert(section + key)
            }
        }
        return keys
    }

    /// Why a name names nothing; nil when it does.
    func problem(with span: String) async throws -> String? {
        func check(_ isThere: Bool, _ what: String) -> String? { isThere ? nil : "there is no \(what) '\(span)'" }
        if span.hasPrefix("serin ") { return try await verb(span) }
        if let key = span.dropping("plan ") { return check(planKeys.contains(key), "key of plans") }
        if let key = span.dropping("policy ") { return check(policyKeys.contains(key), "key of policies") }
        if let name = span.dropping("preset ") { return check(BackupPreset.Name(rawValue: name) != nil, "preset") }
        if span.contains("/") { return try path(span) }
        if span.hasSuffix(".swift") { return check(files[span]?.count == 1, "one file") }
        if span.hasPrefix("backup_") { return check(metrics.contains("\"\(span)\""), "metric") }
        if span.contains("_") || span.hasPrefix("control_plane.") { return check(schema.contains(span), "column or table") }
        if span.first?.isUppercase == true { return check(rules.contains("- alert: \(span)\n"), "alert") }
        if span.contains(where: \.isUppercase) { return check(tests.contains("func \(span)("), "test") }
        return check(words.contains(span[...]), "word of plans and policies")
    }

    /// Keys of plans that messages name and no plan has.
    func strangeKeysInMessages() throws -> [String] {
        let sections = "encryption|restore|retention|verify|compression|source|notify|mirror|heartbeat|targets"
        let dotted = try Regex("(?:^|[^A-Za-z_.(])((?:\(sections))[.][a-z_.]*[a-z])", as: (Substring, Substring).self)
        let nested = try Regex("(?:^|[^A-Za-z_])(\(sections)): \\{([a-z_]+):", as: (Substring, Substring, Substring).self)
        let literal = /"((?:[^"\\]|\\.)*)"/
        var strange: [String] = []
        for (name, paths) in files {
            for path in paths
            where ["Sources/Adapters/Backups/", "Sources/Faces/CommandLine/", "Sources/Core/Catalogue/"].contains(
                where: path.hasPrefix)
            {
                for line in try RequirementsTests.text(path).split(separator: "\n") where !line.trimming(" ").hasPrefix("//") {
                    for text in line.matches(of: literal).map(\.output.1) {
                        let keys =
                            text.matches(of: dotted).map { String($0.output.1) }
                            + text.matches(of: nested).map { "\($0.output.1).\($0.output.2)" }
                        strange += keys.filter { !planKeys.contains($0) }.map { "\(name): \($0)" }
                    }
                }
            }
        }
        return strange
    }

    /// A verb with its options, by its own help.
    private func verb(_ span: String) async throws -> String? {
        let words = span.split(separator: " ").dropFirst().map(String.init)
        let program = try TestProgram()
        let code = await program.run(["help"] + words.filter { !$0.hasPrefix("-") })
        let help = program.takeOutput()
        guard code == .ok, help.contains("serin \(words.filter { !$0.hasPrefix("-") }.joined(separator: " "))") else {
            return "there is no verb '\(span)'"
        }
        let strangers = words.filter { $0.hasPrefix("-") && !help.contains($0) }
        return strangers.isEmpty ? nil : "'\(span)' has no \(strangers.joined(separator: ", "))"
    }

    /// A file or folder, with a heading behind `#`.
    private func path(_ span: String) throws -> String? {
        let parts = span.split(separator: "#", maxSplits: 1).map(String.init)
        guard FileManager.default.fileExists(atPath: "\(RequirementsTests.root)/\(parts[0])") else {
            return "there is no file '\(span)'"
        }
        guard parts.count == 2 else { return nil }
        let headings = try RequirementsTests.text(parts[0]).split(separator: "\n").filter { $0.hasPrefix("#") }
        return headings.contains { Self.anchor($0) == parts[1] } ? nil : "there is no heading '\(span)'"
    }

    /// The name under which a heading is linked: lower case, hyphens for spaces, without other signs.
    private static func anchor(_ heading: Substring) -> String {
        heading.trimming("# ").lowercased().compactMap { character in
            character == " "
                ? "-" : character.isLetter || character.isNumber || character == "-" || character == "_" ? String(character) : nil
        }.joined()
    }
}

extension String {
    fileprivate func dropping(_ beginning: String) -> String? {
        hasPrefix(beginning) ? String(dropFirst(beginning.count)) : nil
    }
}
