import SerinModel
import SerinPolicies
import SerinRollouts

// What is promised of the schema, of writes and of data.
extension World {
    /// An action was proven to be done.
    mutating func remember(done kind: ActionKind) {
        switch kind {
        case .fence: schema.isFenced = true
        case .unfence: schema.mayBeFenced = false
        case .downgrade: schema.isChanged = false
        case .deploy, .promote, .rollback, .migrate, .restore: break
        }
    }

    /// An action has ended, however it did.
    mutating func ended(_ kind: ActionKind?) {
        switch kind {
        case .migrate, .downgrade, .fence, .unfence, .restore: schema.isMoving = false
        case .deploy, .promote, .rollback, nil: break
        }
    }

    /// A look at the schema has decided which way it goes.
    mutating func remember(_ way: SchemaWay) {
        schema.people = 0
        switch way {
        case .keep: schema.isChanged = false
        case .restore(let people): schema.people = Int8(max(people, machine.plan.migrationApprovals))
        case .downgrade, .unknown: break
        }
    }

    /// The way of the schema back begins with a look at it, after the code.
    mutating func checkInspection() throws(Violation) {
        try checkOrder("the schema was looked at")
        schema.people = 0
        schema.approvers = []
    }

    /// Traffic, then code, then schema.
    private func checkOrder(_ deed: String) throws(Violation) {
        let plan = machine.plan
        let isCodeThere = plan.deploy == nil || deploys > 0
        if plan.rollback != nil, plan.onFailure == .rollback || promotes > 0, isCodeThere, !hasReverted {
            throw Violation(promise: "S13", words: "\(deed) before the code was brought back")
        }
        if isActionRunning || schema.isMoving {
            throw Violation(promise: "S3", words: "\(deed) while something else is under way")
        }
        if balancer > .zero, faults.strangers == strangersAtFirst {
            throw Violation(promise: "S2", words: "\(deed) while the canary has \(balancer)")
        }
    }

    /// Whether an action on the schema, on writes or on data may be asked for.
    mutating func checkSchema(_ kind: ActionKind) throws(Violation) {
        if schema.isMoving { throw Violation(promise: "S3", words: "\(kind.words) asked for while the schema is moving") }
        switch kind {
        case .migrate, .downgrade, .fence, .unfence, .restore: schema.isMoving = true
        case .deploy, .promote, .rollback: break
        }
        switch kind {
        case .deploy, .promote, .rollback: break
        case .migrate:
            schema.migrations += 1
            if schema.migrations > 1 { throw Violation(promise: "S3", words: "migrated twice") }
            if isActionRunning { throw Violation(promise: "S3", words: "migrated while something else is under way") }
            if need == .destructive, !isBackedUp {
                throw Violation(promise: "S6", words: "data put at risk without a verified backup")
            }
            if need == .destructive, !schema.isFenced {
                throw Violation(promise: "S6", words: "data put at risk while writes go on")
            }
            if need == .destructive, starters.count < machine.plan.migrationApprovals {
                throw Violation(promise: "S6", words: "data put at risk without the people needed")
            }
            if mayNotRise { throw Violation(promise: "S2", words: "migrated after a fail, halt or doubt") }
            schema.isChanged = true
        case .downgrade: if balancer > .zero { throw Violation(promise: "S2", words: "the schema goes back under traffic") }
        case .restore:
            if balancer > .zero { throw Violation(promise: "S2", words: "data is restored under traffic") }
            if !isBackedUp { throw Violation(promise: "S6", words: "restored without a verified backup") }
            if !schema.isFenced { throw Violation(promise: "S6", words: "restored while writes go on") }
            if schema.people == 0 || schema.approvers.count < Int(schema.people) {
                throw Violation(promise: "S6", words: "restored without the people needed")
            }
            schema.people = 0
            schema.approvers = []
        case .fence: schema.mayBeFenced = true
        case .unfence: schema.isFenced = false
        }
    }
}
