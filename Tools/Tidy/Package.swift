// swift-tools-version: 6.2
import PackageDescription

// SwiftSyntax ships inside the toolchain as interfaces and shared libraries; no package is fetched.
let host = Context.environment["SWIFT_HOST_LIBS"] ?? "/usr/lib/swift/host"

let package = Package(
    name: "tidy",
    targets: [
        .executableTarget(
            name: "tidy",
            swiftSettings: [.swiftLanguageMode(.v6), .unsafeFlags(["-I", host])],
            linkerSettings: [
                .unsafeFlags(["-L", host, "-Xlinker", "-rpath", "-Xlinker", host]),
                .linkedLibrary("SwiftSyntax"), .linkedLibrary("SwiftParser"),
            ])
    ]
)
