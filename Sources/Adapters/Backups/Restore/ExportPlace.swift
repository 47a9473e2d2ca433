internal import Glibc
internal import SerinCatalogue
internal import SerinModel

/// The files that an export is to make. What can be known of them before a byte is read is looked at first, since a fetch takes long.
struct ExportPlace {
    private let files: [String]
    private let folder: String

    /// - Parameter isStored: Whether the manifest stands beside it.
    init(_ file: String, isStored: Bool) throws(Failure) {
        guard file.begins(with: "/") else { throw Failure(.invalid, "cannot write \(file): it is no absolute path") }
        guard let slash = file.utf8.lastIndex(of: UInt8(ascii: "/")), file.utf8.index(after: slash) != file.utf8.endIndex else {
            throw Failure(.invalid, "cannot write \(file): it names no file")
        }
        files = isStored ? [file, file + Manifest.keySuffix] : [file]
        folder = slash == file.utf8.startIndex ? "/" : String(file[..<slash])
    }

    /// Blocks its thread.
    func check(for record: BackupRecord, workFolder: String) throws(Failure) {
        for file in files { try refuse(file) }
        var status = stat()
        guard stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw Failure(.invalid, "cannot write \(files[0]): there is no folder \(folder)", hint: "make it, or name another")
        }
        // Makes the unfinished file and removes it: rights, length of the name and what else may be in the way show now.
        for file in files { do throws(EnvelopeFailure) { _ = try DurableFile(file) } catch { throw error.failure } }
        try checkRoom(record, workFolder, status.st_dev)
    }

    /// Nothing is written over, and a link that leads nowhere is something too.
    private func refuse(_ file: String) throws(Failure) {
        var status = stat()
        guard lstat(file, &status) == 0 else { return }
        let isFolder = status.st_mode & S_IFMT == S_IFDIR
        throw Failure(
            .conflict, "cannot write \(file): there is such a \(isFolder ? "folder" : "file") already",
            hint: isFolder ? "name a file in it" : "name another; nothing is written over")
    }

    /// The copy is fetched whole into the work folder before the file is written.
    private func checkRoom(_ record: BackupRecord, _ workFolder: String, _ device: dev_t) throws(Failure) {
        guard let envelope = record.facts?.envelope else { return }
        let stored = Int64(envelope.storedBytes)
        let own = files.count > 1 ? stored : Int64(envelope.plainBytes)
        var status = stat()
        // One that is not there yet is made on the state folder's disk.
        let isShared = stat(workFolder, &status) == 0 && status.st_dev == device
        for (place, needed) in [(folder, isShared ? saturatingSum([own, stored]) : own), (workFolder, stored)] {
            let free = try freeBytes(atOrAbove: place)
            guard free >= needed else {
                throw Failure(
                    .denied, "\(place) has \(byteWords(free)) free, and the export needs \(byteWords(needed)) there",
                    hint: place == folder ? "make room, or name a file elsewhere" : "make room")
            }
        }
    }
}
