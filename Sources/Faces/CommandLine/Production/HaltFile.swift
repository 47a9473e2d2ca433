internal import Glibc
internal import SerinLocks
internal import SerinModel
internal import SerinProcesses
internal import SerinRollouts

/// A file whose appearance halts a service's rollout, for when nothing else works: what is written in it is the reason, and its
/// owner is the person.
struct HaltFile: Sendable {
    /// The longest reason read, in bytes.
    static let limit = 1024

    let path: String
    /// Writes into an open file, and returns how many bytes it took.
    var put: @Sendable (Int32, [UInt8]) -> Int = { Glibc.write($0, $1, $1.count) }

    /// What this process could not write into such files.
    var unwritten = UnwrittenHalts()

    /// How a halt was left.
    enum Left: Sendable {
        /// The file is there with its reason.
        case whole
        /// The file is there and halts; its reason is in this process' memory until the disk has room.
        case withoutReason
    }

    /// What is lost when the process ends, of a file without its reason.
    static let keptReason =
        "the disk has no room for who and why: that is kept in memory until it has, and lost if the daemon ends before"
    /// What is lost when the process ends, without a file.
    static let keptHalt = "the halt is kept in memory until it can be left, and lost if the daemon ends before"

    /// The halt that it asks for; nil when it is not there. What the disk had no room for is written now, if it has.
    func command() -> Command? {
        writeLate()
        guard let status else { return kept.map { Command(.halt, by: .uid(getuid()), reason: Self.line($0.reason)) } }
        var reason = status.st_mode & S_IFMT == S_IFREG ? text() : ""
        if let kept { reason = Self.line(kept.reason) }
        return Command(.halt, by: .uid(status.st_uid), reason: reason.isEmpty ? "the halt file appeared" : reason)
    }

    /// Whether it is there, or kept in memory until it can be.
    var exists: Bool { status != nil || kept != nil }

    /// What is kept in memory of it. A file that was taken away, or that says something itself, is what counts.
    private var kept: UnwrittenHalts.Halt? {
        let status = status
        return unwritten.byPath.withLock { halts in
            guard let kept = halts[path] else { return nil }
            if kept.hasFile ? status?.st_size == 0 : status == nil { return kept }
            halts[path] = nil
            return nil
        }
    }

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

    /// Makes it with a reason, in the name of this process' user. One that is there already does as well. What the disk has no room
    /// for is kept in memory, and written when `command` is asked for.
    ///
    /// - Throws: When there is no file; it is kept in memory all the same.
    @discardableResult
    func make(reason: String) throws(Failure) -> Left {
        // The first one is what halted.
        let halt = kept ?? UnwrittenHalts.Halt(reason: reason, at: SystemClock().now(), hasFile: false)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else {
            let error = errno
            if error == EEXIST { return halt.hasFile ? .withoutReason : .whole }
            keep(halt, hasFile: false)
            throw Failure(.denied, "cannot make the halt file \(path): \(String(cString: strerror(error)))")
        }
        defer { close(descriptor) }
        if write(halt.reason, into: descriptor) { return .whole }
        // Without its reason it halts all the same.
        keep(halt, hasFile: true)
        return .withoutReason
    }

    private func keep(_ halt: UnwrittenHalts.Halt, hasFile: Bool) {
        unwritten.byPath.withLock { $0[path] = UnwrittenHalts.Halt(reason: halt.reason, at: halt.at, hasFile: hasFile) }
    }

    /// Writes what the disk had no room for.
    private func writeLate() {
        guard let kept else { return }
        let flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (kept.hasFile ? 0 : O_CREAT)
        let descriptor = open(path, flags, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        if write(kept.reason, into: descriptor) {
            unwritten.byPath.withLock { $0[path] = nil }
        } else {
            keep(kept, hasFile: true)
        }
    }

    /// Writes a reason; whether all of it is there. A part of it is worse than none.
    private func write(_ reason: String, into descriptor: Int32) -> Bool {
        let bytes = Array(reason.utf8.prefix(Self.limit))
        if put(descriptor, bytes) == bytes.count { return true }
        _ = ftruncate(descriptor, 0)
        return false
    }

    /// Takes it away when it was made before a moment.
    func remove(madeBefore moment: Instant) {
        if let kept {
            if kept.at < moment { remove() }
            return
        }
        guard let status else { return }
        let made = Instant(
            secondsSince1970: Int64(status.st_mtim.tv_sec), milliseconds: Int64(status.st_mtim.tv_nsec) / 1_000_000)
        if made < moment { remove() }
    }

    /// Takes it away.
    func remove() {
        unlink(path)
        unwritten.byPath.withLock { $0[path] = nil }
    }

    /// What is written in it, on one line.
    private func text() -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        // Whoever may not be read halts without a reason.
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.limit)
        let count = read(descriptor, &bytes, bytes.count)
        return Self.line(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self))
    }

    private static func line(_ text: String) -> String {
        plain(text.split(whereSeparator: \.isWhitespace).joined(separator: " "))
    }
}
