import NemoCgroup
import NemoKernel
import NemoOCI

/// Changing the limits of a running container.
public enum Updates {
  /// Applies what `resources` names; the rest stays.
  public static func apply(_ resources: Resources, to id: String, _ context: RuntimeContext) throws(Failure) {
    let container = try Container(id, context, locked: true)
    let status = try container.status()
    guard status != .stopped, status != .creating else { throw container.wrongState("update", status) }
    try container.cgroup().update(resources)
  }
}
