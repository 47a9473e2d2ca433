internal import Glibc
public import SerinModel
internal import SerinSQLite

/// The root folder with everything that must survive: one folder a service inside, each with its lock, store and socket.
public struct StateRoot: Sendable, Hashable {
    /// Its path.
    public let path: String

    /// A state folder at a path.
    public init(path: String) { self.path = path }

    /// The folder that an environment asks for: `--state`, `SERIN_STATE`, `/var/lib/serin` for root, else the user's own.
    init(option: String?, environment: [String: String], isRoot: Bool) {
        if let option = option ?? environment["SERIN_STATE"], !option.isEmpty {
            path = option
        } else if isRoot {
            path = "/var/lib/serin"
        } else if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") {
            path = state + "/serin"
        } else {
            path = (environment["HOME"] ?? "") + "/.local/state/serin"
        }
    }

    /// Where a daemon of all services listens.
    public var daemonSocket: String { path + "/daemon.sock" }

    /// One service's own folder.
    public func folder(of service: ServiceName) -> String { "\(path)/\(service)" }

    /// Where the controller of one service listens.
    public func socket(of service: ServiceName) -> String { folder(of: service) + "/serin.sock" }

    /// A file whose appearance halts the service's rollout, for when nothing else works.
    public func haltFile(of service: ServiceName) -> String { folder(of: service) + "/halt" }

    /// A file whose presence halts the rollouts of every service and lets none begin.
    public var haltFile: String { path + "/halt" }

    /// Refuses a service whose name the state folder needs itself.
    func check(_ service: ServiceName) throws(Failure) {
        guard !Self.isTaken(service), service.description != "halt" || hasFolder(service) else {
            throw Failure(
                .denied, "a service cannot be called '\(service)': the state folder keeps something of its own under that name",
                hint: "give it another name in the policy")
        }
    }

    /// Makes a service's folder for its owner alone, and what is missing above it. Refused like `create` where it is another user's.
    public func create(for service: ServiceName) throws(Failure) {
        try check(service)
        try create()
        try Self.makeFolders(folder(of: service))
        try Self.refuseOthers(folder(of: service), letsRoot: false)
    }

    /// Whether the state folder has a file or folder of that name which is no service's.
    private static func isTaken(_ service: ServiceName) -> Bool {
        let name = service.description
        return name == "backups"
            || ["access.db", "catalogue.db", "daemon.sock", "messages.db", "signing.key"].contains { name.hasPrefix($0) }
    }

    /// Makes the folder itself. `denied` when it belongs to another user, and this one may not write to it.
    ///
    /// - Parameter letsRoot: Whether root may work in another user's folder. What is made there then has to be given to that user; where
    ///   that is not done, root would shut its owner out.
    public func create(letsRoot: Bool = false) throws(Failure) {
        try Self.makeFolders(path)
        try Self.refuseOthers(path, letsRoot: letsRoot)
    }

    private static func refuseOthers(_ path: String, letsRoot: Bool) throws(Failure) {
        guard let user = stranger(owning: path) else { return }
        let owner = userName(user)
        if geteuid() == 0 {
            guard !letsRoot else { return }
            throw Failure(
                .denied, "the state folder \(path) belongs to \(owner), who could not use what root leaves in it",
                hint: "sudo -u \(userWord(user)) serin …; or chown -R root \(path), if it is to be root's from now on")
        }
        guard access(path, W_OK | X_OK) != 0 else { return }
        throw Failure(
            .denied, "the state folder \(path) belongs to \(owner), and this is \(userName(geteuid()))",
            hint: "run it as \(owner), or name another with --state or SERIN_STATE")
    }

    /// The services that have a folder, sorted; none where nothing was ever kept.
    public func services() throws(Failure) -> [ServiceName] {
        guard let folder = opendir(path) else {
            if errno == ENOENT { return [] }
            throw Failure(
                .denied, "cannot read the state folder \(path): \(String(cString: strerror(errno)))",
                hint: "run as its owner, name one service, or name another folder with --state or SERIN_STATE")
        }
        defer { closedir(folder) }
        var services: [ServiceName] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if let service = ServiceName(name), !Self.isTaken(service), hasFolder(service) { services.append(service) }
        }
        return services.sorted()
    }

    /// Whether a service has a folder.
    func hasFolder(_ service: ServiceName) -> Bool {
        var status = stat()
        return stat(folder(of: service), &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The services that a name can mean: itself, or what stands before the last `-` of a rollout's identifier.
    static func services(named name: String) -> [ServiceName] {
        var names = [name]
        if let dash = name.lastIndex(of: "-") { names.append(String(name[..<dash])) }
        return names.compactMap { ServiceName($0) }
    }

    private static func makeFolders(_ path: String) throws(Failure) {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/" + part
            if mkdir(made, 0o700) != 0, errno != EEXIST {
                throw Failure(
                    .denied, "cannot make the state folder \(made): \(String(cString: strerror(errno)))",
                    hint: "name another with --state or SERIN_STATE")
            }
        }
    }
}
