/// One member of a tar archive: its header, in the form `ustar` of POSIX with `pax` records where that has no room.
struct TarEntry: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case file
        case folder
        case symbolicLink(target: [UInt8])
    }

    /// Its name, relative, without `.` and `..`.
    var name: [UInt8]
    var kind: Kind
    /// Bytes of its body; 0 for folders and links.
    var size: Int
    /// Permission bits.
    var mode: UInt32
    /// Seconds since 1970.
    var modified: Int64
    var user: UInt32
    var group: UInt32

    static let blockSize = 512
    /// Two blocks of zeros end an archive.
    static let end = [UInt8](repeating: 0, count: 2 * blockSize)

    /// How many zeros follow a body of this size.
    static func padding(_ size: Int) -> Int { (blockSize - size % blockSize) % blockSize }

    /// The header's blocks.
    var header: [UInt8] {
        var records: [(String, [UInt8])] = []
        if name.count > 100 { records.append(("path", name)) }
        var link: [UInt8] = []
        if case .symbolicLink(let target) = kind {
            link = target
            if link.count > 100 { records.append(("linkpath", link)) }
        }
        // Records are UTF-8 unless it is said that they are not.
        if records.contains(where: { String(validating: $0.1, as: UTF8.self) == nil }) {
            records.insert(("hdrcharset", Array("BINARY".utf8)), at: 0)
        }
        if size > TarEntry.largestOctal { records.append(("size", Array("\(size)".utf8))) }
        var blocks: [UInt8] = []
        if !records.isEmpty {
            let body = records.flatMap { TarEntry.paxRecord($0.0, $0.1) }
            blocks += block(name: Array("pax/header".utf8), type: 0x78, size: body.count, link: [])
            blocks += body
            blocks += [UInt8](repeating: 0, count: TarEntry.padding(body.count))
        }
        let type: UInt8 =
            switch kind {
            case .file: 0x30
            case .symbolicLink: 0x32
            case .folder: 0x35
            }
        return blocks + block(name: name, type: type, size: size > TarEntry.largestOctal ? 0 : size, link: link)
    }

    private static let largestOctal = 0o77_777_777_777

    /// `<length> <key>=<value>\n`, where the length counts itself.
    private static func paxRecord(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = Array(" \(key)=".utf8) + value + [0x0A]
        var length = rest.count
        while "\(length)".utf8.count + rest.count != length { length = "\(length)".utf8.count + rest.count }
        return Array("\(length)".utf8) + rest
    }

    private func block(name: [UInt8], type: UInt8, size: Int, link: [UInt8]) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: TarEntry.blockSize)
        func put(_ bytes: some Sequence<UInt8>, at offset: Int) {
            for (index, byte) in bytes.enumerated() { block[offset + index] = byte }
        }
        func octal(_ value: Int, digits: Int, at offset: Int) {
            let text = String(max(0, value), radix: 8)
            put((String(repeating: "0", count: max(0, digits - text.utf8.count)) + text).utf8.suffix(digits), at: offset)
        }
        put(name.prefix(100), at: 0)
        octal(Int(mode & 0o7777), digits: 7, at: 100)
        // Numbers that have no room are of users that are mapped on restore anyway.
        octal(Int(min(user, 0o7_777_777)), digits: 7, at: 108)
        octal(Int(min(group, 0o7_777_777)), digits: 7, at: 116)
        octal(size, digits: 11, at: 124)
        octal(Int(min(modified, 0o77_777_777_777)), digits: 11, at: 136)
        block[156] = type
        put(link.prefix(100), at: 157)
        put("ustar".utf8, at: 257)
        put("00".utf8, at: 263)
        octal(TarEntry.checksum(block[...]), digits: 6, at: 148)
        block[155] = 0x20
        return block
    }

    /// The sum of a header's bytes, its own field taken as spaces.
    static func checksum(_ block: ArraySlice<UInt8>) -> Int {
        var sum = 0
        for (index, byte) in block.enumerated() { sum += (148..<156).contains(index) ? 0x20 : Int(byte) }
        return sum
    }
}
