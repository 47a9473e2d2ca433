internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies

/// Any other tool, by programs that a policy names.
struct CommandTool: MigrationTool {
    let commands: MigrationPolicy.Commands

    var name: String { commands.up.first ?? "commands" }
    /// Those of the tools that the examples show.
    var ownTables: [String] {
        [
            "_prisma_migrations", "flyway_schema_history", "django_migrations", "migrations", "typeorm_metadata",
            "schema_migrations",
        ]
    }

    func graph(_ call: ToolCall) throws(Failure) -> RevisionGraph {
        RevisionGraph(headsOnly: try list(commands.heads, call))
    }

    func current(_ call: ToolCall) throws(Failure) -> [RevisionID] { try list(commands.current, call).sorted() }

    func run(_ step: RevisionStep, _ call: ToolCall) throws(ToolFailure) {
        switch step.direction {
        case .up: _ = try program(commands.up, step.to, call).run(call)
        case .down:
            guard let down = commands.down else {
                throw ToolFailure(
                    .other,
                    Failure(.invalid, "there is no way back: the policy names no 'down'", hint: "undo it with a new revision"))
            }
            _ = try program(down, step.to, call).run(call)
        }
    }

    /// Several revisions are one step, each with transactions of its own.
    func mayCommitInPart(_ step: RevisionStep, _ side: MigrationSide) -> Bool { true }

    func side(_ direction: Direction, of revision: RevisionGraph.Revision, _ call: ToolCall) -> MigrationSide {
        guard direction == .up else {
            return commands.down == nil ? .missing : .unavailable(file: name, words: "only the tool knows its way back")
        }
        guard let words = commands.sql else { return .unavailable(file: name, words: "the policy names no 'sql'") }
        do throws(ToolFailure) {
            let sql = try program(words, revision.id, call).run(call)
            return .text(MigrationText(file: name, sql: Array(sql.utf8), wrapping: .separate, isGenerated: true))
        } catch { return .unavailable(file: name, words: error.failure.message) }
    }

    /// The first word of every line that has one.
    private func list(_ words: [String], _ call: ToolCall) throws(Failure) -> [RevisionID] {
        let text: String
        do throws(ToolFailure) { text = try program(words, nil, call).run(call) } catch { throw error.failure }
        var found: [RevisionID] = []
        for line in text.split(whereSeparator: \.isNewline) {
            guard let word = line.split(whereSeparator: \.isWhitespace).first else { continue }
            guard let id = RevisionID(String(word)) else {
                throw Failure(.invalid, "\(words[0]) printed a line that begins with no revision")
            }
            found.append(id)
        }
        return found
    }

    /// `{{revision}}` is where the database is to be, `base` before the first revision.
    private func program(_ words: [String], _ revision: RevisionID?, _ call: ToolCall) -> ToolProgram {
        let place = revision?.description ?? "base"
        var program = ToolProgram(words: words.map { $0.rewriting("{{revision}}", as: place) }, passed: commands.environment)
        // Tools that do not use libpq read their limits from the address alone.
        program.added["SERIN_DATABASE_URL"] = address(call)
        return program
    }

    private func address(_ call: ToolCall) -> String {
        guard call.database.given.contains("://") else { return call.database.given }
        let options = ToolProgram.options(call).rewriting(" ", as: "%20").rewriting("=", as: "%3D")
        return call.database.given + (call.database.given.contains("?") ? "&" : "?")
            + "application_name=\(call.session)&options=\(options)"
    }
}
