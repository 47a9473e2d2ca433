internal import Glibc
internal import SerinCatalogue
internal import SerinModel
internal import SerinProcesses

/// Looks for damaged pages and indexes in every database of a cluster that was restored for a rehearsal, with `pg_amcheck`.
///
/// It installs the extension `amcheck` where it is missing, so a cluster that anybody will use is never given to it.
struct DamageSearch {
    /// The name of the check.
    static let check = "pg_amcheck"

    let tools: PostgresTools
    let deadline: Duration

    /// What was found; nil where the tool or its extension is not installed, which says nothing about the cluster.
    func run(stop: StopSignal) throws(Failure) -> BackupCheck? {
        let tool = tools.tool("pg_amcheck")
        guard tool.path.hasPrefix("/"), access(tool.path, X_OK) == 0 else { return nil }
        let answer = try tool.answer(
            ["--all", "--install-missing", "--no-password"], deadline: deadline, limit: 64 << 20, stop: stop)
        switch answer.status {
        case 0: return BackupCheck(Self.check, passed: true, detail: "no damage in tables and indexes")
        case 1 where answer.diagnostics.contains("is not available"): return nil
        // 2 is what it says when it has found damage; everything else leaves the question open.
        default:
            let first = answer.text.split(whereSeparator: \.isNewline).first.map(String.init) ?? answer.complaint
            return BackupCheck(Self.check, passed: false, detail: "exit \(answer.status): \(first.prefix(300))")
        }
    }
}
