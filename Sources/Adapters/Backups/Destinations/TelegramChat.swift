internal import SerinCatalogue
internal import SerinCrypto
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses
internal import SerinTransport

/// A chat of Telegram, written by a bot. Objects go in parts, and only encrypted: a chat is no vault.
///
/// The pinned message of the chat is the directory of all objects. Targets may share a chat: whoever changes the directory holds the
/// lock of its bot, reads it again, changes its own entry alone and looks whether that is what stands there now. Deleting takes
/// messages out of the chat; whether Telegram erases the bytes is its own affair.
struct TelegramChat: BackupDestination {
    static let definition = DestinationDefinition(schema: schema) { settings throws(Failure) in
        let settings = try Settings(DriverValues(settings, schema: schema))
        return DestinationDefinition.Prepared(traits: settings.traits) { TelegramChat(settings, $0) }
    }

    private static let schema = DriverSchema(
        name: "telegram", help: "a chat of Telegram, written by a bot; encrypted objects only",
        fields: [
            DriverSchema.Field("chat", .text, help: "the chat's number or @name"),
            DriverSchema.Field(
                "api", .url, help: "the Bot API; a server of one's own takes larger parts", isRequired: false,
                fallback: "https://api.telegram.org"),
            DriverSchema.Field(
                "part_size", .bytes, help: "how long parts are; the hosted API gives back at most 20 MB", isRequired: false,
                fallback: "19MiB"),
            DriverSchema.Field("max_object", .bytes, help: "the longest object stored", isRequired: false, fallback: "2GB"),
        ] + DriverValues.secretFields("token", help: "the bot's token") + HTTPPlace.fields)

    /// The settings of a chat, checked.
    private struct Settings: Sendable {
        let chat: String
        let token: SecretReference
        let place: HTTPPlace
        let partSize: Int64
        let traits: DestinationTraits

        init(_ values: DriverValues) throws(Failure) {
            chat = try values.required("chat")
            let isName =
                chat.hasPrefix("@") && chat.dropFirst().allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
            guard isName || Int64(chat) != nil else { throw Failure(.invalid, "setting 'chat': expected a number or @name") }
            guard let token = try values.secret("token") else {
                throw Failure(.invalid, "a chat needs one of token_env, token_file and token_cred")
            }
            self.token = token
            let api = try values.required("api")
            place = try HTTPPlace(api, values)
            let isHosted = place.authority.lowercased() == "api.telegram.org"
            partSize = values.bytes("part_size") ?? (19 << 20)
            let most: Int64 = isHosted ? 20_000_000 : 1900 << 20
            guard (1...most).contains(partSize) else {
                throw Failure(
                    .invalid, "setting 'part_size': \(partSize) bytes, at most \(most) can be read back",
                    hint: isHosted ? "a Bot API server of your own (api:) takes up to 1900MiB" : nil)
            }
            traits = DestinationTraits(
                isOffsite: true, requiresEncryption: true, objectLimit: values.bytes("max_object"))
        }
    }

    private let settings: Settings
    private let bot: TelegramBot
    private let environment: DestinationEnvironment
    var name: String { "telegram:" + settings.chat }
    var traits: DestinationTraits { settings.traits }
    private var partSize: Int64 { settings.partSize }

    private init(_ settings: Settings, _ environment: DestinationEnvironment) {
        self.settings = settings
        self.environment = environment
        bot = TelegramBot(place: settings.place, chat: settings.chat, token: settings.token, environment: environment)
    }

    func probe() async throws(Failure) -> DestinationFacts {
        if try await load().message == nil {
            try await change { _ in }
        } else {
            try await probeByMessage()
        }
        var facts = DestinationFacts(isWritable: true)
        facts.versioning = false
        facts.objectLock = false
        return facts
    }

    /// Sends a small document, reads it and takes it away: the directory is written only for what it is to hold.
    private func probeByMessage() async throws(Failure) {
        let probe = try ProbeObject(at: environment.now())
        let sent = try await environment.retries.run { _ throws(Failure) in
            try await bot.send([.bytes(probe.bytes)], name: "serin-probe", caption: "\(probe.key)")
        }
        let read: Downloaded
        do throws(Failure) {
            read = try await environment.retries.run { _ throws(Failure) in
                try await bot.download(sent.file, to: nil, limit: 1 << 10)
            }
        } catch {
            // The failure to read it is what is told.
            try? await delete(message: sent.message)
            throw error
        }
        try await delete(message: sent.message)
        guard Hexadecimal.text(of: read.sha256) == (try digest(of: probe.bytes)) else {
            throw Failure(.invalid, "what was sent to \(name) reads back differently")
        }
    }

