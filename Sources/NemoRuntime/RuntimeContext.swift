import NemoCgroup
import NemoJSON
import NemoKernel
import NemoOCI

/// What every verb is given: where the state is, and where warnings go.
public struct RuntimeContext {
  /// The state root.
  public var root: String
  /// Containers are made without cgroups (`--cgroup-manager disabled`).
  public var withoutCgroups = false
  /// Takes one line; the container goes on.
  public var warn: (String) -> Void
  /// Takes one line that only a debugger wants.
  public var debug: (String) -> Void

  /// Makes one; see the properties.
  public init(root: String, warn: @escaping (String) -> Void, debug: @escaping (String) -> Void) {
    self.root = root
    self.warn = warn
    self.debug = debug
  }
}

/// Options of `create` and `run`.
public struct CreateOptions {
  /// The container's id.
  public var id: String
  /// Bundle directory, relative to the working directory or absolute.
  public var bundle = "."
  /// config.json elsewhere than in the bundle, or empty.
  public var configuration = ""
  /// Unix socket that gets the terminal's master, or empty.
  public var consoleSocket = ""
  /// Unix socket that gets a pidfd of the first process, or empty.
  public var pidfdSocket = ""
  /// File for the pid, or empty.
  public var pidFile = ""
  /// Descriptors after stdio that the program gets.
  public var preserveFDs: UInt32 = 0
  /// Use MS_MOVE and chroot(2) instead of pivot_root(2) (a root on an initramfs).
  public var noPivot = false
  /// Keep the caller's session keyring.
  public var noNewKeyring = false

  /// Options for `id` with the defaults.
  public init(id: String) { self.id = id }
}

/// The state as the specification gives it to hooks and to `state` (runtime.md#state).
public enum StateDocument {
  /// A compact JSON object.
  public static func hook(_ record: StateRecord, status: String, pid: Int32) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.member("ociVersion", Specification.version)
    json.member("id", record.id)
    json.member("status", status)
    if pid > 0 { json.member("pid", pid) }
    json.member("bundle", record.bundle)
    if !record.annotations.isEmpty { json.member("annotations", record.annotations) }
    json.endObject()
    return json.bytes
  }
}

/// The version of runtime-spec that the runtime implements.
public enum Specification {
  /// Written into states and new configurations.
  public static let version = "1.3.0"
}

/// The time of day in RFC 3339.
public enum Clock {
  /// UTC with nanoseconds, such as `2026-01-02T03:04:05.123456789Z`.
  public static func now() -> String { ClockText.now() }
}
