internal import FoundationEssentials
internal import Glibc
internal import SerinModel

/// A private folder that is removed with everything in it when it is let go.
final class TemporaryFolder: Sendable {
    /// How the names of such folders begin, by which those of killed runs are known.
    static let prefix = ".serin-"

    let path: String

    /// - Parameter parent: An existing folder.
    init(in parent: String) throws(Failure) {
        path = "\(parent)/\(TemporaryFolder.prefix)\(try randomName())"
        guard mkdir(path, 0o700) == 0 else { throw Failure(.transient, "cannot make \(path): \(systemWords())") }
    }

    deinit {
        // What cannot be removed now is removed by the next run that holds the target's lease.
        try? FileManager.default.removeItem(atPath: path)
    }
}
