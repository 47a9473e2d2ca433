internal import SerinCatalogue
internal import SerinModel
internal import SerinPolicies

extension BackupPlace {
    /// Refuses a place that has none of the newest copies that are known there: it is another one, such as the folder under a disk that
    /// is not mounted.
    ///
    /// - Parameter includesUnread: Whether copies count of which only is known that they were written.
    func expectKnownCopies(
        of target: String, in state: CatalogueState, includesUnread: Bool = false
    ) async throws(Failure) {
        let known = state.records.filter { $0.order.target == target }.compactMap { $0.copy(at: name) }
            .filter { $0.state.isUsable || (includesUnread && $0.state == .stored) }.suffix(3)
        guard let newest = known.last else { return }
        do throws(Failure) {
            for copy in known where try await destination.head(copy.key, version: copy.versionID) != nil { return }
        } catch {
            // A folder of this machine that was made and is not there, unlike one that was never made.
            guard error.kind == .transient, destination is LocalFolder else { throw error }
            throw Failure(
                .transient, error.message,
                hint:
                    "copies are known there, such as \(newest.key): is its disk mounted? if it was emptied on purpose, put any file "
                    + "into it")
        }
        throw Failure(
            .denied, "\(destination.name) has none of the newest copies that are known there, such as \(newest.key)",
            hint:
                "\(doubt) if they are lost for good, serin backup verify PLAN BACKUP --from "
                + "\(name) tells the catalogue so for each of them")
    }

    /// What to look at where nothing is found.
    private var doubt: String {
        destination is LocalFolder ? "is its disk mounted, and is it the right place?" : "is it the right place?"
    }

    /// Refuses to conclude anything from an object that is not there, at a place that shows no sign of being the one where it was put:
    /// another plan's backup alone makes a folder below an empty mount point look like a good one. A sign is the pointer to a newest
    /// backup of the target, or one of the newest copies that are known there.
    func expectSigns(of record: BackupRecord, in state: CatalogueState) async throws(Failure) {
        for kind in Set([record.kind] + state.live(target: record.order.target).map(\.kind)) {
            if try await destination.head(try ObjectLayout.latest(record.order.target, kind), version: nil) != nil { return }
        }
        do throws(Failure) {
            try await expectKnownCopies(of: record.order.target, in: state, includesUnread: true)
        } catch {
            guard error.kind == .denied else { throw error }
            throw Failure(
                .transient, "\(error.message), so that nothing is concluded from it",
                hint:
                    "\(doubt) then a copy that was condemned meanwhile is good again as soon "
                    + "as serin backup verify PLAN \(record.id) has read it; where it is lost for good, serin backup verify PLAN "
                    + "\(record.id) --from \(name) says so")
        }
    }
}
