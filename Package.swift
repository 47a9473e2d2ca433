// swift-tools-version: 6.2
import PackageDescription

/// The library of libFuzzer without its `main`, when parsers are to be fuzzed; `make fuzz` names it.
let fuzzer = Context.environment["SERIN_FUZZER"]

let strict: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .treatAllWarnings(as: .error),
    ]
    // So that the fuzzer sees which branches an input takes, and reaches parsers that are nobody else's business.
    + (fuzzer == nil ? [] : [.unsafeFlags(["-sanitize=fuzzer", "-enable-testing"])])

/// A library room of the house: `Serin` + the folder's last part.
func room(_ path: String, _ dependencies: [String], c: [String] = []) -> Target {
    let name = "Serin" + (path.split(separator: "/").last.map(String.init) ?? path)
    return .target(
        name: name, dependencies: (dependencies.map { "Serin" + $0 } + c).map { .byName(name: $0) },
        path: "Sources/" + path, swiftSettings: strict)
}

/// One folder of tests a room.
func tests(_ name: String, _ dependencies: [String], resources: [Resource] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies.map { .byName(name: $0) }, path: "Tests/" + name,
        resources: resources, swiftSettings: strict)
}

let core = ["Model", "Policies", "Verdicts", "Rollouts", "Records", "Catalogue", "Migrations", "Access"]
let everything =
    core + [
        "Trials", "Ports", "Controller", "Locks", "Transport", "Processes", "Crypto", "Compression", "Database", "SQL", "YAML",
        "Prometheus", "Postgres", "SQLite", "Traffic", "Actions", "Backups", "MigrationTools", "Notifications", "Identity",
        "API", "Pages", "Server",
    ]

