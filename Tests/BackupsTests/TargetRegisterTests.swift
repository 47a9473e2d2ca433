import Glibc
import SerinBackups
import SerinCatalogue
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinTransport
import Testbed
import Testing

/// What is held and who was erased stands beside the objects, and comes back to a catalogue that was lost.
@Suite struct TargetRegisterTests {
    private static let now = Sample.start + .hours(10)

    /// Two folders as destinations of one target.
    private struct Scene {
        let scratch: Scratch
        let places: [BackupPlace]
        var bucket: Bucket

        init() throws {
            scratch = try Scratch("serin-register")
            bucket = try Bucket(1...3)
            let scratch = scratch
            places = try ["bucket", "other"].map { name in
                try #require(mkdir(scratch.file(name), 0o700) == 0)
                // A folder with nothing in it may be a disk that is not mounted.
                _ = try scratch.write("\(name)/readme", "backups")
                return BackupPlace(
                    name,
                    try BackupDestinations.make(
                        DriverSettings(driver: "folder", settings: ["path": scratch.file(name)]),
                        environment: DestinationEnvironment(transport: try Transport(), now: { now }) { _ throws(Failure) in
                            throw Failure(.invalid, "no secret is asked for")
                        }))
            }
        }

        func keeper(
            _ store: any CatalogueStore, key: @escaping CatalogueSurvey.Authentication = Sample.authenticate,
            former: [CatalogueSurvey.Authentication] = []
        ) -> RegisterKeeper {
            RegisterKeeper(places, of: "checkout", catalogue: store, authenticate: key, former: former, now: { now })
        }

        /// Another key than the usual one.
        static let other: CatalogueSurvey.Authentication = {
            Hexadecimal.text(of: SHA256.digestOrEmpty(Array("another key".utf8) + $0))
        }

        /// What stands at the destinations.
        func registers() async throws -> [[UInt8]?] {
            let key = try #require(ObjectKey("checkout/register.json"))
            var found: [[UInt8]?] = []
            for place in places { found.append(try await place.destination.read(key)) }
            return found
        }

        /// The catalogue before it is lost: three backups, the second one held for the law, the third for a rollout, one erasure.
        func first() async throws -> MemoryCatalogue {
            let store = MemoryCatalogue(digest: SHA256.digestOrEmpty)
            for number in 1...3 { try await store.append(try Sample.available(number, at: Sample.start)) }
            try await store.append([
                Sample.event(2, .held(Hold(.legal, reason: "case 42"))),
                Sample.event(3, .held(Hold(.use("restore"), reason: "it is read"))),
            ])
            try await store.note(
                AuditNote(
                    at: Sample.start + .seconds(30), by: .uid(7), topic: Erasure.topic, target: "checkout", text: "184467"))
            return store
        }

        /// A new catalogue that knows what the manifests say.
        func imported() async throws -> MemoryCatalogue {
            let store = MemoryCatalogue(digest: SHA256.digestOrEmpty)
            _ = try await CatalogueRebuild(store).run(
                bucket.reading, authenticate: Sample.authenticate, at: now, by: .uid(7))
            return store
        }
    }

    @Test func whatWasHeldAndErasedIsKnownAgainAfterTheCatalogueWasLost() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        #expect(try await scene.keeper(try await scene.first()).keep().isEmpty)

