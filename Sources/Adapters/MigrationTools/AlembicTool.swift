internal import FoundationEssentials
internal import SerinMigrations
internal import SerinModel
internal import SerinProcesses

/// Alembic, asked through its program. One revision is one call: by itself Alembic puts everything pending into one transaction.
struct AlembicTool: MigrationTool {
    /// The configuration file.
    let config: String
    /// The program: a path, or a name on the fixed `PATH`.
    let program: String
    /// Where it is started; nil is the configuration's own folder.
    let directory: String?
    /// The variables of Serin's environment that `env.py` reads.
    let passed: [String]

    var name: String { "alembic \(config)" }
    var ownTables: [String] { ["alembic_version"] }
    var countsChangedRows: Bool { true }

    private func program(_ arguments: [String]) -> ToolProgram {
        var folder = directory
        var file = config
        if folder == nil, let slash = config.lastIndex(of: "/") {
            folder = String(config[..<slash])
            file = String(config[config.index(after: slash)...])
        }
        return ToolProgram(words: [program.has("/") ? path : program, "-c", file] + arguments, directory: folder, passed: passed)
    }

    private func output(_ arguments: [String], _ call: ToolCall) throws(Failure) -> String {
        do throws(ToolFailure) { return try program(arguments).run(call) } catch { throw error.failure }
    }

    func checkFiles() throws(Failure) {
        var isFolder = false
        let file = config.hasPrefix("/") ? config : (directory.map { $0 + "/" } ?? "") + config
        guard FileManager.default.fileExists(atPath: file, isDirectory: &isFolder), !isFolder else {
            throw Failure(
                .invalid, "\(config) is \(isFolder ? "a folder" : "not there"): there is no configuration of Alembic",
                hint: "name the file, such as app/alembic.ini")
        }
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw Failure(
                .invalid, "\(program) is no program that can be started",
                hint: "name Alembic's own, such as venv/bin/alembic: --alembic-program, or 'program' in the policy")
        }
    }

    func graph(_ call: ToolCall) throws(Failure) -> RevisionGraph {
        try AlembicHistory.graph(of: output(["history", "--verbose"], call))
    }

    func current(_ call: ToolCall) throws(Failure) -> [RevisionID] {
        let text: String
        do throws(ToolFailure) { text = try program(["current"]).run(call) } catch {
            // It names the revision itself, which no list of ours has.
            guard error.failure.message.contains("Can't locate revision") else { throw error.failure }
            throw Failure(
                .invalid, "the database is at a revision that the release does not know: \(error.failure.message)",
                hint: "use the release that brought it, or one made after it")
        }
        return text.split(whereSeparator: \.isNewline).compactMap { line in
            line.split(separator: " ").first.flatMap { RevisionID(String($0)) }
        }.sorted()
    }

    func run(_ step: RevisionStep, _ call: ToolCall) throws(ToolFailure) {
        var program =
            switch step.direction {
            case .up: program(["upgrade", step.revision.description])
            case .down: program(["downgrade", step.to?.description ?? "base"])
            }
        if let python {
            program.starter = python + ["-c", PythonRows.program, RestoredRows.noting(without: ownTables)]
            program.words[0] = path
        }
        _ = try program.run(call)
    }

    /// All of it in one call, as each takes a second; nothing where a revision has no SQL without a database.
    func applied(_ graph: RevisionGraph, at current: [RevisionID], _ call: ToolCall) -> [MigrationScript] {
        guard current.count == 1, let here = current.first else { return [] }
        // What nobody can say is then not known, and judged as the worst.
        guard let sql = try? output(["upgrade", "base:\(here)", "--sql"], call) else { return [] }
        let text = MigrationText(file: config, sql: Array(sql.utf8), wrapping: .separate, isGenerated: true)
        return [MigrationScript(revision: "base:\(here)", name: "", up: .text(text), down: .missing)]
    }

    /// Alembic puts one transaction around a revision, unless the revision says otherwise (`autocommit_block`), which its SQL shows.
    func mayCommitInPart(_ step: RevisionStep, _ side: MigrationSide) -> Bool {
        switch side {
        case .text(let text): !SQLStatements(text.sql).isOneTransaction
        case .missing: false
        case .unavailable(_, _, let source?): String(decoding: source, as: UTF8.self).lowercased().holds("commit")
        case .unavailable: true
        }
    }

    /// What a revision's file says that may do one thing with a database and another without; nil when there is nothing like it.
    ///
    /// The file is parsed by the interpreter that runs Alembic, and neither imported nor run.
    private func doubt(_ file: String, _ call: ToolCall) -> String? {
        let script = "import ast, sys\n" + PythonRevision.program
        let interpreter = python?.first ?? "python3"
        do throws(ToolFailure) {
            let said = try ToolProgram(words: [interpreter, "-I", "-c", script, file]).run(call)
            let words = said.textLines().first.map(String.init) ?? ""
            // Whatever it is that does not say so is no answer.
            return words == "plain" ? nil : words.isEmpty ? "nothing came back from \(interpreter)" : words
        } catch { return "it cannot be read: \(error.failure.message)" }
    }

    /// The file of the program: it is started in another folder than the one that its path begins at.
    private var path: String {
        guard program.has("/") else { return ToolProgram.file(of: program) ?? program }
        return program.hasPrefix("/") ? program : "\(FileManager.default.currentDirectoryPath)/\(program)"
    }

    /// The interpreter that the program's first line names, with its arguments; nil where that is none of Python's.
    private var python: [String]? {
        let first = FileManager.default.contents(atPath: path).map { String(decoding: $0.prefix(1024), as: UTF8.self) } ?? ""
        let line = first.textLines().first.map(String.init) ?? ""
        var words = line.dropFirst(2).split(separator: " ").map(String.init)
        if words.first?.hasSuffix("/env") == true { words.removeFirst() }
        guard line.hasPrefix("#!"), let name = words.first, name.holds("python") else { return nil }
        return words
    }

    /// One direction as Alembic writes it without a database, its transactions included.
    func side(_ direction: Direction, of revision: RevisionGraph.Revision, _ call: ToolCall) -> MigrationSide {
        let parent = revision.parents.first?.description ?? "base"
        let arguments =
            switch direction {
            case .up: ["upgrade", "\(parent):\(revision.id)", "--sql"]
            case .down: ["downgrade", "\(revision.id):\(parent)", "--sql"]
            }
        let file = revision.file ?? config
        // Without its file the generated SQL has no suppressions and is judged as it is.
        let source = FileManager.default.contents(atPath: file).map { Array($0) }
        if source != nil, let words = doubt(file, call) {
            return .unavailable(
                file: file, words: "it may do other things on a server than it writes without one: \(words)", source: source)
        }
        do throws(Failure) {
            let sql = try output(arguments, call)
            return .text(
                MigrationText(file: file, sql: Array(sql.utf8), wrapping: .separate, isGenerated: true, source: source))
        } catch {
            return .unavailable(file: file, words: error.message, source: source)
        }
    }
}
