import SwiftSyntax

/// House rules that the formatter cannot express. One line a finding: `path:line: rule: message`.
final class HouseRules: SyntaxVisitor {
    private let path: String
    private let target: Target?
    private let ownModules: Set<String>
    private let converter: SourceLocationConverter
    private(set) var findings: [String] = []

    private var isCore: Bool { path.hasPrefix("Sources/Core/") }
    private var isSource: Bool { path.hasPrefix("Sources/") }
    private var isTest: Bool { path.hasPrefix("Tests/") && !path.hasPrefix("Tests/Testbed/") && !path.hasPrefix("Tests/Bench/") }

    init(path: String, tree: SourceFileSyntax, targets: [Target]) {
        self.path = path
        target = targets.first { path.hasPrefix($0.path + "/") }
        ownModules = Set(targets.map(\.name))
        converter = SourceLocationConverter(fileName: path, tree: tree)
        super.init(viewMode: .sourceAccurate)
        let lines = tree.endLocation(converter: converter).line
        if lines > 500 { findings.append("\(path):1: long-file: \(lines) lines; the limit is 500") }
    }

    private func report(_ rule: String, _ message: String, at node: some SyntaxProtocol) {
        let line = node.startLocation(converter: converter).line
        findings.append("\(path):\(line): \(rule): \(message)")
    }

    private func checkLength(_ body: CodeBlockSyntax?, named name: String) {
        guard let body else { return }
        let length = body.endLocation(converter: converter).line - body.startLocation(converter: converter).line + 1
        if length > 70 { report("long-function", "'\(name)' has \(length) lines; the limit is 70", at: body) }
    }

    private func checkName(_ name: String, at node: some SyntaxProtocol) {
        for suffix in ["Manager", "Helper", "Util", "Utils", "Impl", "Base"] where name.hasSuffix(suffix) {
            report("empty-name", "'\(name)': say what it is, not '\(suffix)'", at: node)
        }
    }

    override func visit(_ node: ImportDeclSyntax) -> SyntaxVisitorContinueKind {
        let module = node.path.first?.name.text ?? ""
        if ownModules.contains(module), let target, !target.dependencies.contains(module), module != target.name {
            report("undeclared-import", "'\(module)' is not a dependency of '\(target.name)' in Package.swift", at: node)
        }
        if isCore, !ownModules.contains(module) { report("impure-core", "the core imports no '\(module)'", at: node) }
        if isSource, module == "Foundation" || module == "FoundationNetworking" {
            report("foundation", "FoundationEssentials at most", at: node)
        }
        if module == "XCTest" { report("xctest", "Swift Testing only", at: node) }
        return .visitChildren
    }

    override func visit(_ node: FunctionDeclSyntax) -> SyntaxVisitorContinueKind {
        checkLength(node.body, named: node.name.text)
        if isCore, node.signature.effectSpecifiers?.asyncSpecifier != nil {
            report("impure-core", "the core has no async", at: node)
        }
        return .visitChildren
    }

    override func visit(_ node: InitializerDeclSyntax) -> SyntaxVisitorContinueKind {
        checkLength(node.body, named: "init")
        return .visitChildren
    }

    override func visit(_ node: StructDeclSyntax) -> SyntaxVisitorContinueKind {
        checkName(node.name.text, at: node)
        return .visitChildren
    }

    override func visit(_ node: ClassDeclSyntax) -> SyntaxVisitorContinueKind {
        checkName(node.name.text, at: node)
        return .visitChildren
    }

    override func visit(_ node: EnumDeclSyntax) -> SyntaxVisitorContinueKind {
        checkName(node.name.text, at: node)
        return .visitChildren
    }

    override func visit(_ node: FunctionCallExprSyntax) -> SyntaxVisitorContinueKind {
        let called = node.calledExpression.trimmedDescription
        if isSource { checkCharacters(node) }
        let isDriver = path.hasPrefix("Sources/Controller/") || path.hasPrefix("Sources/serin/") || !isSource
        if called == "Task", !isDriver {
            report("unstructured-task", "'Task {' belongs to Controller and the executable", at: node)
        }
        let mayTrap = isTest && says("traps", at: node)
        if called == "fatalError" || called == "preconditionFailure", !mayTrap {
            report("trap", "'\(called)' ends the process", at: node)
        }
        if isTest, called == "Task.sleep" || called == "usleep" || called == "sleep", !says("sleeps", at: node) {
            report("sleeping-test", "wait for the condition, or say why not in a comment that begins 'sleeps:'", at: node)
        }
        return .visitChildren
    }

