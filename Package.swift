// swift-tools-version: 6.3
import PackageDescription

// The hot side is single-threaded, without Foundation, and linked into one static-pie executable, nemoshell.
// Dependence points one way: nemoshell -> NemoCommands -> NemoRuntime -> kernel areas -> NemoOCI -> NemoJSON -> NemoKernel -> C.
// The wide side may use Foundation and packages: nemoctl -> NemoOperator -> NemoBlueprint -> NemoPolicy.
// NemoPolicy is pure and serves both sides. Nothing on the hot side imports the wide side.

// The commit for `--version`, from the Makefile. `Context.gitInformation` is kept with the evaluated manifest, and would be old.
let commit = Context.environment["NEMOSHELL_COMMIT"] ?? ""

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .enableUpcomingFeature("ExistentialAny"),
]

// The implicit imports would link the regular expressions' and the concurrency's runtime into every executable. Metadata of generic
// types comes from accessors, which cost a start a third less than the parsing of mangled names.
let hot =
  strict + [
    .unsafeFlags([
      "-Xfrontend", "-disable-implicit-string-processing-module-import",
      "-Xfrontend", "-disable-implicit-concurrency-module-import",
      "-Xfrontend", "-disable-concrete-type-metadata-mangled-name-accessors",
    ])
  ]

func area(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: hot)
}

/// A library of the wide side.
func wide(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// For programs that are linked dynamically.
let wideLinking: [LinkerSetting] = [
  .unsafeFlags(["-use-ld=lld", "-Xlinker", "--gc-sections", "-Xlinker", "-s"], .when(configuration: .release))
]

func tests(_ area: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: "\(area)Tests", dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
  name: "nemoshell",
  products: [
    .executable(name: "nemoshell", targets: ["nemoshell"]),
    .executable(name: "nemoctl", targets: ["nemoctl"]),
    .executable(name: "nemoshell-network", targets: ["nemoshell-network"]),
  ],
  dependencies: [
    .package(url: "https://github.com/jpsim/Yams.git", exact: "6.2.2"),
    .package(url: "https://github.com/apple/swift-argument-parser.git", exact: "1.8.2"),
  ],
  targets: [
    .target(
      name: "CKernel",
      cSettings: [
        .unsafeFlags(["-Wall", "-Wextra", "-Werror", "-O2"]), .define("NEMO_COMMIT", to: "\"\(commit)\""),
      ]),
    .systemLibrary(name: "CSeccomp"),
    .systemLibrary(name: "CJansson"),
    .systemLibrary(name: "CCap"),
    .systemLibrary(name: "CMnl"),
    area("NemoKernel", ["CKernel"]),
    area("NemoJSON", ["CJansson", "CKernel", "NemoKernel"]),
    area("NemoOCI", ["NemoJSON", "NemoKernel"]),
    area("NemoCgroup", ["NemoOCI", "NemoJSON", "NemoKernel"]),
    area("NemoSeccomp", ["CSeccomp", "NemoOCI", "NemoJSON", "NemoKernel"]),
    area("NemoCapabilities", ["CCap", "NemoOCI", "NemoKernel"]),
    area("NemoMounts", ["NemoOCI", "NemoKernel"]),
    area("NemoLandlock", ["NemoMounts", "NemoOCI", "NemoKernel", "CKernel"]),
    area("NemoNetwork", ["CKernel", "NemoOCI", "NemoJSON", "NemoKernel"]),
    area(
      "NemoRuntime",
      [
        "NemoCgroup", "NemoSeccomp", "NemoCapabilities", "NemoMounts", "NemoLandlock", "NemoNetwork", "NemoOCI",
        "NemoJSON", "NemoKernel",
      ]),
    area(
      "NemoCommands",
      [
        "NemoRuntime", "NemoCgroup", "NemoSeccomp", "NemoCapabilities", "NemoMounts", "NemoLandlock", "NemoOCI",
        "NemoJSON", "NemoKernel",
      ]),
    .executableTarget(
      name: "nemoshell", dependencies: ["NemoCommands"], swiftSettings: hot,
      linkerSettings: [
        .unsafeFlags(
          [
            "-static-executable", "-no-toolchain-stdlib-rpath", "-use-ld=lld", "-Xclang-linker", "-static-pie",
            "-Xlinker", "--gc-sections", "-Xlinker", "--pack-dyn-relocs=relr", "-Xlinker", "--entry=nemo_start",
            // What the verbs run lies side by side (Integration/bench/order.py); names that are gone are skipped.
            "-Xlinker", "--symbol-ordering-file=\(Context.packageDirectory)/Sources/nemoshell.order",
            "-Xlinker", "--no-warn-symbol-ordering",
          ], .when(configuration: .release))
      ]),
    area("NemoPolicy", []),
    area("NemoFence", ["NemoPolicy"]),
    area("NemoNetlink", ["CMnl", "NemoFence", "NemoPolicy", "NemoKernel"]),
    area("NemoNetworkHook", ["NemoNetlink", "NemoFence", "NemoPolicy", "NemoJSON", "NemoKernel", "CKernel"]),
    // Debian ships no static libmnl, so this program is linked dynamically, all but Swift's own library.
    .executableTarget(
      name: "nemoshell-network", dependencies: ["NemoNetworkHook"], swiftSettings: hot, linkerSettings: wideLinking),
    wide("NemoBlueprint", ["NemoFence", "NemoPolicy", .product(name: "Yams", package: "Yams")]),
    wide(
      "NemoOperator",
      ["NemoBlueprint", "NemoPolicy", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
    .executableTarget(
      name: "nemoctl",
      dependencies: ["NemoOperator", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      swiftSettings: strict, linkerSettings: wideLinking),
    tests("NemoPolicy", ["NemoPolicy"]),
    tests("NemoFence", ["NemoFence", "NemoPolicy"]),
    tests("NemoNetworkHook", ["NemoNetworkHook", "NemoFence", "NemoPolicy", "NemoKernel"]),
    tests("NemoBlueprint", ["NemoBlueprint", "NemoFence", "NemoPolicy"]),
    tests("NemoJSON", ["NemoJSON", "NemoKernel"]),
    tests("NemoOCI", ["NemoOCI", "NemoJSON", "NemoKernel"]),
    tests("NemoCgroup", ["NemoCgroup", "NemoOCI", "NemoJSON", "NemoKernel"]),
    tests("NemoSeccomp", ["NemoSeccomp", "NemoOCI", "NemoKernel", "CKernel", "CSeccomp"]),
    tests("NemoLandlock", ["NemoLandlock", "NemoOCI", "NemoKernel"]),
    tests("NemoNetwork", ["NemoNetwork", "NemoOCI", "NemoKernel", "CKernel"]),
    tests("NemoCapabilities", ["NemoCapabilities", "NemoOCI", "NemoKernel", "CKernel"]),
  ]
)
