import Testing

@testable import SerinCommandLine

@Suite struct ParsingTests {}
