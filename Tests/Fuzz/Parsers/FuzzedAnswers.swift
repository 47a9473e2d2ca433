import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinTransport

@testable import SerinBackups
@testable import SerinPrometheus
@testable import SerinTraffic

/// What servers answer: object stores, load balancers, Prometheus and Alertmanager.
enum FuzzedAnswers {
    static let parsers: [(String, FuzzedParsers.Parser)] = [
        ("xml", { xml($0) }), ("bucket", { bucket($0) }), ("container", { container($0) }), ("chat-directory", { directory($0) }),
        ("manifest", { manifest($0) }), ("headers", { headers($0) }), ("balancer", { balancer($0) }),
        ("haproxy", { haproxy($0) }), ("telemetry", { telemetry($0) }), ("alertmanager", { alertmanager($0) }),
    ]

    // MARK: Object stores

    private static func xml(_ bytes: [UInt8]) {
        guard let root = XMLElement.root(of: bytes) else { return }
        var count = 0
        func walk(_ element: XMLElement, _ depth: Int) {
            count += 1
            precondition(depth <= 16 && !element.name.isEmpty)
            for child in element.children { walk(child, depth + 1) }
        }
        walk(root, 1)
        precondition(count <= 100_000)
    }

    private static func key(_ full: String) -> ObjectKey? { full.hasPrefix("p/") ? ObjectKey(String(full.dropFirst(2))) : nil }

    /// A page of objects, of uploads, or an error.
    private static func bucket(_ bytes: [UInt8]) {
        guard let root = XMLElement.root(of: wrapped(bytes, in: "ListBucketResult")) else { return }
        check(ListedPage(bucket: root, key: key))
        let uploads = UploadPage(root, key: key)
        precondition(uploads.uploads.allSatisfy { $0.key != nil })
        _ = (root["Code"]?.text, root["Message"]?.text, root["UploadId"]?.text)
    }

    private static func container(_ bytes: [UInt8]) {
        guard let root = XMLElement.root(of: wrapped(bytes, in: "EnumerationResults")) else { return }
        check(ListedPage(container: root, key: key))
    }

    private static func check(_ page: ListedPage) {
        for object in page.objects {
            precondition(ObjectKey(object.key.description) == object.key)
            if let modified = object.modified { precondition(Instant.plausible.contains(modified), "\(modified)") }
        }
        precondition(page.next?.isEmpty != true)
    }

    /// Without a root a body is only elements: so more of them are met.
    private static func wrapped(_ bytes: [UInt8], in name: String) -> [UInt8] {
        bytes.starts(with: [0x3C, 0x3F]) ? bytes : Array("<\(name)>".utf8) + bytes + Array("</\(name)>".utf8)
    }

    private static func directory(_ bytes: [UInt8]) {
        guard let found = TelegramDirectory(bytes, message: 1) else { return }
        precondition(TelegramDirectory(found.bytes, message: 1) == found, "it is not read as it was written")
        precondition(found.entries.allSatisfy { $0.size >= 0 && $0.parts.allSatisfy { $0.size >= 0 } })
    }

    /// What stands beside objects, read without proof.
    private static func manifest(_ bytes: [UInt8]) {
        if let manifest = try? Manifest(reading: bytes, authenticate: nil) {
            precondition((try? manifest.bytes()) == bytes)
            // Nobody sealed it.
            precondition((try? Manifest(reading: bytes, authenticate: { _ in String(repeating: "0", count: 63) })) == nil)
        }
        _ = try? TargetRegister(reading: bytes, of: "shop", authenticate: { _ in "" })
    }

    /// Values of headers, one a line.
    private static func headers(_ bytes: [UInt8]) {
        for line in bytes.split(separator: 10) {
            let text = String(decoding: line, as: UTF8.self)
            for moment in [moment(http: text), moment(rfc3339: text)].compactMap({ $0 }) {
                precondition(moment.millisecondsSince1970 >= 0 && !httpDate(moment).isEmpty)
            }
            let answer = HTTPResponse(
                status: 503,
                headers: [HTTPHeader("Retry-After", text), HTTPHeader("Content-Length", text), HTTPHeader("Date", text)], body: []
            )
            if let pause = answer.retryAfter { precondition(pause >= .zero) }
            _ = answer.failureClass(ofWrite: true)
        }
    }

