internal import Glibc
internal import SerinCatalogue
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses

/// Any other store, through programs of one's own. No shell is involved; the protocol is in docs/destinations.md.
///
/// Each verb is a line of words. `{{key}}`, `{{file}}`, `{{version}}` and `{{prefix}}` in a word are replaced; a value never becomes
/// several words. The program reads the same as one JSON object and answers with lines of JSON and an exit status.
struct CommandDestination: BackupDestination {
    static let definition = DestinationDefinition(schema: schema) { settings throws(Failure) in
        let settings = try Settings(DriverValues(settings, schema: schema))
        return DestinationDefinition.Prepared(traits: Settings.traits) { CommandDestination(settings, $0) }
    }

    private enum Verb: String, CaseIterable {
        case put, head, get, list, delete, replace
    }

    private static let schema = DriverSchema(
        name: "command", help: "programs of one's own",
        fields: Verb.allCases.map {
            DriverSchema.Field($0.rawValue, .text, help: "the program and arguments that \($0.rawValue)")
        } + [
            DriverSchema.Field("label", .name, help: "what messages call it"),
            DriverSchema.Field("timeout", .duration, help: "for one run", isRequired: false, fallback: "1h"),
        ] + DriverValues.secretFields("secret", help: "given to the programs as SERIN_SECRET"))

    /// The programs and settings, checked.
    private struct Settings: Sendable {
        /// Where programs store is for the plan to say.
        static let traits = DestinationTraits(isOffsite: false)
        let label: String
        let templates: [Verb: [String]]
        let secret: SecretReference?
        let timeout: Duration

        init(_ values: DriverValues) throws(Failure) {
            var templates: [Verb: [String]] = [:]
            for verb in Verb.allCases {
                templates[verb] = try values.required(verb.rawValue).split(separator: " ").map(String.init)
                guard templates[verb]?.first?.hasPrefix("/") == true else {
                    throw Failure(
                        .invalid, "setting '\(verb.rawValue)': expected the absolute path of a program and its arguments")
                }
            }
            self.templates = templates
            label = try values.required("label")
            secret = try values.secret("secret")
            timeout = values.duration("timeout") ?? .hours(1)
        }
    }

    private let settings: Settings
    private let environment: DestinationEnvironment
    var name: String { "command:" + settings.label }
    var traits: DestinationTraits { Settings.traits }

    private init(_ settings: Settings, _ environment: DestinationEnvironment) {
        self.settings = settings
        self.environment = environment
    }

    func probe() async throws(Failure) -> DestinationFacts {
        let probe = try ProbeObject(at: environment.now())
        let stored = try await environment.retries.agreeing(
            "what was written to \(probe.key) at \(name) reads back differently"
        ) {
            () throws(Failure) in
            let stored = try await replace(probe.key, with: probe.bytes)
            return try await read(probe.key) == probe.bytes ? stored : nil
        }
        await probe.remove(stored, from: self)
        return DestinationFacts(isWritable: true)
    }

    func put(_ upload: Upload) async throws(Failure) -> StoredObject {
        try refuseUnfit(upload)
        return try await environment.retries.run { _ throws(Failure) in
            if let found = try await headOnce(upload.key, nil) {
                if found.size == upload.size, try await fetch(upload.key, nil, to: nil, limit: found.size).sha256 == upload.sha256
                {
                    return found
                }
                throw Failure(
                    .conflict, "cannot store \(upload.key) at \(name): the key holds another object of \(found.size) bytes")
            }
            let metadata = upload.metadata.map { JSONValue.Member($0.key, .string($0.value)) }
            let answer = try await run(
                .put, upload.key, file: upload.file,
                more: [
                    JSONValue.Member("size", .integer(upload.size)), JSONValue.Member("sha256", .string(upload.sha256)),
                    JSONValue.Member("metadata", .sortedObject(metadata)),
                ])
            let version = answer?.last?["version"]?.text
            guard let found = try await headOnce(upload.key, version), found.size == upload.size else {
                throw Failure(.invalid, "cannot store \(upload.key) at \(name): it was accepted, but no such object is there")
            }
            return found
        }
    }

    func head(_ key: ObjectKey, version: String?) async throws(Failure) -> StoredObject? {
        try await environment.retries.run { _ throws(Failure) in try await headOnce(key, version) }
    }

    private func headOnce(_ key: ObjectKey, _ version: String?) async throws(Failure) -> StoredObject? {
        guard let answer = try await run(.head, key, version: version) else { return nil }
        guard let line = answer.last, let size = line["size"]?.integer, size >= 0 else {
            throw Failure(.invalid, "the program for head of \(name) answered without a size")
        }
        return object(key, size, line)
    }

    private func object(_ key: ObjectKey, _ size: Int64, _ line: JSONValue) -> StoredObject {
        StoredObject(
            key: key, size: size, version: line["version"]?.text, sha256: line["sha256"]?.text,
            modified: line["modified"]?.text.flatMap { moment(rfc3339: $0) })
    }

    func get(_ key: ObjectKey, version: String?, to path: String?, limit: Int64) async throws(Failure) -> FetchedObject {
        try await environment.retries.run { _ throws(Failure) in try await fetch(key, version, to: path, limit: limit) }
    }

    private func fetch(_ key: ObjectKey, _ version: String?, to path: String?, limit: Int64) async throws(Failure)
        -> FetchedObject
    {
        // Its size is asked for first: the program writes the file, so nothing else limits it.
        guard let found = try await headOnce(key, version) else { throw missing(key, version) }
        guard found.size <= limit else { throw Failure(.invalid, "\(key) at \(name) is longer than \(limit) bytes") }
        let target = try SerinBackups.target(path)
        var isKept = false
        defer { if path == nil || !isKept { removeFile(target) } }
        // Made here, so that it is private whatever the program does.
        try await onOwnThread { _ throws(Failure) in try writeFile(target, []) }
        guard try await run(.get, key, version: version, file: target) != nil else { throw missing(key, version) }
        let result = try await onOwnThread { _ throws(Failure) in try SerinBackups.fetched(target) }
        guard result.size <= limit else { throw Failure(.invalid, "\(key) at \(name) is longer than \(limit) bytes") }
        isKept = true
        return result
    }

