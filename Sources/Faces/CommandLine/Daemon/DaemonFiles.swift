internal import SerinAccess
internal import SerinCatalogue
internal import SerinController
internal import SerinIdentity
internal import SerinModel
internal import SerinPolicies

/// What a daemon's files mean, read and checked, before any of it is used.
struct DaemonFiles: Sendable {
    /// The texts.
    let texts: ConfigurationSet
    let settings: DaemonSettings
    let warnings: [Diagnostic]
    let plans: [LoadedBackupPlan]
    let identities: IdentitySettings

    /// Reads the files that the command line names, and those that they name.
    static func read(_ flags: DaemonRun.Flags, _ session: Session) throws -> DaemonFiles {
        var files: [ConfigurationSet.File] = []
        if let path = flags.configuration {
            files.append(
                .init(.configuration, path: path, text: try PolicyArguments.text(ofRegular: path, kind: "configuration")))
        }
        let settings = try files.first.map { try Self.settings($0, session) }?.settings ?? DaemonSettings()
        if let path = flags.identities ?? settings.identities {
            files.append(.init(.identities, path: path, text: try IdentityFile.text(of: path)))
        }
        for path in flags.plans + settings.backups {
            files.append(.init(.plan, path: path, text: try PolicyArguments.text(ofRegular: path, kind: "plan")))
        }
        let group = flags.socketGroup.map { ["--socket-group \($0)"] } ?? []
        let words = group + (flags.groupMayStart ? ["--group-may-start"] : [])
        var found = try DaemonFiles(of: ConfigurationSet(files: files, flags: words, asksTwo: false), session)
        // With one person alone nobody could agree.
        if found.identities.people.count > 1 {
            found = DaemonFiles(found, ConfigurationSet(files: files, flags: words, asksTwo: true))
        }
        return found
    }

    /// What texts mean, wherever they come from.
    init(of texts: ConfigurationSet, _ session: Session) throws {
        self.texts = texts
        let loaded = try texts.file(.configuration).map { try Self.settings($0, session) }
        settings = loaded?.settings ?? DaemonSettings()
        warnings = loaded?.warnings ?? []
        plans = try texts.files.filter { $0.kind == .plan }.map {
            try session.assembly.backups.readPlan(PolicySource(file: $0.path, text: $0.text))
        }
        identities =
            try texts.file(.identities).map {
                try IdentityFile(path: $0.path, secrets: Secrets(environment: session.environment)).settings(
                    saying: Array($0.text.utf8))
            } ?? IdentitySettings()
    }

    private init(_ files: DaemonFiles, _ texts: ConfigurationSet) {
        self.texts = texts
        settings = files.settings
        warnings = files.warnings
        plans = files.plans
        identities = files.identities
    }

    private static func settings(
        _ file: ConfigurationSet.File, _ session: Session
    ) throws(OperationError) -> LoadedDaemon {
        try session.assembly.daemon.readSettings(PolicySource(file: file.path, text: file.text))
    }

    /// The group that may ask at the socket, and whether it may start rollouts, as the command line said when the set was read.
    var socketGroup: String? {
        texts.flags.compactMap { $0.hasPrefix("--socket-group ") ? String($0.dropFirst(15)) : nil }.first ?? settings.socketGroup
    }
    var groupMayStart: Bool { texts.flags.contains("--group-may-start") || settings.groupMayStart }
}
