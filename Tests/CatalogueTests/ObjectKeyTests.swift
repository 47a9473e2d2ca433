import SerinCatalogue
import SerinModel
import Testing

@Suite struct ObjectKeyTests {
    @Test(arguments: [
        "a", "postgres/daily/2026-03-01T00:00:00Z.dump.enc", "a b/c+d=e", "x..y/~z", String(repeating: "a", count: 200),
    ])
    func plainKeysAreAllowed(_ text: String) { #expect(ObjectKey(text)?.description == text) }

    @Test(arguments: [
        "", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/./b", ".hidden", "a/.serin-put-1", "a\\b", "a\0b", "a\nb", "a\u{7F}b",
        "ä",
        "a\u{0301}", String(repeating: "a", count: 201), String(repeating: "a/", count: 512) + "a",
    ])
    func whatAFolderOrBucketCouldReadInItsOwnWayIsRefused(_ text: String) {
        #expect(ObjectKey(text) == nil)
        #expect(ObjectKey.defect(in: text) != nil)
    }

    @Test func aLockCoversWhatIsNoLongerAndNoStricter() {
        let day = Instant(millisecondsSince1970: 86_400_500)
        let lock = ObjectLock(mode: .compliance, until: day)
        #expect(lock.covers(ObjectLock(mode: .governance, until: day)))
        #expect(ObjectLock(mode: .compliance, until: day - .milliseconds(500)).covers(lock))
        #expect(!ObjectLock(mode: .compliance, until: day - .seconds(2)).covers(lock))
        #expect(!ObjectLock(mode: .governance, until: day).covers(lock))
    }
}
