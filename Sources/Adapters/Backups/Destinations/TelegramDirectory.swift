internal import SerinCatalogue
internal import SerinModel

/// What a chat holds, kept as one pinned document of the chat itself: bots can neither list messages nor ask for old ones.
struct TelegramDirectory: Hashable, Sendable {
    /// One message with one piece of an object.
    struct Part: Hashable, Sendable {
        var file: String
        var message: Int64
        var size: Int64
        var sha256: String
    }

    /// One object.
    struct Entry: Hashable, Sendable {
        var key: ObjectKey
        var size: Int64
        var sha256: String
        var modified: Instant
        /// False while its parts are sent.
        var isComplete: Bool
        var parts: [Part] = []

        var stored: StoredObject { StoredObject(key: key, size: size, sha256: sha256, modified: modified) }
    }

    /// The message that holds it; nil: none was sent yet.
    var message: Int64?
    /// Sorted by key; a key stands once.
    private(set) var entries: [Entry] = []

    subscript(key: ObjectKey) -> Entry? {
        get { entries.first { $0.key == key } }
        set {
            entries.removeAll { $0.key == key }
            if let newValue { entries.append(newValue) }
            entries.sort { $0.key < $1.key }
        }
    }

    init(message: Int64?) { self.message = message }

    /// Reads the document; nil when it is none.
    init?(_ bytes: [UInt8], message: Int64) {
        // A document that is no JSON is no directory.
        guard let value = try? JSONValue(parsing: bytes, byteLimit: 19 << 20), value["serin-directory"]?.integer == 1,
            let items = value["objects"]?.items
        else { return nil }
        self.message = message
        for item in items {
            guard let key = item["key"]?.text.flatMap(ObjectKey.init), let size = item["size"]?.integer, size >= 0,
                let sha256 = item["sha256"]?.text, let parts = item["parts"]?.items,
                let modified = item["modified"]?.integer.map(Instant.init(millisecondsSince1970:)),
                Instant.plausible.contains(modified)
            else { return nil }
            var entry = Entry(
                key: key, size: size, sha256: sha256, modified: modified,
                isComplete: item["complete"] == .bool(true))
            for part in parts {
                guard let file = part["file"]?.text, let message = part["message"]?.integer, let size = part["size"]?.integer,
                    size >= 0,
                    let sha256 = part["sha256"]?.text
                else { return nil }
                entry.parts.append(Part(file: file, message: message, size: size, sha256: sha256))
            }
            entries.append(entry)
        }
    }

    /// The document.
    var bytes: [UInt8] {
        let objects = entries.map { entry in
            JSONValue.object([
                "key": .string(entry.key.description), "size": .integer(entry.size), "sha256": .string(entry.sha256),
                "modified": .integer(entry.modified.millisecondsSince1970), "complete": .bool(entry.isComplete),
                "parts": .array(
                    entry.parts.map { part in
                        .object([
                            "file": .string(part.file), "message": .integer(part.message), "size": .integer(part.size),
                            "sha256": .string(part.sha256),
                        ])
                    }),
            ])
        }
        return JSONValue.object(["serin-directory": .integer(1), "objects": .array(objects)]).canonicalBytes
    }
}
