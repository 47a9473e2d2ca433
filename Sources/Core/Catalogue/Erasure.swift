/// The register of people whose data was erased: backups from before still hold it, so it is erased again after a restore.
public enum Erasure {
    /// The topic of the notes; the text of each is the subject, as the application names it.
    public static let topic = "erasure"
    /// The name of the check that says that they were erased again.
    public static let check = "erasure"

    /// The subjects that were ever erased, each once, in the order in which they were.
    public static func subjects(in notes: some Sequence<AuditNote>) -> [String] {
        var subjects: [String] = []
        for note in notes where note.topic == topic && !subjects.contains(note.text) { subjects.append(note.text) }
        return subjects
    }

    /// What erasing did to one table.
    public struct Loss: Sendable, Hashable {
        /// The table: `app.orders`.
        public var table: String
        /// Its rows before.
        public var before: Int64
        /// Its rows afterwards.
        public var after: Int64
        /// How many rows were overwritten, each as often as it was.
        public var changed: Int64

        /// A loss.
        public init(table: String, before: Int64, after: Int64, changed: Int64 = 0) {
            self.table = table
            self.before = before
            self.after = after
            self.changed = changed
        }

        /// The rows that are not what they were.
        public var rows: Int64 { min(before, max(0, before - after) + changed) }

        /// Whether a statement took what nobody meant: more than the share of the table's rows, and more than one row for each subject,
        /// so that a table with a single row of each person is not in the way.
        public func isTooMuch(for subjects: Int, share: Double) -> Bool {
            rows > subjects && Double(rows) > share * Double(before)
        }

        /// `app.orders 20000 to 19998 rows`, `app.people 3 of 20 rows changed`
        public var words: String {
            let parts = [
                after == before ? nil : "\(before) to \(after) rows", changed == 0 ? nil : "\(changed) of \(before) rows changed",
            ]
            return "\(table) " + parts.compactMap(\.self).joined(separator: ", ")
        }
    }
}
