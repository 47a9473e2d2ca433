internal import FoundationEssentials
internal import Glibc
public import SerinCatalogue

extension LeaseHolder {
    /// This process.
    ///
    /// - Parameter purpose: What it is, in its own words: `serin backup create`.
    public static func current(purpose: String) -> LeaseHolder {
        let pid = getpid()
        return LeaseHolder(place: here, pid: pid, startTicks: startTicks(of: pid) ?? 0, purpose: purpose)
    }

    /// Whether the process lives; nil when its id means nothing here.
    public var isAlive: Bool? {
        guard place == LeaseHolder.here, !place.isEmpty else { return nil }
        guard let ticks = LeaseHolder.startTicks(of: pid) else { return kill(pid, 0) == 0 || errno == EPERM ? nil : false }
        return startTicks == 0 || ticks == startTicks
    }

    /// The boot and the namespace of process ids; empty when they cannot be read.
    private static var here: String {
        guard let boot = text(of: "/proc/sys/kernel/random/boot_id") else { return "" }
        var status = stat()
        guard stat("/proc/self/ns/pid", &status) == 0 else { return "" }
        return "\(boot.prefix { $0 != "\n" }) \(status.st_ino)"
    }

    /// Field 22 of the process' `stat`, counted from behind its name, which may hold anything. A zombie has ended.
    private static func startTicks(of pid: Int32) -> UInt64? {
        guard let text = text(of: "/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19 else { return nil }
        return fields[0] == "Z" || fields[0] == "X" ? UInt64.max : UInt64(fields[19])
    }

    private static func text(of path: String) -> String? {
        // A process that is gone has no file, which is the answer.
        (try? Data(contentsOf: URL(filePath: path))).map { String(decoding: $0, as: UTF8.self) }
    }
}
