internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts
internal import SerinYAML

/// What a command line says about a policy and its release.
struct PolicyArguments: Sendable {
    var file: String
    var version: String?
    var previous: String?
    var overrides: [Override]

    init(_ input: inout Arguments, needsVersion: Bool) throws(UsageError) {
        version = try input.text("-V", "--version", value: "VERSION", help: "the version to release")
        previous = try input.text("--previous", value: "VERSION", help: "the version it is compared with and goes back to")
        let pairs = try input.every(
            "--override", value: "KEY=VALUE", help: "deviate from the policy, for the log, such as bake=40s; needs --reason"
        ) { text -> (key: String, value: String)? in
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else { return nil }
            return (String(text[..<equals]), String(text[text.index(after: equals)...]))
        }
        let reason = try input.text("-m", "--reason", value: "TEXT", help: "why the policy is overridden")
        file = try input.positional("POLICY", help: "a policy file; - reads standard input")
        if needsVersion, version == nil, !input.isDescribing {
            throw UsageError("missing --version VERSION", hint: "the version to release")
        }
        guard pairs.isEmpty || reason != nil && reason != "" || input.isDescribing else {
            throw UsageError("missing --reason TEXT", hint: "an override is journaled with its reason")
        }
        overrides = pairs.map { Override(key: $0.key, value: $0.value, reason: reason ?? "") }
    }

    /// Reads the file.
    func source() async throws(OperationError) -> PolicySource {
        let name = file == "-" ? PolicySource.standardInput : file
        return PolicySource(
            file: name, text: try await Self.text(of: file), version: version, previous: previous, overrides: overrides)
    }

    /// The text of what a command line names: a file, a pipe, or standard input, which are waited for.
    static func text(of file: String, kind: String = "policy") async throws(OperationError) -> String {
        let name = file == "-" ? PolicySource.standardInput : file
        let bytes: [UInt8]
        do throws(GivenFile.Fault) {
            bytes = try await GivenFile.bytes(of: file, limit: YAMLLimits().bytes)
        } catch { throw .notFound("cannot read the \(kind) \(name): \(error.words)") }
        return try text(saying: bytes, file: name)
    }

    /// The text of what another file names, or what is read again and again: a regular file, which nobody has to wait for.
    static func text(ofRegular file: String, kind: String) throws(OperationError) -> String {
        let bytes: [UInt8]?
        do throws(Failure) { bytes = try contents(ofFile: file, limit: YAMLLimits().bytes + 1) } catch {
            throw .notFound(error.message)
        }
        guard let bytes else { throw .notFound("cannot read the \(kind) \(file): \(String(cString: strerror(ENOENT)))") }
        return try text(saying: bytes, file: file)
    }

    private static func text(saying bytes: [UInt8], file: String) throws(OperationError) -> String {
        if let complaint = complaint(aboutTextOf: bytes, file: file) { throw .invalid([complaint]) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension PolicySource {
    /// What a policy is called that came by no file.
    static let standardInput = "standard input"

    /// Whether there is no file to name in a command.
    var isStandardInput: Bool { file == Self.standardInput }

    /// What starts a rollout of it.
    var startRequest: StartRequest {
        StartRequest(
            policyText: text, policyFile: wholePath, version: version ?? "", previous: previous, overrides: overrides)
    }

    /// What is asked about it before a rollout. Overrides are not part of it.
    var question: PolicyQuestion {
        PolicyQuestion(text: text, file: wholePath, version: version, previous: previous, isOffline: false)
    }

    /// What another process is told of the file: what it names by relative paths has to be found from anywhere.
    private var wholePath: String {
        guard !file.hasPrefix("/"), let here = getcwd(nil, 0) else { return file }
        defer { free(here) }
        return "\(String(cString: here))/\(file)"
    }
}
