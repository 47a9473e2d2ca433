import FoundationEssentials
import SerinModel
import Testing

@Suite struct NamesTests {
    @Test(arguments: ["a", "checkout", "Check.out_2-b", "9", String(repeating: "a", count: 63)])
    func plainNamesAreServices(text: String) {
        #expect(ServiceName(text)?.description == text)
    }

    @Test(arguments: [
        "", ".", "..", "-a", "_a", ".a", "a/b", "a b", "a\n", "a\0", "é", "a\u{301}", String(repeating: "a", count: 64), "../etc",
    ])
    func namesThatCouldLeaveTheirFolderAreRefused(text: String) {
        #expect(ServiceName(text) == nil)
        #expect(text.utf8.count == 64 || RolloutID(text) == nil)
    }

    @Test func rolloutsMayHaveLongerNames() {
        #expect(RolloutID(String(repeating: "a", count: 100)) != nil)
        #expect(RolloutID(String(repeating: "a", count: 101)) == nil)
    }

    @Test func wrongNamesAreRefusedWhenDecoded() {
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([ServiceName].self, from: Data(#"["../x"]"#.utf8)) }
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([RolloutID].self, from: Data(#"[""]"#.utf8)) }
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([Weight].self, from: Data("[10001]".utf8)) }
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([Weight].self, from: Data("[-1]".utf8)) }
    }

    @Test func principalsAreOrderedByChannelThenIdentity() {
        #expect(Principal.uid(1000).description == "uid:1000")
        #expect(Principal(channel: "alert", identity: "z") < .uid(1))
        #expect(Principal.uid(1) < .uid(2))
    }
}
