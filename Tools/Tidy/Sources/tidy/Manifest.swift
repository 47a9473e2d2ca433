import Foundation

/// What Package.swift says of one target: where its sources are and what it may import.
struct Target {
    var name: String
    var path: String
    var dependencies: Set<String>
}

/// The targets of a package, from `swift package dump-package`.
func readTargets(_ file: String) throws -> [Target] {
    let data = try Data(contentsOf: URL(fileURLWithPath: file))
    guard let root = try JSONSerialization.jsonObject(with: data) as? [String: Any],
        let targets = root["targets"] as? [[String: Any]]
    else { throw CocoaError(.fileReadCorruptFile) }
    return targets.compactMap { target in
        guard let name = target["name"] as? String, let path = target["path"] as? String else { return nil }
        let dependencies = (target["dependencies"] as? [[String: Any]] ?? []).compactMap { dependency in
            (dependency["byName"] as? [Any])?.first as? String
        }
        return Target(name: name, path: path, dependencies: Set(dependencies))
    }
}
