import Foundation
import SwiftParser
import SwiftSyntax

/// `tidy PACKAGE_JSON FOLDER…`: exit 0 when no house rule is broken, else 1 with one line a finding.
@main struct Tidy {
    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard let manifest = arguments.first else {
            FileHandle.standardError.write(Data("usage: tidy PACKAGE_JSON FOLDER...\n".utf8))
            exit(2)
        }
        // Longest path first, so that a file belongs to the innermost target.
        let targets = try readTargets(manifest).sorted { $0.path.count > $1.path.count }
        var findings: [String] = []
        var files = 0
        for root in arguments.dropFirst() {
            let paths = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
            for path in paths.sorted() where path.hasSuffix(".swift") {
                let full = root + "/" + path
                let tree = Parser.parse(source: try String(contentsOfFile: full, encoding: .utf8))
                let rules = HouseRules(path: full, tree: tree, targets: targets)
                rules.walk(tree)
                findings += rules.findings
                files += 1
            }
        }
        for finding in findings.sorted() { print(finding) }
        FileHandle.standardError.write(Data("tidy: \(files) files, \(findings.count) findings\n".utf8))
        exit(findings.isEmpty ? 0 : 1)
    }
}
