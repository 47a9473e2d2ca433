import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinPorts
import Testbed
import Testing

/// A scene with a backup that is good, and a source for more.
struct FaultStand {
    let scene: BackupScene
    let source: TextSource
    let good: BackupRecord

    init() async throws {
        scene = try await BackupScene.start(isEmpty: true)
        source = TextSource(text: String(repeating: "rows and rows\n", count: 50_000), inner: try scene.source(.plain))
        good = try await scene.backUp(source).record
    }

    func settings(_ destination: any BackupDestination, named name: String = "local") -> PipelineSettings {
        var settings = scene.settings
        settings.places = [BackupPlace(name, destination)]
        return settings
    }

    func folder() throws -> any BackupDestination { try scene.folder(scene.store) }

    /// Only the good one can be restored, its bytes are there, and nothing unfinished is left.
    func expectOnlyTheGoodOne(_ comment: Comment) async throws {
        let state = try await scene.catalogue.state()
        #expect(state.records.filter { $0.state.isRestorable }.map(\.id) == [good.id], comment)
        #expect(!state.records.contains { $0.state == .running }, comment)
        #expect(scene.leftovers.isEmpty, comment)
        #expect(scene.files(scene.store).count == 3, "\(scene.files(scene.store)) \(comment)")
        #expect(try await scene.catalogue.leases().isEmpty, comment)
        let read = try await scene.verifier.verify(good.id, source: source, destination: "local", by: BackupScene.principal)
        #expect(read.result.passed, "\(read.result.checks) \(comment)")
    }
}

/// Text that does not compress, the same each time.
enum Noise {
    static func text(_ count: Int) -> String {
        var generator = SplitMix(seed: 7)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            var word = generator.next()
            for _ in 0..<10 {
                bytes.append(UInt8(48 + word % 64))
                word /= 64
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
