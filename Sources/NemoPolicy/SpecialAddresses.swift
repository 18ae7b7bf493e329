/// Addresses that are no public host: a name must not resolve to one unless the policy says so.
///
/// Sources: the IANA special-purpose registries, and the metadata services of cloud providers.
public enum SpecialAddresses {
  private static let table: [(network: IPNetwork, kind: String)] = [
    ("169.254.169.254/32", "cloud metadata"), ("169.254.170.2/32", "cloud metadata"),
    ("168.63.129.16/32", "cloud metadata"), ("100.100.100.200/32", "cloud metadata"),
    ("fd00:ec2::254/128", "cloud metadata"), ("fd20:ce::254/128", "cloud metadata"),
    ("127.0.0.0/8", "loopback"), ("::1/128", "loopback"), ("0.0.0.0/8", "unspecified"), ("::/128", "unspecified"),
    ("169.254.0.0/16", "link-local"), ("fe80::/10", "link-local"),
    ("10.0.0.0/8", "private"), ("172.16.0.0/12", "private"), ("192.168.0.0/16", "private"), ("fc00::/7", "private"),
    ("fec0::/10", "private"), ("100.64.0.0/10", "shared"), ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"), ("198.51.100.0/24", "documentation"), ("203.0.113.0/24", "documentation"),
    ("2001:db8::/32", "documentation"), ("198.18.0.0/15", "benchmarking"), ("192.88.99.0/24", "reserved"),
    ("224.0.0.0/4", "multicast"), ("ff00::/8", "multicast"), ("240.0.0.0/4", "reserved"),
  ].compactMap { entry in (try? IPNetwork(entry.0)).map { ($0, entry.1) } }

  private static let nat64 = try? IPNetwork("64:ff9b::/96")
  private static let sixToFour = try? IPNetwork("2002::/16")
  private static let compatible = try? IPNetwork("::/96")

  /// What kind of special address this is (`loopback`, `private`, `cloud metadata`, …); nil for a public one.
  ///
  /// An IPv4 address carried inside IPv6 (NAT64, 6to4, IPv4-compatible) counts as what it carries.
  public static func kind(_ address: IPAddress) -> String? {
    if let entry = table.first(where: { $0.network.contains(address) }) { return entry.kind }
    guard let inner = embedded(address) else { return nil }
    return kind(inner)
  }

  /// The kind of the first special range that `network` touches; nil where it is public throughout.
  public static func kind(_ network: IPNetwork) -> String? {
    table.first { $0.network.contains(network) || network.contains($0.network) }?.kind ?? kind(network.base)
  }

  private static func embedded(_ address: IPAddress) -> IPAddress? {
    guard !address.isIPv4 else { return nil }
    if nat64?.contains(address) == true || compatible?.contains(address) == true {
      return IPAddress(bytes: Array(address.bytes.suffix(4)))
    }
    return sixToFour?.contains(address) == true ? IPAddress(bytes: Array(address.bytes[2..<6])) : nil
  }
}
