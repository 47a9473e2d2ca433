internal import SerinModel

extension BackupRecord {
    /// Takes an event in that is not the first one.
    mutating func apply(_ event: CatalogueEvent) throws(CatalogueRefusal) {
        switch event.change {
        case .begun: throw CatalogueRefusal("backup \(id) is known already")
        case .imported(let manifest): try takeCopy(manifest.numberedCopy, facts: manifest.facts, at: event.at)
        case .stored(let copy, let facts): try takeCopy(copy, facts: facts, at: event.at)
        case .confirmed(let destination, let evidence): try confirm(destination, evidence, at: event.at)
        case .verified(let result): try verify(result)
        case .drilled(let result): try note(result)
        case .failed(let failure):
            try become(.failed)
            self.failure = failure
            failedAt = event.at
        case .quarantined(let destination, let failure): try quarantine(destination, failure, at: event.at)
        case .held(let hold):
            guard state != .deleting, state != .deleted else { throw refusal("cannot be held") }
            take(hold, of: event)
            expiresAt = nil
            warnedAt = nil
        case .released(let kind):
            guard holds.contains(where: { $0.kind == kind }) else { throw refusal("has no such hold to release") }
            release { $0.kind == kind }
        case .releasedHold(let id):
            guard holds.contains(where: { $0.id == id }) else { throw refusal("has no hold \(id) to release") }
            release { $0.id == id }
        case .warned(let date):
            guard state != .deleting, state != .deleted else { throw refusal("is being deleted already") }
            expiresAt = date
            warnedAt = event.at
        case .spared:
            expiresAt = nil
            warnedAt = nil
        case .rewrapped(let keyIDs, let wrappedKey):
            guard facts != nil else { throw refusal("was never stored") }
            facts?.envelope.keyIDs = keyIDs
            facts?.envelope.wrappedKey = wrappedKey
        case .deleting(let destination, let reason): try beginDeletion(destination, reason: reason, of: event)
        case .notDeleted(let destination, _): try giveUpDeletion(destination)
        case .deleted(let destination): try endDeletion(destination, of: event)
        }
    }

    /// Several of people stand side by side: none shortens another. A rollout and a restore set their own one anew.
    private mutating func take(_ hold: Hold, of event: CatalogueEvent) {
        var hold = hold
        hold.since = hold.since ?? event.at
        hold.by = hold.by ?? event.by
        holds.removeAll { hold.isOfPeople ? $0 == hold : $0.kind == hold.kind }
        released.removeAll { $0 == hold }
        holds.append(hold)
    }

    private mutating func release(_ isMeant: (Hold) -> Bool) {
        released += holds.filter { $0.isOfPeople && isMeant($0) }
        holds.removeAll(where: isMeant)
    }

    /// A copy that was written. It is usable only once it was read back.
    mutating func takeCopy(_ copy: BackupCopy, facts: BackupFacts, at time: Instant) throws(CatalogueRefusal) {
        var copy = copy
        guard copy.state == .stored, copy.confirmedAt == nil, copy.verifiedAt == nil else {
            throw refusal("cannot take a copy that says of itself that it was read back")
        }
        if let known = self.facts, known != facts {
            throw refusal("has a copy at \(copy.destination) with other facts than the first one")
        }
        switch state {
        case .running, .uploaded, .available, .verified, .drilled: break
        case .failed, .quarantined, .deleting, .deleted: throw refusal("cannot take a copy")
        }
        if let place = copies.firstIndex(where: { $0.destination == copy.destination }) {
            guard copies[place].state == .deleted || copies[place].state == .damaged else {
                throw refusal("has a copy at \(copy.destination) already")
            }
            var former = copies.remove(at: place)
            let earlier = former.formers ?? []
            former.formers = nil
            copy.formers = earlier + [former]
        }
        self.facts = facts
        copies.append(copy)
        if state == .running { try become(.uploaded) }
    }

    private mutating func confirm(
        _ destination: String, _ evidence: CopyEvidence, at time: Instant
    ) throws(CatalogueRefusal) {
        let place = try self.place(of: destination)
        guard copies[place].state == .stored else { throw refusal("is at \(destination) in state \(copies[place].state)") }
        try compare(evidence, with: copies[place])
        copies[place].state = .confirmed
        copies[place].confirmedAt = time
        copies[place].lock = later(copies[place].lock, evidence.lock)
        if state == .uploaded { try become(.available) }
    }

    private mutating func verify(_ result: VerificationResult) throws(CatalogueRefusal) {
        let place = try self.place(of: result.destination)
        switch copies[place].state {
        case .confirmed, .verified, .damaged: break
        case .stored, .deleting, .deleted: throw refusal("is at \(result.destination) in state \(copies[place].state)")
        }
        // One that was bad when it was first read back is read again like any other.
        let isUnread = copies[place].state == .damaged && copies[place].confirmedAt == nil
        guard let last = isUnread ? copies[place].storedAt : copies[place].confirmedAt, result.at > last else {
            throw refusal("can be verified only later than it was read back")
        }
        guard result.passed else {
            verification = result
            return try quarantine(result.destination, Failure(.invalid, result.failureText), at: result.at)
        }
        try compare(result.evidence, with: copies[place])
        guard result.isProof else {
            // The bytes are those that were stored, and it stays what it was: also bad, where it was found so in another way.
            if verification?.isProof != true { verification = result }
            if copies[place].state != .damaged { copies[place].verifiedAt = result.at }
            return
        }
        // To be read completely, and be what was stored, is to be read back.
        if isUnread { copies[place].confirmedAt = result.at }
        if state == .uploaded { try become(.available) }
        if state != .drilled { try become(.verified) }
        verification = result
        copies[place].state = .verified
        copies[place].verifiedAt = result.at
        copies[place].lock = later(copies[place].lock, result.evidence.lock)
        failure = nil
        failedAt = nil
    }

