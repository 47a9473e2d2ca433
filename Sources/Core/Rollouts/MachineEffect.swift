public import SerinModel

/// What the machine asks for.
public enum MachineEffect: Sendable, Hashable {
    /// Try everything that will be needed.
    case preflight
    /// Read the control's past.
    case readHistory
    /// Make the weight this.
    case setWeight(IntentID, Weight)
    /// Make the weight this, above 0, unless less is in force.
    case lowerWeight(IntentID, Weight)
    /// Make the restore point, once.
    case takeBackup(IntentID)
    /// End the backup under way; its answer says how.
    case endBackup(IntentID)
    /// Do this once.
    case runAction(IntentID, ActionKind)
    /// End the migration under way; its answer says how.
    case endMigration(IntentID)
    /// End what is left running of a migration, and read the schema.
    case inspectSchema(IntentID)
    /// Something that people should find in the log and that no change of state tells.
    case note(Note)
}

/// What happened without a change of state.
public enum Note: Sendable, Hashable {
    /// More was read than wanted; from now on it is lowered.
    case weightAbove(found: Weight, wanted: Weight)
    /// A raise that was taken back applied late; from now on it is lowered.
    case raiseAppliedLate(found: Weight)
    /// Less was read than wanted.
    case weightBelow(found: Weight, wanted: Weight)
    /// Serin's watchdog had lowered the weight.
    case watchdogLowered(found: Weight)
    /// Zero was not confirmed in time; it is asked for again until it is.
    case zeroOverdue
    /// Before the way back a lowering was not confirmed in time; it is asked for again until it is.
    case loweringOverdue
    /// The rollback is past its deadline.
    case rollbackOverdue
    /// Writes cannot be let in again; it is tried until they are.
    case fenceStuck
    /// A person who was called is reminded.
    case reminded
    /// A halt came while the rollback was under way.
    case haltedAgain(Command.Verb)
    /// A raise was asked for that nothing allows; it was not made.
    case brokenPromise(String)
    /// The evidence no longer allows the promotion that was asked for.
    case promotionWithdrawn
    /// What people agreed to was not begun in time; they are asked again where they still are.
    case agreementOver
}
