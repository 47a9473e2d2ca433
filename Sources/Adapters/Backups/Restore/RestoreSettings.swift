internal import SerinCatalogue
public import SerinModel
public import SerinPolicies

/// What a restore needs to know.
public struct RestoreSettings: Sendable {
    /// Answers an address of the application with the status of HTTP.
    public typealias Probe = @Sendable (String) async throws(Failure) -> Int

    /// The connection string of the role that restores; its database is the live one.
    public var url: String
    /// The connection string of the role that owns the live database, for all that is done to this one; nil for the role that restores.
    public var swapURL: String?
    /// The database that is connected to for making, renaming and dropping others.
    public var maintenanceDatabase: String
    /// What the plan says.
    public var policy: RestorePolicy
    /// The content of the plan's file of statements that must return no row.
    public var integrity: String?
    /// The content of the plan's file of statements that erase one subject again.
    public var erasure: String?
    /// Whether this is a drill's own server, of which nothing stays.
    public var isRehearsal = false
    /// An existing private folder.
    public var scratch: String
    /// Folders in which tools are looked for before `PATH`.
    public var toolFolders: [String]
    /// Whether objects keep their owners and grants.
    public var keepsOwners: Bool
    /// How many workers restore a dump of the form `directory`.
    public var jobs: Int
    /// Asks the application, where the plan names addresses.
    public var probe: Probe?

    /// Settings.
    public init(
        url: String, maintenanceDatabase: String = "postgres", policy: RestorePolicy = RestorePolicy(), integrity: String? = nil,
        scratch: String, toolFolders: [String] = [], keepsOwners: Bool = true, jobs: Int = 1,
        probe: Probe? = nil
    ) {
        self.url = url
        self.maintenanceDatabase = maintenanceDatabase
        self.policy = policy
        self.integrity = integrity
        self.scratch = scratch
        self.toolFolders = toolFolders
        self.keepsOwners = keepsOwners
        self.jobs = jobs
        self.probe = probe
    }

    /// Asks an address of the application.
    func ask(_ address: String) async -> BackupCheck {
        let name = "probe \(address)"
        guard let probe else { return BackupCheck(name, passed: false, detail: "nothing here can ask it") }
        do throws(Failure) {
            let status = try await probe(address)
            return BackupCheck(name, passed: (200..<300).contains(status), detail: "status \(status)")
        } catch { return BackupCheck(name, passed: false, detail: error.message) }
    }

    var environment: SourceEnvironment {
        SourceEnvironment(toolFolders: toolFolders, scratch: scratch, deadline: policy.deadline)
    }
}
