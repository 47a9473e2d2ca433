internal import Glibc
internal import SerinModel
internal import SerinRollouts

/// A file whose appearance halts a service's rollout, for when nothing else works: what is written in it is the reason, and its
/// owner is the person.
struct HaltFile: Sendable {
    /// The longest reason read, in bytes.
    static let limit = 1024

    let path: String

    /// The halt that it asks for; nil when it is not there.
    func command() -> Command? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        let reason = status.st_mode & S_IFMT == S_IFREG ? text() : ""
        return Command(.halt, by: .uid(status.st_uid), reason: reason.isEmpty ? "the halt file appeared" : reason)
    }

    /// Takes it away.
    func remove() { unlink(path) }

    /// What is written in it, on one line.
    private func text() -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        // Whoever may not be read halts without a reason.
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.limit)
        let count = read(descriptor, &bytes, bytes.count)
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        return plain(text.split(whereSeparator: \.isWhitespace).joined(separator: " "))
    }
}
