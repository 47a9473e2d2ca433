internal import SerinCrypto
public import SerinModel
public import SerinRecords

/// The JSON document of a part of a service's journal: the entries as they are stored, so that whoever asks can check them.
public enum JournalDocument {
    /// The most entries in one document.
    public static let limit = 64
    /// How many bytes of records end a document early; one entry is always in it.
    static let sizeLimit = 512 << 10

    /// The document of entries that follow one another, with the number to ask from next.
    public static func encode(_ entries: [Entry], after sequence: Int64) -> JSONValue {
        .object([
            "schema": .string("serin.dev/journal/v1"), "entries": .array(entries.map(encode)),
            "next": .integer(entries.last?.sequence ?? sequence),
        ])
    }

    /// As many of the entries as one document takes.
    static func page(_ entries: [Entry]) -> [Entry] {
        var size = 0
        return Array(
            entries.prefix { entry in
                defer { size += entry.body.count }
                return size < sizeLimit
            })
    }

    static func encode(_ entry: Entry) -> JSONValue {
        .object([
            "sequence": .integer(entry.sequence), "epoch": .integer(entry.epoch),
            "rollout": entry.rollout.map { .string($0.description) } ?? .null,
            "at": .integer(entry.at.millisecondsSince1970), "body": .string(String(decoding: entry.body, as: UTF8.self)),
            "previous": .string(Hexadecimal.text(of: entry.previous)), "hash": .string(Hexadecimal.text(of: entry.hash)),
        ])
    }

    /// The entries in a document.
    public static func decode(_ value: JSONValue) throws(DocumentError) -> [Entry] {
        var entries: [Entry] = []
        for item in try DocumentReader(value, name: "journal").get("entries", "a list", { $0.items }) {
            let reader = try DocumentReader(item, name: "entry")
            entries.append(
                Entry(
                    sequence: try reader.get("sequence", "a whole number") { $0.integer },
                    epoch: try reader.get("epoch", "a whole number") { $0.integer },
                    rollout: try reader.optional("rollout", "a rollout's identifier") { $0.text.flatMap { RolloutID($0) } },
                    at: Instant(millisecondsSince1970: try reader.get("at", "a whole number") { $0.integer }),
                    body: Array(try reader.text("body").utf8), previous: try hash(reader, "previous"),
                    hash: try hash(reader, "hash")))
        }
        return entries
    }

    private static func hash(_ reader: DocumentReader, _ key: String) throws(DocumentError) -> [UInt8] {
        try reader.get(key, "a hash in hexadecimal") { $0.text.flatMap { Hexadecimal.bytes(of: $0) } }
    }
}
