import Glibc
import SerinBackups
import SerinCatalogue
import SerinLocks
import SerinModel
import SerinProcesses
import Testbed

/// Runs sources against a scratch folder.
struct SourceFixture {
    let scratch: Scratch
    let environment: SourceEnvironment

    init(stall: Duration = .seconds(30), deadline: Duration = .minutes(1)) throws {
        scratch = try Scratch("serin-sources")
        mkdir(scratch.file("work"), 0o700)
        environment = SourceEnvironment(
            toolFolders: [scratch.file("tools")], scratch: scratch.file("work"), deadline: deadline, stall: stall)
        mkdir(scratch.file("tools"), 0o755)
    }

    /// Puts a program of the test among the tools.
    func stand(in name: String, _ script: String) throws {
        try scratch.write("tools/\(name)", "#!/bin/sh\n" + script + "\n", mode: 0o755)
    }

    /// A folder of the scratch folder, made when it is not there.
    func folder(_ name: String) -> String {
        mkdir(scratch.file(name), 0o700)
        return scratch.file(name)
    }

    /// What nothing may be left in.
    var leftovers: String { get async throws { try await run("find work -mindepth 1") } }

    /// The output of a shell's line in the scratch folder.
    func run(_ line: String) async throws -> String {
        let done = try await Program(
            "/bin/sh", ["-c", line], environment: ["PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C"],
            directory: scratch.path, deadline: .seconds(30)
        ).run()
        guard done.termination == .exited(0) else { throw Failure(.invalid, "\(line): \(done.termination): \(done.text)") }
        var text = done.text
        while text.last?.isNewline == true { text.removeLast() }
        return text
    }

    /// All bytes of a backup.
    func produce(_ source: some BackupSource) async throws -> (bytes: [UInt8], product: SourceProduct) {
        let kept = Locked<[UInt8]>([])
        let product = try await onOwnThread { (stop) throws(Failure) in
            try source.produce(to: { (bytes) throws(Failure) in kept.withLock { $0 += bytes } }, stop: stop)
        }
        return (kept.withLock { $0 }, product)
    }

    func probe(_ source: some BackupSource) async throws -> SourceProbe {
        try await onOwnThread { (stop) throws(Failure) in try source.probe(stop: stop) }
    }

    /// What an examination finds.
    func examine(_ source: some BackupSource, _ bytes: [UInt8], _ product: SourceProduct) async throws -> ConsumerFindings {
        try await onOwnThread { (stop) throws(Failure) in
            let consumer = try source.examination(of: product.tool, stop: stop)
            return try SourceFixture.feed(bytes, to: consumer, product)
        }
    }

    func restore(
        _ source: some BackupSource, _ bytes: [UInt8], _ product: SourceProduct, _ place: RestoreTarget.Place
    ) async throws -> ConsumerFindings {
        let work = scratch.file("work")
        return try await onOwnThread { (stop) throws(Failure) in
            let consumer = try source.restoration(
                of: product, into: RestoreTarget(place, scratch: work, deadline: .minutes(1)), stop: stop)
            return try SourceFixture.feed(bytes, to: consumer, product)
        }
    }

    private static func feed(
        _ bytes: [UInt8], to consumer: any PlainConsumer, _ product: SourceProduct
    ) throws(Failure) -> ConsumerFindings {
        for start in stride(from: 0, to: bytes.count, by: 70_001) {
            let piece = Array(bytes[start..<min(start + 70_001, bytes.count)])
            try piece.span.withUnsafeBytes { (raw) throws(Failure) in try consumer.write(raw) }
        }
        return try consumer.finish(comparing: product)
    }

    /// The failure that a body ends with; nil when it ends well.
    func failure(_ body: () async throws -> Void) async -> String? {
        do { try await body() } catch { return "\(error)" }
        return nil
    }
}