let package = Package(
    name: "serin",
    targets: [
        // C libraries from Debian's -dev packages, and one small typed shim each where one is needed.
        .systemLibrary(name: "CCurl", path: "Sources/C/CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CLibPQ", path: "Sources/C/CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "COpenSSL", path: "Sources/C/COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CSQLite", path: "Sources/C/CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CYAML", path: "Sources/C/CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(
            name: "CMicroHTTPD", path: "Sources/C/CMicroHTTPD", pkgConfig: "libmicrohttpd",
            providers: [.apt(["libmicrohttpd-dev"])]),
        .systemLibrary(name: "CZstd", path: "Sources/C/CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        // Debian's libpg-query-dev has no file for pkg-config; the module map names the archive.
        .systemLibrary(name: "CPgQuery", path: "Sources/C/CPgQuery", providers: [.apt(["libpg-query-dev"])]),
        .systemLibrary(name: "CZlib", path: "Sources/C/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CSerinCurl", dependencies: ["CCurl"], path: "Sources/C/CSerinCurl"),
        .target(
            name: "CSerinHTTPD", dependencies: ["CMicroHTTPD"], path: "Sources/C/CSerinHTTPD",
            linkerSettings: [.linkedLibrary("gnutls")]),
        .target(name: "CSerinProcess", path: "Sources/C/CSerinProcess"),
        .target(name: "CSerinMath", path: "Sources/C/CSerinMath", linkerSettings: [.linkedLibrary("m")]),

        // Core: pure.
        room("Core/Model", []),
        room("Core/Policies", ["Model"]),
        room("Core/Verdicts", ["Model"], c: ["CSerinMath"]),
        room("Core/Rollouts", ["Model", "Policies", "Verdicts"]),
        room("Core/Records", ["Model", "Policies", "Verdicts", "Rollouts"]),
        room("Core/Catalogue", ["Model", "Policies", "Records"]),
        room("Core/Migrations", ["Model"]),
        room("Core/Access", ["Model", "Records"]),
        room("Core/Trials", ["Model", "Policies", "Verdicts", "Rollouts", "Records"], c: ["CSerinMath"]),

        room("Ports", core),
        room("Controller", core + ["Ports", "Locks"]),

        // Platform: knows no rollout.
        room("Platform/Locks", []),
        room("Platform/Transport", ["Model", "Locks", "Crypto"], c: ["CCurl", "CSerinCurl"]),
        room("Platform/Processes", ["Model", "Locks"], c: ["CSerinProcess"]),
        room("Platform/Crypto", [], c: ["COpenSSL"]),
        room("Platform/Compression", ["Model"], c: ["CZstd", "CZlib"]),
        room("Platform/Database", ["Model", "Locks"], c: ["CLibPQ"]),
        room("Platform/SQL", ["Model", "Migrations", "Locks"], c: ["CPgQuery"]),
        room("Platform/YAML", ["Model", "Policies"], c: ["CYAML"]),

        // Adapters: each knows Ports, Core's values, Platform and its C library.
        room("Adapters/Prometheus", ["Model", "Policies", "Ports", "Locks", "Transport", "Processes"]),
        room("Adapters/Postgres", ["Model", "Policies", "Ports", "Locks", "Database"]),
        room("Adapters/SQLite", ["Model", "Records", "Catalogue", "Access", "Ports", "Locks", "Crypto"], c: ["CSQLite"]),
        room("Adapters/Traffic", ["Model", "Policies", "Ports", "Locks", "Transport", "Processes"]),
        room(
            "Adapters/Backups",
            [
                "Model", "Policies", "Records", "Catalogue", "Ports", "Locks", "Transport", "Processes", "Crypto", "Compression",
                "Database",
            ]),
        room(
            "Adapters/MigrationTools",
            ["Model", "Policies", "Rollouts", "Migrations", "Catalogue", "Ports", "Locks", "Processes", "Crypto", "Database"]),
        room("Adapters/Actions", ["Model", "Policies", "Rollouts", "Ports", "Transport", "Processes"]),
        room("Adapters/Notifications", ["Model", "Policies", "Ports", "Locks", "Transport", "Processes", "Crypto"]),
        room("Adapters/Identity", ["Model", "Access", "Ports", "Locks", "Transport", "Crypto"]),

        // Faces.
        room("Faces/API", core + ["Trials", "Ports", "Controller", "Crypto", "Locks"]),
        room("Faces/Pages", core + ["Controller", "API", "Crypto", "Locks"]),
        room("Faces/Server", ["Model", "Locks", "API"], c: ["CMicroHTTPD", "CSerinHTTPD"]),
        room("Faces/CommandLine", everything),
        .executableTarget(name: "serin", dependencies: ["SerinCommandLine"], path: "Sources/serin", swiftSettings: strict),

        // Real servers for tests, demo and bench: started on free loopback ports, stopped by pid.
        .target(
            name: "Testbed",
            dependencies: [
                "SerinModel", "SerinLocks", "SerinProcesses", "SerinTransport", "SerinCrypto", "CSerinProcess", "CLibPQ",
                "COpenSSL",
            ],
            path: "Tests/Testbed",
            swiftSettings: strict),
        // A controller whose answers a test sets, for the faces.
        .target(
            name: "FakeController",
            dependencies: core.map { .byName(name: "Serin" + $0) } + ["SerinController", "SerinLocks"],
            path: "Tests/FakeController", swiftSettings: strict),
        // The store port's reference: a journal in memory.
        .target(
            name: "MemoryJournal", dependencies: ["SerinModel", "SerinRecords", "SerinPorts"], path: "Tests/MemoryJournal",
            swiftSettings: strict),
        .executableTarget(
            name: "checkout-service", dependencies: ["CMicroHTTPD", "CSerinHTTPD", "CLibPQ", "SerinLocks"],
            path: "examples/service",
            swiftSettings: strict),
        // With the two programs it runs, so that building it builds them.
        .executableTarget(
            name: "serin-demo",
            dependencies: [
                "Testbed", "SerinModel", "SerinTransport", "SerinProcesses", "SerinLocks", "CSerinProcess", "serin",
                "checkout-service",
            ],
            path: "examples/demo", exclude: ["fleet.sh"], swiftSettings: strict),
        .executableTarget(
            name: "serin-bench",
            dependencies: (everything.map { "Serin" + $0 } + ["Testbed", "MemoryJournal"]).map { .byName(name: $0) },
            path: "Tests/Bench", swiftSettings: strict),
        .executableTarget(
            name: "serin-search", dependencies: ["SerinModel", "SerinPolicies", "SerinVerdicts", "SerinRollouts"],
            path: "Tests/Search", exclude: ["mutants.py"], swiftSettings: strict),

        // A process that writes a journal until it is killed or its disk is full, for the store's tests.
        .executableTarget(
            name: "journal-writer",
            dependencies: (core + ["Ports", "SQLite", "Crypto"]).map { .byName(name: "Serin" + $0) },
            path: "Tests/JournalWriter", swiftSettings: strict),

        tests("ModelTests", ["SerinModel"]),
        tests(
            "PoliciesTests",
            ["SerinModel", "SerinPolicies", "SerinYAML", "SerinTraffic", "SerinBackups", "SerinNotifications"]),
        tests("VerdictsTests", ["SerinModel", "SerinVerdicts", "SerinProcesses"], resources: [.copy("Vectors")]),
        tests("RolloutsTests", ["SerinModel", "SerinPolicies", "SerinVerdicts", "SerinRollouts"]),
        tests("RecordsTests", core.map { "Serin" + $0 } + ["SerinCrypto"], resources: [.copy("Golden")]),
        tests(
            "TrialsTests", ["SerinModel", "SerinPolicies", "SerinVerdicts", "SerinRollouts", "SerinRecords", "SerinTrials"]),
        tests(
            "MigrationLintTests",
            ["SerinModel", "SerinMigrations", "SerinSQL", "SerinDatabase", "SerinProcesses", "Testbed"]),
        tests("CatalogueTests", ["SerinModel", "SerinPolicies", "SerinRecords", "SerinCatalogue", "SerinYAML", "SerinCrypto"]),
        tests("CompressionTests", ["SerinModel", "SerinCompression", "SerinProcesses", "Testbed"]),
        tests(
            "BackupsTests",
            core.map { "Serin" + $0 } + [
                "SerinPorts", "SerinBackups", "SerinSQLite", "SerinTransport", "SerinProcesses", "SerinCrypto",
                "SerinCompression", "SerinDatabase", "SerinLocks", "SerinYAML", "Testbed",
            ]),
        tests(
            "MigrationToolsTests",
            [
                "SerinModel", "SerinPolicies", "SerinRollouts", "SerinMigrations", "SerinCatalogue", "SerinPorts",
                "SerinMigrationTools", "SerinDatabase", "SerinCrypto", "SerinProcesses", "SerinLocks", "Testbed",
            ], resources: [.copy("Fixtures")]),
        tests(
            "ControllerTests",
            core.map { "Serin" + $0 } + ["SerinPorts", "SerinController", "SerinLocks", "SerinCrypto", "MemoryJournal"]),
        tests("TransportTests", ["SerinModel", "SerinTransport", "Testbed", "SerinProcesses"]),
        tests("ProcessesTests", ["SerinModel", "SerinProcesses"]),
        tests("CryptoTests", ["SerinCrypto"]),
        tests(
            "PrometheusTests",
            [
                "SerinModel", "SerinPolicies", "SerinPorts", "SerinTransport", "SerinPrometheus", "Testbed", "SerinProcesses",
                "SerinLocks",
            ],
            resources: [.copy("Samples")]),
        tests(
            "PostgresTests",
            ["SerinModel", "SerinPolicies", "SerinPorts", "SerinPostgres", "SerinDatabase", "Testbed", "SerinProcesses"]),
        tests(
            "SQLiteTests",
            core.map { "Serin" + $0 } + [
                "SerinPorts", "SerinSQLite", "SerinCrypto", "SerinProcesses", "SerinLocks", "Testbed", "MemoryJournal",
                "journal-writer",
            ]),
        tests(
            "TrafficTests",
            [
                "SerinModel", "SerinPolicies", "SerinPorts", "SerinTransport", "SerinTraffic", "Testbed", "SerinProcesses",
                "SerinLocks",
            ]),
        tests(
            "ActionsTests",
            [
                "SerinModel", "SerinPolicies", "SerinRollouts", "SerinPorts", "SerinTransport", "SerinProcesses", "SerinActions",
                "Testbed",
            ]),
        tests(
            "NotificationsTests",
            [
                "SerinModel", "SerinPorts", "SerinNotifications", "SerinTransport", "SerinCrypto", "SerinSQLite", "SerinLocks",
                "Testbed",
            ], resources: [.copy("Vectors")]),
        tests(
            "IdentityTests",
            [
                "SerinModel", "SerinAccess", "SerinRecords", "SerinPorts", "SerinIdentity", "SerinSQLite", "SerinTransport",
                "SerinCrypto", "SerinLocks", "SerinProcesses", "COpenSSL", "Testbed",
            ], resources: [.copy("Vectors")]),
        tests(
            "APITests",
            core.map { "Serin" + $0 } + [
                "SerinPorts", "SerinController", "SerinAPI", "FakeController", "Testbed", "SerinLocks", "SerinCrypto",
            ]),
        tests(
            "PagesTests",
            core.map { "Serin" + $0 } + [
                "SerinController", "SerinAPI", "SerinPages", "SerinServer", "SerinTransport", "SerinCrypto", "SerinLocks",
                "FakeController", "Testbed",
            ]),
        tests(
            "ServerTests", ["SerinModel", "SerinAPI", "SerinServer", "SerinTransport", "SerinProcesses", "SerinLocks", "Testbed"]),
        tests("CommandLineTests", everything.map { "Serin" + $0 } + ["SerinCommandLine", "FakeController", "Testbed"]),
        tests("IntegrationTests", everything.map { "Serin" + $0 } + ["SerinCommandLine", "Testbed"]),
    ],
    cLanguageStandard: .gnu17
)

if let fuzzer {
    package.targets += [
        .target(name: "CFuzzDriver", path: "Tests/Fuzz/Driver"),
        .executableTarget(
            name: "serin-fuzz",
            dependencies: [
                "CFuzzDriver", "SerinModel", "SerinPolicies", "SerinCatalogue", "SerinController", "SerinCrypto",
                "SerinTransport",
                "SerinYAML", "SerinNotifications", "SerinPrometheus", "SerinIdentity", "SerinBackups", "SerinTraffic", "SerinAPI",
                "SerinPages",
            ],
            path: "Tests/Fuzz/Parsers", swiftSettings: strict,
            linkerSettings: [.unsafeFlags(["-use-ld=lld", fuzzer]), .linkedLibrary("stdc++")]),
    ]
}
