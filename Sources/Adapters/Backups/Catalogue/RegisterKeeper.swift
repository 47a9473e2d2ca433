internal import SerinCatalogue
public import SerinModel
public import SerinPorts

/// Keeps the register of a target beside its objects, at every destination, and reads it again for a catalogue that was lost.
public struct RegisterKeeper: Sendable {
    /// A destination that does not hold the register as it should, and why.
    public struct Unkept: Sendable, Hashable {
        /// The destination's name in the plan.
        public var destination: String
        /// Why.
        public var failure: Failure
    }

    /// What the registers brought back.
    public struct Recalled: Sendable, Hashable {
        /// The backups that are held again, sorted.
        public var held: [BackupID] = []
        /// How many erasures are known again.
        public var erasures = 0
        /// The backups of which still nothing says what held them, sorted: prune waits for a person.
        public var unsettled: [BackupID] = []
        /// The destinations whose register could not be read or believed.
        public var unread: [Unkept] = []
    }

    /// The largest register that is read, in bytes.
    static let limit = 16 << 20

    private let places: [BackupPlace]
    private let target: String
    private let catalogue: any CatalogueStore
    private let authenticate: CatalogueSurvey.Authentication
    private let former: [CatalogueSurvey.Authentication]
    private let now: @Sendable () -> Instant

    /// A keeper for one target.
    ///
    /// - Parameters:
    ///   - authenticate: The authentication with the key of the manifests.
    ///   - former: With the keys that were used before.
    public init(
        _ places: [BackupPlace], of target: String, catalogue: any CatalogueStore,
        authenticate: @escaping CatalogueSurvey.Authentication, former: [CatalogueSurvey.Authentication],
        now: @escaping @Sendable () -> Instant
    ) {
        self.places = places
        self.target = target
        self.catalogue = catalogue
        self.authenticate = authenticate
        self.former = former
        self.now = now
    }

    /// Writes the register wherever it says something else than the catalogue, or a key that was used before sealed it. One that is
    /// not believed stays: what it holds may stand nowhere else.
    ///
    /// - Parameter destination: The only one that is written to; nil for all.
    /// - Returns: The destinations where it could not be written, or one stands that is not believed.
    public func keep(at destination: String? = nil) async throws(Failure) -> [Unkept] {
        let (state, unsettled, erasures) = try await known()
        var unkept: [Unkept] = []
        for place in places where destination == nil || destination == place.name {
            do throws(Failure) {
                let found = try await register(at: place)
                let register = TargetRegister(
                    of: target, state, unsettled: unsettled, erasures: erasures, beside: found, at: now())
                let text: [UInt8]
                do throws(ManifestError) {
                    if let found, found.says(register), try found.isSealed(by: { authenticate($0) }) { continue }
                    text = try register.sealed(by: { authenticate($0) }).bytes()
                } catch { throw Failure(.invalid, error.description) }
                _ = try await place.destination.replace(try ObjectLayout.register(target), with: text)
            } catch {
                // Where nothing was stored yet nothing depends on it, and a folder with nothing in it is as it should be.
                if error.kind == .transient, !state.knowsCopies(of: target, at: place.name) { continue }
                unkept.append(Unkept(destination: place.name, failure: error))
            }
        }
        return unkept
    }

    /// Tells the catalogue what the registers know and it does not.
    ///
    /// - Parameter destination: The only one that is asked; nil for all. Then no backup counts as one that nothing held: another
    ///   destination may know better.
    public func recall(from destination: String? = nil, by principal: Principal) async throws(Failure) -> Recalled {
        let (state, unsettled, erasures) = try await known()
        var recalled = Recalled()
        var registers: [TargetRegister] = []
        for place in places where destination == nil || destination == place.name {
            do throws(Failure) {
                if let register = try await register(at: place) { registers.append(register) }
            } catch {
                recalled.unread.append(Unkept(destination: place.name, failure: error))
            }
        }
        let isWhole = recalled.unread.isEmpty && places.allSatisfy { destination == nil || destination == $0.name }
        let lines = state.recalled(
            from: registers, unsettled: unsettled, isWhole: isWhole, erasures: erasures, at: now(), by: principal)
        for line in lines {
            switch line {
            case .event(let event): recalled.held.append(event.backup)
            case .note(let note): if note.topic == Erasure.topic { recalled.erasures += 1 }
            }
        }
        recalled.held = Set(recalled.held).sorted()
        do throws(CatalogueStoreError) {
            if !lines.isEmpty { try await catalogue.append(lines, under: nil) }
            recalled.unsettled = try await catalogue.unsettledImports(of: target).sorted()
        } catch { throw error.failure }
        return recalled
    }

    private func register(at place: BackupPlace) async throws(Failure) -> TargetRegister? {
        try await Self.register(of: target, at: place, authenticate: authenticate, former: former)
    }

    private func known() async throws(Failure) -> (CatalogueState, Set<BackupID>, [AuditNote]) {
        do throws(CatalogueStoreError) {
            return (
                try await catalogue.state(), try await catalogue.unsettledImports(of: target),
                try await catalogue.notes(Erasure.topic, of: target)
            )
        } catch { throw error.failure }
    }

    /// Nil where there is none.
    ///
    /// - Throws: `invalid` when the one that is there is not believed.
    static func register(
        of target: String, at place: BackupPlace, authenticate: CatalogueSurvey.Authentication,
        former: [CatalogueSurvey.Authentication]
    ) async throws(Failure) -> TargetRegister? {
        let key = try ObjectLayout.register(target)
        guard let bytes = try await place.destination.read(key, limit: Self.limit) else { return nil }
        do throws(ManifestError) {
            return try TargetRegister(
                reading: bytes, of: target, authenticate: { authenticate($0) }, former: former.map { code in { code($0) } })
        } catch {
            throw Failure(
                .invalid, "\(error.description), so it is neither believed nor replaced",
                hint: "name the key that sealed it under encryption.former_key_files in the plan, or use the version of "
                    + "Serin that wrote it; where neither is to be had, read \(key), hold again what it holds "
                    + "(serin backup hold), and move it away: another one is written then")
        }
    }
}

extension CatalogueState {
    /// Whether backups of a target were ever stored at a destination.
    fileprivate func knowsCopies(of target: String, at destination: String) -> Bool {
        records.contains { $0.order.target == target && $0.copy(at: destination) != nil }
    }
}
