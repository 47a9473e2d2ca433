internal import SerinModel

/// What comments allow in a whole text, and whether it occurred.
struct AnnotationBook {
    struct Allowance {
        var rule: LintRule
        var reason: String
        var place: LintPlace
        var isUsed = false
    }

    var allowances: [Allowance] = []
    /// The class of the statements that nobody can classify.
    var declared: (kind: MigrationClass, reason: String)?
    /// What a program's comments allow for both directions and what does not occur in this one.
    var idle: [LintFinding] = []
    /// Why the previous version does not work on the new schema, and who says so.
    var breaksPrevious: (reason: String, place: LintPlace)?
}

extension Judge {
    /// Reads what comments say about the whole text, before anything is judged.
    mutating func readFileAnnotations(_ list: StatementList) {
        for comment in list.comments {
            readForFile(comment, at: place(line: comment.line, column: comment.column), isLoose: true)
        }
        for statement in list.statements {
            for comment in statement.comments {
                readForFile(comment, at: place(line: comment.line, column: comment.column), isLoose: false)
            }
        }
        if let source = text.source { readSource(source) }
    }

    /// A comment outside every statement, and `allow-file` anywhere, is about the whole text.
    private mutating func readForFile(_ comment: SQLComment, at place: LintPlace, isLoose: Bool) {
        switch Annotation.read(comment.text) {
        case nil: return
        case .failure(let error):
            findings.append(LintFinding(.annotation, at: place, "the comment '\(comment.text.prefix(80))' \(error.message)"))
        case .success(let annotation): if isLoose || annotation.isForFile { enter(annotation, at: place) }
        }
    }

    private mutating func enter(_ annotation: Annotation, at place: LintPlace) {
        switch annotation.order {
        case .allow(let rules):
            for rule in rules {
                annotations.allowances.append(.init(rule: rule, reason: annotation.reason, place: place))
            }
        case .declare(let kind): annotations.declared = (kind, annotation.reason)
        case .breaksPrevious:
            // A program's comments are about both directions; what the previous version survives is about the way forward.
            if direction == .up {
                annotations.breaksPrevious = (annotation.reason, place)
            } else if text.source == nil {
                findings.append(LintFinding(.annotation, at: place, "'previous fails' belongs to the way forward"))
            }
        }
    }

    /// The comments of a program that SQL was generated from: `# serin: …`. They are about all of the revision.
    private mutating func readSource(_ source: [UInt8]) {
        for (number, line) in source.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            guard let mark = line.firstIndex(of: 0x23) else { continue }
            let words = String(decoding: line[line.index(after: mark)...], as: UTF8.self)
            let trimmed = words.drop(while: \.isWhitespace)
            guard trimmed.hasPrefix("serin:") else { continue }
            let column = mark - line.startIndex + 1
            readForFile(
                SQLComment(line: number + 1, column: column, text: String(trimmed)),
                at: LintPlace(file: text.file, line: number + 1, column: column), isLoose: true)
        }
    }

    /// Applies a statement's comments to what was found in it, and then those of the whole text.
    mutating func apply(_ comments: [SQLComment], to first: Int) {
        for comment in comments {
            guard case .success(let annotation) = Annotation.read(comment.text), !annotation.isForFile else { continue }
            let place = place(line: comment.line, column: comment.column)
            switch annotation.order {
            case .allow(let rules):
                for rule in rules where rule != .noWayBack { allow(rule, annotation.reason, from: first, at: place) }
                // The way back is none of the statement's: it is judged when both directions are.
                if rules.contains(.noWayBack) {
                    annotations.allowances.append(.init(rule: .noWayBack, reason: annotation.reason, place: place))
                }
            case .declare(let kind): declare(kind, annotation.reason, from: first, at: place)
            // It is about the whole text, and was read with it.
            case .breaksPrevious: break
            }
        }
        if report.mystery != nil, report.declared == nil, let declared = annotations.declared {
            declare(declared.kind, declared.reason, from: first, at: report.place)
        }
        applyFileAllowances(from: first)
    }

    private mutating func applyFileAllowances(from first: Int) {
        for index in findings.indices[first...] where findings[index].allowance == nil {
            guard let entry = annotations.allowances.firstIndex(where: { $0.rule == findings[index].rule }) else { continue }
            findings[index].allowance = annotations.allowances[entry].reason
            annotations.allowances[entry].isUsed = true
        }
    }

    private mutating func allow(_ rule: LintRule, _ reason: String, from first: Int, at place: LintPlace) {
        var isUsed = false
        for index in findings.indices[first...] where findings[index].rule == rule {
            findings[index].allowance = reason
            isUsed = true
        }
        if !isUsed {
            findings.append(
                LintFinding(
                    .annotation, severity: .warning, at: place, "\(rule.rawValue) is allowed here and does not occur",
                    safeForm: Judge.withoutComment))
        }
    }

    private mutating func declare(_ kind: MigrationClass, _ reason: String, from first: Int, at place: LintPlace) {
        guard report.mystery != nil || kind == .destructive else {
            let rules = Set(findings[first...].filter(\.failsGate).map(\.rule.rawValue)).sorted().joined(separator: ", ")
            findings.append(
                LintFinding(
                    .annotation, at: place,
                    "a class is given to a statement that serin can classify itself: a comment can make that heavier (class destructive), never lighter",
                    safeForm: Judge.withoutComment
                        + (rules.isEmpty
                            ? ""
                            : "; -- serin: allow \(rules) because <reason> lets what is found pass, and the class stays as it is")
                ))
            return
        }
        report.declared = kind
        switch kind {
        case .additive, .unclassified: phase(.expand)
        case .reversible:
            phase(.migrate)
            survival(.depends("a comment says so: \(reason)"))
        case .destructive:
            phase(.contract)
            loses("what a comment says: \(reason)")
        }
        for index in findings.indices[first...] where findings[index].rule == .unknown { findings[index].allowance = reason }
    }

    private static let withoutComment = "leave the comment out"

    /// What is said about the whole text, and what is allowed for it and does not occur.
    mutating func finishAnnotations() {
        if let (reason, place) = annotations.breaksPrevious, !statements.isEmpty {
            let how = "a comment says that it fails on the new schema: \(reason)"
            statements[0].survival = statements[0].survival.and(.breaks(how))
            findings.append(LintFinding(.breaksPrevious, at: place, "the previous version: \(how)"))
        }
        applyFileAllowances(from: 0)
        // The way back is judged when both directions are.
        for entry in annotations.allowances where !entry.isUsed && entry.rule != .noWayBack {
            let finding = LintFinding(
                .annotation, severity: .warning, at: entry.place, "\(entry.rule.rawValue) is allowed and does not occur",
                safeForm: Judge.withoutComment)
            // Comments of a program speak for both directions.
            if text.source != nil, !entry.place.generated { annotations.idle.append(finding) } else { findings.append(finding) }
        }
    }
}
