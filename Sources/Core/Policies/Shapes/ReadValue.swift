internal import SerinModel

/// A value that has its shape: what the parser hands to whoever builds the policy.
indirect enum ReadValue: Sendable {
    /// One value.
    case scalar(ReadScalar)
    /// A list.
    case list([ReadValue])
    /// A mapping with known keys.
    case section(ReadSection)
    /// A mapping whose keys the author chose, in the order of the document.
    case map([ReadSection.Entry])
}

/// A mapping with known keys, defaults filled in. What was wrong with it has been complained about; a wrong value is absent.
struct ReadSection: Sendable {
    /// One key and its value.
    struct Entry: Sendable {
        /// The key.
        var key: String
        /// Where the key stands; for a default, where its section does.
        var mark: Mark
        /// The value.
        var value: ReadValue
        /// Whether the value is the default.
        var isFallback = false
    }

    /// Where it stands.
    var mark: Mark
    /// The title of the variant that was chosen; empty when there was no choice.
    var variant = ""
    /// What it holds.
    var entries: [Entry] = []

    /// The entry of a key.
    subscript(key: String) -> Entry? { entries.first { $0.key == key } }

    /// Whether the author gave a key.
    func isGiven(_ key: String) -> Bool { self[key].map { !$0.isFallback } ?? false }
    /// Where a key stands, or the section when it is not there.
    func mark(of key: String) -> Mark { self[key]?.mark ?? mark }

    /// One value.
    func scalar(_ key: String) -> ReadScalar? {
        if case .scalar(let scalar)? = self[key]?.value { return scalar }
        return nil
    }
    /// The text of a value.
    func text(_ key: String) -> String? { scalar(key)?.text }
    /// The number of a value in its form's unit.
    func number(_ key: String) -> Double? { scalar(key)?.number }
    /// The length of a time.
    func duration(_ key: String) -> Duration? { scalar(key)?.duration }
    /// The truth of a flag.
    func flag(_ key: String) -> Bool { scalar(key)?.flag ?? false }
    /// A section.
    func section(_ key: String) -> ReadSection? {
        if case .section(let section)? = self[key]?.value { return section }
        return nil
    }
    /// The items of a list.
    func list(_ key: String) -> [ReadValue] {
        if case .list(let items)? = self[key]?.value { return items }
        return []
    }
    /// The entries of a mapping whose keys the author chose.
    func map(_ key: String) -> [Entry] {
        if case .map(let entries)? = self[key]?.value { return entries }
        return []
    }
}
