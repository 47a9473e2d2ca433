internal import Glibc
internal import SerinLocks
internal import SerinModel
public import SerinPorts

/// The right to control one service: a lock on a file in its state folder, which the kernel takes back however the process ends.
public final class ServiceLock: Sendable {
    /// Who holds a lock.
    public struct Holder: Sendable, Hashable, CustomStringConvertible {
        /// The process; nil when the lock's file does not say.
        public var pid: Int32?
        /// What it is, in its own words: `serin run`, `serin daemon`.
        public var purpose: String

        /// `serin run (process 4711)`.
        public var description: String { pid.map { "\(purpose) (process \($0))" } ?? purpose }
    }

    /// The folder it stands for.
    public let folder: StateFolder
    private let descriptor: Locked<Int32?>

    private init(folder: StateFolder, descriptor: Int32) {
        self.folder = folder
        self.descriptor = Locked(descriptor)
    }

    /// Takes the lock, making the folder when it is missing. Does not wait, except for a moment while someone looks who holds it.
    ///
    /// - Parameters:
    ///   - folder: The service's folder.
    ///   - purpose: What the holder is, for those who find the lock taken.
    public static func acquire(_ folder: StateFolder, purpose: String) throws(StoreError) -> ServiceLock {
        try folder.create()
        let descriptor = open(folder.lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .unavailable("cannot open the lock \(folder.lock): \(systemMessage())") }
        var tries = 0
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            tries += 1
            guard code == EWOULDBLOCK || code == EINTR else {
                close(descriptor)
                throw .unavailable("cannot take the lock \(folder.lock): \(systemMessage(code))")
            }
            // Looking who holds a lock takes it for an instant; a real holder keeps it.
            guard tries < 10 else {
                let holder = text(of: descriptor).flatMap(Holder.init(note:)) ?? Holder(pid: nil, purpose: "another process")
                close(descriptor)
                throw .locked(
                    "cannot control \(folder.service): \(holder) is already in charge of it\n"
                        + "hint: ask that one, with `serin status \(folder.service)` or `serin halt \(folder.service)`")
            }
            usleep(2_000)
        }
        let note = Array("\(getpid()) \(purpose)\n".utf8)
        ftruncate(descriptor, 0)
        // The note only names the holder; the lock holds without it.
        _ = pwrite(descriptor, note, note.count, 0)
        return ServiceLock(folder: folder, descriptor: descriptor)
    }

    /// Who holds the lock of a service now; nil when nobody does.
    public static func holder(of folder: StateFolder) -> Holder? { holder(ofFile: folder.lock) }

    static func holder(ofFile path: String) -> Holder? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        if flock(descriptor, LOCK_SH | LOCK_NB) == 0 { return nil }
        return text(of: descriptor).flatMap(Holder.init(note:)) ?? Holder(pid: nil, purpose: "another process")
    }

    private static func text(of descriptor: Int32) -> String? {
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
    }

    /// Gives the lock back. Harmless when it was given back before.
    public func release() {
        descriptor.withLock { descriptor in
            guard let open = descriptor else { return }
            // Closing alone would not do while a child between fork and exec still has a copy of the descriptor.
            flock(open, LOCK_UN)
            close(open)
            descriptor = nil
        }
    }

    /// Whether it is still held.
    public var isHeld: Bool { descriptor.withLock { $0 != nil } }

    deinit { release() }
}

extension ServiceLock.Holder {
    /// Reads `PID PURPOSE`; nil when it is not of that form.
    fileprivate init?(note: String) {
        let parts = note.parts(at: "\n").first?.split(separator: " ", maxSplits: 1) ?? []
        guard let first = parts.first, let pid = Int32(first) else { return nil }
        self.pid = pid
        purpose = parts.count > 1 ? String(parts[1]) : "another process"
    }
}
