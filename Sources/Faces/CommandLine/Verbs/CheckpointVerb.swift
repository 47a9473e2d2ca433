internal import SerinAPI
internal import SerinController
internal import SerinModel

extension Subcommand {
    static let checkpoint = Subcommand(
        "checkpoint", summary: "print a signed checkpoint of a journal, to be kept elsewhere; or a proof of one entry",
        details: """
            The checkpoint is a note of three lines and a signature. Keep it where the journal's keeper cannot change it: serin verify
            --checkpoint then proves that the journal was not rewritten before it. With --entry the answer holds that entry and the
            hashes which prove that it is under the checkpoint.
            """,
        examples: ["serin checkpoint checkout > noted.txt", "serin checkpoint checkout --entry 4711"], interruption: .ends
    ) { input throws(UsageError) in
        let entry = try input.option(
            "--entry", value: "NUMBER", help: "prove this entry of the rollout", read: { Int64($0).flatMap { $0 > 0 ? $0 : nil } }
        )
        let name = try input.positional("ROLLOUT", help: "a rollout or a service")
        return { session in
            let document = try await ControllerLocator(session).find(name) { try await evidence(of: name, entry, session) }
            let note = document["note"]?.text
            session.data(document) { _ in
                (note ?? document.canonicalText).parts(at: "\n", keepingEmpty: true)
                    .dropLast(note == nil ? 0 : 1).map(String.init)
            }
            if note != nil, let key = document["key"]?.text { session.note("signed by the key \(key)") }
            return .ok
        }
    }

    private static func evidence(of name: String, _ entry: Int64?, _ session: Session) async throws -> JSONValue {
        if let controller = try ControllerLocator(session).controller(for: name) {
            do throws(OperationError) { return try await controller.evidence(of: name, entry: entry) } catch {
                // Else a daemon answers that has not opened this service, and nobody holds the journal.
                guard case .notFound = error, entry == nil else { throw error }
            }
        }
        for service in StateRoot.services(named: name) {
            guard let journal = try await session.assembly.openJournal(service, session.state) else { continue }
            let api = CheckpointAPI(journal, signer: SigningKey.signer(of: session.state))
            guard let entry else { return try await api.checkpoint(of: name) }
            return try await api.proof(of: entry, in: name)
        }
        throw OperationError.notFound("there is no journal of '\(name)' in \(session.state.path)")
    }
}