    // MARK: Load balancers

    /// A JSON answer by pointers, and Envoy's dump of routes.
    private static func balancer(_ bytes: [UInt8]) {
        guard let answer = try? JSONValue(parsing: bytes) else { return }
        for pointer in ["", "/canary", "/a/0/weight", "/~1/~0", "/-1", "/99999999999999999999"] {
            _ = answer.at(pointer: pointer)
        }
        let numbers = (answer["canary"]?.items ?? []).map { $0.text.flatMap(Double.init) ?? Double($0.integer ?? -1) }
        for pair in zip(numbers, numbers.dropFirst()) {
            guard let share = share(canary: pair.0, control: pair.1) else { continue }
            // Nothing and everything are words that are only said when they are true.
            precondition((share == .zero) == (pair.0 == 0) && (share == .all) == (pair.1 == 0))
        }
        if let route = EnvoyAnswers.route(in: answer["configs"]?.items ?? [answer], prefix: "p", canary: "c", control: "d") {
            precondition(route.others >= 0)
        }
        if let text = answer["canary"]?.text, let number = EnvoyAnswers.number(text) {
            precondition((0...4_294_967_295).contains(number))
        }
    }

    private static func haproxy(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        for row in HAProxyAnswers.statRows(text) ?? [] { precondition(row.total.map { $0 >= 0 && $0.isFinite } ?? true) }
        if case .value(let value)? = HAProxyAnswers.entry(text) { _ = HAProxyAnswers.weight(value) }
        _ = (HAProxyAnswers.isEmpty(text), HAProxyAnswers.weight(text))
    }

    // MARK: Telemetry

    /// An answer as rows of a poll and as history.
    private static func telemetry(_ bytes: [UInt8]) {
        guard let answer = try? AnswerParser.parse(bytes) else { return }
        for kind in [SeriesQuery.Kind.counter, .histogram, .gauge, .expression] {
            let query = SeriesQuery(kind: kind, metric: "m", matchers: [], groupedBy: ["a", "instance"])
            var rows = Rows(query)
            for row in (try? rows.rows(of: answer)) ?? [] {
                precondition(row.value.isFinite && (kind == .gauge || kind == .expression || row.value >= 0))
                precondition(row.buckets.last.map { $0.edge == .infinity } ?? true)
            }
            precondition(rows.warnings.count <= 64 + answer.warnings.count)
            var table = HistoryTable(
                query: query, cohort: [Label("a", "x")], start: FuzzedParsers.now, step: .seconds(15), count: 8)
            table.take(answer)
            precondition(table.rows().allSatisfy { $0.values.count == 8 })
        }
        var clock = ServerClock()
        for series in answer.series ?? [] {
            for sample in series.samples { try? clock.take(sample.time, between: FuzzedParsers.now, and: FuzzedParsers.now) }
        }
    }

    private static let server = QueryServer(
        name: "alertmanager", endpoint: HTTPEndpoint(url: "http://127.0.0.1:9"), timeout: .seconds(1), secrets: { _ in "" },
        limits: AnswerLimits())

    private static func alertmanager(_ bytes: [UInt8]) {
        for status in [200, 500] {
            let answer = HTTPResponse(status: status, headers: [], body: bytes)
            switch AlertmanagerHub.alerts(.success(answer), of: server) {
            case .success(let alerts): precondition(status == 200 && alerts.allSatisfy { $0.labels == $0.labels.sorted() })
            case .failure(let failure): precondition(failure.description.utf8.count <= 4000)
            }
        }
        // The answer to a query, with its ways of being none.
        _ = server.answer(.success(HTTPResponse(status: 422, headers: [], body: bytes)))
    }
}