    func put(_ upload: Upload) async throws(Failure) -> StoredObject {
        try refuseUnfit(upload)
        if let entry = try await load()[upload.key] {
            if entry.isComplete {
                if entry.size == upload.size, entry.sha256 == upload.sha256 { return entry.stored }
                throw Failure(
                    .conflict, "cannot store \(upload.key) at \(name): the key holds another object of \(entry.size) bytes")
            }
            // What an earlier try sent is dropped: its parts may be of another file.
            try await drop(entry)
        }
        var entry = TelegramDirectory.Entry(
            key: upload.key, size: upload.size, sha256: upload.sha256, modified: environment.now(), isComplete: false)
        do throws(Failure) {
            var offset: Int64 = 0
            while offset < upload.size {
                let count = min(partSize, upload.size - offset)
                let start = offset
                let sum = try await onOwnThread { _ throws(Failure) in try digest(of: upload.file, offset: start, count: count) }
                try await add(
                    [.file(path: upload.file, offset: offset, count: count)], count, sum, to: &entry,
                    caption: "\(upload.key) part \(entry.parts.count + 1)")
                // Written after every part: what a killed upload leaves behind is then known.
                try await write(entry)
                offset += count
            }
            entry.isComplete = true
            try await write(entry)
        } catch {
            // What cannot be removed now, `pending` names later.
            try? await drop(entry)
            throw error
        }
        guard let stored = try await head(upload.key, version: nil) else { throw missing(upload.key, nil) }
        return stored
    }

    private func add(
        _ pieces: [BodyPiece], _ count: Int64, _ sum: String, to entry: inout TelegramDirectory.Entry, caption: String
    ) async throws(Failure) {
        let name = "part-\(entry.parts.count + 1)"
        let sent = try await environment.retries.run { _ throws(Failure) in
            try await bot.send(pieces, name: name, caption: caption)
        }
        entry.parts.append(TelegramDirectory.Part(file: sent.file, message: sent.message, size: count, sha256: sum))
    }

    func head(_ key: ObjectKey, version: String?) async throws(Failure) -> StoredObject? {
        try await load()[key].flatMap { $0.isComplete ? $0.stored : nil }
    }

    func get(_ key: ObjectKey, version: String?, to path: String?, limit: Int64) async throws(Failure) -> FetchedObject {
        guard let entry = try await load()[key], entry.isComplete else { throw missing(key, version) }
        guard entry.size <= limit else { throw Failure(.invalid, "\(key) at \(name) is longer than \(limit) bytes") }
        let collected = try target(path)
        var isKept = false
        defer { if path == nil || !isKept { removeFile(collected) } }
        try await onOwnThread { _ throws(Failure) in try writeFile(collected, []) }
        for (index, part) in entry.parts.enumerated() {
            let piece = try TemporaryFile.path()
            defer { removeFile(piece) }
            let downloaded = try await environment.retries.run { _ throws(Failure) in
                removeFile(piece)
                return try await bot.download(part.file, to: piece, limit: part.size)
            }
            guard downloaded.byteCount == part.size, Hexadecimal.text(of: downloaded.sha256) == part.sha256 else {
                throw Failure(
                    .invalid, "part \(index + 1) of \(key) at \(name) is not what was stored: its size or SHA-256 differs")
            }
            try await onOwnThread { _ throws(Failure) in try append(piece, to: collected) }
        }
        let result = try await onOwnThread { _ throws(Failure) in try fetched(collected) }
        isKept = true
        return result
    }

    func list(prefix: String, limit: Int) async throws(Failure) -> Listing {
        let found = try await load().entries.filter { $0.isComplete && $0.key.description.hasPrefix(prefix) }
        guard found.count <= limit else {
            throw Failure(.invalid, "there are more than \(limit) objects at \(name) that begin with '\(prefix)'")
        }
        return Listing(objects: found.map(\.stored))
    }

    func delete(_ key: ObjectKey, version: String?) async throws(Failure) {
        if let entry = try await load()[key] { try await drop(entry) }
        if try await load()[key] != nil {
            throw Failure(.transient, "\(key) is still at \(name) after it was deleted")
        }
    }

