internal import SerinModel

/// What people say to the lint in comments: `serin: allow L01, L03 because …`, `serin: class additive because …` and
/// `serin: previous fails because …`.
struct Annotation: Sendable, Hashable {
    enum Order: Sendable, Hashable {
        case allow([LintRule])
        case declare(MigrationClass)
        /// The previous version does not work on the new schema.
        case breaksPrevious
    }

    var order: Order
    /// Whether it is about the whole text: `allow-file`.
    var isForFile: Bool
    var reason: String

    /// Reads a comment. Nil when it is not for Serin; an error says what is wrong with one that is.
    static func read(_ comment: String) -> Result<Annotation, AnnotationError>? {
        guard let rest = comment.droppingPrefix("serin:") else { return nil }
        let words = rest.split(whereSeparator: \.isWhitespace).map(String.init)
        guard let because = words.firstIndex(where: { $0.lowercased() == "because" }) else {
            return .failure(AnnotationError("gives no reason: expected 'because' and a reason"))
        }
        let reason = words[(because + 1)...].joined(separator: " ")
        guard reason.count >= 3 else { return .failure(AnnotationError("gives no reason behind 'because'")) }
        let order = words[..<because]
        let subjects = order.dropFirst().flatMap { $0.split(separator: ",").map(String.init) }
        switch order.first {
        case "allow", "allow-file": return allow(subjects, isForFile: order.first == "allow-file", reason)
        case "class": return declare(subjects, reason)
        case "previous":
            guard subjects == ["fails"] else {
                return .failure(
                    AnnotationError("can only say 'previous fails': that it works is tried by lint --trace --previous-check"))
            }
            return .success(Annotation(order: .breaksPrevious, isForFile: true, reason: reason))
        default:
            return .failure(
                AnnotationError("is not understood: expected allow, allow-file, class or previous behind 'serin:'"))
        }
    }

    private static func allow(_ subjects: [String], isForFile: Bool, _ reason: String) -> Result<Annotation, AnnotationError> {
        guard !subjects.isEmpty else { return .failure(AnnotationError("names no rule")) }
        var rules: [LintRule] = []
        for subject in subjects {
            guard let rule = LintRule(rawValue: subject.uppercased()) else {
                return .failure(AnnotationError("names the unknown rule '\(subject)'"))
            }
            guard rule != .annotation else { return .failure(AnnotationError("cannot allow A01, the rule about such comments")) }
            rules.append(rule)
        }
        return .success(Annotation(order: .allow(rules), isForFile: isForFile, reason: reason))
    }

    private static func declare(_ subjects: [String], _ reason: String) -> Result<Annotation, AnnotationError> {
        let known: [MigrationClass] = [.additive, .reversible, .destructive]
        guard subjects.count == 1, let named = known.first(where: { $0.rawValue == subjects[0] }) else {
            return .failure(AnnotationError("names no class: expected additive, reversible or destructive"))
        }
        return .success(Annotation(order: .declare(named), isForFile: false, reason: reason))
    }
}

/// What is wrong with a comment for Serin.
struct AnnotationError: Error, Hashable {
    var message: String

    init(_ message: String) { self.message = message }
}

extension String {
    /// The rest behind a prefix, trimmed of leading spaces; nil when it starts otherwise.
    fileprivate func droppingPrefix(_ prefix: String) -> Substring? {
        guard hasPrefix(prefix) else { return nil }
        return dropFirst(prefix.count).drop(while: \.isWhitespace)
    }
}
