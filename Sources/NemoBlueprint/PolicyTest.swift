import NemoPolicy

/// Decisions as people and programs read them.
public enum DecisionText {
  /// A few lines.
  public static func text(_ decision: Decision) -> String {
    let rule = decision.rule.map { name in "\(name) (\(decision.origin.map(\.description) ?? "built in"))" } ?? "none"
    let audit = decision.isAuditOnly ? " (recorded only: enforcement is audit)" : ""
    let lines = [
      "verdict: \(decision.verdict.rawValue)\(audit)", "rule: \(rule)", "mechanism: \(decision.mechanism.rawValue)",
      "reason: \(decision.reason)",
    ]
    return lines.map { Diagnostic.printable($0) + "\n" }.joined()
  }

  /// An object.
  public static func json(_ decision: Decision) -> JSONValue {
    .object([
      "verdict": .string(decision.verdict.rawValue), "rule": decision.rule.map { .string($0) } ?? .null,
      "file": decision.origin.map { $0.line == 0 ? .null : .string($0.file) } ?? .null,
      "line": decision.origin.map { $0.line == 0 ? .null : .integer($0.line) } ?? .null,
      "mechanism": .string(decision.mechanism.rawValue), "reason": .string(decision.reason),
      "audit_only": .bool(decision.isAuditOnly),
    ])
  }
}

/// Requests as command lines write them.
public enum Requests {
  /// The action of `METHOD URL`; nil where it is none.
  public static func action(_ text: String, binary: String?) -> Action? { ActionText.request(text, binary: binary) }
}

/// Runs the assertions of a blueprint.
public enum PolicyTest {
  /// One assertion with its outcome.
  public struct Case: Sendable {
    /// The assertion.
    public var expectation: Expectation
    /// What the policy says.
    public var decision: Decision
    /// They agree.
    public var isPassed: Bool { expectation.verdict == decision.verdict }
  }

  /// The assertions of one blueprint.
  public struct Suite: Sendable {
    /// The file.
    public var name: String
    /// In the file's order.
    public var cases: [Case]
    /// Assertions that failed.
    public var failures: Int { cases.count { !$0.isPassed } }

    /// A line for each assertion, and one for all.
    public var text: String {
      let lines = cases.map { item in
        let expectation = item.expectation
        let tail =
          item.isPassed
          ? ""
          : ": expected \(expectation.verdict.rawValue), got \(item.decision.verdict.rawValue): \(item.decision.reason)"
        return "\(item.isPassed ? "ok" : "FAILED") \(expectation.origin): \(expectation.title)\(tail)"
      }
      let summary = "\(name): \(cases.count - failures) of \(cases.count) as expected"
      return (lines + [summary]).map { Diagnostic.printable($0) + "\n" }.joined()
    }
  }

  /// Asks the policy engine about every assertion.
  public static func run(_ blueprint: Blueprint, hasGate: Bool) -> Suite {
    let policy = blueprint.policy(hasGate: hasGate)
    return Suite(
      name: blueprint.file,
      cases: blueprint.expectations.map { Case(expectation: $0, decision: policy.decide($0.action)) })
  }

  /// The outcome as JUnit XML.
  public static func junit(_ suites: [Suite]) -> String {
    var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
    for suite in suites {
      text +=
        "  <testsuite name=\"\(escape(suite.name))\" tests=\"\(suite.cases.count)\" failures=\"\(suite.failures)\">\n"
      for item in suite.cases {
        let expectation = item.expectation
        text +=
          "    <testcase classname=\"\(escape(suite.name))\" name=\"\(escape("\(expectation.title) (line \(expectation.origin.line))"))\""
        if item.isPassed {
          text += "/>\n"
        } else {
          let message =
            "expected \(expectation.verdict.rawValue), got \(item.decision.verdict.rawValue): \(item.decision.reason)"
          text += ">\n      <failure message=\"\(escape(message))\"/>\n    </testcase>\n"
        }
      }
      text += "  </testsuite>\n"
    }
    return text + "</testsuites>\n"
  }

  private static func escape(_ text: String) -> String {
    let pairs = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;")]
    return pairs.reduce(Diagnostic.printable(text)) { $0.replacing($1.0, with: $1.1) }
  }
}
