import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

/// Whether the daemon is as its OpenAPI document says, asked by a program that knows nothing else of it.
@Suite(.serialized) struct DescribedAPITests {
    /// Passes what comes over TCP on to a unix socket, whose peer is then this test's own user.
    private static let relay = """
        import asyncio, sys

        async def pump(reader, writer):
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            except ConnectionError:
                pass
            finally:
                writer.close()

        async def accept(reader, writer):
            there, back = await asyncio.open_unix_connection(sys.argv[1])
            await asyncio.gather(pump(reader, back), pump(there, writer))

        async def main():
            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            print("port", server.sockets[0].getsockname()[1], flush=True)
            await server.serve_forever()

        asyncio.run(main())
        """

    private func output(_ file: String) -> String {
        String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self)
    }

    /// What follows a mark in a log, up to the end of its line, once it is there.
    private func wait(for mark: String, in log: String) async throws -> String {
        try await waitUntil(mark, within: .seconds(60)) { output(log).contains(mark) && output(log).hasSuffix("\n") }
        let text = output(log)
        let start = try #require(text.range(of: mark)?.upperBound)
        return String(text[start...].prefix { $0 != "\n" })
    }

    @Test func theDaemonIsAsItsOpenAPIDocumentSays() async throws {
        let scratch = try Scratch("serin-described")
        defer { scratch.remove() }
        let state = scratch.file("state")
        let log = scratch.file("daemon.log")
        let daemon = try ServerProcess(
            Scene.program(), ["daemon", "--state", state, "--listen", "0"], environment: ["HOME": scratch.path], log: log)
        defer { daemon.stop() }
        let url = "http://127.0.0.1:" + (try await wait(for: "listening at http://127.0.0.1:", in: log))
        let script = try scratch.write("relay.py", Self.relay)
        let relay = try ServerProcess(
            "/usr/bin/env", ["python3", script, "\(state)/daemon.sock"], log: scratch.file("relay.log"))
        defer { relay.stop() }
        let own = "http://127.0.0.1:" + (try await wait(for: "port ", in: scratch.file("relay.log")))
        try await startRefusedRollout(state, scratch)
        // As this user, who may do everything; then as nobody, over TCP.
        for (address, name) in [(own, "own"), (url, "nobody")] {
            let done = try await Program(
                toolPath("schemathesis"),
                [
                    "run", "\(address)/v1/openapi.json", "--phases", "examples,coverage,fuzzing", "--max-examples", "4", "--seed",
                    "4711", "--workers", "1", "--continue-on-failure", "--suppress-health-check", "all", "--no-color",
                    "--request-timeout", "20", "--warnings", "off", "--checks",
                    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
                        + "response_schema_conformance,unsupported_method,allow_header_conformance",
                    // It follows a log for as long as its rollout lives, and waits where it is asked to.
                    "--exclude-operation-id", "waitForRollout",
                ], environment: ["HOME": scratch.path, "PATH": "/usr/bin:/bin"], directory: scratch.path,
                deadline: .minutes(5)
            ).run()
            #expect(done.termination == .exited(0), "\(name): \(done.text)")
        }
        #expect(daemon.isRunning)
    }

    /// A rollout of `checkout` that is over at once: nothing answers where its policy says. So there is something to read.
    private func startRefusedRollout(_ state: String, _ scratch: Scratch) async throws {
        let policy = try scratch.write(
            "policy.yaml",
            """
            version: 1
            service: checkout
            traffic:
              envoy: {admin: "http://127.0.0.1:1", runtime_prefix: routing.checkout, canary: canary, control: control}
              steps: [5, 25, 50]
            prometheus:
              url: http://127.0.0.1:1
              canary:  {version: "{{version}}"}
              control: {version: "{{previous}}"}
            bake: 30m
            signals:
              errors: {counter: http_requests_total, bad: {code: "5.."}}
            on_failure: rollback
            """)
        let started = try await Program(
            Scene.program(), ["start", policy, "--version", "2", "--previous", "1", "--state", state],
            environment: ["HOME": scratch.path], deadline: .minutes(1)
        ).run()
        #expect(started.termination == .exited(0), "\(started.text)")
        let waited = try await Program(
            Scene.program(), ["wait", "checkout", "--state", state, "--timeout", "2m"], environment: ["HOME": scratch.path],
            deadline: .minutes(3)
        ).run()
        #expect(waited.termination == .exited(7), "\(waited.text)")
    }
}
