import NemoKernel
import Testing

@testable import NemoOCI

@Suite struct SysctlTests {
  private func sysctl(_ name: String) -> String { "\"sysctl\": {\"\(name)\": \"1\"}" }

  @Test(arguments: [
    ("kernel.msgmax", "ipc"), ("kernel.msgmnb", "ipc"), ("kernel.msgmni", "ipc"), ("kernel.sem", "ipc"),
    ("kernel.shmall", "ipc"),
    ("kernel.shmmax", "ipc"), ("kernel.shmmni", "ipc"), ("kernel.shm_rmid_forced", "ipc"), ("fs.mqueue.msg_max", "ipc"),
    ("kernel/msgmax", "ipc"), ("fs/mqueue/msg_max", "ipc"), ("net.ipv4.ip_forward", "network"),
    ("net/ipv4/ip_forward", "network"), ("net.ipv4.conf.eno2/100.rp_filter", "network"),
    ("net/ipv4/conf/eno2.100/rp_filter", "network"), ("kernel.domainname", "uts"),
  ])
  func parametersOfANamespaceNeedIt(_ name: String, _ kind: String) throws {
    let linux = try configuration(withLinux(sysctl(name), new: "mount", kind)).linux
    #expect(linux.sysctl == [name: "1"])
    let token = name.split(separator: "/").joined(separator: "~1")
    Refusal(name, "/linux/sysctl/\(token)", "needs a")
      .expect(withLinux(sysctl(name), new: "mount"), Configuration.init(parsing:subject:))
  }

  @Test(arguments: [
    ("kernel.hostname", "use /hostname"), ("kernel.core_pattern", "is not in a separate kernel namespace"),
    ("vm.swappiness", "is not in a separate kernel namespace"),
    ("kernel.shmx", "is not in a separate kernel namespace"),
    ("user.max_user_namespaces", "is not in a separate kernel namespace"),
    ("net", "is not in a separate kernel namespace"),
    ("fs.mqueue", "is not in a separate kernel namespace"), ("netx.a", "is not in a separate kernel namespace"),
    ("net..x", "is not the name"), ("net.", "is not the name"), (".net", "is not the name"),
    ("net.//.kernel.core_pattern", "is not the name"), ("net./.x", "is not the name"),
  ])
  func theHostsParametersAreRefused(_ name: String, _ words: String) {
    let token = name.split(separator: "/", omittingEmptySubsequences: false).joined(separator: "~1")
    Refusal(name, "/linux/sysctl/\(token)", words)
      .expect(withLinux(sysctl(name), new: "ipc", "network", "uts"), Configuration.init(parsing:subject:))
  }

  @Test(arguments: ["net/../kernel/core_pattern", "net/./x", "/net/x", "net//x", "net/x/..", "../../x"])
  func slashesDoNotClimb(_ name: String) {
    let token = name.split(separator: "/", omittingEmptySubsequences: false).joined(separator: "~1")
    do throws(Failure) {
      _ = try Configuration(
        parsing: Array(withLinux(sysctl(name), new: "ipc", "network", "uts").utf8), subject: "config.json")
      Issue.record("accepted \(name)")
    } catch {
      #expect(error.subject == "/linux/sysctl/\(token)")
    }
  }

  @Test func oneParameterInTwoFormsIsRefused() {
    Refusal("", "/linux/sysctl/net~1a", "is given twice, with dots and with slashes")
      .expect(
        withLinux("\"sysctl\": {\"net.a\": \"1\", \"net/a\": \"2\"}", new: "network"),
        Configuration.init(parsing:subject:))
  }

  @Test(arguments: [
    Refusal("\"sysctl\": []", "/linux/sysctl", "must be an object, not an array"),
    Refusal("\"sysctl\": {\"net.a\": 1}", "/linux/sysctl/net.a", "must be a string, not an integer"),
    Refusal("\"sysctl\": {\"\": \"1\"}", "/linux/sysctl", "has a member with an empty name"),
  ])
  func valuesAreStrings(_ refusal: Refusal) {
    refusal.expect(withLinux(refusal.part, new: "network"), Configuration.init(parsing:subject:))
  }

  @Test(arguments: ["/proc/self/ns/net", "/proc/thread-self/ns/net"])
  func theRuntimesOwnNetworkIsTheHosts(_ path: String) {
    let namespaces = "\"namespaces\": [{\"type\": \"network\", \"path\": \"\(path)\"}]"
    accept(withLinux(namespaces))
    Refusal("", "/linux/sysctl/net.a", "is not allowed in the host's network namespace")
      .expect(withLinux("\(namespaces), \(sysctl("net.a"))"), Configuration.init(parsing:subject:))
  }
}
