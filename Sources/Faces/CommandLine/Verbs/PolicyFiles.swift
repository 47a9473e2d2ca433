internal import Glibc
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
    func source() throws(OperationError) -> PolicySource {
        let name = file == "-" ? PolicySource.standardInput : file
        return PolicySource(
            file: name, text: try Self.text(of: file), version: version, previous: previous, overrides: overrides)
    }

    /// The text of a file, or of standard input.
    static func text(of file: String, kind: String = "policy") throws(OperationError) -> String {
        let name = file == "-" ? PolicySource.standardInput : file
        let descriptor = file == "-" ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(name, kind) }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count == 0 { break }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw unreadable(name, kind)
            }
            bytes += buffer.prefix(count)
            // One piece beyond the limit is enough to refuse it.
            if bytes.count > YAMLLimits().bytes { break }
        }
        if let complaint = complaint(aboutTextOf: bytes, file: name) { throw .invalid([complaint]) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func unreadable(_ file: String, _ kind: String) -> OperationError {
        .notFound("cannot read the \(kind) \(file): \(String(cString: strerror(errno)))")
    }

}

extension PolicySource {
    /// What a policy is called that came by no file.
    static let standardInput = "standard input"

    /// Whether there is no file to name in a command.
    var isStandardInput: Bool { file == Self.standardInput }

    /// What starts a rollout of it. The file's whole path is told: what it names by relative paths has to be found from anywhere.
    var startRequest: StartRequest {
        var path = file
        if !file.hasPrefix("/"), let here = getcwd(nil, 0) {
            path = "\(String(cString: here))/\(file)"
            free(here)
        }
        return StartRequest(
            policyText: text, policyFile: path, version: version ?? "", previous: previous, overrides: overrides)
    }
}
