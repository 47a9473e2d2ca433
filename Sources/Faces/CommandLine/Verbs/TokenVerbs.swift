internal import Glibc
internal import SerinAPI
internal import SerinAccess
internal import SerinController
internal import SerinCrypto
internal import SerinIdentity
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts

extension Subcommand {
    static let tokenCreate = Subcommand(
        "token create", summary: "make a token for the API, and print it once",
        details: """
            Nothing but its hash is kept. Its bearer acts on behalf of its owner, by default whoever makes it: nobody approves with a
            token what they started without, or the other way round. --pipeline is for machines: such a token may start and halt, but
            never approve, promote or resume. It works at once, whether a daemon runs or not.
            """,
        examples: [
            "serin token create anna-laptop --owner anna --role approver",
            "serin token create ci-shop --pipeline --role releaser --for 30d",
            "serin token create nightly --pipeline --scope backup:write --project shop",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let roles = try input.every(
            "--role", value: "ROLE", help: Role.allCases.map(\.rawValue).joined(separator: ", ") + "; may stand several times",
            read: { Role(rawValue: $0) })
        let scopes = try input.every(
            "--scope", value: "SCOPE", help: Scope.allCases.map(\.rawValue).joined(separator: ", ") + "; may stand several times",
            read: { Scope(rawValue: $0) })
        let projects = try input.every(
            "--project", value: "NAME", help: "confine it to this project's backups; may stand several times",
            read: { $0.isEmpty ? nil : $0 })
        let owner = try input.option(
            "--owner", value: "WHO", help: "on whose behalf: a person's name, or CHANNEL:IDENTITY such as uid:1000",
            read: principal)
        let isPipeline = try input.flag("--pipeline", help: "for a pipeline or a machine, not for a person")
        let life =
            try input.option("--for", value: "TIME", help: "how long it lasts (default: 90d, at most 366d)") {
                Duration(policyText: $0)
            } ?? .hours(90 * 24)
        let name = try input.positional("NAME", help: "what to call it")
        guard !roles.isEmpty || !scopes.isEmpty || input.isDescribing else {
            throw UsageError("it would give nothing", hint: "--role or --scope says what it gives")
        }
        let grant = Grant(
            roles: Set(roles), scopes: Set(scopes), projects: projects.isEmpty ? nil : Set(projects), isPerson: !isPipeline)
        return { session in
            try await withTokens(session) { store in
                let me = BackupSession.principal(user: getuid(), session.environment)
                let order = TokenDesk.Order(name: name, owner: owner ?? me, grant: grant, life: life)
                let made = try await TokenDesk(store: store).create(order, by: me, at: session.now)
                let text = made.text.secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
                var document = TokenView.members(made.record)
                document.append(JSONValue.Member("token", .string(text)))
                session.data(.sortedObject(document)) { _ in [text] }
                if try await store.state().token(made.record.id)?.isAwaited == true {
                    session.note("it gives nothing before another person agrees: serin token approve \(made.record.id)")
                }
                session.note(
                    "token \(made.record.id) for \(made.record.owner) until \(made.record.expiresAt); it is not shown again")
                return .ok
            }
        }
    }

    static let tokenList = Subcommand(
        "token list", summary: "the tokens, whose they are and when they were last used; never the tokens themselves",
        examples: ["serin token list", "serin token list --all -o json"], interruption: .ends
    ) { input throws(UsageError) in
        let isAll = try input.flag("--all", help: "with those that ended or were revoked")
        return { session in
            try await withTokens(session) { store in
                let now = session.now
                let uses = try await store.uses()
                let tokens = try await store.state().tokens.filter {
                    isAll || [.valid, .awaitingApproval].contains(TokenView.state($0, at: now))
                }
                let document = JSONValue.object([
                    "schema": .string("serin.dev/tokens/v1"),
                    "tokens": .array(tokens.map { TokenView.document($0, lastUsed: uses[$0.record.id], at: now) }),
                ])
                session.data(document) { style in
                    var table = Table(header: ["TOKEN", "NAME", "OWNER", "GIVES", "STATE", "ENDS", "LAST USED"])
                    table.rows = tokens.map { token in
                        let record = token.record
                        return [
                            .init(record.id), .init(record.name), .init("\(record.owner)"), .init(TokenView.gives(record)),
                            .init(TokenView.state(token, at: now).rawValue), .init("\(record.expiresAt)"),
                            .init(uses[record.id].map { "\($0)" } ?? "never"),
                        ]
                    }
                    return table.lines(style)
                }
                return .ok
            }
        }
    }

    static let tokenRevoke = Subcommand(
        "token revoke", summary: "end a token, from the next request on",
        examples: ["serin token revoke ci-shop --reason 'it was in a build log'"], interruption: .ends
    ) { input throws(UsageError) in
        let reason = try input.text("-m", "--reason", value: "TEXT", help: "why, for the log") ?? ""
        let name = try input.positional("TOKEN", help: "its number or its name")
        return { session in
            try await withTokens(session) { store in
                let me = BackupSession.principal(user: getuid(), session.environment)
                let record = try await TokenDesk(store: store).revoke(name, reason: reason, by: me, at: session.now)
                session.data(.sortedObject(TokenView.members(record))) { _ in ["\(record.id)  \(record.name)  revoked"] }
                return .ok
            }
        }
    }

    /// The verbs of tokens.
    static let tokens = [tokenCreate, tokenList, tokenRevoke, tokenApprove]

    private static func withTokens(
        _ session: Session, _ body: (any AccessStore) async throws -> ExitCode
    ) async throws -> ExitCode {
        let store = try await session.assembly.openAccess(session.state)
        do {
            let code = try await body(store)
            await store.close()
            return code
        } catch {
            await store.close()
            throw error
        }
    }

    /// A person's name, or a channel with an identity.
    private static func principal(_ text: String) -> Principal? {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), (1...200).contains(text.utf8.count) else { return nil }
        guard let colon = text.firstIndex(of: ":") else { return .person(text) }
        let identity = text[text.index(after: colon)...]
        guard colon > text.startIndex, !identity.isEmpty else { return nil }
        return Principal(channel: String(text[..<colon]), identity: String(identity))
    }
}
