import SerinCrypto
import SerinRecords
import Testing

@Suite struct MerkleTreeTests {
    /// The leaves and roots by which logs of certificates test their trees (RFC 6962, whose hashing RFC 9162 keeps).
    private let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    private let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]

    private func tree(_ count: Int, proving sequence: Int64? = nil) throws -> MerkleTree {
        var tree = MerkleTree(digest: SHA256.digestOrEmpty, proving: sequence)
        for leaf in leaves.prefix(count) { tree.append(try #require(Hexadecimal.bytes(of: leaf))) }
        return tree
    }

    @Test func theRootsAreThePublishedOnes() throws {
        for (count, root) in roots.enumerated() {
            let head = try tree(count).head
            #expect(head.size == Int64(count) && Hexadecimal.text(of: head.root) == root)
        }
    }

    @Test func thePathsAreThePublishedOnes() throws {
        let path = try tree(8, proving: 6).path.map { Hexadecimal.text(of: $0) }
        #expect(
            path == [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ])
        #expect(try tree(3, proving: 3).path.map { Hexadecimal.text(of: $0) } == [roots[2]])
        #expect(try tree(1, proving: 1).path.isEmpty)
    }

    @Test func aTreeOfCompleteSubtreesIsTheSameTree() throws {
        for count in 4...8 {
            var tiled = MerkleTree(digest: SHA256.digestOrEmpty, proving: 6)
            tiled.append(try tree(4).head.root, of: 4)
            for leaf in leaves.prefix(count).dropFirst(4) { tiled.append(try #require(Hexadecimal.bytes(of: leaf))) }
            #expect(try tiled.head == tree(count).head)
            #expect(try tiled.path == tree(count, proving: 6).path)
        }
    }
}