    func list(prefix: String, limit: Int) async throws(Failure) -> Listing {
        let lines = try await environment.retries.run { _ throws(Failure) in try await run(.list, nil, prefix: prefix) ?? [] }
        // The count comes last: without it a list that was cut short would look whole.
        guard let count = lines.last?["count"]?.integer, count == lines.count - 1 else {
            throw Failure(.invalid, "the list of \(name) does not end with the count of its lines")
        }
        guard count <= limit else {
            throw Failure(.invalid, "there are more than \(limit) objects at \(name) that begin with '\(prefix)'")
        }
        var objects: [StoredObject] = []
        var foreign: [String] = []
        for line in lines.dropLast() {
            let text = line["key"]?.text ?? ""
            guard let size = line["size"]?.integer, size >= 0 else {
                throw Failure(
                    .invalid, "the list of \(name) has a line without a size: \(line.canonicalText.prefix(200))",
                    hint: "each object is a line with its key and its size in bytes")
            }
            guard let key = ObjectKey(text) else {
                foreign.append(text)
                continue
            }
            if text.hasPrefix(prefix) { objects.append(object(key, size, line)) }
        }
        return Listing(objects: objects, foreign: foreign)
    }

    func delete(_ key: ObjectKey, version: String?) async throws(Failure) {
        try await environment.retries.run { _ throws(Failure) in
            _ = try await run(.delete, key, version: version)
            if try await headOnce(key, version) != nil {
                throw Failure(.transient, "\(key) is still at \(name) after it was deleted")
            }
        }
    }

    /// What a program leaves behind, only it knows.
    func pending() async throws(Failure) -> [PendingUpload] { [] }

    func abort(_ upload: PendingUpload) async throws(Failure) {}

    func replace(_ key: ObjectKey, with bytes: [UInt8]) async throws(Failure) -> StoredObject {
        let path = try TemporaryFile.path()
        try await onOwnThread { _ throws(Failure) in try writeFile(path, bytes) }
        defer { removeFile(path) }
        return try await environment.retries.run { _ throws(Failure) in
            _ = try await run(.replace, key, file: path, more: [JSONValue.Member("size", .integer(bytes.count))])
            guard let found = try await headOnce(key, nil), found.size == Int64(bytes.count) else {
                throw Failure(.transient, "\(key) at \(name) is not what was written")
            }
            return found
        }
    }

    /// One run: the lines of JSON that the program wrote; nil when it says that there is no such object.
    private func run(
        _ verb: Verb, _ key: ObjectKey?, version: String? = nil, file: String? = nil, prefix: String? = nil,
        more: [JSONValue.Member] = []
    ) async throws(Failure) -> [JSONValue]? {
        let given = [("key", key?.description), ("file", file), ("version", version), ("prefix", prefix)]
        let words = (settings.templates[verb] ?? []).map { word in
            given.reduce(word) { $0.rewriting("{{\($1.0)}}", as: $1.1 ?? "") }
        }
        let members =
            [JSONValue.Member("verb", .string(verb.rawValue))]
            + given.compactMap { name, value in value.map { JSONValue.Member(name, .string($0)) } } + more
        var variables = ["PATH": "/usr/local/bin:/usr/bin:/bin"]
        if let secret = settings.secret { variables["SERIN_SECRET"] = try await environment.secret(secret) }
        let program = Program(
            words.first ?? "", Array(words.dropFirst()), environment: variables,
            input: JSONValue.sortedObject(members).canonicalBytes + [0x0A], deadline: settings.timeout, outputLimit: 16 << 20,
            kept: .end)
        let completion = try await program.run()
        let what = "the program for \(verb.rawValue)\(key.map { " of \($0)" } ?? "") at \(name)"
        switch completion.termination {
        case .exited(0):
            return try answer(completion, what)
        case .exited(4): return nil
        case .exited(let status):
            let kinds: [Int32: FailureClass] = [3: .conflict, 75: .transient, 77: .denied]
            throw Failure(kinds[status] ?? .invalid, "\(what) ended with status \(status): \(lastWords(completion, variables))")
        case .signalled(let signal): throw Failure(.unknown, "\(what) was ended by signal \(signal)")
        case .timedOut where Task.isCancelled: throw Failure(.unknown, "\(what) was interrupted")
        case .timedOut: throw Failure(.unknown, "\(what) did not end within \(settings.timeout)")
        }
    }

    private func answer(_ completion: Completion, _ what: String) throws(Failure) -> [JSONValue] {
        guard !completion.isTruncated else { throw Failure(.invalid, "\(what) wrote more than 16 MiB") }
        var lines: [JSONValue] = []
        for line in completion.output.split(separator: 0x0A) where line.first == 0x7B {
            do throws(JSONError) { lines.append(try JSONValue(parsing: line, depthLimit: 8)) } catch {
                throw Failure(.invalid, "\(what) answered with a line that is no JSON: \(error)")
            }
        }
        return lines
    }

    private func lastWords(_ completion: Completion, _ variables: [String: String]) -> String {
        let text = String(completion.text.textLines().last?.suffix(300) ?? "no words")
        guard let secret = variables["SERIN_SECRET"], !secret.isEmpty else { return text }
        return text.rewriting(secret, as: "…")
    }
}
