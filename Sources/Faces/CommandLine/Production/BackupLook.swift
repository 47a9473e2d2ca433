internal import Glibc
internal import SerinCatalogue
internal import SerinController
internal import SerinCrypto
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinSQLite

/// Looks at the backups that a policy asks for and changes nothing: with the state folder's catalogue where there is one, otherwise
/// with an empty one and a folder that is removed again.
struct BackupLook: Sendable {
    let policy: LoadedPolicy
    /// The policy's file.
    let file: String
    let state: StateRoot
    let assembly: BackupAssembly

    /// Everything that the backup of a rollout would need.
    ///
    /// - Parameter migrations: What is to be migrated: the backup has to hold that database.
    func probes(for migrations: MigrationPlan?) async -> [Probe] {
        do throws(OperationError) {
            let plan = try Assembly.backupPlan(of: policy, named: file)
            return try await opened(plan) { work, _ in
                let probes = await work.probes(needsProof: true, needsRestore: false).map {
                    Probe("backup \($0.name)", $0.outcome, $0.detail)
                }
                let preflight = BackupPreflight(database: await work.database())
                guard !probes.contains(where: { $0.outcome == .failed }), let objection = preflight.objection(to: migrations)
                else {
                    return probes
                }
                return probes + [Probe("backup database", .failed, objection.description)]
            }
        } catch {
            return [Probe("backup", .failed, error.description)]
        }
    }

    /// How long the backup takes and how large it is, by the last one of its kind: `the last one, of …, took 3m and has 1.2 GiB`.
    func estimate() async -> String {
        do throws(OperationError) {
            let plan = try Assembly.backupPlan(of: policy, named: file)
            guard exists else { return Self.unknown }
            return try await opened(plan) { _, catalogue in
                // Without the catalogue nothing is known.
                let records = (try? await catalogue.state())?.live(target: plan.plan.target.description) ?? []
                let last = records.last { $0.kind == plan.plan.source.defaultKind && $0.state.isRestorable }
                guard let last, let facts = last.facts else { return Self.unknown }
                let dump = facts.finishedAt - facts.startedAt
                let size = BackupText.size(Int64(facts.envelope.storedBytes))
                return "the last one, of \(last.createdAt), took \(BackupText.length(dump)) and has \(size)"
            }
        } catch {
            return "its plan cannot be used: \(error)"
        }
    }

    private static let unknown = "none was made here yet, so nobody knows how long it takes"

    private var exists: Bool { access(SQLiteCatalogue.path(under: state.path), R_OK | W_OK) == 0 }

    private func opened<Value: Sendable>(
        _ plan: LoadedBackupPlan, _ body: (any BackupWork, any CatalogueStore) async -> Value
    ) async throws(OperationError) -> Value {
        let options = BackupWorkOptions(purpose: "serin check", later: { _ in })
        do throws(Failure) {
            if exists {
                let catalogue = try await known()
                let work = try await assembly.open(plan, state, catalogue, options)
                let value = await body(work, catalogue)
                await catalogue.close()
                return value
            }
            var template = Array("/tmp/serin-check-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else {
                throw Failure(.transient, "cannot make a folder in /tmp: \(String(cString: strerror(errno)))")
            }
            let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            defer { remove(folder) }
            let catalogue = MemoryCatalogue(digest: SHA256.digestOrEmpty)
            return await body(try await assembly.open(plan, StateRoot(path: folder), catalogue, options), catalogue)
        } catch { throw .unavailable(error.description) }
    }

    private func known() async throws(Failure) -> any CatalogueStore {
        do throws(OperationError) { return try await assembly.openCatalogue(state) } catch {
            throw Failure(.transient, error.description)
        }
    }

    /// What an opened plan makes in a state folder.
    private func remove(_ folder: String) {
        unlink("\(folder)/backups/manifest.key")
        for path in ["backups/work", "backups", ""] { rmdir("\(folder)/\(path)") }
    }
}
