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
    /// Where a folder may be made that is removed again.
    let temporary: String

    /// Everything that the backup of a rollout would need.
    ///
    /// - Parameter migrations: What is to be migrated: the backup has to hold that database.
    func probes(for migrations: MigrationPlan?) async -> [Probe] {
        do throws(OperationError) {
            let plan = try Assembly.backupPlan(of: policy, named: file)
            return try await opened(plan) { work in
                let probes = await work.probes(for: .release).map {
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

    /// Of which kind the backup will be; nil when its plan cannot be used, which the estimate says.
    var kind: BackupKind? {
        do throws(OperationError) { return try Assembly.backupPlan(of: policy, named: file).plan.rolloutKind } catch {
            return nil
        }
    }

    /// How long the backup takes and how large it is, by the last one of its kind: `the last one, of …, took 3m and has 1.2 GiB`.
    func estimate() async -> String {
        let plan: LoadedBackupPlan
        do throws(OperationError) { plan = try Assembly.backupPlan(of: policy, named: file) } catch {
            return "its plan cannot be used: \(error)"
        }
        // A file that is there and not to be read is no catalogue without backups.
        guard access(SQLiteCatalogue.path(under: state.path), F_OK) == 0 else { return Self.unknown }
        let records: [BackupRecord]
        do throws(Failure) { records = try await known(of: plan) } catch {
            return "the catalogue cannot be read, so nobody knows how long it takes: \(error.message)"
        }
        let last = records.last { $0.kind == plan.plan.rolloutKind && $0.state.isRestorable }
        guard let last, let facts = last.facts else { return Self.unknown }
        let dump = facts.finishedAt - facts.startedAt
        let size = BackupText.size(Int64(facts.envelope.storedBytes))
        return "the last one, of \(last.createdAt), took \(BackupText.length(dump)) and has \(size)"
    }

    private func known(of plan: LoadedBackupPlan) async throws(Failure) -> [BackupRecord] {
        let catalogue: any CatalogueStore
        do throws(OperationError) { catalogue = try await assembly.readCatalogue(state) } catch {
            throw Failure(.transient, error.description)
        }
        let found: Result<CatalogueState, CatalogueStoreError>
        do throws(CatalogueStoreError) { found = .success(try await catalogue.state()) } catch { found = .failure(error) }
        await catalogue.close()
        do throws(CatalogueStoreError) { return try found.get().live(target: plan.plan.target.description) } catch {
            throw error.failure
        }
    }

    private static let unknown = "none was made here yet, so nobody knows how long it takes"

    private var exists: Bool { access(SQLiteCatalogue.path(under: state.path), R_OK | W_OK) == 0 }

    private func opened<Value: Sendable>(
        _ plan: LoadedBackupPlan, _ body: (any BackupWork) async -> Value
    ) async throws(OperationError) -> Value {
        let options = BackupWorkOptions(purpose: "serin check", later: { _ in })
        do throws(Failure) {
            if exists {
                let catalogue = try await known()
                let work = try await assembly.open(plan, state, catalogue, options)
                let value = await body(work)
                await catalogue.close()
                return value
            }
            var template = Array("\(temporary)/serin-check-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else {
                throw Failure(.transient, "cannot make a folder in \(temporary): \(String(cString: strerror(errno)))")
            }
            let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            defer { remove(folder) }
            let catalogue = MemoryCatalogue(digest: SHA256.digestOrEmpty)
            return await body(try await assembly.open(plan, StateRoot(path: folder), catalogue, options))
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
