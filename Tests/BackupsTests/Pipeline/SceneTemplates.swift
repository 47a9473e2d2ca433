import FoundationEssentials
import Glibc
import SerinLocks
import Testbed

/// Data folders of servers that were made once, for every scene of this process to begin on a copy. They go with the process.
enum SceneTemplates {
    private static let made = Locked<[String: Task<String, any Error>]>([:])

    /// The folder of a name, made by the first who asks.
    static func folder(
        _ name: String, _ make: @escaping @Sendable (Scratch) async throws -> String
    ) async throws -> String {
        // Somebody may have tidied up since it was made, and who failed to make it may be luckier now.
        if let known = made.withLock({ $0[name] }) {
            if let folder = try? await known.value, access(folder, F_OK) == 0 { return folder }
            made.withLock { made in if made[name] == known { made[name] = nil } }
        }
        let task = made.withLock { made in
            if let task = made[name] { return task }
            let task = Task {
                try await make(try Scratch("serin-template"))
            }
            made[name] = task
            return task
        }
        return try await task.value
    }
}
