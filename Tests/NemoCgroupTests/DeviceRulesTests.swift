import NemoKernel
import NemoOCI
import Testing

@testable import NemoCgroup

@Suite struct DeviceRulesTests {
  private func rule(
    _ allow: Bool, _ type: String = "a", _ major: Int64? = nil, _ minor: Int64? = nil, _ access: String = "rwm"
  )
    -> DeviceRule
  {
    var rule = DeviceRule(allow: allow)
    rule.type = type
    rule.major = major
    rule.minor = minor
    rule.access = access
    return rule
  }

  private func list(_ rules: [DeviceRule]) throws(Failure) -> DeviceList { try DeviceList(rules, pointer: "/d") }

  static let basic = [
    "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm",
    "c 10:200 rwm", "c 136:* rwm",
  ]

  @Test func noRulesDenyAllButWhatEveryContainerHas() throws {
    let list = try list([])
    #expect(!list.allowsByDefault)
    #expect(list.lines == Self.basic)
    #expect(try self.list([rule(false)]) == list)
  }

  @Test func dockersRules() throws {
    let rules = [
      rule(false), rule(true, "c", 1, 5), rule(true, "c", 5, 1), rule(false, "c", 10, 229), rule(true, "b", 8, 0, "rm"),
    ]
    #expect(try list(rules).lines == Self.basic + ["c 5:1 rwm", "b 8:0 rm"])
  }

  @Test func allowEverythingButOne() throws {
    let list = try list([rule(true), rule(false, "c", 1, 11, "rw")])
    #expect(list.allowsByDefault)
    #expect(list.lines == ["c 1:11 rw"])
    #expect(try self.list([rule(true), rule(false, "c", 1, 11), rule(true, "c", 1, 11, "r")]).lines == ["c 1:11 wm"])
  }

  @Test func theLastWordCounts() throws {
    #expect(try list([rule(true), rule(false), rule(true, "b", 7, nil)]).lines == Self.basic + ["b 7:* rwm"])
    #expect(try list([rule(false), rule(true)]).lines == [])
  }

  @Test func aNamedDeviceOfEveryContainerCanBeDenied() throws {
    #expect(try list([rule(false), rule(false, "c", 1, 8, "rw")]).lines.contains("c 1:8 m"))
    #expect(!(try list([rule(false), rule(false, "c", 1, 8)]).lines.contains { $0.hasPrefix("c 1:8") }))
    // A wider denial takes the narrower ones along, but means all but the usual ones where it names no number.
    #expect(!(try list([rule(false), rule(false, "c", 1)]).lines.contains { $0.hasPrefix("c 1:") }))
    #expect(Set(try list([rule(true, "c", 8, 8), rule(false, "c")]).lines) == Set(Self.basic))
  }

  @Test func typeAllWithNumbersMeansBothTypes() throws {
    #expect(try list([rule(true, "a", 9, 1)]).lines.suffix(2) == ["c 9:1 rwm", "b 9:1 rwm"])
    // The kernel would take this for every kind of access.
    let readAll = try list([rule(true, "a", nil, nil, "r")])
    #expect(!readAll.allowsByDefault)
    #expect(readAll.lines.contains("b *:* r"))
    #expect(!readAll.lines.contains { $0.hasPrefix("b *:* rw") })
  }

  @Test func accessOfOnePlaceAddsUp() throws {
    #expect(try list([rule(true, "b", 8, 1, "r"), rule(true, "b", 8, 1, "m")]).lines.last == "b 8:1 rm")
    #expect(try list([rule(true, "b", 8, 1, "")]).lines.last == "b 8:1 rwm")
    #expect(try list([rule(true, "b", -1, -1, "r")]).lines.last == "b *:* r")
  }

  @Test(arguments: [true, false])
  func aHoleIsAnErrorThatNamesTheRule(_ allow: Bool) {
    let rules = [rule(!allow), rule(allow, "c", 4, nil), rule(!allow, "c", 4, 7, "w")]
    do throws(Failure) {
      _ = try list(rules)
      Issue.record("accepted")
    } catch {
      #expect(error.message == "/d/2: cgroup v1 cannot \(allow ? "deny" : "allow") \"c 4:7 w\" within \"c 4:* rwm\"")
    }
  }

  @Test func noHoleWhereTheAccessDiffers() throws {
    #expect(try list([rule(true, "c", 4, nil, "r"), rule(false, "c", 4, 7, "w")]).lines.last == "c 4:* r")
  }
}
