public import SerinModel

/// The register of people whose data was erased: backups from before still hold it, so it is erased again after a restore.
public enum Erasure {
    /// The topic of the notes; the text of each is the subject, as the application names it.
    public static let topic = "erasure"
    /// The name of the check that says that they were erased again.
    public static let check = "erasure"

    /// The subjects that were erased at or after a moment, each once, in the order in which they were.
    public static func subjects(in notes: [AuditNote], since moment: Instant) -> [String] {
        var subjects: [String] = []
        for note in notes where note.topic == topic && note.at >= moment && !subjects.contains(note.text) {
            subjects.append(note.text)
        }
        return subjects
    }
}
