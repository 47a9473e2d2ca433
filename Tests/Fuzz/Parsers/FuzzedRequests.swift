import SerinBackups
import SerinController
import SerinModel
import SerinPolicies
import SerinTraffic
import SerinYAML

@testable import SerinAPI
@testable import SerinPages

/// What callers of the API and browsers send.
enum FuzzedRequests {
    static let parsers: [(String, FuzzedParsers.Parser)] = [
        ("request-documents", { documents($0) }), ("request-form", { form($0) }), ("request-policy", { policy($0) }),
    ]

    private static func documents(_ bytes: [UInt8]) {
        guard let document = try? JSONValue(parsing: bytes, depthLimit: 16) else { return }
        if let start = try? StartDocument.decode(document) {
            precondition((try? StartDocument.decode(StartDocument.encode(start))) == start)
        }
        _ = try? CommandDocument.decode(document)
        _ = try? SimulationQuestion.decode(document)
        _ = try? BacktestQuestion.decode(document)
        _ = try? PolicyQuestion.decode(document)
        _ = try? ExportOrder.decode(document, isLogs: true)
        _ = try? ExportOrder.decode(document, isLogs: false)
        // What another Serin answers to the command line.
        _ = try? StatusDocument.decodeList(document)
        _ = try? DecisionDocument.decodeList(document)
        _ = try? JournalDocument.decode(document)
    }

    /// A form, and the headers that are taken apart.
    private static func form(_ bytes: [UInt8]) {
        let form = FormBody(bytes)
        let text = String(decoding: bytes, as: UTF8.self)
        for name in ["plan", "form_token", "reason", text] { _ = form[name] }
        var request = Request(
            method: "GET", path: "/v1/rollouts", query: [Request.Pair("after", text), Request.Pair("limit", text)],
            headers: [Request.Pair("Cookie", text), Request.Pair("Last-Event-ID", text), Request.Pair("If-Match", text)])
        _ = request.cookie("serin")
        if let start = try? request.start(orAfter: text) { precondition(start >= 0) }
        if let limit = try? request.limit(most: 100, otherwise: 10) { precondition((1...100).contains(limit)) }
        request.query = [Request.Pair("timeout", text)]
        if let time = try? request.duration("timeout", otherwise: .zero) { precondition(time >= .zero) }
    }

    /// The text of a policy, which a start sends along.
    private static func policy(_ bytes: [UInt8]) {
        let document = readYAML(bytes, file: "p.yaml")
        let reading = PolicyReading(
            of: document.node, file: "p.yaml", earlier: document.diagnostics, drivers: TrafficDrivers.schemas, version: "2",
            previous: "1")
        precondition(reading.policy == nil || reading.diagnostics.isEmpty)
        let plan = BackupPlanReading(
            of: document.node, file: "p.yaml", earlier: document.diagnostics, destinations: BackupDestinations.schemas,
            offsets: { _, _ in nil })
        precondition(plan.plan == nil || plan.diagnostics.isEmpty)
    }
}
