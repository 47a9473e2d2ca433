internal import SerinModel
internal import SerinRollouts

extension Effect {
    /// Whether it asks for a weight.
    var isWeight: Bool {
        switch self {
        case .setWeight, .lowerWeight: true
        case .preflight, .readHistory, .takeBackup, .endBackup, .releaseBackup, .runAction, .migrate, .endMigration,
            .inspectSchema, .restore, .record, .notify:
            false
        }
    }

    /// Whether it lowers the weight to 0, which anyone may do at any time.
    var isLowering: Bool {
        if case .setWeight(_, .zero) = self { return true }
        return false
    }
}
