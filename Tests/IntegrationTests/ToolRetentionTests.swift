import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

@testable import SerinCommandLine

/// Backups whose bytes a tool keeps, and removes by rules of its own.
@Suite struct ToolRetentionTests {
    /// What `info` of pgBackRest 2.45 says of a repository with these backups of one cluster, by the number of their log.
    private func info(_ labels: [Int: String], at seconds: Int64) -> String {
        let backups = labels.sorted { $0.key < $1.key }.map { number, label in
            """
            {"archive":{"start":"00000001000000000000000\(number)","stop":"00000001000000000000000\(number)"},
            "backrest":{"format":5,"version":"2.45"},"database":{"id":1,"repo-key":1},"error":false,
            "info":{"size":1000,"repository":{"delta":100}},"label":"\(label)",
            "lsn":{"start":"0/\(number)000028","stop":"0/\(number)000100"},"timestamp":{"start":\(seconds - 5),"stop":\(seconds)},
            "type":"full"}
            """
        }
        return """
            [{"archive":[],"backup":[\(backups.joined(separator: ","))],
            "db":[{"id":1,"repo-key":1,"system-id":7400000000000000001,"version":"15"}],"name":"main",
            "status":{"code":\(labels.isEmpty ? 2 : 0),"message":"ok"}}]
            """
    }

    @Test func whatPgBackRestRemovedIsNoBackupAnyMore() async throws {
        let stage = try RestoreStage()
        let scratch = stage.scratch
        defer { scratch.remove() }
        let (first, second) = ("20261121-135625F", "20261122-135625F")
        let seconds = SystemClock().now().millisecondsSince1970 / 1000 - 10
        mkdir(scratch.file("tools"), 0o755)
        try scratch.write("answer", info([:], at: seconds))
        try scratch.write("next", info([2: first], at: seconds))
        try scratch.write(
            "tools/pgbackrest",
            """
            #!/bin/sh
            cd '\(scratch.path)' || exit 1
            for last; do :; done
            case $last in
            version) echo 'pgBackRest 2.45' ;;
            info) cat answer ;;
            backup) cp next answer ;;
            verify) printf 'stanza: main\\nstatus: ok\\n  backup: \(first), status: valid\\n' ;;
            esac

            """, mode: 0o755)
        let plan = try stage.plan("{postgres_physical: {url_env: CLUSTER_URL, pgbackrest: {stanza: main}}}")
        func serin(_ arguments: String...) async throws -> Completion {
            try await Program(
                try Scene.program(), ["backup"] + arguments,
                environment: [
                    "PATH": scratch.file("tools") + ":/usr/bin:/bin", "SERIN_STATE": scratch.file("state"),
                    "CLUSTER_URL": "postgresql://nobody@127.0.0.1:1/none",
                ], deadline: .seconds(60)
            ).run()
        }
        let made = try await serin("create", plan)
        #expect(made.termination == .exited(0), "\(made.text)")
        #expect(try await serin("readiness", plan).text.contains("newest backup"))
        #expect(try await serin("list").text.contains("available"))
        // A repository that knows nothing of this cluster, or does not answer, condemns none.
        for answer in [info([:], at: seconds), "no answer"] {
            try scratch.write("answer", answer)
            _ = try await serin("readiness", plan)
            #expect(try await serin("list").text.contains("available"), "\(answer)")
        }
        try scratch.write("answer", info([3: second], at: seconds))
        let ready = try await serin("readiness", plan)
        #expect(ready.text.contains("there is none of the kind base_full"), "\(ready.text)")
        #expect(try await serin("show", try await id(serin("list", "--all", "-o", "json"))).text.contains("quarantined"))
    }

    private func id(_ list: Completion) throws -> String {
        let document = try JSONValue(parsing: list.output)
        return try #require(document["backups"]?.items?.first?["order"]?["id"]?.text, "\(list.text)")
    }
}
