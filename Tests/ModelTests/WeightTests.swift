import SerinModel
import Testing

@Suite struct WeightTests {
    @Test func weightsOutsideTheRangeAreRefused() {
        #expect(Weight(basisPoints: -1) == nil)
        #expect(Weight(basisPoints: 10_001) == nil)
        #expect(Weight(percent: 101) == nil)
        #expect(Weight(percent: -1) == nil)
        #expect(Weight(percent: Int.max) == nil)
        #expect(Weight(basisPoints: 0) == .zero)
        #expect(Weight(percent: 100) == .all)
    }

    @Test(arguments: [
        (0, "0%"), (1, "0.01%"), (10, "0.1%"), (25, "0.25%"), (250, "2.5%"), (2500, "25%"), (10_000, "100%"), (9999, "99.99%"),
    ])
    func weightsReadAsPercentages(points: Int, text: String) {
        #expect(Weight(basisPoints: points)?.description == text)
    }
}
