public import SerinController
public import SerinModel
public import SerinPolicies
internal import SerinRollouts

/// What went wrong with a request, as a problem document (RFC 9457).
public struct Problem: Error, Sendable, Hashable {
    /// The kinds. The raw value ends the document's stable `type`.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The request is malformed: 400.
        case malformed
        /// Nobody knows who asks: 401.
        case unidentified
        /// The one who asks lacks a role for it: 403.
        case forbidden
        /// Nothing is there: 404.
        case notFound = "not-found"
        /// Another method is expected: 405.
        case methodNotAllowed = "method-not-allowed"
        /// It is not allowed now, or not to this person: 409.
        case refused
        /// What the request was made for has changed meanwhile: 412.
        case preconditionFailed = "precondition-failed"
        /// More was asked than is allowed in that time: 429, try again.
        case tooMany = "too-many"
        /// The body is longer than accepted: 413.
        case tooLong = "too-long"
        /// The policy or a value is not acceptable: 422.
        case invalid
        /// Something broke inside: 500.
        case broken
        /// It could not be made durable, or the server is stopping or full: 503, try again.
        case unavailable

        /// The status code.
        public var status: Int {
            switch self {
            case .malformed: 400
            case .unidentified: 401
            case .forbidden: 403
            case .notFound: 404
            case .methodNotAllowed: 405
            case .refused: 409
            case .preconditionFailed: 412
            case .tooLong: 413
            case .tooMany: 429
            case .invalid: 422
            case .broken: 500
            case .unavailable: 503
            }
        }

        /// The document's title, the same for every occurrence.
        public var title: String {
            switch self {
            case .malformed: "The request is malformed"
            case .unidentified: "Nobody knows who asks"
            case .forbidden: "Not allowed to the one who asks"
            case .notFound: "Nothing is there"
            case .methodNotAllowed: "Another method is expected"
            case .refused: "Not allowed now, or not to this person"
            case .preconditionFailed: "It has changed meanwhile"
            case .tooLong: "The body is too long"
            case .tooMany: "Too many requests"
            case .invalid: "The policy or a value is not acceptable"
            case .broken: "Something broke inside"
            case .unavailable: "Not possible at the moment"
            }
        }

        /// The document's `type`: stable, and never re-used for something else.
        public var type: String { "https://serin.dev/problems/\(rawValue)" }
    }

    /// The kind.
    public var kind: Kind
    /// What was wrong this time; lower case.
    public var detail: String
    /// What to do about it.
    public var hint: String?
    /// Complaints about a document, when it is about one.
    public var diagnostics: [Diagnostic]
    /// After how many seconds it may be tried again, where it may.
    public var retryAfter = 1

    /// A problem.
    public init(_ kind: Kind, _ detail: String, hint: String? = nil) {
        self.kind = kind
        self.detail = detail
        self.hint = hint
        diagnostics = []
    }

    /// Why an operation was not done, as a problem.
    public init(_ error: OperationError) {
        switch error {
        case .invalid(let diagnostics):
            self.init(.invalid, diagnostics.first?.message ?? "not acceptable", hint: diagnostics.first?.hint)
            self.diagnostics = diagnostics
        case .refused(let refusal): self.init(.refused, refusal.message, hint: refusal.hint)
        case .notFound(let text): self.init(.notFound, text)
        case .unavailable(let text): self.init(.unavailable, text)
        }
    }

    /// What a handler threw, as a problem.
    init(thrown error: any Error) {
        switch error {
        case let problem as Problem: self = problem
        case let error as OperationError: self.init(error)
        case let error as JSONError: self.init(.malformed, "the body is no JSON document: \(error)")
        case let error as DocumentError: self.init(.malformed, error.description)
        default: self.init(.broken, "unexpected: \(error)")
        }
    }

    /// The document.
    public var document: JSONValue {
        var members = [
            JSONValue.Member("type", .string(kind.type)), JSONValue.Member("title", .string(kind.title)),
            JSONValue.Member("status", .integer(kind.status)), JSONValue.Member("detail", .string(detail)),
            JSONValue.Member("retryable", .bool(kind == .unavailable || kind == .tooMany)),
        ]
        if let hint { members.append(JSONValue.Member("hint", .string(hint))) }
        if !diagnostics.isEmpty {
            members.append(JSONValue.Member("diagnostics", .array(diagnostics.map(Self.document(of:)))))
        }
        return .sortedObject(members)
    }

    private static func document(of diagnostic: Diagnostic) -> JSONValue {
        .object([
            "file": .string(diagnostic.file), "line": .integer(diagnostic.mark.line), "column": .integer(diagnostic.mark.column),
            "message": .string(diagnostic.message), "hint": diagnostic.hint.map { .string($0) } ?? .null,
        ])
    }

    /// The answer that carries it.
    public var response: Response {
        var headers = [
            Request.Pair("Content-Type", "application/problem+json"), Request.Pair("Cache-Control", "no-store"),
        ]
        if kind == .unavailable || kind == .tooMany { headers.append(Request.Pair("Retry-After", "\(retryAfter)")) }
        if kind == .unidentified { headers.append(Request.Pair("WWW-Authenticate", "Bearer")) }
        return Response(status: kind.status, headers: headers, body: .bytes(document.canonicalBytes + [0x0A]))
    }

    /// The operation's error that a problem document tells of; nil when it is no such document.
    public static func operationError(status: Int, document: JSONValue) -> OperationError? {
        guard let kind = Kind.allCases.first(where: { document["type"]?.text == $0.type && $0.status == status }) else {
            return nil
        }
        let detail = document["detail"]?.text ?? kind.title
        let hint = document["hint"]?.text
        switch kind {
        case .invalid, .malformed, .methodNotAllowed, .tooLong:
            let diagnostics = (document["diagnostics"]?.items ?? []).map { item in
                Diagnostic(
                    file: item["file"]?.text ?? "",
                    mark: Mark(line: Int(item["line"]?.integer ?? 0), column: Int(item["column"]?.integer ?? 0)),
                    message: item["message"]?.text ?? "", hint: item["hint"]?.text)
            }
            let whole = Diagnostic(file: "request", mark: Mark(line: 1, column: 1), message: detail, hint: hint)
            return .invalid(diagnostics.isEmpty ? [whole] : diagnostics)
        case .refused, .unidentified, .forbidden, .preconditionFailed: return .refused(Refusal(detail, hint: hint))
        case .notFound: return .notFound(detail)
        case .broken, .unavailable, .tooMany: return .unavailable(detail)
        }
    }
}
