internal import Glibc
public import SerinCatalogue
public import SerinCompression
public import SerinModel
public import SerinPolicies
public import SerinProcesses

/// Files and folders as one tar archive, under their absolute paths without the first slash.
///
/// Nothing of a device, pipe or socket is read, no symbolic link is followed. That a day's copy cannot be changed afterwards is the
/// work of the destination's lock.
public struct FilesBackupSource: BackupSource {
    /// What its backups are made of.
    public let kind = BackupKind.files
    /// What messages call it; holds no secret.
    public let name: String
    private let source: FilesSource
    private let environment: SourceEnvironment

    /// A source.
    public init(_ source: FilesSource, environment: SourceEnvironment) {
        self.source = source
        self.environment = environment
        name = "files " + source.paths.prefix(3).joined(separator: ", ") + (source.paths.count > 3 ? ", …" : "")
    }

    /// The format is ours to state: the archive is written by Serin, to the standard that every `tar` reads.
    private let tool = ToolFacts(name: "serin", version: "ustar", format: "tar")

    /// Looks whether a backup can be made.
    public func probe(stop: StopSignal) throws(Failure) -> SourceProbe {
        guard !source.paths.isEmpty else { throw Failure(.invalid, "no files are named that could be backed up") }
        for path in source.paths {
            guard path.begins(with: "/"), !path.parts(at: "/").contains("..") else {
                throw Failure(.invalid, "\(path) is not an absolute path without \"..\"")
            }
        }
        for (index, path) in source.paths.enumerated() {
            if let other = source.paths[..<index].first(where: {
                $0 == path || path.hasPrefix($0 + "/") || $0.hasPrefix(path + "/")
            }) {
                throw Failure(.invalid, "\(path) and \(other) overlap: files would be in the archive twice")
            }
        }
        // The archive without its bytes: finds what cannot be read before anything is stored.
        var size = Int64(0)
        var tar = TarWriter(exclude: source.exclude, countsOnly: true)
        for path in source.paths {
            guard !stop.isRaised else { throw Failure(.transient, "the look at \(path) was given up") }
            try tar.add(path, as: String(path.drop { $0 == "/" })) { (bytes) throws(Failure) in size += Int64(bytes.count) }
        }
        size += tar.tally.bytes
        guard tar.tally.files > 0 else { throw Failure(.invalid, "\(name): nothing is there, or everything is excluded") }
        return SourceProbe(tool: tool, sizeEstimate: size)
    }

    /// Gives the backup, once its tools have found it whole.
    public func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        var tar = TarWriter(exclude: source.exclude)
        for path in source.paths {
            try tar.add(path, as: String(path.drop { $0 == "/" })) { (bytes) throws(Failure) in
                guard !stop.isRaised else { throw Failure(.transient, "the backup of \(path) was given up") }
                try sink(bytes)
            }
        }
        guard tar.tally.files > 0 else { throw Failure(.invalid, "\(name): nothing is there, or everything is excluded") }
        try tar.finish(to: sink)
        return SourceProduct(tool: tool)
    }

    /// Judges the bytes of a backup without a server.
    public func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer {
        TarExamination(TarInspector(linksStayInside: false))
    }

    /// Restores the bytes of a backup.
    public func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer {
        guard case .folder(let folder) = target.place else {
            throw Failure(.invalid, "files are restored into an empty folder")
        }
        return try TarUnpacking(
            into: folder, linksStayInside: false, deadline: target.deadline, stall: environment.stall, stop: stop)
    }
}
