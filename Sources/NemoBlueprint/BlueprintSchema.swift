import NemoPolicy

/// The blueprint language, apiVersion nemoshell/v1.
enum BlueprintSchema {
  static let apiVersion = "nemoshell/v1"
  static let kind = "Blueprint"

  static let root: Schema = .named(
    "Blueprint",
    .object([
      Field("apiVersion", .choice([apiVersion]), required: true, "Version of this language."),
      Field("kind", .choice([kind]), required: true, "Always `Blueprint`."),
      Field("metadata", metadata, required: true, "What the blueprint is called."),
      Field("sandbox", sandbox, required: true, "What runs, and in what surroundings."),
      Field("policy", policy, required: true, "What it may do."),
      Field("inference", inference, "Models the agent may use. Recorded for the gate."),
      Field("monitoring", monitoring, "What is recorded and where it is sent. Recorded for the gate."),
      Field("approvals", approvals, "What happens to what no rule covers. Recorded for the gate."),
      Field("expect", .list(expectation, 0...10_000), "Assertions for `policy test`."),
    ]))

  static let metadata: Schema = .named(
    "Metadata",
    .object([
      Field("name", .text(.label), required: true, "Name of the blueprint, and of sandboxes made from it."),
      Field("version", .text(.version), required: true, "Version of the blueprint."),
      Field("description", .text(.freeText), "For people."),
      Field("minimum_runtime", .text(.version), "Oldest nemoshell that can hold it; an older one refuses."),
      Field("labels", .map(.labelKey, .text(.freeText), limit: 64), "For tools."),
    ]))

  static let sandbox: Schema = .named(
    "Sandbox",
    .object([
      Field("rootfs", rootfs, required: true, "Where the root file system comes from."),
      Field("process", process, required: true, "What is started."),
      Field("hostname", .text(.hostname), "Host name inside; default is the blueprint's name."),
      Field("workspace", workspace, "A writable directory that survives the sandbox's recreation."),
      Field("mounts", .list(mount, 0...128), "More of the file system."),
      Field("resources", resources, "Limits; every one has a default."),
      Field("devices", .list(device, 0...64), "Devices of the host."),
      Field("cdi", .list(.text(.cdiName), 0...64), "Devices by CDI name, from the standard directories."),
      Field("network", network, "The network the sandbox is on; default none."),
      Field("ports", .list(port, 0...64), "Ports of the sandbox that the host offers."),
    ]))

  private static let rootfs: Schema = .named(
    "Rootfs",
    .object(
      [
        Field("directory", .text(.hostPath), "A directory that holds it, unpacked."),
        Field("oci_layout", .text(.hostPath), "An OCI image layout: directory or tar."),
        Field("docker_archive", .text(.hostPath), "What `docker save` wrote."),
        Field("reference", .text(.word), "Which image of the layout or archive; needed where it holds several."),
        Field(
          "digest", .text(.digest), "Digest that the image manifest must have; with docker_archive the image's id."),
        Field("writable", .boolean, "Let the sandbox change it (a copy of its own); default false."),
      ], ObjectRule(exactlyOne: [["directory", "oci_layout", "docker_archive"]])))

  private static let process: Schema = .named(
    "Process",
    .object([
      Field("args", .list(.text(.word), 1...1024), required: true, "Program and arguments."),
      Field("cwd", .text(.path), "Working directory; default the workspace, else /."),
      Field(
        "env", .map(.environmentName, .text(.freeText), limit: 1024), "Environment; nothing comes from the caller."),
      Field("terminal", .boolean, "Give it a terminal; default false."),
    ]))

  private static let workspace: Schema = .named(
    "Workspace", .object([Field("path", .text(.path), "Where it is mounted; default /workspace.")]))

  private static let mount: Schema = .named(
    "Mount",
    .object(
      [
        Field("destination", .text(.path), required: true, "Where it is mounted."),
        Field("source", .text(.hostPath), "A file or directory of the host."),
        Field(
          "tmpfs", .object([Field("size", .text(.size), required: true, "Largest size.")]),
          "An empty file system in memory, always writable."),
        Field("writable", .boolean, "Let the sandbox change the source; default false."),
        Field("executable", .boolean, "Let it run programs from there; default false."),
      ], ObjectRule(exactlyOne: [["source", "tmpfs"]], atMostOne: [["writable", "tmpfs"]])))

  private static let resources: Schema = .named(
    "Resources",
    .object([
      Field("memory", .text(.size), "Memory; default 2GiB."),
      Field("swap", .text(.size), "Swap on top of memory; default none."),
      Field("cpus", .decimal(upTo: 4096), "Processors' worth of time; default 2."),
      Field("pids", .integer(1...4_194_304), "Processes and threads; default 512."),
      Field("nofile", .integer(16...1_048_576), "Open files of a process; default 4096."),
      Field("io", io, "Limits of block devices; default none."),
    ]))

  private static let io: Schema = .named(
    "IO",
    .object([
      Field("weight", .integer(1...1000), "Share of a busy device."),
      Field(
        "throttle",
        .list(
          .object([
            Field("device", .text(.devicePath), required: true, "Block device of the host."),
            Field("read_bytes", .text(.size), "Bytes read in a second."),
            Field("write_bytes", .text(.size), "Bytes written in a second."),
            Field("read_operations", .integer(1...1_000_000_000), "Reads in a second."),
            Field("write_operations", .integer(1...1_000_000_000), "Writes in a second."),
          ]), 0...64), "Limits by device."),
    ]))

  private static let device: Schema = .named(
    "Device",
    .object([
      Field("path", .text(.devicePath), required: true, "Device of the host, at the same path inside."),
      Field("access", .choice(["r", "w", "rw"]), "Default rw."),
    ]))

  private static let network: Schema = .named(
    "Network",
    .object([
      Field(
        "mode", .choice(["none", "veth", "join", "host"]),
        "`none` (default): loopback only. `veth`: a network of its own. `join`: the engine's, with the same fence inside. `host`: the host's, only with the operator's flag."
      ),
      Field("path", .text(.path), "Network namespace to join; without it the engine's."),
    ]))

  private static let port: Schema = .named(
    "Port",
    .object([
      Field("container", .integer(1...65535), required: true, "Port inside."),
      Field("host", .integer(1...65535), required: true, "Port of the host."),
      Field("address", .text(.address), "Address of the host; default 127.0.0.1."),
      Field("protocol", .choice(["tcp", "udp"]), "Default tcp."),
    ]))

  static let inference: Schema = .named(
    "Inference",
    .object([
      Field("default", .text(.label), required: true, "Profile that is used first."),
      Field(
        "residency", .choice(["any", "local"]), "`local` forbids every profile that leaves the machine; default any."),
      Field(
        "profiles",
        .map(
          .label,
          .object([
            Field("type", .choice(["openai", "anthropic", "nvidia"]), required: true, "API that the endpoint speaks."),
            Field("endpoint", .text(.url), required: true, "Base URL."),
            Field("model", .text(.word), required: true, "Model that is asked for there."),
            Field("credential", .text(.label), "Name of a credential in the operator's store; never the key itself."),
            Field("residency", .choice(["local", "remote"]), "Whether prompts stay on this machine; default remote."),
            Field("idle_timeout", .text(.duration), "Longest silence of the model; default 120s."),
            Field("aliases", .list(.text(.word), 0...64), "Model names of callers that mean this profile."),
            Field(
              "fallback", .list(.text(.label), 0...8), "Profiles tried when this one fails, of the same residency."),
            Field("tokens_per_day", .integer(1...1_000_000_000_000), "Budget."),
            Field("requests_per_minute", .integer(1...1_000_000), "Budget."),
          ]), limit: 64), required: true, "Profiles by name."),
    ]))

  static let monitoring: Schema = .named(
    "Monitoring",
    .object([
      Field("retention", .text(.duration), "How long the audit is kept; default forever."),
      Field("requests", .choice(["none", "denied", "all"]), "Which requests are recorded; default all."),
      Field(
        "otlp",
        .object([
          Field("endpoint", .text(.url), required: true, "Collector."),
          Field("protocol", .choice(["http/protobuf", "http/json"]), "Default http/protobuf."),
          Field("credential", .text(.label), "Name of a credential in the operator's store."),
        ]), "Where events are sent."),
      Field(
        "prometheus", .object([Field("listen", .text(.listen), required: true, "ADDRESS:PORT of the host.")]),
        "Metrics."),
    ]))

  static let approvals: Schema = .named(
    "Approvals",
    .object([
      Field("network", .choice(["deny", "ask"]), "A connection or request that no rule covers; default deny."),
      Field("timeout", .text(.duration), "How long a question waits, then it is denied; default 120s."),
      Field("scope", .choice(["once", "session", "permanent"]), "Widest answer that may be given; default session."),
      Field("deny", .list(.text(.host), 0...256), "Hosts that are never asked about."),
    ]))

  static let expectation: Schema = .named(
    "Expectation",
    .object(
      [
        Field("read", .text(.path), "Reading a file."),
        Field("list", .text(.path), "Listing a directory."),
        Field("write", .text(.path), "Writing a file that exists."),
        Field("create", .text(.path), "Creating a file."),
        Field("remove", .text(.path), "Removing a file."),
        Field("execute", .text(.path), "Running a program."),
        Field("connect", .text(.target), "Connecting to HOST:PORT."),
        Field("request", .text(.request), "An HTTP request."),
        Field("system_call", .text(.systemCall), "A system call."),
        Field("capability", .text(.capability), "Using a capability."),
        Field("arguments", .list(.integer(0...Int.max), 0...6), "Arguments of the system call."),
        Field("binary", .text(.path), "Program that connects."),
        Field("transport", .choice(["tcp", "udp"]), "Default tcp."),
        Field("verdict", .choice(["allow", "deny"]), required: true, "What the policy must say."),
      ],
      ObjectRule(exactlyOne: [
        ["read", "list", "write", "create", "remove", "execute", "connect", "request", "system_call", "capability"]
      ])))
}
