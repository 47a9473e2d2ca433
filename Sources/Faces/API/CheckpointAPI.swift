public import SerinController
internal import SerinCrypto
public import SerinModel
internal import SerinRecords
internal import SerinRollouts

/// What proves that a journal is the one it was: signed checkpoints, and proofs that an entry is under one.
public struct CheckpointAPI: Sendable {
    /// Signs bytes by Ed25519, and says with which public key.
    public typealias Signer = @Sendable (_ text: [UInt8]) throws(Failure) -> (key: [UInt8], signature: [UInt8])

    private let operations: any RolloutOperations
    private let signer: Signer
    private let trees: JournalTrees

    /// An API over a controller's journals.
    public init(_ operations: any RolloutOperations, signer: @escaping Signer) {
        self.operations = operations
        self.signer = signer
        trees = JournalTrees(operations)
    }

    /// The routes.
    public var routes: [Route] { [checkpointRoute, proofRoute] }

    private var checkpointRoute: Route {
        Route(
            "GET", "/v1/rollouts/{name}/checkpoints/latest",
            summary: "a signed checkpoint of the journal, to be kept elsewhere and given to serin verify --checkpoint",
            access: RolloutAPI.seeing,
            operation: Operation(
                "signCheckpoint", tag: "rollouts",
                parameters: [
                    RolloutAPI.name,
                    Operation.Parameter(
                        "format", in: .query, "`note` for the note alone, which is what one keeps; `json` tells the key too.",
                        schema: Schema.oneOf(["note", "json"])),
                ],
                answers: [
                    200: Operation.Content(
                        "A note of the form of C2SP tlog-checkpoint.",
                        [
                            Operation.Content.Media("text/plain", Schema.text()),
                            Operation.Content.Media("application/json", Schema.reference("SignedCheckpoint")),
                        ])
                ])
        ) { request, names in
            let format = request.parameter("format") ?? "note"
            guard ["note", "json"].contains(format) else { throw Problem(.malformed, "'format' is note or json") }
            let document = try await checkpoint(of: names[0])
            if format == "json" { return .json(200, document) }
            return Response.text(200, document["note"]?.text ?? "", type: "text/plain; charset=utf-8")
        }
    }

    private var proofRoute: Route {
        Route(
            "GET", "/v1/rollouts/{name}/proof/{sequence}",
            summary: "an entry with the proof that it is under the journal's signed checkpoint (RFC 9162, section 2.1.3)",
            access: RolloutAPI.seeing,
            operation: Operation(
                "proveEntry", tag: "rollouts",
                parameters: [
                    RolloutAPI.name,
                    Operation.Parameter(
                        "sequence", in: .path, "The number of an entry of the rollout, as the log has it.",
                        schema: Schema.text(pattern: "^[0-9]{1,18}$")),
                ], answers: [200: .json("The entry, its path and the checkpoint.", Schema.reference("Proof"))])
        ) { _, names in
            guard let sequence = Int64(names[1]) else { throw Problem(.notFound, "'\(names[1])' is no entry's number") }
            return .json(200, try await proof(of: sequence, in: names[0]))
        }
    }

    /// The signed checkpoint of the journal of a rollout or service as it is now, with the key that signed it.
    public func checkpoint(of name: String) async throws(OperationError) -> JSONValue {
        let service = try await operations.status(of: name).service
        let signed = try sign(service, try await trees.tree(of: service).head)
        return .object([
            "schema": .string("serin.dev/signed-checkpoint/v1"), "service": .string(service.description),
            "size": .integer(signed.note.head.size), "root": .string(Hexadecimal.text(of: signed.note.head.root)),
            "note": .string(signed.note.description), "key": .string(Hexadecimal.text(of: signed.key)),
        ])
    }

    /// An entry of a rollout with what proves that it is under the signed checkpoint that goes with it.
    public func proof(of sequence: Int64, in name: String) async throws(OperationError) -> JSONValue {
        let status = try await operations.status(of: name)
        guard sequence > 0, let entry = try await operations.entries(of: status.service, after: sequence - 1, limit: 1).first,
            entry.sequence == sequence, entry.rollout == status.id
        else { throw .notFound("'\(sequence)' is no entry of \(status.id)") }
        let tree = try await trees.tree(of: status.service, proving: sequence)
        let signed = try sign(status.service, tree.head)
        return .object([
            "schema": .string("serin.dev/proof/v1"), "rollout": .string(status.id.description),
            "entry": JournalDocument.encode(entry), "index": .integer(sequence - 1),
            "path": .array(tree.path.map { .string(Hexadecimal.text(of: $0)) }),
            "checkpoint": .string(signed.note.description), "key": .string(Hexadecimal.text(of: signed.key)),
        ])
    }

    private func sign(_ service: ServiceName, _ head: TreeHead) throws(OperationError) -> (note: CheckpointNote, key: [UInt8]) {
        do throws(Failure) {
            let key = try signer([]).key
            let note = try CheckpointNote(of: service, head, key: key) { text throws(Failure) in try signer(text).signature }
            return (note, key)
        } catch { throw .unavailable("the checkpoint cannot be signed: \(error)") }
    }
}
