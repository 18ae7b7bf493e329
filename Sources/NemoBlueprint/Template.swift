/// The blueprint that `blueprint new` writes.
public enum Template {
  /// A Python agent, every default spelled out where it matters.
  ///
  /// - Parameter rules: network rules as YAML; without them the agent has no network.
  public static func blueprint(name: String, rules: String = "") -> String {
    let network =
      rules.isEmpty
      ? """
        # With sandbox.network.mode: veth, addresses are opened like this:
        # network_policies:
        #   database:
        #     endpoints:
        #       - address: 10.0.0.5
        #         port: 5432
      """ : "  network_policies:\n" + rules.split(separator: "\n").joined(separator: "\n")
    return head(name, hasNetwork: !rules.isEmpty) + network + expectations
  }

  private static let expectations = """


    expect:
      - read: /etc/hostname
        verdict: allow
      - write: /etc/passwd
        verdict: deny
      - connect: example.com:443
        verdict: deny

    """

  private static func head(_ name: String, hasNetwork: Bool) -> String {
    """
    # What an agent may do. `nemoshell blueprint lint` checks it; docs/blueprints.md explains every field.
    apiVersion: nemoshell/v1
    kind: Blueprint
    metadata:
      name: \(name)
      version: 0.1.0
      description: An agent that works in its workspace\(hasNetwork ? "" : ", without network").

    sandbox:
      rootfs:
        directory: ./rootfs
      process:
        args: [/usr/bin/python3, /workspace/agent.py]
        env:
          HOME: /workspace
          PATH: /usr/local/bin:/usr/bin:/bin
      workspace:
        path: /workspace
      resources:
        memory: 2GiB
        cpus: 2
        pids: 512
        nofile: 4096
      network:
        mode: \(hasNetwork ? "veth" : "none")

    policy:
      filesystem:
        read_only: [/usr, /lib, /lib64, /bin, /etc]
        read_write: [/tmp]
      landlock:
        compatibility: hard_requirement
      process:
        run_as_user: 65532
        run_as_group: 65532
      system_calls:
        profile: agent
      capabilities: []

    """
  }
}