        let store = try await scene.imported()
        #expect(try await store.unsettledImports(of: "checkout").count == 3)
        let recalled = try await scene.keeper(store).recall(by: .uid(7))
        #expect(recalled.held == [Sample.id(2)] && recalled.erasures == 1 && recalled.unread.isEmpty)
        let record = try #require(try await store.state()[Sample.id(2)])
        #expect(record.holds.map(\.reason) == ["case 42"])
        // The same one, as it was set.
        #expect(record.holds.map(\.id) == (try await scene.first().state().records[1].holds.map(\.id)))
        #expect(try await store.state()[Sample.id(3)]?.holds == [], "a restore that read it ended with the catalogue")
        let erased = try await store.notes(Erasure.topic, of: "checkout")
        #expect(Erasure.subjects(in: erased) == ["184467"])
        // Nothing is left for a person to settle.
        #expect(recalled.unsettled.isEmpty)
        #expect(try await store.unsettledImports(of: "checkout").isEmpty)
        let again = try await scene.keeper(store).recall(by: .uid(7))
        #expect(again.held.isEmpty && again.erasures == 0)
    }

    @Test func aBackupThatNoRegisterSpeaksOfWaitsForAPerson() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        let store = MemoryCatalogue(digest: SHA256.digestOrEmpty)
        for number in 1...2 { try await store.append(try Sample.available(number, at: Sample.start)) }
        _ = try await scene.keeper(store).keep()
        let recalled = try await scene.keeper(try await scene.imported()).recall(by: .uid(7))
        #expect(recalled.unsettled == [Sample.id(3)])
    }

    @Test func aNewCatalogueDoesNotForgetWhatItNeverKnew() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        _ = try await scene.keeper(try await scene.first()).keep()
        // The machine was replaced and made a backup before anybody imported.
        let fresh = MemoryCatalogue(digest: SHA256.digestOrEmpty)
        try await fresh.append(try Sample.available(9, at: Sample.start + .hours(1)))
        #expect(try await scene.keeper(fresh).keep().isEmpty)
        let recalled = try await scene.keeper(try await scene.imported()).recall(by: .uid(7))
        #expect(recalled.held == [Sample.id(2)] && recalled.erasures == 1)
        #expect(recalled.unsettled.isEmpty)
    }

    @Test func whatOneDestinationHoldsIsHeldThoughAnotherOneIsOlder() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        let store = try await scene.first()
        // Before the hold.
        let old = MemoryCatalogue(digest: SHA256.digestOrEmpty)
        for number in 1...3 { try await old.append(try Sample.available(number, at: Sample.start)) }
        _ = try await scene.keeper(old).keep()
        let only = RegisterKeeper(
            [scene.places[1]], of: "checkout", catalogue: store, authenticate: Sample.authenticate, former: [],
            now: { Self.now })
        _ = try await only.keep()
        #expect(try await scene.keeper(try await scene.imported()).recall(by: .uid(7)).held == [Sample.id(2)])
    }

    @Test func aRegisterThatNoKeyAtHandProvesSettlesNothingAndStays() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        let store = try await scene.first()
        _ = try await scene.keeper(store, key: Scene.other).keep()
        let before = try await scene.registers()
        let imported = try await scene.imported()
        let recalled = try await scene.keeper(imported).recall(by: .uid(7))
        #expect(recalled.unread.map(\.destination) == ["bucket", "other"])
        #expect(recalled.held.isEmpty && recalled.erasures == 0 && recalled.unsettled.count == 3)
        let unkept = try await scene.keeper(imported).keep()
        #expect(unkept.map(\.destination) == ["bucket", "other"])
        #expect(unkept.allSatisfy { $0.failure.hint?.contains("encryption.former_key_files") == true }, "\(unkept)")
        #expect(try await scene.registers() == before)
        // With that key named everything comes back.
        let named = scene.keeper(imported, former: [Scene.other])
        #expect(try await named.recall(by: .uid(7)).held == [Sample.id(2)])
    }

    @Test func aRegisterThatSaysTheSameIsNotWrittenAgain() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        let writes = Locked(0)
        var watched = ScriptedDestination(inner: scene.places[0].destination)
        watched.before = { verb throws(Failure) in if verb == "replace" { writes.withLock { $0 += 1 } } }
        let (place, store) = (BackupPlace("bucket", watched), try await scene.first())
        func keep(_ later: Duration) async throws {
            let keeper = RegisterKeeper(
                [place], of: "checkout", catalogue: store, authenticate: Sample.authenticate, former: [],
                now: { Self.now + later })
            #expect(try await keeper.keep() == [])
        }
        for hours in 0..<3 { try await keep(.hours(Int64(hours))) }
        #expect(writes.withLock { $0 } == 1)
        try await store.append([Sample.event(1, .held(Hold(.legal, reason: "case 43")))])
        try await keep(.hours(3))
        #expect(writes.withLock { $0 } == 2)
    }

    @Test func aRegisterOfAnotherVersionStays() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        let later = Array(#"{"version":2}"#.utf8)
        let key = try #require(ObjectKey("checkout/register.json"))
        _ = try await scene.places[0].destination.replace(key, with: later)
        #expect(try await scene.keeper(try await scene.first()).keep().map(\.destination) == ["bucket"])
        #expect(try await scene.registers()[0] == later)
    }

    @Test func whatAFormerKeySealedIsBelievedAndSealedAnewWithoutForgettingAnything() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        let first = try await scene.first()
        _ = try await scene.keeper(first, key: Scene.other).keep()
        // It says what the catalogue says, and still goes under the new key.
        #expect(try await scene.keeper(first, former: [Scene.other]).keep().isEmpty)
        #expect(try await scene.keeper(try await scene.imported()).recall(by: .uid(7)).held == [Sample.id(2)])

        // The key went over, the machine was replaced, and a backup was made before anybody imported.
        _ = try await scene.keeper(first, key: Scene.other, former: [Sample.authenticate]).keep()
        let fresh = MemoryCatalogue(digest: SHA256.digestOrEmpty)
        try await fresh.append(try Sample.available(9, at: Sample.start + .hours(1)))
        #expect(try await scene.keeper(fresh, former: [Scene.other]).keep().isEmpty)
        let recalled = try await scene.keeper(try await scene.imported()).recall(by: .uid(7))
        #expect(recalled.held == [Sample.id(2)] && recalled.erasures == 1 && recalled.unread.isEmpty)
    }

    @Test func severalHoldsOfOneKindStandBesideTheObjects() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        let store = try await scene.first()
        try await store.append([Sample.event(2, at: Sample.start + .hours(1), .held(Hold(.legal, reason: "case 43")))])
        _ = try await scene.keeper(store).keep()
        let imported = try await scene.imported()
        #expect(try await scene.keeper(imported).recall(by: .uid(7)).held == [Sample.id(2)])
        #expect(Set(try await imported.state().records[1].holds.map(\.reason)) == ["case 42", "case 43"])
    }

    @Test func anImportFromOneDestinationForgetsNoHoldThatOnlyAnotherKnows() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        let other = RegisterKeeper(
            [scene.places[1]], of: "checkout", catalogue: try await scene.first(), authenticate: Sample.authenticate, former: [],
            now: { Self.now })
        _ = try await other.keep()
        let bare = MemoryCatalogue(digest: SHA256.digestOrEmpty)
        for number in 1...3 { try await bare.append(try Sample.available(number, at: Sample.start)) }
        let bucket = RegisterKeeper(
            [scene.places[0]], of: "checkout", catalogue: bare, authenticate: Sample.authenticate, former: [], now: { Self.now })
        _ = try await bucket.keep()
        let before = try await scene.registers()

        let imported = try await scene.imported()
        let keeper = scene.keeper(imported)
        let recalled = try await keeper.recall(from: "bucket", by: .uid(7))
        #expect(recalled.held.isEmpty && recalled.unsettled.count == 3, "nobody knows what the other one holds")
        _ = try await keeper.keep(at: "bucket")
        #expect(try await scene.registers()[1] == before[1], "what was not read is not written")
        // Even once a person agreed, this catalogue never released it.
        try await imported.note(
            AuditNote(at: Self.now, by: .uid(7), topic: Retention.settledTopic, target: "checkout", text: "agreed"))
        #expect(try await keeper.keep().isEmpty)
        #expect(try await keeper.recall(by: .uid(7)).held == [Sample.id(2)])
    }

    @Test func whatWasReleasedIsNotHeldAgain() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        let store = try await scene.first()
        _ = try await scene.keeper(store).keep()
        try await store.append([Sample.event(2, at: Sample.start + .hours(1), .released(.legal))])
        _ = try await scene.keeper(store).keep()
        let recalled = try await scene.keeper(try await scene.imported()).recall(by: .uid(7))
        #expect(recalled.held.isEmpty && recalled.unsettled.isEmpty)
    }

    @Test func oneThatSaysTheSameIsNotWrittenAgain() async throws {
        let scene = try Scene()
        defer { scene.scratch.remove() }
        let store = try await scene.first()
        _ = try await scene.keeper(store).keep()
        let key = try #require(ObjectKey("checkout/register.json"))
        let before = try #require(try await scene.places[0].destination.read(key))
        let later = RegisterKeeper(
            scene.places, of: "checkout", catalogue: store, authenticate: Sample.authenticate, former: [Scene.other],
            now: { Self.now + .hours(5) })
        #expect(try await later.keep().isEmpty)
        #expect(try await scene.places[0].destination.read(key) == before)
    }

    @Test func aFolderInWhichNothingWasStoredYetIsNoFailureOfItsRegister() async throws {
        let scratch = try Scratch("serin-register")
        defer { scratch.remove() }
        let path = scratch.file("store")
        try #require(mkdir(path, 0o700) == 0)
        let place = BackupPlace(
            "bucket",
            try BackupDestinations.make(
                DriverSettings(driver: "folder", settings: ["path": path]),
                environment: DestinationEnvironment(transport: try Transport(), now: { Self.now }) { _ throws(Failure) in
                    throw Failure(.invalid, "no secret is asked for")
                }))
        func unkept(_ store: any CatalogueStore) async throws -> [RegisterKeeper.Unkept] {
            try await RegisterKeeper(
                [place], of: "checkout", catalogue: store, authenticate: Sample.authenticate, former: [], now: { Self.now }
            ).keep()
        }
        let store = MemoryCatalogue(digest: SHA256.digestOrEmpty)
        #expect(try await unkept(store).isEmpty)
        // Where a copy is known, nobody can tell.
        try await store.append(try Sample.available(1, at: Sample.start))
        #expect(try await unkept(store).map(\.destination) == ["bucket"])
    }
}
