internal import Glibc
public import SerinModel

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

    /// Makes a service's folder for its owner alone, and what is missing above it.
    public func create(for service: ServiceName) throws(Failure) {
        guard !Self.isTaken(service) else {
            throw Failure(
                .denied, "a service cannot be called '\(service)': the state folder keeps something of its own under that name",
                hint: "give it another name in the policy")
        }
        try Self.makeFolders(folder(of: service))
    }

    /// Whether the state folder has a file or folder of that name which is no service's.
    private static func isTaken(_ service: ServiceName) -> Bool {
        let name = service.description
        return name == "backups"
            || ["access.db", "catalogue.db", "daemon.sock", "messages.db", "signing.key"].contains { name.hasPrefix($0) }
    }

    /// Makes the folder itself.
    public func create() throws(Failure) { try Self.makeFolders(path) }

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