    /// Strings compare by Characters, in which an accent behind a mark or CR before LF hides it; who reads the text sees it all the same.
    private func checkCharacters(_ call: FunctionCallExprSyntax) {
        guard let access = call.calledExpression.as(MemberAccessExprSyntax.self), let base = access.base,
            let first = call.arguments.first
        else { return }
        // What is looked at by scalars or bytes is meant to be.
        let text = base.trimmedDescription
        if text.contains("unicodeScalars") || text.contains("utf8") { return }
        let literal = first.expression.as(StringLiteralExprSyntax.self)?.trimmedDescription
        let isMark = literal.map { HouseRules.marks.contains($0) } ?? false
        let instead: String? =
            switch (access.declName.baseName.text, first.label?.text) {
            case ("replacing", nil) where call.arguments.dropFirst().first?.label?.text == "with": "rewriting"
            case ("reduce", "into") where literal == "\"\"": "rewriting"
            case ("split", "separator") where isMark: "parts' or 'textLines"
            // A way upwards is found by bytes, as the system finds it.
            case ("contains", nil) where literal == #""..""# && text.contains("split("): "parts"
            case ("contains", nil) where literal == #""/""#: "has"
            case ("contains", nil) where isMark: "has"
            case ("firstIndex", "of") where isMark, ("lastIndex", "of") where isMark: "unicodeScalars"
            default: nil
            }
        guard let instead else { return }
        let name = access.declName.baseName.text
        report("by-character", "'\(name)' does not see a mark beside an accent, nor LF behind CR: '\(instead)'", at: call)
    }

    /// Literals that quote, escape or end a line.
    private static let marks: Set<String> = [
        #""\n""#, #""\r""#, #""\r\n""#, #""\"""#, #""'""#, #""\\""#, #""`""#, #""\0""#,
    ]

    override func visit(_ node: MemberAccessExprSyntax) -> SyntaxVisitorContinueKind {
        let text = node.trimmedDescription
        if text == "Task.detached" { report("unstructured-task", "use a task group", at: node) }
        if isCore,
            ["Date.now", "ContinuousClock", "SuspendingClock", "SystemRandomNumberGenerator"].contains(text)
                || text.hasSuffix(".random")
        {
            report("impure-core", "the core has no clock and no chance", at: node)
        }
        return .visitChildren
    }

    override func visit(_ node: SwitchCaseSyntax) -> SyntaxVisitorContinueKind {
        // `@unknown default` is for enums of libraries that may grow; it hides none of our own cases.
        if case .default = node.label, node.attribute == nil,
            path.hasPrefix("Sources/Core/Rollouts/RolloutMachine") || path.hasPrefix("Sources/Controller/")
        {
            report("default-case", "name every state, event and effect", at: node)
        }
        return .visitChildren
    }

    override func visit(_ node: TryExprSyntax) -> SyntaxVisitorContinueKind {
        if node.questionOrExclamationMark?.text == "!" { report("trap", "'try!' ends the process", at: node) }
        if isSource, node.questionOrExclamationMark?.text == "?", !hasReason(node) {
            report("lost-error", "'try?' needs a comment on the line above that says why the error does not matter", at: node)
        }
        return .visitChildren
    }

    override func visit(_ node: AsExprSyntax) -> SyntaxVisitorContinueKind {
        if node.questionOrExclamationMark?.text == "!" { report("trap", "'as!' ends the process", at: node) }
        return .visitChildren
    }

    override func visit(_ node: AttributeSyntax) -> SyntaxVisitorContinueKind {
        if node.attributeName.trimmedDescription == "unchecked", isSource, !textNear(node).contains("Unchecked:") {
            report("unchecked", "say why in a comment that begins 'Unchecked:'", at: node)
        }
        return .visitChildren
    }

    /// Whether a comment stands on the statement's own line or right above it.
    private func hasReason(_ node: some SyntaxProtocol) -> Bool { textNear(node).contains("//") }

    /// Whether a comment on the same line or the one above says why a test has to do what it otherwise must not.
    private func says(_ word: String, at node: some SyntaxProtocol) -> Bool {
        let line = node.startLocation(converter: converter).line
        return converter.sourceLines[max(0, line - 2)..<line].joined().contains("// \(word): ")
    }

    private func textNear(_ node: some SyntaxProtocol) -> String {
        let line = node.startLocation(converter: converter).line
        let lines = converter.sourceLines
        return lines[max(0, line - 4)..<min(lines.count, line + 2)].joined()
    }
}
