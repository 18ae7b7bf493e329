import NemoKernel
import Testing

@testable import NemoOCI

@Suite struct ConfigurationTests {
  @Test func theSmallestOneIsAccepted() throws {
    let config = try configuration(whole(""))
    #expect(config == Configuration(ociVersion: "1.0.2", root: Root(path: "rootfs")))
  }

  @Test(arguments: [
    "1.0.0", "1.0.2-dev", "1.2.1", "1.3.0", "1.0.0-rc5", "1.0.0-rc.1+build.5", "1.99.7", "1.3.0+x", "1.0.0-0a",
  ])
  func versionsOfMajorOneAreAccepted(_ version: String) {
    accept("{\"ociVersion\": \"\(version)\", \"root\": {\"path\": \"r\"}}")
  }

  @Test(arguments: [
    "", "1", "1.0", "0.5.0-dev", "2.0.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.00.0", "1.0.x", "1.0.0-", "1.0.0+",
    " 1.0.0",
    "1.0.0-a..b", "1.0.0-ä", "-1.0.0", "1.-0.0", "10.0.0",
  ])
  func otherVersionsAreRefused(_ version: String) {
    Refusal(version, "/ociVersion", "\"\(version)\" is not supported: a version 1.x.y is needed")
      .expect("{\"ociVersion\": \"\(version)\", \"root\": {\"path\": \"r\"}}", Configuration.init(parsing:subject:))
  }

  @Test(arguments: [
    Refusal("{}", "/ociVersion", "is required"),
    Refusal("[]", "/", "must be an object, not an array"),
    Refusal("{\"ociVersion\": 1}", "/root", "is required"),
    Refusal("{\"ociVersion\": 1, \"root\": {\"path\": \"r\"}}", "/ociVersion", "must be a string, not an integer"),
    Refusal("{\"ociVersion\": \"1.0.0\"}", "/root", "is required"),
    Refusal("{\"ociVersion\": \"1.0.0\", \"root\": null}", "/root", "is required"),
    Refusal("{\"ociVersion\": \"1.0.0\", \"root\": {}}", "/root/path", "is required"),
    Refusal("{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"\"}}", "/root/path", "must not be empty"),
    Refusal("{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": 1}}", "/root/path", "must be a string, not an integer"),
    Refusal(
      "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"r\", \"readonly\": \"yes\"}}", "/root/readonly",
      "must be a boolean, not a string"),
  ])
  func theTopIsChecked(_ refusal: Refusal) {
    refusal.expect(refusal.part, Configuration.init(parsing:subject:))
  }

  @Test(arguments: [
    Refusal("\"hostname\": 1", "/hostname", "must be a string, not an integer"),
    Refusal("\"hostname\": \"box\"", "/hostname", "needs a uts namespace"),
    Refusal("\"domainname\": \"net\"", "/domainname", "needs a uts namespace"),
    Refusal("\"annotations\": []", "/annotations", "must be an object, not an array"),
    Refusal("\"annotations\": {\"a/b\": 1}", "/annotations/a~1b", "must be a string, not an integer"),
    Refusal("\"annotations\": {\"\": \"x\"}", "/annotations", "has a member with an empty name"),
    Refusal("\"process\": []", "/process", "must be an object, not an array"),
    Refusal("\"linux\": 1", "/linux", "must be an object, not an integer"),
    Refusal("\"mounts\": {}", "/mounts", "must be an array, not an object"),
    Refusal("\"hooks\": []", "/hooks", "must be an object, not an array"),
  ])
  func membersAreChecked(_ refusal: Refusal) {
    refusal.expect(whole(refusal.part), Configuration.init(parsing:subject:))
  }

  @Test func namesNeedAUTSNamespaceAndHaveABound() throws {
    let uts = "\"linux\": {\"namespaces\": [{\"type\": \"uts\"}]}"
    let config = try configuration(whole("\"hostname\": \"box\", \"domainname\": \"net\", \(uts)"))
    #expect(config.hostname == "box" && config.domainname == "net")
    let long = String(repeating: "h", count: 64)
    accept(whole("\"hostname\": \"\(long)\", \(uts)"))
    Refusal("", "/hostname", "is longer than 64 bytes")
      .expect(whole("\"hostname\": \"\(long)h\", \(uts)"), Configuration.init(parsing:subject:))
    Refusal("", "/domainname", "is longer than 64 bytes")
      .expect(whole("\"domainname\": \"\(long)h\", \(uts)"), Configuration.init(parsing:subject:))
  }

  @Test func unknownMembersAreIgnored() {
    accept(whole("\"x\": 1, \"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"y\": [], \"user\": {\"z\": {}}}"))
    accept(withLinux("\"resources\": {\"x\": 1, \"memory\": {\"y\": \"z\"}}, \"somethingNew\": {\"a\": [1]}"))
  }

  @Test func otherPlatformsAreIgnored() {
    accept(
      whole(
        "\"windows\": {\"layerFolders\": 1}, \"solaris\": [], \"vm\": {}, \"zos\": 5, \"freebsd\": {\"jail\": {\"vnet\": \"x\"}}"
      ))
  }

  @Test func duplicatesAreRefused() {
    do throws(Failure) {
      _ = try Configuration(
        parsing: Array(whole("\"root\": {\"path\": \"other\"}").utf8), subject: "bundle/config.json")
      Issue.record("accepted")
    } catch {
      #expect(error.message.hasPrefix("parse bundle/config.json: line 1, column "))
      #expect(error.message.contains("duplicate object key"))
    }
  }
}

