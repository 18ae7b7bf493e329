// swift-tools-version: 6.3
import PackageDescription

// Everything below is the hot side: single-threaded, no Foundation, linked into one static-pie executable.
// Dependence points one way: nemoshell -> NemoCommands -> NemoRuntime -> kernel areas -> NemoOCI -> NemoJSON -> NemoKernel -> C.

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .enableUpcomingFeature("ExistentialAny"),
]

func area(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ area: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: "\(area)Tests", dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
  name: "nemoshell",
  products: [.executable(name: "nemoshell", targets: ["nemoshell"])],
  targets: [
    .target(name: "CKernel", cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-O2"])]),
    .systemLibrary(name: "CSeccomp"),
    .systemLibrary(name: "CJansson"),
    .systemLibrary(name: "CCap"),
    area("NemoKernel", ["CKernel"]),
    area("NemoJSON", ["CJansson", "NemoKernel"]),
    area("NemoOCI", ["NemoJSON", "NemoKernel"]),
    area("NemoCgroup", ["NemoOCI", "NemoJSON", "NemoKernel"]),
    area("NemoSeccomp", ["CSeccomp", "NemoOCI", "NemoJSON", "NemoKernel"]),
    area("NemoCapabilities", ["CCap", "NemoOCI", "NemoKernel"]),
    area("NemoMounts", ["NemoOCI", "NemoKernel"]),
    area("NemoLandlock", ["NemoMounts", "NemoOCI", "NemoKernel", "CKernel"]),
    area(
      "NemoRuntime",
      [
        "NemoCgroup", "NemoSeccomp", "NemoCapabilities", "NemoMounts", "NemoLandlock", "NemoOCI", "NemoJSON",
        "NemoKernel",
      ]),
    area(
      "NemoCommands",
      [
        "NemoRuntime", "NemoCgroup", "NemoSeccomp", "NemoCapabilities", "NemoMounts", "NemoLandlock", "NemoOCI",
        "NemoJSON",
        "NemoKernel",
      ]),
    .executableTarget(
      name: "nemoshell", dependencies: ["NemoCommands"], swiftSettings: strict,
      linkerSettings: [
        .unsafeFlags(
          [
            "-static-executable", "-no-toolchain-stdlib-rpath", "-use-ld=lld", "-Xclang-linker", "-static-pie",
            "-Xlinker", "--gc-sections", "-Xlinker", "--pack-dyn-relocs=relr",
          ], .when(configuration: .release))
      ]),
    tests("NemoJSON", ["NemoJSON", "NemoKernel"]),
    tests("NemoOCI", ["NemoOCI", "NemoJSON", "NemoKernel"]),
    tests("NemoCgroup", ["NemoCgroup", "NemoOCI", "NemoJSON", "NemoKernel"]),
    tests("NemoSeccomp", ["NemoSeccomp", "NemoOCI", "NemoKernel", "CKernel", "CSeccomp"]),
    tests("NemoLandlock", ["NemoLandlock", "NemoOCI", "NemoKernel"]),
    tests("NemoCapabilities", ["NemoCapabilities", "NemoOCI", "NemoKernel", "CKernel"]),
  ]
)
