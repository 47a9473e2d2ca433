public import SerinModel

/// The register of people whose data was erased: backups from before still hold it, so it is erased again after a restore.
public enum Erasure {
    /// The topic of the notes; the text of each is the subject, as the application names it.
    public static let topic = "erasure"
    /// The name of the check that says that they were erased again.
    public static let check = "erasure"

    /// The subjects that were ever erased, each once, in the order in which they were.
    ///
    /// - Parameter moment: Only those that were erased then or later.
    public static func subjects(in notes: some Sequence<AuditNote>, since moment: Instant? = nil) -> [String] {
        var subjects: [String] = []
        for note in notes where note.topic == topic && !subjects.contains(note.text) {
            if let moment, note.at < moment { continue }
            subjects.append(note.text)
        }
        return subjects
    }
}
