internal import Glibc

/// Whether something listens on a loopback port.
public func canConnect(port: Int) -> Bool {
    let descriptor = connected(port: port)
    if descriptor >= 0 { close(descriptor) }
    return descriptor >= 0
}

/// Whether something listens on a unix socket.
public func canConnect(path: String) -> Bool {
    let descriptor = connected(path: path)
    if descriptor >= 0 { close(descriptor) }
    return descriptor >= 0
}

/// A connection to a unix socket, the caller's own to close; negative when there is none.
public func connection(path: String) -> Int32 { connected(path: path) }

/// A connection to a loopback port; negative when there is none.
func connected(port: Int) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return connected(AF_INET, &address)
}

/// A connection to a unix socket; negative when there is none.
func connected(path: String) -> Int32 {
    var address = unixAddress(path)
    return connected(AF_UNIX, &address)
}

private func connected<Address>(_ family: Int32, _ address: inout Address) -> Int32 {
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    let code = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
        }
    }
    guard code == 0 else {
        close(descriptor)
        return -1
    }
    return descriptor
}
