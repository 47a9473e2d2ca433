internal import Glibc
internal import SerinModel

/// Writes what it takes into one file, then has it judged.
final class FileConsumer: PlainConsumer {
    /// Judges the complete file.
    typealias Judgement = (_ path: String) throws(Failure) -> ConsumerFindings

    private let path: String
    private let place: TemporaryFolder?
    private let judge: Judgement
    private var file: Int32
    private var isDone = false

    /// - Parameters:
    ///   - folder: Where the file is made: inside a private folder that is removed afterwards, or in it directly when it `keeps`.
    init(in folder: String, named name: String, keeps: Bool, judge: @escaping Judgement) throws(Failure) {
        if keeps, !(try names(in: folder).isEmpty) {
            throw Failure(.conflict, "cannot restore into \(folder): it is not empty", hint: "name an empty folder")
        }
        place = keeps ? nil : try TemporaryFolder(in: folder)
        path = "\(place?.path ?? folder)/\(name)"
        self.judge = judge
        file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw problem("write", path, errno) }
    }

    deinit {
        if file >= 0 { close(file) }
        if !isDone { unlink(path) }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        var rest = bytes
        while rest.count > 0 {
            let count = Glibc.write(file, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw problem("write", path, count < 0 ? errno : EIO) }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
    }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        guard fsync(file) == 0 else { throw problem("write", path, errno) }
        let code = close(file)
        file = -1
        guard code == 0 else { throw problem("write", path, errno) }
        let findings = try judge(path)
        isDone = findings.passed && place == nil
        return findings
    }
}
