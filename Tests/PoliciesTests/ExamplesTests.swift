import FoundationEssentials
import SerinModel
import SerinPolicies
import Testing

/// A file of this package.
func packageFile(_ path: String) throws -> String {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    return try String(contentsOfFile: "/\(root)/\(path)", encoding: .utf8)
}

@Suite struct ExamplesTests {
    @Test(arguments: ["policies/minimal.yaml", "policies/annotated.yaml"])
    func examplesAreValid(path: String) throws {
        let reading = read(try packageFile(path))
        #expect(reading.diagnostics.map(\.description) == [])
        #expect(reading.policy?.service.description == "checkout")
    }
}
