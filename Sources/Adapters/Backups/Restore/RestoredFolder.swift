internal import Glibc
public import SerinCatalogue
internal import SerinLocks
public import SerinModel

/// A backup that was restored into a place of its own which is no database beside the live one: a folder, or an empty server.
public struct RestoredFolder: Sendable, Hashable {
    /// The backup.
    public var backup: BackupID
    /// What it is made of.
    public var kind: BackupKind
    /// The folder.
    public var folder: String
    /// The destination that it was read from.
    public var destination = ""
    /// What was looked at.
    public var checks: [BackupCheck] = []
    /// What whoever restores must know, although nothing failed.
    public var remarks: [String] = []
    /// The tools that were run.
    public var evidence: [ToolEvidence] = []
    /// When each step was reached.
    public var reached: [RestoredDatabase.Step] = []
    /// For a Postgres cluster: where its recovery ended.
    public var recovery: PointInTimeRestore.Outcome?
    /// For a Postgres cluster: whether its server still runs.
    public var isRunning = false

    /// A place of which nothing is known yet.
    public init(backup: BackupID, kind: BackupKind, folder: String) {
        self.backup = backup
        self.kind = kind
        self.folder = folder
    }

    /// Whether everything that was looked at is as it must be.
    public var passed: Bool { !checks.isEmpty && checks.allSatisfy(\.passed) }
}

/// A folder that a restore fills: it must be empty or not exist. What was begun in it is removed unless it is kept.
final class RestorePlace: Sendable {
    let path: String
    private let wasMade: Bool
    /// Whether what is in it was made here, and is removed again. Not before it was seen to be empty: a refusal ends in `deinit` too.
    private let isOurs = Locked(false)

    /// - Parameter account: Whose it is, when the caller is root and a server is to run on it.
    init(_ path: String, account: String? = nil) throws(Failure) {
        guard path.begins(with: "/"), !path.parts(at: "/").contains("..") else {
            throw Failure(.invalid, "\(path) is not an absolute path without \"..\"")
        }
        self.path = path
        wasMade = mkdir(path, 0o700) == 0
        guard wasMade || errno == EEXIST else { throw problem("make", path, errno) }
        let content = wasMade ? [] : try nameBytes(in: Array(path.utf8))
        guard content.isEmpty else {
            throw Failure(
                .conflict, "cannot restore into \(path): it is not empty", hint: "name another folder; this one was not touched")
        }
        isOurs.withLock { $0 = true }
        if let account { try give(path, to: account) }
    }

    /// A folder in it.
    func folder(_ name: String, account: String? = nil) throws(Failure) -> String {
        let folder = "\(path)/\(name)"
        guard mkdir(folder, 0o700) == 0 else { throw problem("make", folder, errno) }
        if let account { try give(folder, to: account) }
        return folder
    }

    /// Leaves it as it is from now on.
    func keep() { isOurs.withLock { $0 = false } }

    deinit {
        guard isOurs.withLock({ $0 }) else { return }
        removeContent(path)
        if wasMade { rmdir(path) }
    }
}
