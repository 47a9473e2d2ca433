public import SerinModel
internal import SerinRecords

/// A drill's report with an authentication code, by the key that seals the manifests: whoever is shown it later can ask whether
/// these very words were written by the holder of the key.
///
/// The code is HMAC-SHA-256 over `serin drill report`, a line end and the report: its canonical document, or its Markdown text.
public enum DrillSeal {
    private static let mark = "Authentication code: `"

    private static func code(_ bytes: [UInt8], _ authenticate: Manifest.Authentication) throws(ManifestError) -> String {
        let code = authenticate(Array("serin drill report\n".utf8) + bytes)
        guard code.utf8.count == 64 else { throw ManifestError("the authentication code could not be computed") }
        return code
    }

    /// The report for people; its last line is the code.
    public static func text(_ report: DrillReport, by authenticate: Manifest.Authentication) throws(ManifestError) -> String {
        let text = report.markdown + "\n"
        return text + mark + (try code(Array(text.utf8), authenticate)) + "`\n"
    }

    /// The document; its member `mac` is the code.
    public static func document(
        _ report: DrillReport, by authenticate: Manifest.Authentication
    ) throws(ManifestError) -> JSONValue {
        let mac = try code(try report.json(), authenticate)
        let value: JSONValue
        do throws(RecordError) { value = try CanonicalEncoder.encode(report) } catch {
            throw ManifestError("the report cannot be written \(error)")
        }
        guard case .object(var members) = value else { throw ManifestError("the report is no document") }
        members.append(.init("mac", .string(mac)))
        return .object(members)
    }

    /// Judges what stands in a file, in either form.
    ///
    /// - Parameter former: The authentications with the keys that were used before, which are believed too.
    /// - Returns: Which drill it is about: `Drill 1a2b3c4d: passed`.
    public static func check(
        _ bytes: [UInt8], by authenticate: @escaping Manifest.Authentication, former: [Manifest.Authentication] = []
    ) throws(ManifestError) -> String {
        let known = [authenticate] + former
        return bytes.first == UInt8(ascii: "{") ? try checkDocument(bytes, known) : try checkText(bytes, known)
    }

    private static func isCode(
        _ mac: String, of bytes: [UInt8], by known: [Manifest.Authentication]
    ) throws(ManifestError) -> Bool {
        for authenticate in known where Manifest.equal(try code(bytes, authenticate), mac) { return true }
        return false
    }

    private static func checkDocument(
        _ bytes: [UInt8], _ known: [Manifest.Authentication]
    ) throws(ManifestError) -> String {
        let report: DrillReport
        let mac: String?
        do {
            guard case .object(var members) = try JSONValue(parsing: bytes, depthLimit: 32) else {
                throw ManifestError("it is no object")
            }
            mac = members.first { $0.key == "mac" }?.value.text
            members.removeAll { $0.key == "mac" }
            report = try CanonicalDecoder.decode(DrillReport.self, from: .object(members))
        } catch { throw ManifestError("it is no report of a drill: \(error)") }
        guard let mac, try isCode(mac, of: try report.json(), by: known) else {
            throw ManifestError("its authentication code is missing or not that of these words")
        }
        return "Drill \(report.result.id): \(report.result.passed ? "passed" : "failed")"
    }

    private static func checkText(_ bytes: [UInt8], _ known: [Manifest.Authentication]) throws(ManifestError) -> String {
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = text.parts(at: "\n", keepingEmpty: true)
        guard let title = lines.first, title.hasPrefix("# Drill "), let place = lines.lastIndex(where: { $0.hasPrefix(mark) }),
            lines[(place + 1)...].allSatisfy({ $0.isEmpty })
        else { throw ManifestError("it is no report of a drill, or one without an authentication code") }
        let body = lines[..<place].map { $0 + "\n" }.joined()
        let mac = String(lines[place].dropFirst(mark.count).prefix { $0 != "`" })
        guard try isCode(mac, of: Array(body.utf8), by: known) else {
            throw ManifestError("its authentication code is not that of these words")
        }
        return String(title.dropFirst(2))
    }
}
