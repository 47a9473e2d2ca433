public import SerinCatalogue
public import SerinCompression
public import SerinModel
public import SerinProcesses

/// Something that can be backed up, with the well-kept tools that do it.
///
/// Every method blocks its thread, so it is called inside `onOwnThread`, and ends soon after the stop signal is raised. Secrets are
/// known before and reach a tool only through its environment or a private file, never through its arguments. A method leaves
/// nothing behind, however it ends: no process, no session, no temporary file.
public protocol BackupSource: Sendable {
    /// What its backups are made of.
    var kind: BackupKind { get }
    /// What messages call it, such as `postgres db1:5432/checkout`. Holds no secret.
    var name: String { get }

    /// Looks whether a backup can be made: the server answers, the role may read everything, the tools are new enough.
    ///
    /// - Throws: The first thing that stands in the way.
    func probe(stop: StopSignal) throws(Failure) -> SourceProbe

    /// Gives the backup as one stream of plain bytes; several files travel as one tar archive.
    ///
    /// - Parameter sink: What it throws ends the work, and is thrown on.
    /// - Returns: What is known about the bytes, once every tool has ended well and everything was given.
    func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct

    /// Judges the plain bytes of a backup without a server: end markers, tables of contents, the tool's own complete reading. They
    /// are bytes that were authenticated, or that this source gives at this moment: a backup is examined while it is made, because
    /// the machine that makes it may be unable to decrypt it.
    ///
    /// - Parameter tool: What made it; only its name and format are certain while it is made.
    func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer

    /// Restores the plain bytes of a backup, which are authentic, into a place that was made for it and holds nothing yet.
    ///
    /// - Throws: Also when the tools are too old to be trusted with a file from elsewhere, or cannot read what these facts describe.
    func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer
}

/// Takes the plain bytes of one backup, one piece after another, on one thread. Let go before its end, it gives up and removes
/// everything that it began.
public protocol PlainConsumer: AnyObject {
    /// Takes the next bytes. Bytes found bad in an examination are no error: what follows is dropped, and the findings say it.
    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure)

    /// Ends it, once, after the last byte, and compares what came with what is known about it.
    ///
    /// - Throws: When it could not be done, as opposed to bytes that were judged and found bad.
    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings
}

/// What came of plain bytes.
public struct ConsumerFindings: Sendable, Hashable, Codable {
    /// What was looked at, good and bad.
    public var checks: [BackupCheck]
    /// The tools that were run.
    public var evidence: [ToolEvidence]

    /// Findings.
    public init(checks: [BackupCheck] = [], evidence: [ToolEvidence] = []) {
        self.checks = checks
        self.evidence = evidence
    }

    /// Whether nothing was found bad.
    public var passed: Bool { checks.allSatisfy(\.passed) }
}

/// A run of a tool, so that what it said can be told later from what is claimed.
public struct ToolEvidence: Sendable, Hashable, Codable {
    /// The program and its arguments; they hold no secrets.
    public var command: [String]
    /// `exit 0`, `signal 9`, `timed out`.
    public var end: String
    /// Bytes of its output, or given to it.
    public var bytes: Int64
    /// SHA-256 of those bytes in hexadecimal; nil when they were only passed on.
    public var sha256: String?
    /// The end of what it wrote as errors, without secrets.
    public var diagnostics: String

    /// A run.
    public init(command: [String], end: String, bytes: Int64, sha256: String? = nil, diagnostics: String = "") {
        self.command = command
        self.end = end
        self.bytes = bytes
        self.sha256 = sha256
        self.diagnostics = diagnostics
    }
}

/// What was found before a backup.
public struct SourceProbe: Sendable, Hashable {
    /// The tool that will make it.
    public var tool: ToolFacts
    /// The server, as far as it is known by now; nil for files.
    public var server: SourceFacts?
    /// How many plain bytes the backup may have at most, roughly; nil when nothing is known.
    public var sizeEstimate: Int64?
    /// What is not as it should be, but stops nothing.
    public var remarks: [String]

    /// What was found.
    public init(tool: ToolFacts, server: SourceFacts? = nil, sizeEstimate: Int64? = nil, remarks: [String] = []) {
        self.tool = tool
        self.server = server
        self.sizeEstimate = sizeEstimate
        self.remarks = remarks
    }
}

/// What is known about a stream of plain bytes, once it was given completely.
public struct SourceProduct: Sendable, Hashable {
    /// The tool that made it.
    public var tool: ToolFacts
    /// Where it came from; nil for files.
    public var server: SourceFacts?
    /// The schema's revision, read in the same snapshot.
    public var schemaRevision: String?
    /// The rows of each table in the same snapshot.
    public var rows: RowManifest?
    /// The tools that were run.
    public var evidence: [ToolEvidence]
    /// What is not as it should be, but takes nothing from the backup.
    public var remarks: [String]

    /// What is known.
    public init(
        tool: ToolFacts, server: SourceFacts? = nil, schemaRevision: String? = nil, rows: RowManifest? = nil,
        evidence: [ToolEvidence] = [], remarks: [String] = []
    ) {
        self.remarks = remarks
        self.tool = tool
        self.server = server
        self.schemaRevision = schemaRevision
        self.rows = rows
        self.evidence = evidence
    }

    /// What the catalogue knows.
    public init(_ facts: BackupFacts) {
        self.init(tool: facts.tool, server: facts.server, schemaRevision: facts.schemaRevision, rows: facts.rows)
    }
}

/// Where and how a backup is restored.
public struct RestoreTarget: Sendable {
    /// The place.
    public enum Place: Sendable {
        /// A database that holds nothing but what its template holds: its connection string.
        case database(url: String)
        /// A server of the source's kind that holds nothing: its connection string.
        case server(url: String)
        /// A folder that is empty.
        case folder(String)
    }

    /// The place.
    public var place: Place
    /// Only these tables, as `schema.table`; empty for everything.
    public var tables: [String]
    /// Whether objects belong to the roles that owned them and keep their grants; otherwise all belong to the role that restores.
    public var keepsOwners: Bool
    /// How the entries of the dump begin, in a list of `pg_restore`, that make what the database has already; they are left out:
    /// `EXTENSION - postgis `.
    public var present: [String] = []
    /// How many workers may be used where the format allows more than one.
    public var jobs: Int
    /// An existing private folder for what has to be unpacked first.
    public var scratch: String
    /// How long a tool may take.
    public var deadline: Duration

    /// A target.
    public init(
        _ place: Place, tables: [String] = [], keepsOwners: Bool = true, jobs: Int = 1, scratch: String,
        deadline: Duration = .hours(4)
    ) {
        self.place = place
        self.tables = tables
        self.keepsOwners = keepsOwners
        self.jobs = jobs
        self.scratch = scratch
        self.deadline = deadline
    }
}

/// What every source is given beside its own settings.
public struct SourceEnvironment: Sendable {
    /// Folders in which tools are looked for before `PATH`, in order: `/usr/lib/postgresql/17/bin`.
    public var toolFolders: [String]
    /// An existing private folder for what has to be put together before it is given.
    public var scratch: String
    /// How long one run of a tool may take.
    public var deadline: Duration
    /// How long a tool may give or take no byte.
    public var stall: Duration
    /// The user that a restored Postgres cluster belongs to, when the caller is root; nil is the caller.
    public var account: String?

    /// An environment.
    public init(
        toolFolders: [String] = [], scratch: String, deadline: Duration = .hours(12), stall: Duration = .minutes(10),
        account: String? = nil
    ) {
        self.account = account
        self.toolFolders = toolFolders
        self.scratch = scratch
        self.deadline = deadline
        self.stall = stall
    }
}
