import SerinModel
import SerinRecords
import Testing

@Suite struct CodingTests {
    @Test func wholeNumbersAreNumbers() throws { #expect(try CanonicalEncoder.encode(7).canonicalText == "7") }
}
