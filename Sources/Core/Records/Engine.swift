/// The version of the rules by which a rollout decides. It changes whenever the same journal could lead to other decisions.
public let engineVersion = "2"

/// The versions whose journals this build can replay.
public let replayableEngineVersions = ["2"]
