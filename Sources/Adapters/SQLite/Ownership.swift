internal import Glibc

/// The name of a user, or its number where it has none.
public func userName(_ user: UInt32) -> String {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 16 << 10)
    guard getpwuid_r(user, &entry, &buffer, buffer.count, &found) == 0, let name = found?.pointee.pw_name else {
        return "user \(user)"
    }
    return String(cString: name)
}

/// A user as `sudo -u` takes one.
public func userWord(_ user: UInt32) -> String {
    let name = userName(user)
    return name == "user \(user)" ? "'#\(user)'" : name
}

/// Whose a file or folder is, or the nearest folder above it that can be seen; nil when that is this user.
public func stranger(owning path: String) -> UInt32? {
    var place = path[...]
    var status = stat()
    while lstat(String(place), &status) != 0 {
        guard let slash = place.lastIndex(of: "/"), slash != place.startIndex else { return nil }
        place = place[..<slash]
    }
    return status.st_uid == geteuid() ? nil : status.st_uid
}

/// Gives what root has just made in another user's folder to that user, who could not use it otherwise. Nothing for other users.
///
/// - Parameter descriptor: The open file.
/// - Parameter folder: The folder that it is in.
/// - Returns: Whether it belongs to whom it should.
public func giveToOwner(_ descriptor: Int32, of folder: String) -> Bool {
    var status = stat()
    guard geteuid() == 0 else { return true }
    guard stat(folder, &status) == 0 else { return false }
    return status.st_uid == 0 || fchown(descriptor, status.st_uid, status.st_gid) == 0
}
