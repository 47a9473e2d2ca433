internal import SerinCatalogue
internal import SerinModel
internal import SerinProcesses

/// Follows a tar stream and says whether it is whole and safe to unpack; unpacks nothing.
final class TarExamination: PlainConsumer {
    /// Judges what came, once it was whole.
    typealias Judgement = (_ tally: (files: Int, bytes: Int64), _ product: SourceProduct) throws(Failure) -> [BackupCheck]

    private var inspector: TarInspector
    private let judge: Judgement
    private var fault: Failure?

    init(_ inspector: TarInspector, judge: @escaping Judgement = { (_, _) throws(Failure) in [] }) {
        self.inspector = inspector
        self.judge = judge
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        guard fault == nil else { return }
        do throws(Failure) { try inspector.take(bytes) } catch { fault = error }
    }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        do throws(Failure) {
            if let fault { throw fault }
            try inspector.finish()
        } catch { return ConsumerFindings(checks: [BackupCheck("archive", passed: false, detail: error.message)]) }
        let whole = BackupCheck(
            "archive", passed: inspector.files > 0, detail: "\(inspector.files) files of \(inspector.bytes) bytes")
        return ConsumerFindings(checks: [whole] + (try judge((inspector.files, inspector.bytes), product)))
    }
}

/// Unpacks a tar stream with `tar` into an empty folder; every header is judged before `tar` sees it.
final class TarUnpacking: PlainConsumer {
    /// What is done in the folder once everything is there.
    typealias Completion = (_ folder: String, _ product: SourceProduct) throws(Failure) -> ConsumerFindings

    private let folder: String
    private let tar: SourceTool
    private var inspector: TarInspector
    private let stream: ProgramStream
    private let arguments: [String]
    private let complete: Completion
    private var isDone = false

    init(
        into folder: String, account: String? = nil, linksStayInside: Bool, deadline: Duration, stall: Duration, stop: StopSignal,
        complete: @escaping Completion = { (_, _) throws(Failure) in ConsumerFindings() }
    ) throws(Failure) {
        guard try nameBytes(in: Array(folder.utf8)).isEmpty else {
            throw Failure(.conflict, "cannot unpack into \(folder): it is not empty", hint: "name an empty folder")
        }
        self.folder = folder
        self.complete = complete
        tar = SourceTool("tar", account: account)
        inspector = TarInspector(linksStayInside: linksStayInside)
        arguments = [
            "--extract", "--file=-", "--directory=\(folder)", "--preserve-permissions", "--no-same-owner", "--keep-old-files",
        ]
        stream = try ProgramStream(tar.program(arguments, deadline: deadline), .writing, stall: stall, stop: stop)
    }

    deinit {
        guard !isDone else { return }
        stream.giveUp()
        // Only names that came into the empty folder since; what cannot be listed was not made here.
        removeContent(folder)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        try inspector.take(bytes)
        try stream.write(bytes)
    }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        try inspector.finish()
        let end = try stream.finish()
        var findings = try complete(folder, product)
        isDone = true
        findings.checks.insert(
            BackupCheck("archive", passed: true, detail: "\(inspector.files) files of \(inspector.bytes) bytes"), at: 0)
        findings.evidence.insert(
            ToolEvidence(command: [tar.path] + arguments, end: "exit 0", bytes: Int64(end.bytes), diagnostics: end.diagnostics),
            at: 0)
        return findings
    }
}
