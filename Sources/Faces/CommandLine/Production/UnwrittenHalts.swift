internal import SerinLocks
internal import SerinModel

/// What a process was asked to leave in halt files and the disk had no room for; it is written as soon as there is room, and lost when
/// the process ends before.
final class UnwrittenHalts: Sendable {
    struct Halt: Sendable {
        var reason: String
        var at: Instant
        /// Whether the file is there without its reason: whoever takes it away takes the halt away, too.
        var hasFile: Bool
    }

    let byPath = Locked<[String: Halt]>([:])
}
