import FoundationEssentials
import SerinModel
import Testing

@Suite struct TimeTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1_772_325_735_000, "2026-03-01T00:42:15Z"), (951_782_400_000, "2000-02-29T00:00:00Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59Z"), (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (-62_135_596_800_000, "0001-01-01T00:00:00Z"), (253_402_300_799_999, "9999-12-31T23:59:59Z"),
            (-86_400_000, "1969-12-31T00:00:00Z"),
        ] as [(Int64, String)])
    func momentsReadAsDates(milliseconds: Int64, text: String) {
        #expect(Instant(millisecondsSince1970: milliseconds).description == text)
        #expect(text.hasSuffix(Instant(millisecondsSince1970: milliseconds).timeOfDay))
    }

    /// Every day of 400 years follows the one before by the rules of the calendar.
    @Test func everyDayOfFourCenturiesIsItsDate() {
        var (year, month, day) = (1970, 1, 1)
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        for number in 0..<146_097 {
            let text = Instant(millisecondsSince1970: Int64(number) * 86_400_000).description
            if text != "\(year)-\(two(month))-\(two(day))T00:00:00Z" {
                Issue.record("day \(number) is \(text)")
                return
            }
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            day += 1
            if day > days[month - 1] { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
        }
        #expect(year == 2370)
    }

    @Test func extremeMomentsHaveDescriptions() {
        #expect(Instant(millisecondsSince1970: .max).description.hasSuffix("Z"))
        #expect(Instant(millisecondsSince1970: .min).description.hasSuffix("Z"))
    }

    @Test func momentsAndLengthsAddUp() {
        let start = Instant(millisecondsSince1970: 1000)
        #expect(start + .seconds(2) - start == .seconds(2))
        #expect(start - .seconds(2) < start)
        #expect(start - (start + .seconds(1)) == .milliseconds(-1000))
        #expect(Duration.minutes(1) * 3 - .seconds(1) == .milliseconds(179_000))
        #expect(Duration.milliseconds(1500).seconds == 1.5)
    }

    /// Against the exact result in 128 bits, cut to 64.
    @Test func arithmeticOnTimesSaturates() {
        let seed: UInt64 = 20_261_122
        print("times with seed \(seed)")
        var state = seed
        func bits() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
        func number() -> Int64 {
            let edges: [Int64] = [.min, .min + 1, .max, .max - 1, -1, 0, 1, 253_402_300_799_999]
            return bits() % 2 == 0 ? edges[Int(bits() % 8)] : Int64(bitPattern: bits()) >> Int64(bits() % 64)
        }
        for _ in 0..<20_000 {
            let (a, b) = (number(), number())
            let (left, right) = (Duration(milliseconds: a), Duration(milliseconds: b))
            let moment = Instant(millisecondsSince1970: a)
            let (sum, difference) = (Int64(clamping: Int128(a) + Int128(b)), Int64(clamping: Int128(a) - Int128(b)))
            #expect((left + right).milliseconds == sum, "\(a) \(b)")
            #expect((left - right).milliseconds == difference, "\(a) \(b)")
            #expect((left * b).milliseconds == Int64(clamping: Int128(a) * Int128(b)), "\(a) \(b)")
            #expect((moment + right).millisecondsSince1970 == sum, "\(a) \(b)")
            #expect((moment - right).millisecondsSince1970 == difference, "\(a) \(b)")
            #expect((moment - Instant(millisecondsSince1970: b)).milliseconds == difference, "\(a) \(b)")
            #expect(Duration.hours(a).milliseconds == Int64(clamping: Int128(a) * 3_600_000), "\(a)")
            #expect(Instant(dayNumber: a).millisecondsSince1970 == Int64(clamping: Int128(a) * 86_400_000), "\(a)")
            #expect(saturatingSum([a, b]) == sum, "\(a) \(b)")
            #expect(!left.description.isEmpty && moment.description.hasSuffix("Z"))
        }
        #expect(Instant(secondsSince1970: .max, milliseconds: 1) == Instant(millisecondsSince1970: .max))
    }

    @Test func plausibleMomentsAreThoseOfTheYears1970To9999() {
        #expect("\(Instant.plausible.lowerBound)" == "1970-01-01T00:00:00Z")
        #expect("\(Instant.plausible.upperBound)" == "9999-12-31T23:59:59Z")
    }

    @Test(
        arguments: [
            (0, "0s"), (1, "1ms"), (250, "250ms"), (1000, "1s"), (90_000, "90s"), (60_000, "1m"), (1_800_000, "30m"),
            (86_400_000, "24h"),
            (5_400_000, "90m"), (61_001, "61001ms"), (-1000, "-1s"),
        ] as [(Int64, String)])
    func lengthsAreWrittenInTheLargestUnitThatDividesThem(milliseconds: Int64, text: String) {
        #expect(Duration(milliseconds: milliseconds).description == text)
    }

    @Test func timesAreJournaledAsMilliseconds() throws {
        let encoder = JSONEncoder()
        #expect(String(decoding: try encoder.encode([Duration.seconds(2)]), as: UTF8.self) == "[2000]")
        #expect(String(decoding: try encoder.encode([Instant(millisecondsSince1970: 5)]), as: UTF8.self) == "[5]")
        #expect(try JSONDecoder().decode([Duration].self, from: Data("[2000]".utf8)) == [.seconds(2)])
    }
}
