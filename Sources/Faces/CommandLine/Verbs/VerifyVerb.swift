internal import SerinAPI
internal import SerinController
internal import SerinCrypto
internal import SerinModel
internal import SerinRecords
internal import SerinServer

extension Subcommand {
    static let verify = Subcommand(
        "verify",
        summary: "check the journal's hash chain, replay every verdict from its inputs, and hold both to what was promised",
        details: """
            Besides its chain and its decisions, what was asked for is held against what must come before: no outcome without its
            intent, nothing destroyed or restored without a verified backup, fenced writes and people's agreement, and no way back
            that neither ends in its time nor calls a person.
            While a controller holds the journal, its entries are asked for over the controller's socket and checked here; the
            rollout goes on meanwhile.
            Keep the printed head elsewhere, or the note that serin checkpoint prints: with --head or --checkpoint a later run finds out
            whether the journal was rewritten before it, or cut off. A note is also checked to be signed by the key of the state folder,
            or by --key.
            Exit 8 when something does not hold together, or was written by another version of Serin and could not be replayed.
            """,
        examples: [
            "serin verify", "serin verify checkout", "serin verify checkout --head 4096:9f2c…",
            "serin verify checkout --checkpoint noted.txt",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let head = try input.option(
            "--head", value: "SIZE:HASH", help: "a head printed earlier, which the journal must contain", read: { Checkpoint($0) }
        )
        let note = try input.text(
            "--checkpoint", value: "FILE",
            help: "a signed note printed earlier, whose entries the journal must contain; - is stdin")
        let key = try input.option(
            "--key", value: "HEX", help: "the public key that must have signed the note (default: the state folder's)",
            read: { Hexadecimal.bytes(of: $0).flatMap { $0.count == 32 ? $0 : nil } })
        let name = try input.optionalPositional("ROLLOUT", help: "a rollout or a service; everything when left out")
        guard head == nil && note == nil || name != nil || input.isDescribing else {
            throw UsageError("--head and --checkpoint need a rollout or a service")
        }
        guard head == nil || note == nil else { throw UsageError("--head and --checkpoint do not go together: one at a time") }
        guard key == nil || note != nil || input.isDescribing else { throw UsageError("--key goes with --checkpoint only") }
        return { session in
            guard let name else { return try await verifyAll(session) }
            return try await ControllerLocator(session).find(name) {
                guard let note else { return report([try await verify(name, against: head.map { .head($0) }, session)], session) }
                let checkpoint = try await read(note)
                var result = try await verify(name, against: .tree(checkpoint.head), session)
                guard result.service == checkpoint.service.description else {
                    throw UsageError("\(note) is a checkpoint of \(checkpoint.service), not of \(result.service)")
                }
                if !checkpoint.isSigned(by: try key ?? SigningKey.publicKey(of: session.state)) {
                    result.faults.append(
                        "the checkpoint in \(note) is not signed by \(key == nil ? "the key of this state folder" : "this key")")
                }
                return report([result], session)
            }
        }
    }

    private static func read(_ path: String) async throws -> CheckpointNote {
        let bytes: [UInt8]
        do throws(GivenFile.Fault) { bytes = try await GivenFile.bytes(of: path, limit: CheckpointNote.byteLimit) } catch {
            throw UsageError("cannot read \(path): \(error.words)")
        }
        guard let note = CheckpointNote(String(decoding: bytes, as: UTF8.self)) else {
            throw UsageError("\(path) is no signed checkpoint of a journal", hint: "serin checkpoint SERVICE prints one")
        }
        return note
    }

    private static func report(_ results: [Verification], _ session: Session) -> ExitCode {
        session.data(document(results)) { style in results.isEmpty ? [] : table(results).lines(style) }
        for result in results {
            for fault in result.faults { session.complain("\(result.service): \(fault)") }
            for entry in result.unread { session.complain("\(result.service): \(entry)") }
            if result.faults.isEmpty, !result.unread.isEmpty {
                session.complain(
                    "\(result.service): nothing was tampered with, but not everything could be replayed\nhint: verify it with the "
                        + "version of Serin that wrote it")
            }
        }
        return results.allSatisfy(\.isWhole) ? .ok : .verificationFailed
    }

    private static func verifyAll(_ session: Session) async throws -> ExitCode {
        var results: [Verification] = []
        var code = ExitCode.ok
        for service in try ControllerLocator(session).services() {
            do throws(OperationError) {
                results.append(try await verify(service, nil, against: nil, session))
            } catch .notFound(let text) {
                session.note("\(service): \(plain(text))")
            } catch {
                // One service that cannot be read must not hide the others.
                code = session.complain(error)
            }
        }
        if results.isEmpty, code == .ok { session.note("no journals in \(session.state.path)") }
        let verified = report(results, session)
        return verified == .ok ? code : verified
    }

    private static func verify(_ name: String, against noted: NotedJournal?, _ session: Session) async throws -> Verification {
        for service in StateRoot.services(named: name) {
            let rollout = service.description == name ? nil : RolloutID(name)
            do throws(OperationError) {
                return try await verify(service, rollout, against: noted, session)
            } catch .notFound {
                continue
            }
        }
        throw OperationError.notFound("there is no journal of '\(name)' in \(session.state.path)")
    }

    /// A journal in use is read over its controller's socket, one that is not from its file.
    private static func verify(
        _ service: ServiceName, _ rollout: RolloutID?, against noted: NotedJournal?, _ session: Session
    ) async throws(OperationError) -> Verification {
        let locator = ControllerLocator(session)
        if let controller = try locator.controller(for: service.description) {
            do throws(OperationError) {
                return try await Verification(
                    of: service, rollout, against: noted, isHeld: true
                ) { after throws(OperationError) in
                    try await controller.entries(of: service, after: after, limit: JournalDocument.limit)
                }
            } catch .notFound {
                // A daemon answers that has not opened this service: nobody holds the journal.
            } catch .unavailable where !UnixSocket.answers(at: controller.socket) {
                // The controller ended meanwhile, and its journal is free.
            }
        }
        return try await session.assembly.verify(service, rollout, noted, session.state)
    }

    private static func table(_ results: [Verification]) -> Table {
        var table = Table(header: ["SERVICE", "RESULT", "ENTRIES", "REPLAYED", "HEAD"])
        for result in results {
            let words =
                !result.faults.isEmpty
                ? Table.Cell("FAILED (\(result.faults.count))", .red)
                : result.unread.isEmpty
                    ? Table.Cell("ok", .green) : Table.Cell("another version (\(result.unread.count))", .yellow)
            table.rows.append([
                Table.Cell(result.service), words, Table.Cell("\(result.entries)"), Table.Cell("\(result.replayed)"),
                Table.Cell(result.head ?? "-"),
            ])
        }
        return table
    }

    private static func document(_ results: [Verification]) -> JSONValue {
        .object([
            "schema": .string("serin.dev/verification/v1"), "ok": .bool(results.allSatisfy(\.isWhole)),
            "journals": .array(
                results.map {
                    .object([
                        "service": .string($0.service), "entries": .integer($0.entries), "replayed": .integer($0.replayed),
                        "head": $0.head.map { .string($0) } ?? .null, "faults": .array($0.faults.map { .string($0) }),
                        "unread": .array($0.unread.map { .string($0) }),
                    ])
                }),
        ])
    }
}
