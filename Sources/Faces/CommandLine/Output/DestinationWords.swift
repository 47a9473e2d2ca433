internal import SerinBackups

/// What a destination is like, in words.
extension DestinationFacts {
    /// What was found and is as it may be. What the identity may not read is left out here and stands in the remarks.
    var words: [String] {
        var words: [String] = []
        if let freeBytes { words.append("\(BackupText.size(freeBytes)) free") }
        if let versioning { words.append(versioning ? "keeps versions" : "keeps no versions") }
        if let objectLock { words.append(objectLock ? "can lock objects" : "locks nothing") }
        if let defaultEncryption {
            words.append(defaultEncryption.isEmpty ? "encrypts nothing by itself" : "encrypts by \(defaultEncryption)")
        }
        if let deleteNeedsSecondFactor, deleteNeedsSecondFactor { words.append("deleting a version needs a second factor") }
        if let lifecycleRules, lifecycleRules > 0 { words.append("\(lifecycleRules) rules of its own move or delete objects") }
        if publicAccess == false { words.append("not public") }
        return words
    }

    /// What should not be.
    var concerns: [String] { publicAccess == true ? ["EVERYBODY may read or write it: close it"] : [] }
}