@Suite struct HookTests {
  @Test func everyKindIsRead() throws {
    let kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
    let members = kinds.map {
      "\"\($0)\": [{\"path\": \"/\($0)\", \"args\": [\"a\", \"b\"], \"env\": [\"K=V\"], \"timeout\": 3}]"
    }
    let hooks = try configuration(whole("\"hooks\": {\(members.joined(separator: ", "))}")).hooks
    let read = [
      hooks.prestart, hooks.createRuntime, hooks.createContainer, hooks.startContainer, hooks.poststart, hooks.poststop,
    ]
    for (kind, list) in zip(kinds, read) {
      var hook = Hook(path: "/" + kind)
      hook.args = ["a", "b"]
      hook.env = ["K=V"]
      hook.timeout = 3
      #expect(list == [hook])
    }
  }

  @Test(arguments: [
    Refusal("\"prestart\": {}", "/hooks/prestart", "must be an array"),
    Refusal("\"prestart\": [{}]", "/hooks/prestart/0/path", "is required"),
    Refusal(
      "\"poststop\": [{\"path\": \"/a\"}, {\"path\": \"b\"}]", "/hooks/poststop/1/path", "must be an absolute path"),
    Refusal("\"poststart\": [{\"path\": \"\"}]", "/hooks/poststart/0/path", "must be an absolute path"),
    Refusal(
      "\"createRuntime\": [{\"path\": \"/a\", \"timeout\": 0}]", "/hooks/createRuntime/0/timeout", "0 is out of range 1"
    ),
    Refusal(
      "\"createRuntime\": [{\"path\": \"/a\", \"timeout\": -1}]", "/hooks/createRuntime/0/timeout", "-1 is out of"),
    Refusal(
      "\"createContainer\": [{\"path\": \"/a\", \"timeout\": 1.5}]", "/hooks/createContainer/0/timeout", "an integer"),
    Refusal(
      "\"createContainer\": [{\"path\": \"/a\", \"timeout\": 18446744073709551615}]",
      "/hooks/createContainer/0/timeout",
      "out of range"),
    Refusal(
      "\"startContainer\": [{\"path\": \"/a\", \"args\": [1]}]", "/hooks/startContainer/0/args/0", "must be a string"),
    Refusal(
      "\"startContainer\": [{\"path\": \"/a\", \"env\": \"x\"}]", "/hooks/startContainer/0/env", "must be an array"),
  ])
  func hooksAreChecked(_ refusal: Refusal) {
    refusal.expect(whole("\"hooks\": {\(refusal.part)}"), Configuration.init(parsing:subject:))
  }
}
