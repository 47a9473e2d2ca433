import FoundationEssentials
import SerinModel
import Testing

/// The bytes of a file.
func contentsOf(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }
