import NemoJSON
import NemoKernel
import NemoOCI
import NemoRuntime

extension NemoshellProgram {
  static let updateVerb = Verb(
    name: "update", operands: "ID", summary: "change the limits of a container",
    details:
      "Sizes take a suffix (50M, 1G) and -1 for no limit. --resources reads the linux.resources object of config.json.",
    flags: [
      .option("--resources", "-r", value: "FILE", "read the limits from FILE (- is stdin)"),
      .option("--memory", value: "BYTES", "memory limit"),
      .option("--memory-reservation", value: "BYTES", "soft memory limit"),
      .option("--memory-swap", value: "BYTES", "memory plus swap"),
      .option("--kernel-memory", value: "BYTES", "accepted; has no effect on current kernels"),
      .option("--kernel-memory-tcp", value: "BYTES", "limit of TCP buffers (cgroup v1)"),
      .option("--pids-limit", value: "N", "number of tasks"),
      .option("--cpu-share", value: "N", "relative CPU weight"),
      .option("--cpu-quota", value: "MICROSECONDS", "CPU time per period"),
      .option("--cpu-period", value: "MICROSECONDS", "length of the period"),
      .option("--cpu-burst", value: "MICROSECONDS", "CPU time that may be saved up"),
      .option("--cpu-idle", value: "0|1", "1 runs it only when nothing else does"),
      .option("--cpu-rt-period", value: "MICROSECONDS", "real-time period"),
      .option("--cpu-rt-runtime", value: "MICROSECONDS", "real-time CPU time per period"),
      .option("--cpuset-cpus", value: "LIST", "CPUs, such as 0-2,4"),
      .option("--cpuset-mems", value: "LIST", "memory nodes"),
      .option("--blkio-weight", value: "N", "block I/O weight, 10 to 1000"),
      .option("--l3-cache-schema", value: "SCHEMA", "not supported"),
      .option("--mem-bw-schema", value: "SCHEMA", "not supported"),
    ], count: 1...1
  ) { (invocation) throws(Failure) in
    let arguments = invocation.arguments
    for flag in ["--l3-cache-schema", "--mem-bw-schema"] where arguments.string(flag) != nil {
      throw Failure("", flag, reason: "Intel RDT is not supported on this host")
    }
    try Updates.apply(resources(arguments), to: invocation.id, invocation.context)
    return 0
  }

  private static func resources(_ arguments: Arguments) throws(Failure) -> Resources {
    if let file = arguments.string("--resources") {
      let bytes =
        file == "-"
        ? try Files.readAll(0, limit: 16 << 20, subject: "standard input") : try Files.read(file, limit: 16 << 20)
      return try Resources(parsing: bytes, subject: file == "-" ? "standard input" : file)
    }
    var resources = Resources()
    var memory = MemoryResources()
    memory.limit = try size("--memory", arguments)
    memory.reservation = try size("--memory-reservation", arguments)
    memory.swap = try size("--memory-swap", arguments)
    memory.kernel = try size("--kernel-memory", arguments)
    memory.kernelTCP = try size("--kernel-memory-tcp", arguments)
    resources.memory = memory
    resources.pidsLimit = try number("--pids-limit", arguments)
    var cpu = CPUResources()
    cpu.shares = try number("--cpu-share", arguments)
    cpu.quota = try number("--cpu-quota", arguments)
    cpu.period = try number("--cpu-period", arguments)
    cpu.burst = try number("--cpu-burst", arguments)
    cpu.idle = try number("--cpu-idle", arguments)
    cpu.realtimePeriod = try number("--cpu-rt-period", arguments)
    cpu.realtimeRuntime = try number("--cpu-rt-runtime", arguments)
    cpu.cpus = arguments.string("--cpuset-cpus") ?? ""
    cpu.mems = arguments.string("--cpuset-mems") ?? ""
    resources.cpu = cpu
    if let weight: UInt16 = try number("--blkio-weight", arguments) {
      var io = BlockIOResources()
      io.weight = weight
      resources.blockIO = io
    }
    return resources
  }

  /// A size in bytes: digits with an optional suffix of binary units, or −1.
  static func size(_ name: String, _ arguments: Arguments) throws(Failure) -> Int64? {
    guard let text = arguments.string(name) else { return nil }
    if text == "-1" { return -1 }
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    var suffix = text[digits.endIndex...].lowercased()
    if suffix.hasSuffix("ib") { suffix.removeLast(2) } else if suffix.hasSuffix("b") { suffix.removeLast() }
    let shift: Int64? =
      switch suffix {
      case "": 0
      case "k": 10
      case "m": 20
      case "g": 30
      case "t": 40
      case "p": 50
      default: nil
      }
    guard let count = Int64(digits), let shift, count.leadingZeroBitCount > Int(shift) else {
      throw Failure("", name, reason: "\"\(text)\" is not a size such as 52428800, 50M or -1")
    }
    return count << shift
  }
}