    func pending() async throws(Failure) -> [PendingUpload] {
        try await load().entries.filter { !$0.isComplete }.map {
            PendingUpload(key: $0.key, reference: $0.key.description, started: $0.modified)
        }
    }

    func abort(_ upload: PendingUpload) async throws(Failure) {
        guard let key = upload.key, let entry = try await load()[key], !entry.isComplete else { return }
        try await drop(entry)
    }

    func replace(_ key: ObjectKey, with bytes: [UInt8]) async throws(Failure) -> StoredObject {
        let sum = try digest(of: bytes)
        var entry = TelegramDirectory.Entry(
            key: key, size: Int64(bytes.count), sha256: sum, modified: environment.now(), isComplete: true)
        try await add([.bytes(bytes)], entry.size, sum, to: &entry, caption: "\(key)")
        let written = entry
        var replaced: Set<Int64> = []
        try await change { directory in
            replaced.formUnion(directory[key]?.parts.map(\.message) ?? [])
            directory[key] = written
        }
        for message in replaced.subtracting(entry.parts.map(\.message)) { try await delete(message: message) }
        return entry.stored
    }

    /// Removes the messages of an object, then its entry.
    private func drop(_ entry: TelegramDirectory.Entry) async throws(Failure) {
        for part in entry.parts { try await delete(message: part.message) }
        try await change { $0[entry.key] = nil }
    }

    private func write(_ entry: TelegramDirectory.Entry) async throws(Failure) {
        try await change { $0[entry.key] = entry }
    }

    private func delete(message: Int64) async throws(Failure) {
        try await environment.retries.run { _ throws(Failure) in try await bot.delete(message) }
    }

    /// Changes the directory as it stands there now, under the lock of the bot, and looks whether the change is there afterwards:
    /// another machine knows nothing of the lock. The change may be made several times.
    private func change(_ edit: (inout TelegramDirectory) -> Void) async throws(Failure) {
        let lock = try await DirectoryLock.taken(
            in: environment.lockFolder, name: "telegram-\(try await bot.number())", for: "the directory of \(name)")
        defer { lock.release() }
        try await environment.retries.agreeing(
            "the directory of \(name) reads back differently from what was written, as if another machine wrote it too"
        ) { () throws(Failure) -> Void? in
            var directory = try await load()
            let before = directory
            edit(&directory)
            if directory == before, directory.message != nil { return () }
            guard try await save(&directory) else { return nil }
            return try await load() == directory ? () : nil
        }
    }

    private func load() async throws(Failure) -> TelegramDirectory {
        try await environment.retries.run { _ throws(Failure) in
            guard let pinned = try await bot.pinned() else { return TelegramDirectory(message: nil) }
            let path = try TemporaryFile.path()
            defer { removeFile(path) }
            _ = try await bot.download(pinned.file, to: path, limit: 19 << 20)
            let bytes = try await onOwnThread { _ throws(Failure) in try readFile(path, limit: 19 << 20) }
            guard let directory = TelegramDirectory(bytes, message: pinned.message) else {
                throw Failure(
                    .conflict, "the message pinned in the chat of \(name) is no directory of Serin's",
                    hint: "use a chat of its own for backups, with nothing pinned")
            }
            return directory
        }
    }

    /// False when somebody else pinned a first directory in the meantime.
    private func save(_ directory: inout TelegramDirectory) async throws(Failure) -> Bool {
        let bytes = directory.bytes
        guard bytes.count <= 19 << 20 else { throw Failure(.invalid, "the directory of \(name) has grown over 19 MiB") }
        if let message = directory.message {
            try await environment.retries.run { _ throws(Failure) in
                try await bot.edit(message, bytes, name: "serin-directory.json")
            }
            return true
        }
        let sent = try await environment.retries.run { _ throws(Failure) in
            try await bot.send([.bytes(bytes)], name: "serin-directory.json", caption: "directory of backups; keep it pinned")
        }
        let pinned = try await environment.retries.run { _ throws(Failure) in try await bot.pinned()?.message }
        guard pinned == nil else {
            try await delete(message: sent.message)
            return false
        }
        try await environment.retries.run { _ throws(Failure) in try await bot.pin(sent.message) }
        directory.message = sent.message
        return true
    }
}
