public import SerinModel

/// The OpenAPI 3.1 document of a table of routes: the same table that routes, so nothing is in one and not in the other.
public enum OpenAPI {
    /// The document of all routes that have an operation.
    public static func document(of routes: [Route], version: String) -> JSONValue {
        var paths: [(path: String, methods: [JSONValue.Member])] = []
        for route in routes {
            guard let operation = route.operation else { continue }
            let member = JSONValue.Member(route.method.lowercased(), self.operation(operation, of: route))
            if let index = paths.firstIndex(where: { $0.path == route.pattern }) {
                paths[index].methods.append(member)
            } else {
                paths.append((route.pattern, [member]))
            }
        }
        return .object([
            "openapi": .string("3.1.0"),
            "info": .object([
                "title": .string("Serin"), "version": .string(version),
                "summary": .string("A canary release controller"),
                "description": .string(
                    "Times are RFC 3339 in UTC, weights decimal strings in per cent, lengths of time strings with their unit. Errors are problem documents (RFC 9457) whose `type` is stable and whose `retryable` says whether the same request may succeed later."
                ),
            ]),
            "servers": .array([.object(["url": .string("/")])]),
            "paths": .sortedObject(paths.map { JSONValue.Member($0.path, .sortedObject($0.methods)) }),
            "components": .object([
                "schemas": Components.schemas,
                "securitySchemes": .object([
                    "bearer": .object(["type": .string("http"), "scheme": .string("bearer")]),
                    "certificate": .object(["type": .string("mutualTLS")]),
                ]),
            ]),
        ])
    }

    private static func operation(_ operation: Operation, of route: Route) -> JSONValue {
        var members = [
            JSONValue.Member("operationId", .string(operation.id)), JSONValue.Member("summary", .string(route.summary)),
            JSONValue.Member("tags", .array([.string(operation.tag)])),
            JSONValue.Member("responses", responses(operation)),
        ]
        if !operation.parameters.isEmpty {
            members.append(JSONValue.Member("parameters", .array(operation.parameters.map(parameter))))
        }
        if let body = operation.body {
            members.append(
                JSONValue.Member(
                    "requestBody",
                    .object([
                        "description": .string(body.summary), "required": .bool(!operation.isBodyOptional),
                        "content": content(body.media),
                    ])))
        }
        switch route.access {
        case .open: members.append(JSONValue.Member("security", .array([])))
        case .any(let roles, let scope, let person):
            let schemes = ["bearer", "certificate"].map { JSONValue.object([$0: .array([])]) }
            members.append(JSONValue.Member("security", .array(schemes)))
            var rights = roles.map { "role `\($0.rawValue)`" }.sorted()
            if let scope { rights.append("scope `\(scope.rawValue)`") }
            var words = "Needs " + rights.joined(separator: " or ")
            if person { words += ", and a person's identity" }
            members.append(JSONValue.Member("description", .string(words + ".")))
        }
        return .sortedObject(members)
    }

    private static func parameter(_ parameter: Operation.Parameter) -> JSONValue {
        .object([
            "name": .string(parameter.name), "in": .string(parameter.place.rawValue), "required": .bool(parameter.place == .path),
            "description": .string(parameter.summary), "schema": parameter.schema,
        ])
    }

    private static func responses(_ operation: Operation) -> JSONValue {
        var members = operation.answers.sorted { $0.key < $1.key }.map { status, answer in
            JSONValue.Member("\(status)", response(answer))
        }
        members.append(
            JSONValue.Member(
                "default",
                response(
                    Operation.Content(
                        "A problem.", [Operation.Content.Media("application/problem+json", Schema.reference("Problem"))]))))
        return .sortedObject(members)
    }

    private static func response(_ answer: Operation.Content) -> JSONValue {
        var members = [JSONValue.Member("description", .string(answer.summary))]
        if !answer.media.isEmpty { members.append(JSONValue.Member("content", content(answer.media))) }
        if !answer.headers.isEmpty {
            members.append(
                JSONValue.Member(
                    "headers",
                    .sortedObject(
                        answer.headers.map { JSONValue.Member($0, .object(["required": .bool(true), "schema": Schema.text()])) }))
            )
        }
        return .sortedObject(members)
    }

    private static func content(_ media: [Operation.Content.Media]) -> JSONValue {
        .sortedObject(media.map { JSONValue.Member($0.type, .object(["schema": $0.schema])) })
    }

    /// The route that shows the document of a table, itself included.
    public static func routes(describing others: [Route], version: String) -> [Route] {
        var own = Route(
            "GET", "/v1/openapi.json", summary: "this document", access: .open,
            operation: Operation(
                "describeAPI", tag: "health", answers: [200: .json("The OpenAPI 3.1 document.", Schema.anything)])
        ) { _, _ in .json(200, .null) }
        let document = document(of: others + [own], version: version)
        own.handler = { _, _ in .json(200, document) }
        return [own]
    }
}
