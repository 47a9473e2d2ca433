internal import SerinModel
internal import SerinPolicies

/// Reads secrets where references point to, each time they are needed. Nothing is kept.
struct Secrets: Sendable {
    /// The longest secret read from a file, in bytes.
    static let limit = 64 << 10

    let environment: [String: String]

    /// The text behind a reference, without a line end behind it.
    func read(_ reference: SecretReference) throws(Failure) -> String {
        switch reference {
        case .environment(let name):
            guard let value = environment[name], !value.isEmpty else {
                throw Failure(
                    .denied, "the environment variable \(name) is not set",
                    hint: "set it for the process that controls the rollout")
            }
            return value
        case .file(let path): return try contents(of: path)
        case .credential(let name):
            guard let folder = environment["CREDENTIALS_DIRECTORY"] else {
                throw Failure(
                    .denied, "there is no credential '\(name)': CREDENTIALS_DIRECTORY is not set",
                    hint: "systemd sets it for services with LoadCredential=")
            }
            return try contents(of: folder + "/" + name)
        }
    }

    /// The text of a file that a plan names, which is no secret.
    func read(plansFile path: String) throws(Failure) -> String { try contents(of: path, "the plan's file") }

    private func contents(of path: String, _ what: String = "the secret in") throws(Failure) -> String {
        guard let bytes = try SerinCommandLine.contents(ofFile: path, limit: Self.limit) else {
            throw Failure(.denied, "cannot read \(what) \(path): no such file")
        }
        guard !bytes.isEmpty else { throw Failure(.denied, "\(what) \(path) is empty") }
        guard var text = String(validating: bytes, as: UTF8.self) else {
            throw Failure(.invalid, "\(what) \(path) is no text of at most \(Self.limit) bytes")
        }
        while text.last == "\n" || text.last == "\r\n" || text.last == "\r" { text.removeLast() }
        return text
    }
}
