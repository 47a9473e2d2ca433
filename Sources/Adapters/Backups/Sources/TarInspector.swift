public import SerinModel

/// Follows a tar stream as it passes: finds one that is cut short or damaged, and refuses members that would be unpacked outside
/// the folder they are meant for, before their header is let through.
///
/// Refused are absolute names, `..`, NUL, devices, pipes, hard links, two members of one name, members below a symbolic link of the
/// archive, and, where `linksStayInside`, symbolic links that lead out of it.
public struct TarInspector {
    /// What passed.
    public private(set) var files = 0
    /// Bytes of files that passed.
    public private(set) var bytes: Int64 = 0
    /// Whether the end of the archive was seen.
    public private(set) var isComplete = false
    private let linksStayInside: Bool
    private var block: [UInt8] = []
    private var left = 0
    private var padding = 0
    private var extended: [UInt8]?
    private var overrides: [String: [UInt8]] = [:]
    private var zeroBlocks = 0
    private var links: Set<[UInt8]> = []
    private var names: Set<[UInt8]> = []

    private let observe: (([UInt8], UnsafeRawBufferPointer) throws(Failure) -> Void)?
    private var current: [UInt8]?

    /// An inspector.
    ///
    /// - Parameter observe: Is given each file's name with the pieces of its body, the first one empty.
    public init(
        linksStayInside: Bool = true, observe: (([UInt8], UnsafeRawBufferPointer) throws(Failure) -> Void)? = nil
    ) {
        self.linksStayInside = linksStayInside
        self.observe = observe
    }

    /// Takes the next bytes of the stream.
    public mutating func take(_ piece: UnsafeRawBufferPointer) throws(Failure) {
        var rest = piece
        while rest.count > 0 {
            if left > 0 {
                let count = min(left, rest.count)
                extended?.append(contentsOf: rest.prefix(count))
                if let current { try observe?(current, UnsafeRawBufferPointer(rebasing: rest.prefix(count))) }
                left -= count
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
                if left == 0, let record = extended { try readExtended(record) }
                continue
            }
            if padding > 0 {
                let count = min(padding, rest.count)
                padding -= count
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
                continue
            }
            let count = min(TarEntry.blockSize - block.count, rest.count)
            block += rest.prefix(count)
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
            guard block.count == TarEntry.blockSize else { continue }
            try readHeader()
            block = []
        }
    }

    /// Says whether the stream was whole.
    ///
    /// - Throws: When it ended before the archive did.
    public func finish() throws(Failure) {
        guard isComplete, left == 0, padding == 0 else {
            throw Failure(.invalid, "the archive is cut short after \(files) files of \(bytes) bytes")
        }
    }

    private mutating func readHeader() throws(Failure) {
        if block.allSatisfy({ $0 == 0 }) {
            zeroBlocks += 1
            if zeroBlocks == 2 { isComplete = true }
            return
        }
        guard zeroBlocks == 0 else { throw Failure(.invalid, "the archive goes on after its end") }
        guard let sum = octal(148, 8), sum == TarEntry.checksum(block[...]), field(257, 5) == Array("ustar".utf8) else {
            throw Failure(.invalid, "the archive is damaged after \(files) files of \(bytes) bytes: a header does not add up")
        }
        guard let size = overrides["size"].flatMap({ Int(String(decoding: $0, as: UTF8.self)) }) ?? octal(124, 12), size >= 0
        else {
            throw Failure(.invalid, "the archive is damaged: a header names no size")
        }
        let type = block[156]
        if type == 0x78 || type == 0x67 {
            guard size <= 1 << 20 else { throw Failure(.invalid, "the archive is damaged: an extended header of \(size) bytes") }
            extended = []
            current = nil
        } else {
            try judge(type: type, size: size)
            overrides = [:]
        }
        left = size
        padding = TarEntry.padding(size)
        if size == 0 { extended = nil }
    }

    private mutating func judge(type: UInt8, size: Int) throws(Failure) {
        current = nil
        let prefix = field(345, 155)
        let name = overrides["path"] ?? (prefix.isEmpty ? [] : prefix + [slash]) + field(0, 100)
        let parts = try path(name, of: "the archive holds a member")
        let whole = Array(parts.joined(separator: [slash]))
        for length in 1..<max(1, parts.count) where links.contains(Array(parts.prefix(length).joined(separator: [slash]))) {
            throw Failure(.denied, "the archive holds \(shown(whole)), which is below one of its symbolic links")
        }
        switch type {
        case 0x30, 0:
            files += 1
            bytes += Int64(size)
            current = whole
            try observe?(whole, UnsafeRawBufferPointer(start: nil, count: 0))
        case 0x35:
            guard size == 0 else {
                throw Failure(.invalid, "the archive is damaged: \(shown(whole)) is a folder of \(size) bytes")
            }
            return
        case 0x32:
            let target = overrides["linkpath"] ?? field(157, 100)
            if linksStayInside { try refuseEscape(of: target, at: parts) }
            links.insert(whole)
        default:
            throw Failure(.denied, "the archive holds \(shown(whole)), which is no file, folder or symbolic link")
        }
        guard names.insert(whole).inserted else { throw Failure(.denied, "the archive holds \(shown(whole)) twice") }
    }

    private func path(_ name: [UInt8], of what: String) throws(Failure) -> [[UInt8]] {
        let parts = name.split(separator: slash).map { Array($0) }.filter { $0 != here }
        guard name.first != slash, !parts.contains(above), !name.contains(0), !parts.isEmpty || name == here + [slash] else {
            throw Failure(.denied, "\(what) named \"\(shown(name))\", which is outside the folder it is unpacked into")
        }
        return parts
    }

    private func refuseEscape(of target: [UInt8], at parts: [[UInt8]]) throws(Failure) {
        var depth = parts.count - 1
        for part in target.split(separator: slash).map({ Array($0) }) {
            if part == above { depth -= 1 } else if part != here { depth += 1 }
            if depth < 0 { break }
        }
        guard depth >= 0, target.first != slash, !target.isEmpty else {
            let name = shown(Array(parts.joined(separator: [slash])))
            throw Failure(.denied, "the archive holds the symbolic link \(name), which leads outside: \(shown(target))")
        }
    }

    /// `<length> <key>=<value>\n`, one after the other.
    private mutating func readExtended(_ record: [UInt8]) throws(Failure) {
        extended = nil
        var rest = record[...]
        while !rest.isEmpty {
            guard let space = rest.firstIndex(of: 0x20), let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
                length > space - rest.startIndex + 1, length <= rest.count,
                let equals = rest[space...].firstIndex(of: 0x3D), equals < rest.startIndex + length
            else { throw Failure(.invalid, "the archive is damaged: an extended header cannot be read") }
            let key = String(decoding: rest[(space + 1)..<equals], as: UTF8.self)
            overrides[key] = Array(rest[(equals + 1)..<(rest.startIndex + length - 1)])
            rest = rest.dropFirst(length)
        }
    }

    private func field(_ offset: Int, _ count: Int) -> [UInt8] {
        Array(block[offset..<(offset + count)].prefix { $0 != 0 })
    }

    private func octal(_ offset: Int, _ count: Int) -> Int? {
        let field = block[offset..<(offset + count)].drop { $0 == 0x20 }.prefix { $0 != 0 && $0 != 0x20 }
        return Int(String(decoding: field, as: UTF8.self), radix: 8)
    }
}

private let slash = UInt8(ascii: "/")
private let here = Array(".".utf8)
private let above = Array("..".utf8)