    private mutating func note(_ result: DrillResult) throws(CatalogueRefusal) {
        guard state.isVerified else { throw refusal("must be verified before it is drilled") }
        drill = result
        if result.isProof { try become(.drilled) }
    }

    /// One bad copy leaves the backup good as long as another one is usable, or may turn out to be.
    private mutating func quarantine(
        _ destination: String?, _ failure: Failure, at time: Instant
    ) throws(CatalogueRefusal) {
        if let destination {
            let place = try self.place(of: destination)
            guard copies[place].state != .deleting, copies[place].state != .deleted else {
                throw refusal("is being deleted at \(destination)")
            }
            copies[place].state = .damaged
        }
        self.failure = failure
        failedAt = time
        let isHopeless = !copies.contains { $0.state.isUsable || $0.state == .stored }
        if destination == nil || isHopeless { if state != .quarantined { try become(.quarantined) } }
    }

    private mutating func beginDeletion(
        _ destination: String?, reason: String, of event: CatalogueEvent
    ) throws(CatalogueRefusal) {
        if let hold = holds(at: event.at).first { throw refusal("is held: \(hold.reason)") }
        if let destination {
            let place = try self.place(of: destination)
            guard copies[place].state != .deleting, copies[place].state != .deleted else {
                throw refusal("is being deleted at \(destination) already")
            }
            if let lock = copies[place].lock, event.at < lock.until {
                throw refusal("is locked at \(destination) until \(lock.until)")
            }
            copies[place].stateBefore = copies[place].state
            copies[place].state = .deleting
        } else if copies.contains(where: { $0.state != .deleted }) {
            throw refusal("has copies, which are deleted one by one")
        }
        if copies.allSatisfy({ $0.state == .deleting || $0.state == .deleted }) {
            stateBefore = state
            try become(.deleting)
            tombstone = Tombstone(at: event.at, by: event.by, reason: reason)
        }
    }

    /// The copy is what it was; so is the backup, which had become one without copies.
    private mutating func giveUpDeletion(_ destination: String) throws(CatalogueRefusal) {
        let place = try self.place(of: destination)
        guard copies[place].state == .deleting, let before = copies[place].stateBefore else {
            throw refusal("has no deletion begun at \(destination)")
        }
        copies[place].state = before
        copies[place].stateBefore = nil
        if let before = stateBefore { state = before }
        stateBefore = nil
        tombstone = nil
    }

    private mutating func endDeletion(_ destination: String?, of event: CatalogueEvent) throws(CatalogueRefusal) {
        if let destination {
            let place = try self.place(of: destination)
            guard copies[place].state == .deleting else { throw refusal("has no deletion begun at \(destination)") }
            copies[place].state = .deleted
            copies[place].stateBefore = nil
        }
        guard copies.allSatisfy({ $0.state == .deleted }) else { return }
        try become(.deleted)
        stateBefore = nil
        tombstone?.at = event.at
    }

    // MARK: Small parts

    private mutating func become(_ next: BackupState) throws(CatalogueRefusal) {
        guard state.successors.contains(next) else { throw refusal("cannot become \(next)") }
        state = next
    }

    private func place(of destination: String) throws(CatalogueRefusal) -> Int {
        guard let place = copies.firstIndex(where: { $0.destination == destination }) else {
            throw refusal("has no copy at \(destination)")
        }
        return place
    }

    private func compare(_ evidence: CopyEvidence, with copy: BackupCopy) throws(CatalogueRefusal) {
        guard let envelope = facts?.envelope else { throw refusal("was never stored") }
        guard evidence.size == Int64(envelope.storedBytes) else {
            throw refusal("has \(evidence.size) bytes at \(copy.destination), not \(envelope.storedBytes)")
        }
        guard evidence.sha256 == envelope.storedSHA256 else {
            throw refusal("reads at \(copy.destination) otherwise than written")
        }
        if let version = copy.versionID, let found = evidence.versionID, version != found {
            throw refusal("was read at \(copy.destination) in version \(found), not \(version)")
        }
    }

    /// A lock is only ever prolonged.
    private func later(_ known: ObjectLock?, _ found: ObjectLock?) -> ObjectLock? {
        guard let known, let found else { return known ?? found }
        return found.until < known.until ? known : found
    }

    private func refusal(_ words: String) -> CatalogueRefusal { CatalogueRefusal("backup \(id), \(state.rawValue), \(words)") }
}

extension VerificationResult {
    /// What did not pass.
    fileprivate var failureText: String {
        let bad = checks.filter { !$0.passed }.map { $0.detail.isEmpty ? $0.name : "\($0.name): \($0.detail)" }
        return "verification at \(destination) failed: " + (bad.isEmpty ? "nothing was checked" : bad.joined(separator: "; "))
    }
}
