import Glibc
import SerinModel
import Testbed
import Testing

extension Integration {
    @Suite(.serialized) struct Reserves {
        @Test func aReserveThatCannotBeHadIsTold() async throws {
            try await Scene.play { scene in
                for folder in [scene.state, "\(scene.state)/\(scene.service)"] { mkdir(folder, 0o700) }
                // A folder in the file's place stands for a disk without room.
                mkdir("\(scene.state)/\(scene.service)/reserve", 0o700)
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitOutput("no room for the journal's reserve")
                #expect(try await scene.end(of: run) == 0, "\(scene.output())")
            }
        }
    }
}
