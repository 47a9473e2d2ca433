public import SerinModel
internal import SerinRecords

/// What the catalogue knows of a target's backups that no manifest says: what people and the law hold, and who was erased. It stands
/// beside the objects, so that a catalogue that was lost knows it again.
///
/// The bytes are one canonical JSON document, authenticated as manifests are.
public struct TargetRegister: Sendable, Hashable, Codable {
    /// The version of this form.
    public static let currentVersion = 1

    /// A backup that is held.
    public struct Held: Sendable, Hashable, Codable {
        /// The backup.
        public var backup: BackupID
        /// Why it is kept.
        public var hold: Hold
    }

    /// A subject whose data was erased.
    public struct Erased: Sendable, Hashable, Codable {
        /// As the application names it: a number, never a name.
        public var subject: String
        /// When it was noted.
        public var at: Instant
        /// Who noted it.
        public var by: Principal
    }

    /// The version of the form.
    public var version: Int
    /// The target.
    public var target: String
    /// When it was written.
    public var at: Instant
    /// The backups that it speaks of, sorted: one of them that is not among the held ones was not held.
    public var backups: [BackupID]
    /// What is held until somebody releases it, or until a moment; sorted.
    public var holds: [Held]
    /// Who was erased, in the order in which they were.
    public var erasures: [Erased]
    /// HMAC-SHA-256 over the rest, in hexadecimal; empty until it is sealed.
    public var mac: String

    /// What a catalogue knows.
    ///
    /// - Parameters:
    ///   - unsettled: The backups that are known from their manifests alone: of them it cannot say that nothing held them.
    ///   - notes: The notes of erasures.
    ///   - former: What stands beside the objects now. What it says of backups that this catalogue does not know stays, as does every
    ///     hold that this catalogue never had and so never released: it may be a new one that not every register was imported into.
    public init(
        of target: String, _ state: CatalogueState, unsettled: Set<BackupID>, erasures notes: [AuditNote],
        beside former: TargetRegister?, at now: Instant
    ) {
        version = TargetRegister.currentVersion
        self.target = target
        at = now
        mac = ""
        let own = state.records.filter { $0.order.target == target }
        let known = Set(own.map(\.id)).subtracting(unsettled)
        var held = own.filter { $0.state != .deleted }.flatMap { record in
            record.holds.filter { $0.isOfPeople && $0.holds(at: now) }.map { Held(backup: record.id, hold: $0) }
        }
        for old in former?.holds ?? [] {
            guard state[old.backup]?.knows(old.hold) != true, !held.contains(where: { $0.isLike(old) }) else { continue }
            held.append(old)
        }
        let others = (former?.backups ?? []).filter { !known.contains($0) }
        backups = Set(own.filter { $0.state != .deleted && known.contains($0.id) }.map(\.id) + others).sorted()
        holds = held.sorted {
            ($0.backup, $0.hold.kind == .legal ? 0 : 1, $0.hold.id) < ($1.backup, $1.hold.kind == .legal ? 0 : 1, $1.hold.id)
        }
        var erased = former?.erasures ?? []
        for note in notes where note.topic == Erasure.topic && note.target == target {
            let new = Erased(subject: note.text, at: note.at, by: note.by)
            if !erased.contains(new) { erased.append(new) }
        }
        erasures = erased.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    }

    /// Whether another one says the same, whenever it was written.
    public func says(_ other: TargetRegister) -> Bool {
        version == other.version && target == other.target && backups == other.backups && holds == other.holds
            && erasures == other.erasures
    }

    /// The register with its authentication code.
    public func sealed(by authenticate: Manifest.Authentication) throws(ManifestError) -> TargetRegister {
        var sealed = self
        sealed.mac = authenticate(try authenticatedBytes())
        guard sealed.mac.utf8.count == 64 else { throw ManifestError("the authentication code could not be computed") }
        return sealed
    }

    /// The bytes to store.
    public func bytes() throws(ManifestError) -> [UInt8] {
        guard !mac.isEmpty else { throw ManifestError("the register of \(target) is not sealed") }
        return try TargetRegister.canonical(self)
    }

