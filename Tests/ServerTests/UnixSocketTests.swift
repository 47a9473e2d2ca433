import Glibc
import SerinAPI
import SerinModel
import SerinServer
import Testbed
import Testing

@Suite struct UnixSocketTests {
    @Test func aPathOver107BytesIsRefusedWithItsLength() throws {
        let scratch = try Scratch("serin-sock")
        defer { scratch.remove() }
        let long = scratch.file(String(repeating: "x", count: 108 - scratch.path.utf8.count - 1))
        #expect(long.utf8.count == 108)
        let failure = #expect(throws: Failure.self) { try UnixSocket(listeningAt: long) }
        #expect(failure?.message == "cannot use the socket path \(long): it has 108 bytes, the kernel takes at most 107")
        #expect(failure?.hint?.contains("--state") == true)
        let fitting = String(long.dropLast())
        let socket = try UnixSocket(listeningAt: fitting)
        #expect(UnixSocket.answers(at: socket.path))
    }

    @Test func aSocketThatNobodyAnswersIsReplaced() async throws {
        let scratch = try Scratch("serin-sock")
        defer { scratch.remove() }
        let path = scratch.file("s.sock")
        // A socket that is bound and never listened on is what a killed process leaves behind.
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(code == 0)
        close(descriptor)
        #expect(!UnixSocket.answers(at: path))
        _ = try UnixSocket(listeningAt: path)
        #expect(UnixSocket.answers(at: path))
    }

    @Test func aSocketThatAnswersIsLeftAlone() throws {
        let scratch = try Scratch("serin-sock")
        defer { scratch.remove() }
        let path = scratch.file("s.sock")
        _ = try UnixSocket(listeningAt: path)
        let failure = #expect(throws: Failure.self) { try UnixSocket(listeningAt: path) }
        #expect(failure?.message == "cannot listen at \(path): another process answers there")
        #expect(failure?.kind == .conflict)
        #expect(UnixSocket.answers(at: path))
    }

    @Test func aFileThatIsNoSocketIsLeftAlone() throws {
        let scratch = try Scratch("serin-sock")
        defer { scratch.remove() }
        let path = try scratch.write("s.sock", "precious")
        #expect(throws: Failure.self) { try UnixSocket(listeningAt: path) }
        var status = stat()
        #expect(lstat(path, &status) == 0 && status.st_size == 8)
    }

    @Test func onlyTheOwnerMayConnect() throws {
        let scratch = try Scratch("serin-sock")
        defer { scratch.remove() }
        let path = scratch.file("s.sock")
        _ = try UnixSocket(listeningAt: path)
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func aGroupMayBeLetIn() throws {
        let scratch = try Scratch("serin-sock")
        defer { scratch.remove() }
        let path = scratch.file("s.sock")
        let group = try #require(getgrgid(getegid()))
        _ = try UnixSocket(listeningAt: path, group: String(cString: group.pointee.gr_name))
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o660)
        #expect(status.st_gid == getegid())
    }

    @Test func anUnknownGroupIsNamed() throws {
        let scratch = try Scratch("serin-sock")
        defer { scratch.remove() }
        let path = scratch.file("s.sock")
        let failure = #expect(throws: Failure.self) { try UnixSocket(listeningAt: path, group: "no-such-group") }
        #expect(failure?.message == "cannot give \(path) to the group 'no-such-group': there is no such group")
    }
}
