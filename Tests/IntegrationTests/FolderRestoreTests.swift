import FoundationEssentials
import Glibc
import SerinAPI
import SerinModel
import SerinProcesses
import Testbed
import Testing

@testable import SerinCommandLine

/// Restores and drills of what is no Postgres, by the verbs.
@Suite(.serialized) struct FolderRestoreTests {
    private func text(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
    }

    @Test func filesComeBackIntoAFolderAndAreRehearsed() async throws {
        let stage = try RestoreStage()
        defer { stage.scratch.remove() }
        mkdir(stage.scratch.file("data"), 0o700)
        try stage.scratch.write("data/orders.csv", "orders\n")
        let orders = stage.scratch.file("data/orders.csv")
        let plan = try stage.plan(
            "{files: {paths: [\"\(stage.scratch.file("data"))\"]}}",
            more: "restore: {checks: {smoke: [{run: [/usr/bin/test, -s, \"{{folder}}\(orders)\"]}]}}")
        #expect(await stage.run("create", plan).code == .ok)
        let homeless = await stage.run("restore", plan, "latest")
        #expect(homeless.code == .refused && homeless.messages.contains("--into FOLDER"), "\(homeless.messages)")
        let back = stage.scratch.file("back")
        let restored = await stage.run("restore", plan, "latest", "--into", back, "-o", "json")
        #expect(restored.code == .ok, "\(restored.messages)\(restored.output)")
        #expect(try text(back + orders) == "orders\n")
        #expect(await stage.run("restore", plan, "latest", "--into", back).code == .refused)
        #expect(try text(back + orders) == "orders\n")
        for wish in [["--swap", "--confirm", "x"], ["--table", "a.b"], ["--masked"]] {
            let answer = await stage.run(["restore", plan, "latest"] + wish)
            #expect(answer.code == .usage, "\(wish): \(answer.messages)")
        }
        let drill = await stage.run("drill", plan, "-o", "json")
        #expect(drill.code == .ok, "\(drill.messages)\(drill.output)")
        #expect(await stage.run("list").output.contains("drilled"))

        // A check that fails keeps what came back, and says so.
        try stage.scratch.write("data/orders.csv", "")
        #expect(await stage.run("create", plan).code == .ok)
        let empty = await stage.run("restore", plan, "latest", "--into", stage.scratch.file("empty"), "-o", "json")
        #expect(empty.code == .verificationFailed && empty.failed.count == 1, "\(empty.messages)")
        #expect(access(stage.scratch.file("empty") + orders, F_OK) == 0)
        let failed = await stage.run("drill", plan, "-o", "json")
        #expect(failed.code == .verificationFailed)

        // A damaged copy leaves no folder.
        let found = try await Program("find", [stage.scratch.file("store"), "-name", "*.backup"], deadline: .seconds(5)).run()
        for path in found.text.split(separator: "\n") { truncate(String(path), 100) }
        let damaged = await stage.run("restore", plan, "latest", "--into", stage.scratch.file("damaged"))
        #expect(damaged.code == .unexpected, "\(damaged.messages)")
        #expect(access(stage.scratch.file("damaged"), F_OK) != 0)
    }

    @Test func aSnapshotOfRedisIsLoadedByAServerOfItsOwn() async throws {
        var stage = try RestoreStage()
        defer { stage.scratch.remove() }
        let port = try freePort()
        mkdir(stage.scratch.file("redis"), 0o700)
        let server = try ServerProcess(
            "redis-server",
            [
                "--port", "\(port)", "--bind", "127.0.0.1", "--dir", stage.scratch.file("redis"), "--save", "", "--appendonly",
                "no",
            ],
            log: stage.scratch.file("redis.log"))
        defer { server.stop() }
        func cli(_ words: String...) async throws -> String {
            try await Program("redis-cli", ["-h", "127.0.0.1", "-p", "\(port)"] + words, deadline: .seconds(5)).run().text
        }
        try await waitUntil("start of redis") { try await cli("PING").contains("PONG") }
        for key in ["one", "two", "three"] { _ = try await cli("SET", key, "value") }
        stage.environment["REDIS_URL"] = "redis://127.0.0.1:\(port)"
        let plan = try stage.plan("{redis: {url_env: REDIS_URL}}")
        let made = await stage.run("create", plan)
        #expect(made.code == .ok, "\(made.messages)")
        let back = stage.scratch.file("back")
        let restored = await stage.run("restore", plan, "latest", "--into", back, "-o", "json")
        #expect(restored.code == .ok, "\(restored.messages)\(restored.output)")
        #expect(restored.output.contains("3 keys"))
        let left = try FileManager.default.contentsOfDirectory(atPath: back)
        #expect(left == ["dump.rdb"])
        let drill = await stage.run("drill", plan, "-o", "json")
        #expect(drill.code == .ok, "\(drill.messages)\(drill.output)")
    }

    @Test func aCommandRestoresIntoTheFolderThatItIsGiven() async throws {
        let stage = try RestoreStage()
        defer { stage.scratch.remove() }
        let plan = try stage.plan(
            "{command: {run: [/bin/echo, content], restore: [/bin/sh, -c, 'cat > \"$0/file\"', \"{{folder}}\"]}}")
        let made = await stage.run("create", plan)
        #expect(made.code == .ok, "\(made.messages)")
        let back = stage.scratch.file("back")
        let restored = await stage.run("restore", plan, "latest", "--into", back)
        #expect(restored.code == .ok, "\(restored.messages)")
        #expect(try text(back + "/file") == "content\n")
        // Nobody here knows how to load what the program unpacks: that is said, and counts as nothing more.
        let drill = await stage.run("drill", plan)
        #expect(drill.code == .ok && drill.messages.contains("that it can be restored was not rehearsed"), "\(drill.messages)")
        #expect(drill.output.contains("Unpacked into a folder; whether a server takes it was not rehearsed"), "\(drill.output)")
        let listed = await stage.run("list").output
        #expect(listed.contains("verified") && !listed.contains("drilled"), "\(listed)")
    }
}
