internal import FoundationEssentials
internal import Glibc
public import SerinModel

/// The path of a server that is no package of the system: the environment's `SERIN_<NAME>`, else what `make setup` put in place.
public func toolPath(_ name: String) throws(Failure) -> String {
    let variable = "SERIN_" + name.uppercased()
    if let path = getenv(variable) { return String(cString: path) }
    let path = packageRoot + "/build/tools/bin/" + name
    guard FileManager.default.isExecutableFile(atPath: path) else {
        throw Failure(.invalid, "there is no \(name)", hint: "run `make setup`, or name the program in \(variable)")
    }
    return path
}

/// The folder of the package, which this file stands in as Tests/Testbed/ToolPath.swift.
public var packageRoot: String {
    var root = #filePath
    for _ in 0..<3 { root = String(root[..<(root.lastIndex(of: "/") ?? root.startIndex)]) }
    return root
}
