internal import SerinCatalogue
internal import SerinModel

/// An archive of `mongodump`, read as it comes: its mark and header, the collections that it promises, and blocks of their documents.
///
/// Every block ends with the same four bytes, so an archive that was cut between two blocks ends like a whole one. Whole is one in
/// which each collection that was promised or begun has its mark of the end. What documents hold is not looked at, and neither is
/// the sum in that mark.
final class MongoArchive: PlainConsumer {
    /// A collection.
    struct Namespace: Hashable, CustomStringConvertible {
        var database: String
        var collection: String
        var description: String { "\(database).\(collection)" }

        /// What the server keeps for itself, which is in an empty server as well.
        var isOfServer: Bool { ["admin", "config", "local", ""].contains(database) || database.hasPrefix("$") }

        /// The collection that holds the measurements of one of time series.
        var buckets: Namespace { Namespace(database: database, collection: "system.buckets.\(collection)") }
    }

    private enum Place {
        case mark
        case header
        case promises
        /// Between two blocks.
        case between
        /// After the head of a block.
        case inside(Namespace)
        /// After a mark of the end.
        case ended(Namespace)
    }

    private static let mark: [UInt8] = [0x6D, 0xE2, 0x99, 0x81]
    private static let terminator: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF]
    /// Documents of the largest size that a server takes are a little larger in an archive.
    private static let largest = 48 << 20

    private var place = Place.mark
    /// What was read of the next length, or of the document that is read.
    private var piece: [UInt8] = []
    /// How many bytes of a document are not kept and are still to come.
    private var skipped = 0
    /// How long the document is that is kept; nil while its length is read.
    private var expected: Int?
    private var broken: String?
    private var begun: Set<Namespace> = []
    private var ended: Set<Namespace> = []
    /// The collections that it promises.
    private(set) var promised: [Namespace] = []

    /// Whether all of the collections that it promises are known.
    var namesAll: Bool {
        switch place {
        case .mark, .header, .promises: false
        case .between, .inside, .ended: true
        }
    }

    /// What is wrong; nil when nothing is.
    var defect: String? {
        if let broken { return broken }
        if case .mark = place { return "what it wrote does not begin like an archive" }
        guard case .between = place, piece.isEmpty, skipped == 0 else { return "the archive ends in the middle of a block" }
        let open = Set(promised.filter { !ended.contains($0) && !ended.contains($0.buckets) }).union(begun.subtracting(ended))
        guard !open.isEmpty else { return nil }
        let names = open.map(\.description).sorted()
        return "the archive has no end of \(names.prefix(5).joined(separator: ", "))" + (names.count > 5 ? ", …" : "")
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) { take(bytes) }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        // It was made without the log of operations, by which a restore would come to one moment.
        let whole = "\(ended.count) collections, each with its end; of no single moment"
        return ConsumerFindings(checks: [BackupCheck("archive", passed: defect == nil, detail: defect ?? whole)])
    }

    func take(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        while broken == nil, !rest.isEmpty {
            if skipped > 0 {
                let count = min(skipped, rest.count)
                skipped -= count
                rest = rest.dropFirst(count)
                continue
            }
            let count = min((expected ?? 4) - piece.count, rest.count)
            piece += rest.prefix(count)
            rest = rest.dropFirst(count)
            if piece.count == expected ?? 4 { act() }
        }
    }

    /// After four bytes, or a whole document.
    private func act() {
        let bytes = piece
        if expected != nil {
            piece = []
            expected = nil
            document(bytes)
        } else if case .mark = place {
            piece = []
            if bytes == Self.mark { place = .header } else { broken = "what it wrote does not begin like an archive" }
        } else if bytes == Self.terminator {
            piece = []
            terminate()
        } else {
            begin(Int(bytes.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }))
        }
    }

    private func terminate() {
        switch place {
        case .promises, .inside, .ended: place = .between
        case .mark, .header, .between: broken = "the archive has the end of a block where none was begun"
        }
    }

    private func begin(_ length: Int) {
        guard (5...Self.largest).contains(length) else {
            broken = "the archive has a document of \(length) bytes"
            return
        }
        switch place {
        case .inside:
            piece = []
            skipped = length - 4
        case .ended(let name): broken = "the archive has documents behind the end of \(name)"
        case .mark, .header, .promises, .between: expected = length
        }
    }

    private func document(_ bytes: [UInt8]) {
        guard let fields = BinaryDocument(bytes) else {
            broken = "the archive has a head that cannot be read"
            return
        }
        if case .header = place {
            place = .promises
            return
        }
        guard let database = fields.texts["db"], let collection = fields.texts["collection"] else {
            broken = "the archive has a head that names no collection"
            return
        }
        let name = Namespace(database: database, collection: collection)
        if case .promises = place {
            // A view has no documents of its own, and no end.
            if !Self.isView(fields) { promised.append(name) }
        } else if fields.flags["EOF"] == true {
            ended.insert(name)
            place = .ended(name)
        } else {
            begun.insert(name)
            place = .inside(name)
        }
    }

    private static func isView(_ fields: BinaryDocument) -> Bool {
        if fields.texts["type"] == "view" { return true }
        // What cannot be read promises documents.
        guard let text = fields.texts["metadata"], let metadata = try? JSONValue(parsing: Array(text.utf8)) else { return false }
        return metadata["type"]?.text == "view"
    }
}

/// The texts and flags of a binary document (BSON) by their names, without those of documents in it.
private struct BinaryDocument {
    private(set) var texts: [String: String] = [:]
    private(set) var flags: [String: Bool] = [:]

    /// - Returns: Nil when it does not hold together.
    init?(_ bytes: [UInt8]) {
        var at = 4
        func number(_ offset: Int) -> Int? {
            guard offset + 4 <= bytes.count else { return nil }
            return Int(bytes[offset..<offset + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
        }
        while at < bytes.count - 1 {
            let type = bytes[at]
            guard let end = bytes[(at + 1)...].firstIndex(of: 0) else { return nil }
            let name = String(decoding: bytes[(at + 1)..<end], as: UTF8.self)
            at = end + 1
            let size: Int?
            switch type {
            case 0x08: size = 1
            case 0x0A: size = 0
            case 0x10: size = 4
            case 0x01, 0x09, 0x11, 0x12: size = 8
            case 0x07: size = 12
            case 0x13: size = 16
            case 0x02: size = number(at).map { $0 + 4 }
            case 0x05: size = number(at).map { $0 + 5 }
            case 0x03, 0x04: size = number(at)
            default: size = nil
            }
            guard let size, size <= bytes.count - 1 - at else { return nil }
            switch type {
            case 0x02:
                guard size > 4 else { return nil }
                texts[name] = String(decoding: bytes[(at + 4)..<(at + size - 1)], as: UTF8.self)
            case 0x08: flags[name] = bytes[at] == 1
            case 0x03, 0x04: guard size >= 5 else { return nil }
            default: break
            }
            at += size
        }
        guard at == bytes.count - 1, bytes[at] == 0 else { return nil }
    }
}
