import FoundationEssentials
import Glibc
import SerinModel
import SerinSQLite
import Testing

/// A state folder of one test, removed with it.
final class Folder: Sendable {
    let root: String
    let state: StateFolder

    init() throws {
        var template = Array("/tmp/serin-store-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        state = StateFolder(under: root, service: try #require(ServiceName("checkout")))
    }

    deinit {
        // A folder that cannot be removed is left for the system's own cleaning.
        _ = try? FileManager.default.removeItem(atPath: root)
    }
}
