internal import Glibc
internal import SerinModel
internal import SerinProcesses
internal import SerinRollouts

/// A file whose appearance halts a service's rollout, for when nothing else works: what is written in it is the reason, and its
/// owner is the person.
struct HaltFile: Sendable {
    /// The longest reason read, in bytes.
    static let limit = 1024

    let path: String

    /// The halt that it asks for; nil when it is not there.
    func command() -> Command? {
        guard let status else { return nil }
        let reason = status.st_mode & S_IFMT == S_IFREG ? text() : ""
        return Command(.halt, by: .uid(status.st_uid), reason: reason.isEmpty ? "the halt file appeared" : reason)
    }

    /// Whether it is there.
    var exists: Bool { status != nil }

    private var status: stat? {
        var status = stat()
        // A folder is a service's of that name.
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFDIR ? status : nil
    }

    /// Why no rollout may begin while it is there, when it is the one for every service; nil when it is not there.
    var bar: Refusal? {
        command().map { order in
            Refusal(
                "\(path) halts every rollout (\(order.by): \(order.reason))",
                hint: "rm \(shellWord(path)) once rollouts may go on")
        }
    }

    /// Makes it with a reason, in the name of this process' user. One that is there already does as well.
    func make(reason: String) throws(Failure) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else {
            if errno == EEXIST { return }
            throw Failure(.denied, "cannot make the halt file \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        // Without its reason it halts all the same.
        let bytes = Array(reason.utf8.prefix(Self.limit))
        _ = write(descriptor, bytes, bytes.count)
    }

    /// Takes it away when it was made before a moment.
    func remove(madeBefore moment: Instant) {
        guard let status else { return }
        let made = Instant(
            secondsSince1970: Int64(status.st_mtim.tv_sec), milliseconds: Int64(status.st_mtim.tv_nsec) / 1_000_000)
        if made < moment { remove() }
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
