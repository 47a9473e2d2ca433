/// The version of the rules by which a rollout decides, and of the form in which its records are written. It moves whenever the same
/// journal could lead to other decisions, or a record of this build could not be read by the build before or the other way round.
public let engineVersion = "12"

/// The versions whose journals this build can read and replay.
public let replayableEngineVersions = ["3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]

/// What is said of an entry that another engine wrote.
func writtenByAnother(_ engine: String?) -> String {
    "written by another version of Serin (\(engine.map { "engine \($0)" } ?? "its engine is not known"), this is \(engineVersion))"
}