    /// Reads a register. Anything but the very bytes that were stored, another author's, and another target's is refused.
    ///
    /// - Parameters:
    ///   - bytes: What was stored.
    ///   - target: The target.
    ///   - authenticate: The authentication with the key of the manifests.
    ///   - former: Those with the keys that were used before, which are believed too.
    public init(
        reading bytes: [UInt8], of target: String, authenticate: Manifest.Authentication,
        former: [Manifest.Authentication] = []
    ) throws(ManifestError) {
        let document: JSONValue
        do { document = try JSONValue(parsing: bytes, depthLimit: 32) } catch {
            throw ManifestError("the register is cut short or no JSON document: \(error)")
        }
        guard document["version"]?.integer == Int64(TargetRegister.currentVersion) else {
            throw ManifestError("the register has a version other than \(TargetRegister.currentVersion)")
        }
        do { self = try CanonicalDecoder.decode(TargetRegister.self, from: document) } catch {
            throw ManifestError("the register lacks something or has a wrong value \(error)")
        }
        guard self.target == target else { throw ManifestError("the register is that of \(self.target), not of \(target)") }
        guard try TargetRegister.canonical(self) == bytes else {
            throw ManifestError("the register of \(target) has keys or a form that were not written here")
        }
        let rest = try authenticatedBytes()
        guard Manifest.equal(authenticate(rest), mac) || former.contains(where: { Manifest.equal($0(rest), mac) }) else {
            throw ManifestError("the register of \(target) bears the authentication code of no key that is at hand")
        }
    }

    /// Whether this very key sealed it, and not one that was used before.
    public func isSealed(by authenticate: Manifest.Authentication) throws(ManifestError) -> Bool {
        Manifest.equal(authenticate(try authenticatedBytes()), mac)
    }

    private func authenticatedBytes() throws(ManifestError) -> [UInt8] {
        var rest = self
        rest.mac = ""
        // No manifest's code is ever one of a register.
        return Array("register\n".utf8) + (try TargetRegister.canonical(rest))
    }

    private static func canonical(_ register: TargetRegister) throws(ManifestError) -> [UInt8] {
        do { return try CanonicalEncoder.bytes(of: register) } catch {
            throw ManifestError("the register of \(register.target) cannot be written \(error)")
        }
    }
}

extension TargetRegister.Held {
    /// Whether it is the same hold on the same backup.
    fileprivate func isLike(_ other: TargetRegister.Held) -> Bool { backup == other.backup && hold.isSame(as: other.hold) }
}

extension BackupRecord {
    /// Whether it is known what became of a hold: it is in force, ended, or was released here, or there is nothing left to hold.
    fileprivate func knows(_ hold: Hold) -> Bool {
        state == .deleted || (holds + released).contains { $0.isSame(as: hold) }
    }
}

extension CatalogueState {
    /// What a register brings back to a catalogue that was lost: the holds that it never had, the erasures that are not known, and that
    /// it speaks of the backups that are known from their manifests alone.
    ///
    /// - Parameters:
    ///   - registers: Those of all destinations. What any of them says is held is held.
    ///   - unsettled: The backups that are known from their manifests alone.
    ///   - isWhole: Whether every destination of the plan was asked and answered. Only then a backup that no register holds counts as one that was not held.
    ///   - erasures: The notes of erasures that are known.
    public func recalled(
        from registers: [TargetRegister], unsettled: Set<BackupID>, isWhole: Bool, erasures: [AuditNote], at now: Instant,
        by principal: Principal
    ) -> [CatalogueLine] {
        var lines: [CatalogueLine] = []
        var seen: Set<TargetRegister.Held> = []
        for held in registers.flatMap(\.holds) where held.hold.holds(at: now) {
            guard let record = self[held.backup], record.isLive, record.state != .deleting else { continue }
            guard !record.knows(held.hold), !seen.contains(where: { $0.isLike(held) }), seen.insert(held).inserted else {
                continue
            }
            lines.append(.event(CatalogueEvent(backup: held.backup, at: now, by: principal, .held(held.hold))))
        }
        var known = Set(erasures.map { TargetRegister.Erased(subject: $0.text, at: $0.at, by: $0.by) })
        for register in registers {
            for erased in register.erasures where known.insert(erased).inserted {
                lines.append(
                    .note(
                        AuditNote(
                            at: erased.at, by: erased.by, topic: Erasure.topic, target: register.target, text: erased.subject)))
            }
        }
        guard isWhole, let target = registers.first?.target else { return lines }
        for backup in Set(registers.flatMap(\.backups)).intersection(unsettled).sorted() {
            lines.append(
                .note(
                    AuditNote(
                        at: now, by: principal, topic: Retention.coveredTopic, target: target, backup: backup,
                        text: "the register beside the objects says what held it")))
        }
        return lines
    }
}
